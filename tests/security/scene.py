"""The planted exchanges: secrets in every place of a request and of both answers, and backends that answer so."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from urllib.parse import quote

from tests.e2e.backends import Script, response, target_of
from tests.security.planted import Planted

PEM = "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----"


def base64url(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


class Scene:
    """What the client asks, and what the sides answer."""

    def __init__(self) -> None:
        plant = self.plant = Planted()
        self.sent: list[bytes] = []
        """What the sides have answered, of which a client sees one half."""
        self.bearer = plant("Authorization, Bearer")
        self.basic = plant("Authorization, Basic", odd=True)
        self.digest = plant("Authorization, Digest")
        self.proxy_basic = plant("Proxy-Authorization")
        self.cookies = [plant("session cookie"), plant("second cookie"), plant("cookie with an innocent name")]
        self.api_key = plant("X-Api-Key")
        self.custom = plant("a header with a secret name")
        self.named = [plant("query, named"), plant("query, repeated")]
        self.nested = plant("query, nested")
        self.twice = plant("query, percent-encoded twice", odd=True)
        self.fragment = plant("query, like a fragment")
        self.onward = plant("query, in an address in it")
        self.path = plant("path")
        self.matrix = plant("path parameter after a semicolon")
        self.search = plant("request body")
        self.form = plant("request body, a form")
        self.set_cookies = [plant("Set-Cookie of the primary"), plant("Set-Cookie of the shadow")]

    @property
    def fields(self) -> list[bytes]:
        pair = base64.b64encode(f"proxyuser:{self.proxy_basic}".encode()).decode()
        cookie = f"connect.sid=s%3A{self.cookies[0]}.x; auth={self.cookies[1]}; theme={self.cookies[2]}"
        return [
            f"Authorization: Bearer {self.bearer}".encode(),
            f"Proxy-Authorization: Basic {pair}".encode(),
            f"Cookie: {cookie}".encode(),
            f"X-Api-Key: {self.api_key}".encode(),
            f"X-Partner-Secret: {self.custom}".encode(),
            f"Referer: https://shop.test/?a=1&access_token={self.named[0]}".encode(),
        ]

    @property
    def basic_field(self) -> bytes:
        return b"Authorization: Basic " + base64.b64encode(f"jo:{self.basic}".encode())

    @property
    def digest_field(self) -> bytes:
        return f'Authorization: Digest username="jo", realm="shop", response="{self.digest}", uri="/"'.encode()

    @property
    def target(self) -> bytes:
        onward = quote(f"https://shop.test/cb?token={self.onward}", safe="")
        query = [
            f"page=2&token={self.named[0]}&token={self.named[1]}&filter%5Btoken%5D={self.nested}",
            f"reset_token={quote(quote(self.twice, safe=''), safe='')}&next={onward}",
        ]
        return f"/api/things/1;jsessionid={self.matrix}?{'&'.join(query)}&frag=%23access_token={self.fragment}".encode()

    def body(self, side: str, sent: list[str]) -> bytes:
        """One side's answer. What is planted anew differs between the sides, so that it stands in differences too."""
        plant = self.plant
        token = plant(f"JSON, {side}")
        inner = {"user": {"password": plant(f"JSON in a string, {side}", odd=True), "ok": True}}
        onward = quote(f"/cb?token={plant(f'address in an address, {side}')}", safe="")
        code = plant.secrets[f"one-time code, {side}"] = str(913_000_000_000 + len(side))
        signed = ".".join(
            [base64url({"alg": "HS256"}), base64url({"sub": plant(f"claim, {side}")}), plant(f"jwt, {side}")]
        )
        return json.dumps(
            {
                "n": side,
                "token": token,
                "users": [
                    {"deep": [{"accessToken": plant(f"JSON, nested, {side}"), "passwordHash": plant(f"hash, {side}")}]}
                ],
                "sessions": {plant(f"name of a member, {side}"): {"since": side}},
                "tokens": [plant(f"JSON, in a list, {side}"), 3],
                "raw": json.dumps(inner),
                "cut": json.dumps(inner)[:-2],
                "state": base64.b64encode(json.dumps({"apiKey": plant(f"base64 JSON, {side}")}).encode()).decode(),
                "link": f"https://jo:{plant(f'address, {side}')}@shop.test/",
                "dsn": f"could not connect to postgresql://app:{plant(f'DSN in a message, {side}')}@db:5432/shop",
                "callback": f"https://shop.test/cb?a=1&access_token={plant(f'address, in its query, {side}')}#x",
                "onward": f"https://shop.test/?to={onward}",
                "note": f"signed as {signed}, keep it",
                "key": PEM.format(plant(f"private key, {side}")),
                "vendor": f"use sk_live_{plant(f'vendor key, {side}')} for this",
                "headers": [{"name": "X-Api-Key", "value": plant(f"name and value, {side}")}],
                "otp": int(code),
                "echo": self._echo(sent, token, self.set_cookies[side == "shadow"]),
                "tokenCount": 3,
            },
            ensure_ascii=side == "primary",
        ).encode()

    def _sent_in(self, head: bytes) -> list[str]:
        """The credentials of one request: what its caller knows, and an answer may repeat."""
        target = target_of(head)
        if target.startswith(b"/api/things/2"):
            return [self.basic]
        if target.startswith(b"/api/things/3"):
            return [self.digest]
        found = [self.bearer, *self.cookies, self.api_key, self.custom]
        if target.startswith(b"/api/things/1"):
            found += [*self.named, self.nested, self.twice, self.fragment, self.onward, self.matrix]
        elif target.startswith(b"/api/reset"):
            found.append(self.path)
        elif target.startswith(b"/api/things/search"):
            found.append(self.form if b"urlencoded" in head else self.search)
        return found

    def _echo(self, sent: list[str], token: str, set_cookie: str) -> dict[str, Any]:
        """The caller's own credentials, under names that say nothing."""
        return {
            "a": [f"no rights for {secret}: ask again" for secret in sent],
            "b": [base64.b64encode(f"x{secret}y".encode()).decode() for secret in sent],
            "c": [secret.encode().hex() for secret in sent],
            "d": [quote(secret, safe="") for secret in sent],
            "f": json.dumps({"g": sent}),
            "h": f"{token} is yours",
            "i": set_cookie,
            sent[0]: "a name",
        }

    def script(self, side: str) -> Script:
        number = ("primary", "shadow").index(side)

        async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
            # The body of a POST before it was left unread.
            head = head[max(head.rfind(b"GET /api"), head.rfind(b"POST /api")) :]
            sent = self._answer(side, number, head)
            self.sent.append(sent)
            writer.write(sent)

        return answer

    def _answer(self, side: str, number: int, head: bytes) -> bytes:
        target, sent = target_of(head), self._sent_in(head)
        if target.startswith(b"/api/text"):
            text = f"plain {side} {self.plant(f'a body that is no JSON, {side}')} {sent[0]}"
            return response(text.encode()).replace(b"application/json", b"text/plain")
        plain = [one for one in sent if one.isalnum()]
        fields = [
            f"Set-Cookie: sid={self.set_cookies[number]}; Path=/; HttpOnly".encode(),
            f"Location: /next?token={self.plant(f'Location, {side}')}&by={plain[:1]}".encode(),
            f"X-Debug: {' '.join(plain)}".encode(),
            f"X-Session-Token: {self.plant(f'header of an answer, {side}')}".encode(),
        ]
        status = b"500 Broken" if target.startswith(b"/api/broken") and number else b"200 OK"
        return response(self.body(side, sent), *fields, status=status)
