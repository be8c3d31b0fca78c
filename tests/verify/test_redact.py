"""Nothing that is configured or named as secret survives, and equal secrets stay visibly equal."""

from __future__ import annotations

import json

from comparators.model import Difference, Kind
from proxy.verify.redact import Hiding, Redactor

KEY = b"k" * 16
SECRET = "hunter2-secret"


def redactor() -> Redactor:
    return Redactor(["$..password", "$..email", "$.data.card"], KEY)


def test_values_at_redacted_paths_are_gone_at_any_depth_and_type() -> None:
    body = {"data": {"card": {"n": SECRET}, "x": [{"password": SECRET, "ok": 1}]}, "email": [SECRET], "n": None}
    text, why = redactor().body(json.dumps(body).encode())
    assert why == ""
    assert text is not None
    assert SECRET not in text
    assert json.loads(text)["data"]["x"][0]["ok"] == 1
    assert json.loads(text)["n"] is None


def test_numbers_survive_with_every_digit() -> None:
    raw = '{"wei":123456789012345678901234567890,"d":0.12345678901234567890}'
    assert redactor().body(raw.encode()) == (raw, "")


def test_equal_secrets_have_equal_tags_and_other_secrets_others() -> None:
    text, _ = redactor().body(b'[{"password":"a"},{"password":"a"},{"password":"b"}]')
    tags = [item["password"] for item in json.loads(text or "")]
    assert tags[0] == tags[1] != tags[2]
    assert Redactor(["$..password"], b"z" * 16).tag("a") != tags[0]


def test_what_is_not_json_or_too_large_is_not_kept() -> None:
    assert redactor().body(SECRET.encode()) == (None, f"{len(SECRET)} bytes that are not JSON: not kept")
    kept, why = Redactor(Hiding(largest=100), KEY).body(b'"' + b"x" * 99 + b'"')
    assert kept is None
    assert "larger" in why
    assert redactor().body(None) == (None, "")
    assert redactor().body(b"") == ("", "")


def test_differences_at_above_and_below_a_redacted_path() -> None:
    found = redactor().differences(
        [
            Difference("$.data.user.password", Kind.VALUE_CHANGED, SECRET, SECRET + "2"),
            Difference("$.data.user", Kind.TYPE_CHANGED, {"password": SECRET, "a": 1}, None),
            Difference("$.data.card.n", Kind.VALUE_CHANGED, SECRET, None),
            Difference("$.data.ok", Kind.VALUE_CHANGED, 1, 2),
            Difference("headers.set-cookie", Kind.HEADER, SECRET, "x"),
        ]
    )
    assert SECRET not in repr(found)
    assert found[0].primary != found[0].shadow
    assert found[1].primary["a"] == 1
    assert found[2].shadow is None
    assert (found[3].primary, found[3].shadow) == (1, 2)


def test_headers_cookies_and_query_parameters() -> None:
    headers = ((b"Authorization", SECRET.encode()), (b"Cookie", SECRET.encode()), (b"X-Api-Key", SECRET.encode()))
    kept = redactor().headers((*headers, (b"Accept", b"*/*")))
    assert SECRET not in repr(kept)
    assert kept[-1] == ("Accept", "*/*")
    target = redactor().target(f"/a?email={SECRET}&access_token={SECRET}&page=2&q=")
    assert SECRET not in target
    assert "page=2" in target
    assert redactor().target("/a") == "/a"


def test_a_long_value_is_cut() -> None:
    found = redactor().differences([Difference("$.a", Kind.VALUE_CHANGED, "x" * 5000, ["y" * 5000])])
    assert len(found[0].primary) < 2100
    assert isinstance(found[0].shadow, str)
