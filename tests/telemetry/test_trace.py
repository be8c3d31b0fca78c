"""One trace from the client through the proxy to both sides, as a collector sees it."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest

from proxy.model import Verdict
from proxy.telemetry.context import Context, context_of, parse
from proxy.telemetry.logs import JsonFormatter
from proxy.verify.record import Recorder
from tests.e2e.backends import answering, backend, fetch, response
from tests.e2e.conftest import settings
from tests.e2e.test_shadowing import Recorded
from tests.telemetry.receiver import Receiver, below, telling, variables
from tests.verify.support import get

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"traceparent: 00-{TRACE}-{PARENT}-01".encode()
UNSAMPLED = f"traceparent: 00-{TRACE}-{PARENT}-00".encode()
STATE = b"tracestate: congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"
SERVER, CLIENT, INTERNAL = 2, 3, 1
ERROR = 2
EQUAL = response(b'{"n": 1}')
OTHER = response(b'{"n": 2}')
TARGET = b"/api/things/aaaaaaaaaaaaaaaaaaaaaaaa?token=hush"


def fields(head: bytes, name: bytes) -> list[bytes]:
    return [
        line.partition(b":")[2].strip() for line in head.split(b"\r\n") if line.lower().startswith(name.lower() + b":")
    ]


def parent_of(head: bytes) -> Context:
    (value,) = fields(head, b"traceparent")
    found = parse(value)
    assert found is not None
    return found


@pytest.fixture
def exporting(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    for name, value in variables(receiver.url):
        monkeypatch.setenv(name, value)
    return receiver


async def test_client_proxy_and_both_sides_are_one_tree(folder: Path, exporting: Receiver) -> None:
    primary, shadow = Recorded(EQUAL), Recorded(EQUAL)
    async with (
        backend(primary) as one,
        backend(shadow) as other,
        telling(settings(folder, one, other)) as proxy,
    ):
        await fetch(proxy.url, TARGET, SAMPLED, STATE)
        await exporting.until(lambda: len(exporting.spans) >= 4)
    spans = exporting.spans
    (root,) = [span for span in spans if span.name == "shadowread.exchange"]
    assert (root.trace, root.parent, root.kind, root.state) == (TRACE, PARENT, SERVER, STATE[12:].decode())
    assert root.attributes == {
        "http.request.method": "GET",
        "http.route": "/api/things/{id}",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "shadowread.domain": "things",
        "shadowread.verdict": "match",
    }
    reads = {span.attributes["side"]: span for span in below(spans, root) if span.name == "shadowread.read"}
    (compare,) = [span for span in below(spans, root) if span.name == "shadowread.compare"]
    assert len(spans) == 4
    assert compare.attributes == {"shadowread.attempt": 0, "shadowread.differences": 0}
    for side, url, recorded in (("primary", one, primary), ("shadow", other, shadow)):
        host, port = url.removeprefix("http://").split(":")
        assert reads[side].attributes == {
            "side": side,
            "shadowread.attempt": 0,
            "http.request.method": "GET",
            "http.response.status_code": 200,
            "server.address": host,
            "server.port": int(port),
        }
        assert reads[side].kind == CLIENT
        (head,) = recorded.heads
        assert parent_of(head) == Context(TRACE, reads[side].id, 1), f"the {side} is asked below its read"
        assert fields(head, b"tracestate") == [STATE[12:]]
    assert all(0 < span.seconds < 10 for span in spans)
    resource = exporting.resources[0]
    assert resource["service.name"] == "shadowread"
    text = repr(spans)
    assert "aaaaaaaa" not in text
    assert "hush" not in text


async def test_settling_is_told_read_by_read(folder: Path, exporting: Receiver) -> None:
    primary, shadow = Recorded(EQUAL), Recorded(OTHER)
    async with (
        backend(primary) as one,
        backend(shadow) as other,
        telling(settings(folder, one, other)) as proxy,
    ):
        await fetch(proxy.url, TARGET, SAMPLED)
        await proxy.until(lambda c: c.verdicts.get(Verdict.DIFF) == 1)
        (kept,) = (await proxy.application.ledger.traces(limit=5))[:1]
        found = await proxy.application.ledger.trace(kept.id)
        assert found is not None
        assert found.trace_id == TRACE
    spans = exporting.spans
    (root,) = [span for span in spans if span.name == "shadowread.exchange"]
    assert root.attributes["shadowread.verdict"] == "diff"
    assert root.status != ERROR, "a difference is no error of the request"
    reads = [
        (span.attributes["shadowread.attempt"], span.attributes["side"])
        for span in below(spans, root)
        if span.name == "shadowread.read"
    ]
    assert sorted(reads) == [(n, side) for n in range(3) for side in ("primary", "shadow")]
    asked = [parent_of(head).span_id for head in (*primary.heads, *shadow.heads)]
    assert sorted(asked) == sorted(span.id for span in spans if span.name == "shadowread.read")


async def test_faults_are_told_by_their_kind(folder: Path, exporting: Receiver) -> None:
    primary, shadow = Recorded(response(b"{}", status=b"404 Not Found")), Recorded(EQUAL)
    shadow.answer = response(b"{}", status=b"503 Service Unavailable")
    async with (
        backend(primary) as one,
        backend(shadow) as other,
        telling(settings(folder, one, other)) as proxy,
    ):
        await fetch(proxy.url, TARGET, SAMPLED)
        await exporting.until(lambda: len(exporting.spans) == 3)
    told = {(span.name, span.attributes.get("side")): span for span in exporting.spans}
    shadow_read = told["shadowread.read", "shadow"]
    assert (shadow_read.status, shadow_read.attributes["error.type"]) == (ERROR, "503")
    primary_read = told["shadowread.read", "primary"]
    assert (primary_read.status, primary_read.attributes["error.type"]) == (ERROR, "404")
    root = told["shadowread.exchange", None]
    assert root.status != ERROR, "a client's 404 is no error of the server"
    assert root.attributes["shadowread.verdict"] == "shadow_error"


async def test_a_trace_is_begun_where_the_client_has_none(folder: Path, exporting: Receiver) -> None:
    primary, shadow = Recorded(EQUAL), Recorded(EQUAL)
    async with (
        backend(primary) as one,
        backend(shadow) as other,
        telling(settings(folder, one, other)) as proxy,
    ):
        await fetch(proxy.url, TARGET, b"traceparent: 00-zz-01", STATE)
        await exporting.until(lambda: len(exporting.spans) == 4)
        await fetch(proxy.url, b"/api/unclaimed", SAMPLED)
    (trace,) = {span.trace for span in exporting.spans}
    for recorded in (primary, shadow):
        head = recorded.heads[0]
        assert parent_of(head).trace_id == trace
        assert not fields(head, b"tracestate"), "it was about another trace"
    assert len(exporting.spans) == 4, "a request that no route claims has no spans"
    assert parent_of(primary.heads[-1]) == Context(TRACE, PARENT, 1), "and keeps its context"


@pytest.mark.parametrize(
    ("sampler", "given"),
    [
        ("parentbased_always_on", UNSAMPLED),
        ("always_off", SAMPLED),
        ("parentbased_always_off", UNSAMPLED),
        ("always_off", b"X-None: 1"),
    ],
)
async def test_what_is_not_sampled_passes_as_it_came(
    folder: Path, exporting: Receiver, monkeypatch: pytest.MonkeyPatch, sampler: str, given: bytes
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    primary, shadow = Recorded(EQUAL), Recorded(OTHER)
    async with (
        backend(primary) as one,
        backend(shadow) as other,
        telling(settings(folder, one, other)) as proxy,
    ):
        await fetch(proxy.url, TARGET, given, STATE)
        await proxy.until(lambda c: c.observed == 1)
        (kept,) = (await proxy.application.ledger.traces(limit=5))[:1]
        found = await proxy.application.ledger.trace(kept.id)
    name, _, value = given.partition(b": ")
    for head in (*primary.heads, *shadow.heads):
        assert fields(head, name) == [value]
        assert fields(head, b"tracestate") == [STATE[12:]]
        assert (context_of(((name, value),)) is None) == (not fields(head, b"traceparent"))
    assert not exporting.spans
    assert found is not None
    assert found.trace_id == (TRACE if name == b"traceparent" else ""), "the caller's trace is told all the same"


async def test_a_fault_of_our_own_is_logged_with_its_trace(
    folder: Path, exporting: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(Recorder, "trace", broken)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("proxy.verify.verifier")
    logger.addHandler(handler)
    try:
        async with (
            backend(answering(EQUAL)) as one,
            backend(answering(EQUAL)) as other,
            telling(settings(folder, one, other)) as proxy,
        ):
            assert b"200 OK" in await fetch(proxy.url, TARGET, SAMPLED)
            await exporting.until(lambda: len(exporting.spans) == 4)
    finally:
        logger.removeHandler(handler)
    (root,) = [span for span in exporting.spans if span.name == "shadowread.exchange"]
    assert (root.status, root.attributes["error.type"]) == (ERROR, "RuntimeError")
    line = json.loads(stream.getvalue())
    assert (line["trace_id"], line["span_id"]) == (TRACE, root.id)
    assert (line["domain"], line["route"]) == ("things", "GET /api/things/{id}")
    assert "out of order" in line["exception"]


async def test_a_read_on_purpose_is_a_trace_of_its_own(folder: Path, exporting: Receiver) -> None:
    primary, shadow = Recorded(EQUAL), Recorded(EQUAL)
    async with (
        backend(primary) as one,
        backend(shadow) as other,
        telling(settings(folder, one, other)) as proxy,
    ):
        verifier = proxy.application.verifier
        assert verifier is not None
        name, _, value = SAMPLED.partition(b": ")
        await verifier.ask(get(TARGET.decode(), ((name, value),)))
    roots = [span for span in exporting.spans if span.name == "shadowread.exchange"]
    assert [span.parent for span in roots] == [""]
    assert roots[0].trace != TRACE
    assert roots[0].attributes["http.response.status_code"] == 200
    assert {parent_of(head).trace_id for head in (*primary.heads, *shadow.heads)} == {roots[0].trace}
