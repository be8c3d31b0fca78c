"""Names tell what is secret; counts, dates and plain words under such names are shown."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from proxy.verify.redact import Hiding, Redactor, is_tag
from proxy.verify.redact_names import CHOSEN, MINTED, NONE, is_plain, is_secret, secrecy_of

KEY = b"k" * 16
MADE = "q8w7e6r5t4y3"


@pytest.mark.parametrize(
    ("secrecy", "names"),
    [
        (
            CHOSEN,
            "password passwordHash newPasswd pwd DB_PW db_pass PIN otp cvv clientSecret privateKey mnemonic",
        ),
        (
            MINTED,
            "token accessToken refresh_token id-token Authorization X-Api-Key apiKey APIKEY sessionId session sid",
        ),
        (
            MINTED,
            "Set-Cookie cookies csrf XSRF-TOKEN signature jwt filter[token] auth tokens sig accountKey",
        ),
        (
            NONE,
            "tokenCount passwordChangedAt token_expires_in cookieConsent sessionStart key max_tokens totalTokens",
        ),
        (NONE, "name email footprint hotpot secretary tokenize obsession passenger_names keyboard author code _id"),
    ],
)
def test_which_names_make_a_secret(secrecy: int, names: str) -> None:
    assert {name: secrecy_of(name) for name in names.split()} == dict.fromkeys(names.split(), secrecy)


@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("session", "morning", False),
        ("session", "Late evening", False),
        ("session", MADE, True),
        ("session", "2024-02-29T10:00:00Z", False),
        ("token", "BTC", False),
        ("token", 83726151, True),
        ("tokens", 3, False),
        ("tokens", Decimal("12.5"), False),
        ("token", "hunter2", True),
        ("password", "morning", True),
        ("password", True, False),
        ("password", None, False),
        ("password", "", False),
        ("otp", 123456, True),
        ("pin", 12, True),
    ],
)
def test_which_values_are_secret_under_such_a_name(name: str, value: Any, hidden: bool) -> None:
    assert is_secret(secrecy_of(name), value) is hidden


def test_a_plain_text_is_no_machine_made_one() -> None:
    assert all(map(is_plain, ("", "open", "IN PROGRESS", "two-words", "12.50", "2024-02-29")))
    assert not any(map(is_plain, (MADE, "abcdefghijklmnopq", "a" * 61, "123456", "héllo")))


def shown(value: Any, hiding: Hiding | None = None) -> Any:
    text, why = Redactor(hiding or Hiding(), KEY).body(json.dumps(value).encode())
    assert why == ""
    return json.loads(text or "")


@pytest.mark.parametrize(
    "value",
    [
        {"a": [{"b": {"accessToken": MADE}}]},
        {"tokens": [MADE]},
        {"token": {"value": MADE}},
        {"session": {"id": MADE}},
        {"credentials": {"secret": {"deep": [MADE]}}},
        {"headers": [{"name": "X-Api-Key", "value": MADE}]},
        {"env": [{"key": "DB_PASSWORD", "value": MADE}]},
        {"headers": [["Authorization", MADE]]},
        {"rawHeaders": ["Host", "x", "X-Api-Key", MADE, "Cookie", f"zz={MADE}"]},
        {"headers": [{"name": "X-Api-Key", "values": [MADE]}]},
        {"tokens": {"access": MADE, "refresh": MADE}},
        {"kty": "oct", "k": MADE},
        {"sessions": {f"{MADE}{MADE}": {"since": 1}}},
    ],
    ids=json.dumps,
)
def test_secret_names_count_at_any_depth_and_in_every_form(value: Any) -> None:
    assert MADE not in json.dumps(shown(value))
    assert is_tag(json.dumps(shown(value)))


@pytest.mark.parametrize(
    "value",
    [
        {"sessions": [{"_id": "64b7f0a1c2d3e4f5a6b7c8d9", "device": "phone 12"}]},
        {"tokenCount": 3, "session": "morning", "token": None, "hasPassword": True},
        {"session": {"user": "jo", "startedAt": "2024-02-29"}},
        {"tags": ["token", "abc"], "signature": "None"},
        {"name": "Secret Garden", "value": 25, "tags": ["Secret Santa", MADE]},
        {"name": "size", "value": MADE, "content": MADE},
    ],
    ids=json.dumps,
)
def test_what_is_about_a_secret_or_beside_it_is_shown(value: Any) -> None:
    assert shown(value) == value


def test_paths_to_keep_switch_the_names_off_and_nothing_else() -> None:
    body = {
        "signature": MADE,
        "tokenId": "abc12345",
        "token": MADE * 2,
        "note": "a eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.abc",
    }
    kept = shown(body, Hiding(keep=("$.signature", "$..tokenId", "$.note")))
    assert (kept["signature"], kept["tokenId"]) == (MADE, "abc12345")
    assert is_tag(kept["token"])
    assert kept["note"].startswith("a [redacted ")
    assert is_tag(shown(body, Hiding(("$.signature",), ("$.signature",)))["signature"])
