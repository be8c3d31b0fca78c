"""Bodies that are not what they say: lies in Content-Type, JSON bombs, broken codings and floods, from either side."""

from __future__ import annotations

import asyncio

import pytest

from tests.readers.hostile.bombs import BROKEN, FLOOD, JSON_BOMBS, ODD_JSON, floods
from tests.readers.hostile.conftest import Scene
from tests.readers.hostile.peer import BODY, GOOD, says

pytestmark = pytest.mark.asyncio(loop_scope="package")

JSON = b"application/json"
PAIR = (JSON, BODY)

TYPES: dict[str, tuple[tuple[bytes | None, bytes], tuple[bytes | None, bytes], str]] = {
    "JSON said to be text by the twin": (PAIR, (b"text/plain", BODY), "diff"),
    "JSON said to be text by both": ((b"text/plain", BODY), (b"text/plain", BODY), "match"),
    "JSON said to be text, spaced otherwise": ((b"text/plain", BODY), (b"text/plain", b'{"n": 1}'), "diff"),
    "HTML said to be JSON by the twin": (PAIR, (JSON, b"<html>"), "diff"),
    "HTML said to be JSON by the primary": ((JSON, b"<html>"), PAIR, "diff"),
    "HTML said to be JSON by both": ((JSON, b"<html>"), (JSON, b"<html>"), "match"),
    "JSON said to be an image": (PAIR, (b"image/png", BODY), "diff"),
    "no type from the twin": (PAIR, (None, BODY), "diff"),
    "no type from either": ((None, BODY), (None, BODY), "match"),
    "an empty type": (PAIR, (b"", BODY), "diff"),
    "two types in one field": (PAIR, (b"application/json, text/html", BODY), "diff"),
    "a type of garbage": (PAIR, (b"\xff\xfe;;;==", BODY), "diff"),
    "a type of 50 KB": (PAIR, (b"application/json;" + b"a" * 50_000, BODY), "diff"),
    "ten thousand parameters": (PAIR, (b"application/json" + b";a=b" * 10_000, BODY), "diff"),
    "a charset that nobody knows, from the twin": (PAIR, (b"application/json; charset=klingon", BODY), "diff"),
    "a charset that nobody knows": (
        (b"application/json; charset=klingon", BODY),
        (b"application/json; charset=klingon", b'{"n": 1}'),
        "match",
    ),
    "UTF-16, as said": (
        (b"application/json; charset=utf-16", '{"n":1}'.encode("utf-16")),
        (b"application/json; charset=utf-16", '{"n":2}'.encode("utf-16")),
        "diff",
    ),
    "events said by the twin": (PAIR, (b"text/event-stream", b"data: 1\n\n"), "diff"),
    "events said by the primary": ((b"text/event-stream", BODY), PAIR, "skipped:not_comparable"),
    "Events said by the primary": ((b"Text/Event-Stream", BODY), PAIR, "skipped:not_comparable"),
}


def answer(kind: bytes | None, body: bytes, coding: bytes | None = None) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body)]
    if kind is not None:
        lines.append(b"Content-Type: " + kind)
    if coding is not None:
        lines.append(b"Content-Encoding: " + coding)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def outcome(there: Scene, primary: bytes, twin: bytes) -> str:
    """The verdict of one exchange with these answers, from which a client must get all of the primary's."""
    there.primary.scripts["body"] = says(primary)
    there.twin.scripts["body"] = says(twin)
    got = await there.ask("body")
    assert (got.end, got.head + got.body) == ("closed", primary)
    (verdict,) = await there.verdicts()
    return verdict


@pytest.mark.parametrize("name", TYPES)
async def test_lies_about_the_type(there: Scene, name: str) -> None:
    primary, twin, verdict = TYPES[name]
    assert await outcome(there, answer(*primary), answer(*twin)) == verdict


@pytest.mark.parametrize("name", JSON_BOMBS)
async def test_what_cannot_be_read_as_json(there: Scene, name: str) -> None:
    bomb = answer(JSON, JSON_BOMBS[name])
    assert await outcome(there, GOOD, bomb) == "diff"
    assert await outcome(there, bomb, answer(*PAIR)) == "diff"
    assert await outcome(there, bomb, bomb) == "match"
    assert await outcome(there, bomb, answer(JSON, JSON_BOMBS[name] + b"\n!")) == "diff"


@pytest.mark.parametrize("name", ODD_JSON)
async def test_odd_json(there: Scene, name: str) -> None:
    one, other, verdict = ODD_JSON[name]
    assert await outcome(there, answer(JSON, one), answer(JSON, other)) == verdict
    assert await outcome(there, answer(JSON, other), answer(JSON, one)) == verdict


@pytest.mark.parametrize("name", BROKEN)
async def test_broken_codings(there: Scene, name: str) -> None:
    coding, body = BROKEN[name]
    broken = answer(JSON, body, coding)
    assert await outcome(there, GOOD, broken) == "shadow_error"
    assert await outcome(there, broken, GOOD) == "skipped:not_comparable"


async def test_floods_end_at_the_limit(there: Scene) -> None:
    for name, (coding, body) in (await asyncio.to_thread(floods)).items():
        assert len(body) < FLOOD // 500, name
        flood = answer(JSON, body, coding)
        assert await outcome(there, GOOD, flood) == "shadow_error", name
        assert await outcome(there, flood, GOOD) == "skipped:too_large", name
