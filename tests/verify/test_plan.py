"""The plan is a pure function; each row is one request and what is done with it."""

from __future__ import annotations

import pytest

from proxy.model import Headers, Verdict
from proxy.verify.plan import AFTER, NOW, Plan, Room, plan

ROOM = Room()


def skip(verdict: Verdict) -> Plan:
    return Plan("skip", verdict)


@pytest.mark.parametrize(
    ("method", "headers", "sampling", "draw", "room", "wanted"),
    [
        ("GET", (), 1.0, 0.999, ROOM, NOW),
        ("HEAD", (), 1.0, 0.0, ROOM, NOW),
        ("POST", (), 1.0, 0.0, ROOM, AFTER),
        ("GET", ((b"If-None-Match", b'"a"'),), 1.0, 0.0, ROOM, AFTER),
        ("GET", ((b"if-modified-since", b"x"),), 1.0, 0.0, ROOM, AFTER),
        ("GET", (), 0.5, 0.5, ROOM, skip(Verdict.NOT_SAMPLED)),
        ("GET", (), 0.5, 0.49, ROOM, NOW),
        ("GET", (), 0.0, 0.0, ROOM, skip(Verdict.NOT_SAMPLED)),
        ("GET", ((b"Range", b"bytes=0-1"),), 0.0, 0.9, ROOM, skip(Verdict.NOT_COMPARABLE)),
        ("GET", ((b"Upgrade", b"websocket"),), 1.0, 0.0, ROOM, skip(Verdict.NOT_COMPARABLE)),
        ("GET", ((b"Accept", b"text/event-stream"),), 1.0, 0.0, ROOM, skip(Verdict.NOT_COMPARABLE)),
        ("GET", (), 1.0, 0.0, Room(breaker_open=True), skip(Verdict.BREAKER_OPEN)),
        ("GET", (), 1.0, 0.0, Room(queue_full=True), skip(Verdict.NO_ROOM)),
        ("GET", (), 0.1, 0.5, Room(breaker_open=True, queue_full=True), skip(Verdict.NOT_SAMPLED)),
    ],
)
def test_plan(method: str, headers: Headers, sampling: float, draw: float, room: Room, wanted: Plan) -> None:
    names = {name.lower() for name, _ in headers}
    assert plan(method, headers, names, sampling=sampling, draw=draw, room=room) == wanted
