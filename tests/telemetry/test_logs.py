"""Log lines: their shape, the exchange they belong to, and what they do not say."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.telemetry.logs import JsonFormatter, TextFormatter, path_shape, scrubbed
from proxy.telemetry.place import PLACE, Place

HERE = Place("users", "GET /api/users/{id}", "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled=True)


@pytest.fixture
def out() -> Iterator[tuple[logging.Logger, logging.Handler, io.StringIO]]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("proxy.test_logs")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, handler, stream
    logger.removeHandler(handler)
    logger.propagate = True


def test_json_is_one_object_a_line(out: tuple[logging.Logger, logging.Handler, io.StringIO]) -> None:
    logger, handler, stream = out
    handler.setFormatter(JsonFormatter())
    logger.warning("a\nb %s", "\x1b[31m\u2028é")
    token = PLACE.set(HERE)
    try:
        raise ValueError("what\never")
    except ValueError:
        logger.exception("failed")
    finally:
        PLACE.reset(token)
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first.keys() == {"time", "level", "logger", "message"}
    assert (first["level"], first["logger"]) == ("warning", "proxy.test_logs")
    assert first["message"] == "a\nb \x1b[31m\u2028é"
    assert first["time"].endswith("+00:00")
    assert {name: second[name] for name in ("domain", "route", "trace_id", "span_id")} == {
        "domain": HERE.domain,
        "route": HERE.route,
        "trace_id": HERE.trace_id,
        "span_id": HERE.span_id,
    }
    assert "ValueError: what\never" in second["exception"]


def test_text_bears_the_trace_and_no_controls(out: tuple[logging.Logger, logging.Handler, io.StringIO]) -> None:
    logger, handler, stream = out
    handler.setFormatter(TextFormatter())
    logger.warning("plain")
    token = PLACE.set(HERE)
    logger.warning("evil\nERROR proxy: all is lost %s", "\x1b]0;x\x07\u202e")
    PLACE.reset(token)
    first, second = stream.getvalue().splitlines()
    assert first.endswith("WARNING proxy.test_logs: plain")
    assert second.endswith(f"evil\\x0aERROR proxy: all is lost \\x1b]0;x\\x07\\u202e trace={HERE.trace_id}")


def test_an_exception_cannot_pass_for_a_line_of_the_log(
    out: tuple[logging.Logger, logging.Handler, io.StringIO],
) -> None:
    logger, handler, stream = out
    handler.setFormatter(TextFormatter())
    try:
        raise ValueError("what\n2026-01-01 00:00:00,000 ERROR proxy: all is lost\r\x1b[2J\u202e")
    except ValueError:
        logger.exception("failed")
    first, *rest = stream.getvalue().split("\n")
    assert first.endswith("ERROR proxy.test_logs: failed")
    assert all(line.startswith("    ") for line in rest if line)
    assert "all is lost\\x0d\\x1b[2J\\u202e" in rest[-2]


def test_a_message_that_cannot_be_told_is_a_line() -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no")

    record = logging.LogRecord("proxy.x", logging.INFO, "x.py", 1, Hostile(), (), None)
    assert json.loads(JsonFormatter().format(record))["message"].startswith("Hostile")


def test_a_line_with_the_wrong_arguments_is_a_line() -> None:
    record = logging.LogRecord("proxy.x", logging.INFO, "x.py", 1, "%d of %d", ("x",), None)
    assert "do not fit" in json.loads(JsonFormatter().format(record))["message"]


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("could not reach postgresql+asyncpg://me:hunter2hunter2@db/x", "hunter2hunter2"),
        ("Authorization: Bearer abc.def-123456", "abc.def-123456"),
        ("sent {'Cookie': 'sid=5e55104a; other=1'}", "5e55104a"),
        ("with bearer 0123456789abcdef as it is", "0123456789abcdef"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl back", "c2lnbmF0dXJl"),
        ("GET /reset?user=1&access_token=5e55104a failed", "5e55104a"),
        ("GET /x?filter[api_key]=5e55104a&page=2", "5e55104a"),
        ("could not reach mongodb://me:hun@t/er2@db/x", "er2"),
        ("connection to 'host=db password=5e55104a user=me' failed", "5e55104a"),
        ("password='5e5 5104a' host=db", "5104a"),
        ('answered {"access_token" : "5e55\\"104a", "n": 1}', "104a"),
        ("back to https://shop/#access_token=5e55104a", "5e55104a"),
        ("/login?next=%2F%3Ftoken%3D5e55104a", "5e55104a"),
        ("[SQL: INSERT INTO t VALUES (?)]\n[parameters: ('5e55104a',)]", "5e55104a"),
    ],
)
def test_what_looks_like_a_credential_is_hidden(text: str, hidden: str) -> None:
    assert hidden in text
    assert hidden not in scrubbed(text)


@pytest.mark.parametrize(
    "text",
    [
        "the basic rule is this",
        "http://127.0.0.1:8080/api?page=2",
        "mail to me@example.org",
        "a digest of 12 bytes, token: none",
    ],
)
def test_ordinary_words_are_left(text: str) -> None:
    assert scrubbed(text) == text


HOSTILE = [
    "?a",
    "x://",
    "x://@",
    "'token':",
    "token=",
    "'token':\"\\",
    "eyJ",
    "bearer ",
    "authorization",
    "?token",
    ".",
    "a=",
]


@pytest.mark.parametrize("piece", [*HOSTILE, "\u2028"])
def test_a_hostile_line_takes_no_longer_than_its_length(piece: str) -> None:
    began = time.perf_counter()
    scrubbed(piece * (32 * 1024 // len(piece)))
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize(
    ("target", "shape"),
    [
        ("/", "/"),
        ("*", "/*"),
        ("/reset/5e55104a?token=x", "/reset/*"),
        ("/api/users/42#x", "/api/*/*"),
        ("/5e55104a5e55104a5e55104a", "/*"),
        ("/a" * 50, "/a" + "/*" * 8),
    ],
)
def test_a_target_is_told_by_its_shape(target: str, shape: str) -> None:
    assert path_shape(target) == shape


VERBOSE = """
import logging, sys, warnings
from proxy.telemetry.logs import start_logging
start_logging(sys.argv[1], verbose=True, stream=sys.stderr)
logging.getLogger("proxy.x").debug("ours")
logging.getLogger("aiosqlite").debug("INSERT 5e55104a")
logging.getLogger("other").info("theirs")
warnings.warn("look", RuntimeWarning)
"""


@pytest.mark.parametrize("kind", ["text", "json"])
def test_verbose_is_about_our_own_lines(kind: str) -> None:
    done = subprocess.run([sys.executable, "-c", VERBOSE, kind], capture_output=True, text=True, timeout=60, check=True)
    lines: list[Any] = done.stderr.splitlines()
    assert len(lines) == 3
    assert "ours" in lines[0]
    assert "theirs" in lines[1]
    assert "py.warnings" in lines[2]
    assert "5e55104a" not in done.stderr
