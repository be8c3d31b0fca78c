"""Secrets that their shape or the exchange itself shows, wherever they stand; and no text that makes looking slow."""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from urllib.parse import quote

import pytest

from comparators.model import Difference, Kind
from proxy.model import Headers
from proxy.verify.redact import Hiding, Redactor, is_tag

KEY = b"k" * 16
MADE = "q8w7e6r5t4y3"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqbyJ9.s1gn4tur3_-"
AUTHORIZED: Headers = ((b"Authorization", b"Bearer " + MADE.encode()),)


def redactor(**more: Any) -> Redactor:
    return Redactor(Hiding(**more), KEY)


@pytest.mark.parametrize(
    ("text", "secret", "left"),
    [
        (f"see {JWT}, please", "s1gn4tur3", "see "),
        (f"x-----BEGIN RSA PRIVATE KEY-----\n{MADE}\n-----END RSA PRIVATE KEY-----y", MADE, "y"),
        (f"-----BEGIN PRIVATE KEY-----\n{MADE} and cut off", MADE, "["),
        (f"postgresql://app:{MADE}@db:5432/shop", MADE, "postgresql://app:["),
        (f"mongodb://app:pa/{MADE}@h/?a=1", MADE, "@h/?a=1"),
        (f"https://shop.test/cb?a=1&access_token={MADE}#top", MADE, "a=1&access_token=["),
        (f"https://x/?next=https%3A%2F%2Fy%2F%3Ftoken%3D{MADE}", MADE, "https://x/?next="),
        (f"host=db password={MADE} user=app", MADE, "user=app"),
        (f'{{"broken": 1, "token": "{MADE}"', MADE, '"broken": 1'),
        (f"Authorization: Bearer {MADE}", MADE, "Bearer ["),
        (f"Basic {base64.b64encode(b'jo:' + MADE.encode()).decode()}", "cTh3N2U2", "Basic ["),
        (f"with sk_live_{MADE} as key", MADE, "with ["),
        (json.dumps({"a": {"password": MADE}}), MADE, '{"a":{"password":"['),
        (base64.b64encode(json.dumps({"apiKey": MADE}).encode()).decode(), "cTh3N2U2", "["),
        ('{"broken": 1, "password":"sunshine', "sunshine", '"broken": 1'),
        (f"password = {MADE}; token => {MADE}; 'pin' : 1234", MADE, "password = ["),
        ("pin: 1234", "1234", "pin: ["),
        (f"{{&quot;token&quot;:&quot;{MADE}&quot;}}", MADE, "token&quot;:&quot;["),
        (f"Cookie: theme=dark; zz={MADE}\nHost: x", MADE, "\nHost: x"),
        (f"https://x.test/?sv=1&sig={MADE}%3D&w=2", MADE, "sv=1&sig=["),
        (f"AccountName=x;AccountKey={MADE}==", MADE, "AccountName=x;"),
        (f"<a><user>jo</user><password><![CDATA[{MADE}]]></password></a>", MADE, "<user>jo</user>"),
        (f'form-data; name="password"\r\nX: y\r\n\r\n{MADE}\r\n--b', MADE, "\r\n--b"),
        (f"Token {MADE}", MADE, "Token ["),
    ],
)
def test_a_secret_is_known_by_its_shape_and_what_is_around_it_stays(text: str, secret: str, left: str) -> None:
    shown = redactor().text(text)
    assert secret not in shown
    assert left in shown
    (kept, _), _ = redactor().bodies((json.dumps([text]).encode(), None), redactor().credentials(target="/"))
    assert json.loads(kept.text or "") == [shown]


@pytest.mark.parametrize(
    "text",
    [
        "https://cdn.shop.test/a/b.png?w=200&h=100",
        "Basic understanding of tokens, bearer authentication",
        "2024-02-29T10:00:00Z: the session is over",
        "jo@shop.test wrote to https://shop.test/@jo",
        "eyes only; ewe; W3C",
        base64.b64encode(b'{"page": 2, "sort": "name"}').decode(),
        "https://x/?session=morning&tokenType=bearer",
        json.dumps({"page": 2}, indent=1),
        "100 % sure, 50%41",
        "password: must have 8 characters, Signature: required",
        "<p>token 12</p><session>morning</session>",
    ],
)
def test_what_bears_no_secret_stays_as_it_is(text: str) -> None:
    assert redactor().text(text) == text


@pytest.mark.parametrize(
    "spelled",
    [
        MADE,
        f"no rights for {MADE}!",
        MADE.encode().hex(),
        MADE.encode().hex().upper(),
        MADE.upper(),
        *(base64.b64encode(b"z" * n + MADE.encode() + b"end").decode() for n in range(3)),
        json.dumps({"a": MADE}),
    ],
)
def test_the_callers_credential_is_hidden_under_any_name(spelled: str) -> None:
    r = redactor()
    also = r.credentials(target="/", fields=(AUTHORIZED,))
    (kept,), also = r.bodies((json.dumps({"a": [spelled], spelled: 1}).encode(),), also)
    assert kept.text is not None
    assert spelled not in kept.text
    assert MADE not in kept.text
    (one,) = r.differences([Difference("$.a[0]", Kind.MISSING, spelled)], also)
    assert spelled not in repr(one)
    assert spelled not in r.text(f"upstream said {spelled}", also)
    assert spelled not in repr(r.headers(((b"X-Debug", spelled.encode()),), also))


@pytest.mark.parametrize(
    ("fields", "target", "route", "body"),
    [
        (((b"Cookie", f"theme=dark; connect.sid=s%3A{MADE}{MADE}.abc".encode()),), "/", "", b""),
        (((b"Cookie", f"x={MADE}".encode()),), "/", "", b""),
        (((b"Set-Cookie", f"sid={MADE}; Path=/".encode()),), "/", "", b""),
        (((b"X-Partner-Secret", MADE.encode()),), "/", "", b""),
        (((b"Authorization", b"Basic " + base64.b64encode(b"jo:" + MADE.encode())),), "/", "", b""),
        (((b"Authorization", f'Digest username="jo", response="{MADE}"'.encode()),), "/", "", b""),
        ((), f"/?filter%5Btoken%5D={MADE}", "", b""),
        ((), f"/?a=%23access_token={quote(quote(MADE))}", "", b""),
        ((), f"/reset/{MADE}", "GET /reset/{token}", b""),
        ((), f"/a;jsessionid={MADE}", "", b""),
        ((), "/", "", json.dumps({"login": {"password": MADE}}).encode()),
        (((b"Ocp-Apim-Subscription-Key", MADE.encode()),), "/", "", b""),
        ((), "/", "", f"grant=x&refresh_token={MADE}".encode()),
    ],
)
def test_credentials_are_gathered_from_every_place(fields: Headers, target: str, route: str, body: bytes) -> None:
    r = redactor()
    also = r.credentials(target=target, route=route, fields=(fields,), body=body)
    assert MADE not in r.text(f"sent {MADE}{MADE}", also)
    assert MADE not in r.target(target, route, also)
    assert MADE not in repr(r.headers(fields, also))


def test_ids_and_choices_are_no_credentials() -> None:
    r = redactor()
    cookie = b"user=64b7f0a1c2d3e4f5a6b7c8d9; theme=solarized; _ga=GA1; n=1234567890; tz=Europe/Berlin; at=%2Fa%2Flist"
    also = r.credentials(target="/api/sessions/64b7f0a1c2d3e4f5a6b7c8d9", route="GET /api/sessions/{sessionId}",
                         fields=(((b"Cookie", cookie),),))  # fmt: skip
    assert also.texts == ()
    target = "/api/sessions/64b7f0a1c2d3e4f5a6b7c8d9?a=%20b+c&d"
    assert r.target(target, "GET /api/sessions/{sessionId}", also) == target


def test_a_credential_that_is_cut_short_or_very_long_is_hidden_as_far_as_it_goes() -> None:
    r = redactor()
    long = f"Zz9{MADE}" * 1_000
    also = r.credentials(target="/", fields=(((b"Authorization", b"Bearer " + long.encode()),),))
    for shown in (long[:20], long[:9_000], long):
        assert MADE[:8] not in r.text(f"no {shown}... here", also)
        assert r.text(f"no {shown}... here", also).endswith("]... here")
    assert r.text("Zz9q8 is short", also) == "Zz9q8 is short"


def test_a_secret_found_in_one_body_is_hidden_in_the_other_and_in_what_differs() -> None:
    r = redactor()
    bodies = (json.dumps({"token": MADE}).encode(), json.dumps({"note": f"use {MADE}"}).encode())
    kept, also = r.bodies(bodies, r.credentials(target="/"))
    assert MADE not in repr(kept)
    (one,) = r.differences([Difference("$.note", Kind.ADDED, None, f"use {MADE}")], also)
    assert one.shadow.startswith("use [redacted ")


def test_more_credentials_than_can_be_looked_for_keep_everything_back() -> None:
    r = redactor()
    many = "; ".join(f"s{n}={MADE}{n:04}" for n in range(60)).encode()
    also = r.credentials(target="/", fields=(((b"Cookie", many),),))
    (kept,), _ = r.bodies((b'{"a": 1}',), also)
    assert kept == (None, "more credentials than can be looked for: not kept")
    (one,) = r.differences([Difference("$.a", Kind.VALUE_CHANGED, "x", "y")], also)
    assert is_tag(one.primary)
    assert is_tag(one.shadow)
    assert one.primary != one.shadow


@pytest.mark.parametrize(
    ("path", "primary", "shadow"),
    [
        ("$.token", 123456, "123456"),
        ("$.token", MADE, MADE + "x"),
        ("$.raw", '{"token":"q8w7e6r5"}', '{"token": "q8w7e6r5"}'),
        ("$.password", {"a": 1}, {"a": 2}),
        ("$.text", "a" * 5000 + "b", "a" * 5000 + "c"),
        ("$.list", ["a" * 5000, 1], ["a" * 5000, 2]),
        ("$.link", f"https://x/?token={MADE}1", f"https://x/?token={MADE}2"),
        ("headers.set-cookie", f"sid={MADE}; Path=/", f"sid={MADE}; Path=/a"),
        ("headers.set-cookie", [f"sid={MADE}"], f"sid={MADE}"),
    ],
)
def test_what_differs_still_does_when_it_is_hidden_or_cut(path: str, primary: Any, shadow: Any) -> None:
    (one,) = redactor().differences([Difference(path, Kind.VALUE_CHANGED, primary, shadow)])
    assert json.dumps(one.primary) != json.dumps(one.shadow)
    assert MADE not in repr(one)
    assert len(repr(one)) < 5000


def test_equal_values_have_equal_tags_however_they_are_spelled() -> None:
    r = redactor()
    texts = [r.body(b'{"password": %b}' % raw).text for raw in (b"10", b"10.0", b"1e1", b'"10"')]
    assert texts[0] == texts[1] == texts[2] != texts[3]


def test_the_name_of_a_member_is_hidden_alike_in_a_path_and_in_the_body() -> None:
    r = redactor()
    also = r.credentials(target="/", fields=(AUTHORIZED,))
    (kept,), also = r.bodies((json.dumps({"by": {MADE: {"n": 1}}}).encode(),), also)
    (one,) = r.differences([Difference(f"$.by.{MADE}.n", Kind.VALUE_CHANGED, 1, 2)], also)
    (name,) = json.loads(kept.text or "")["by"]
    assert one.path == f"$.by['{name}'].n"


@pytest.mark.parametrize(
    "unit",
    ["eyJ", "eyJaaaaaaaaaa.a", "token=", "token=b&", "mongodb://a", "-----BEGIN PRIVATE KEY-----", "a%41 ", "%25",
     "basic aaaaaaaa ", "W3si", "ey ", "token: ", '"', "\\", "filter[token]", "xoxb-", "://a:b@", "{", "a=", "A ",
     "'token'=", "<a>", "<token ", "</", 'orm-data; name="a"\r\na\r\n', "token = ", "cookie: "],
)  # fmt: skip
def test_no_text_makes_hiding_slow(unit: str) -> None:
    r = redactor()
    text = unit * (400_000 // len(unit))
    began = time.process_time()
    r.text(text)
    # Linear, this takes 0.01 to 0.3 s; a square of the length would take minutes.
    assert time.process_time() - began < 4
