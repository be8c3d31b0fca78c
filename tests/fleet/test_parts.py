"""The channel, the port, and what is added up."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime

import msgspec
import pytest

from comparators.model import Kind
from proxy.fleet import channel as channel_module
from proxy.fleet.channel import Channel, ChannelError
from proxy.fleet.gathered import Gathered
from proxy.fleet.increments import Watch
from proxy.fleet.messages import Beat, DomainBeat, FromWorker, Quiet, Recents, Remembering, ToWorker
from proxy.fleet.port import Port
from proxy.ledger.records import Recording, joined
from proxy.model import Ended, ReadRequest, Side, Verdict
from proxy.tail import Tail
from proxy.telemetry import Figures, Gauge
from proxy.verify.pulse import Tallies
from proxy.verify.remembered import Remembered

AT = datetime(2026, 1, 1, tzinfo=UTC)
REQUEST = ReadRequest("GET", "/\xff", ((b"Cookie", b"\xff\x00"),), b"\x00body")


def ended(number: int) -> Ended:
    return Ended(AT, "a", f"GET /{number}", Verdict.DIFF, "t", 2, 0.5, None, "ab")


async def test_messages_arrive_as_they_were_sent() -> None:
    one, other = socket.socketpair()
    worker: Channel[FromWorker, ToWorker] = await Channel.over(one, msgspec.msgpack.Decoder(ToWorker))
    first: Channel[ToWorker, FromWorker] = await Channel.over(other, msgspec.msgpack.Decoder(FromWorker))
    figures = Figures()
    figures.read("a", Side.PRIMARY, 0.1)
    figures.exchange("a", "GET /", Verdict.NO_ROOM)
    sent: list[FromWorker] = [
        Recents("a", (REQUEST,)),
        Remembering((("id", REQUEST),)),
        Beat(
            3, {"a": DomainBeat(1, 2, 3)}, (ended(1),), 7, Recording(True, None, AT, 1, 2, 3, 4), Watch().since(figures)
        ),
    ]
    for message in sent:
        worker.send(message)
        assert await first.receive() == message
    first.send(Quiet(1, ("a", "b")))
    assert await worker.receive() == Quiet(1, ("a", "b"))
    await first.close()
    assert await worker.receive() is None
    with pytest.raises(ChannelError, match="gone"):
        await _send_on(worker, sent[0])
    await worker.close()


async def _send_on(channel: Channel[FromWorker, ToWorker], message: FromWorker) -> None:
    for _ in range(100):
        channel.send(message)
        await channel.drained()
        await asyncio.sleep(0)


async def test_what_is_too_large_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "LARGEST", 1000)
    one, other = socket.socketpair()
    worker: Channel[FromWorker, ToWorker] = await Channel.over(one, msgspec.msgpack.Decoder(ToWorker))
    with other, pytest.raises(ChannelError, match="too large"):
        worker.send(Recents("a" * 2000, ()))
    await worker.close()


async def test_a_port_spreads_connections_and_is_not_shared_with_strangers() -> None:
    port = Port.reserve("127.0.0.1", 0)
    _, number = port.address
    counts = [0, 0]

    def server(which: int) -> type[asyncio.Protocol]:
        class Counting(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                counts[which] += 1
                transport.close()

        return Counting

    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(server(which), "127.0.0.1", number, reuse_port=True) for which in (0, 1)]
    for _ in range(100):
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        await reader.read()
        writer.close()
    # One side has fewer than 25 of 100 once in a million runs.
    assert sum(counts) == 100
    assert min(counts) >= 25
    with pytest.raises(OSError, match=f"cannot listen on .*:{number}"):
        Port.reserve("127.0.0.1", number)
    for one in servers:
        one.close()
        await one.wait_closed()
    port.close()
    Port.reserve("127.0.0.1", number).close()


def gathered(remembered: Remembered | None = None) -> tuple[Gathered, Figures, Tallies, Tail]:
    figures, tallies, tail = Figures(), Tallies(), Tail()
    return Gathered(figures, tallies, tail, lambda: remembered), figures, tallies, tail


def beat(watch: Watch, figures: Figures) -> Beat:
    return Beat(0, {}, (), 0, figures=watch.since(figures))


def values(figures: Figures, name: str) -> dict[tuple[str, ...], float]:
    (found,) = [gauge for gauge in figures.gauges() if gauge.name == name]
    return dict(found.read())


def test_counts_of_all_processes_are_added_up() -> None:
    here, figures, tallies, _ = gathered()
    figures.exchange("a", "r", Verdict.MATCH)
    figures.read("a", Side.SHADOW, 0.003)
    workers = [(Figures(), Watch()) for _ in range(2)]
    for _ in range(3):
        for worker, watch in workers:
            worker.exchange("a", "r", Verdict.MATCH)
            worker.differences("a", "r", Kind.VALUE_CHANGED, 2)
            worker.read("a", Side.SHADOW, 0.003)
            worker.compare(0.5)
            here.take(beat(watch, worker))
            here.take(beat(watch, worker))  # nothing new
    assert values(figures, "shadowread.exchanges") == {("a", "r", "match"): 7}
    assert values(figures, "shadowread.differences") == {("a", "r", "value_changed"): 12}
    read, compare = figures.timings()[:2]
    assert sum(read.series["a", "shadow"].counts) == 7
    assert read.series["a", "shadow"].sum == pytest.approx(0.021)
    assert sum(compare.series[()].counts) == 6
    # One that begins anew begins at nothing, and takes nothing back.
    again, watch = Figures(), workers[0][1]
    again.exchange("a", "r", Verdict.MATCH)
    again.compare(0.5)
    here.take(beat(watch, again))
    assert values(figures, "shadowread.exchanges") == {("a", "r", "match"): 8}
    assert sum(figures.timings()[1].series[()].counts) == 7
    here.take(Beat(0, {"a": DomainBeat(5, 2, 0)}, (), 0))
    here.take(Beat(0, {"a": DomainBeat(1, 1, 9)}, (), 0))
    assert tallies.take("a") == (6, 3)


def test_gauges_are_added_unless_all_tell_of_the_same() -> None:
    here, figures, _, _ = gathered()

    def gauge(name: str, value: float) -> Gauge:
        return Gauge(name, "", lambda: {(): value})

    for name in ("shadowread.queue.depth", "shadowread.ledger.recording", "shadowread.ids.known"):
        figures.gauge(gauge(name, 1))
    here.ask(lambda name: [{(): 0.0}, {(): 5.0}] if name.startswith("shadowread.") else [])
    assert values(figures, "shadowread.queue.depth") == {(): 6}
    assert values(figures, "shadowread.ledger.recording") == {(): 0}
    assert values(figures, "shadowread.ids.known") == {(): 5}
    # One that another configuration registers anew is the whole again with the next beat.
    figures.gauge(gauge("shadowread.queue.depth", 2))
    here.take(beat(Watch(), Figures()))
    assert values(figures, "shadowread.queue.depth") == {(): 7}


def test_the_tail_and_the_requests_of_workers_come_together() -> None:
    remembered = Remembered(lambda: 0.0)
    here, _, _, tail = gathered(remembered)
    tail.add(ended(0))
    here.take(Beat(0, {}, (ended(1), ended(2)), 0))
    assert [one.route for one in tail.since(0).ended] == ["GET /0", "GET /1", "GET /2"]
    here.take(Beat(0, {}, (ended(9),), 5))
    heard = tail.since(1)
    assert ([one.route for one in heard.ended], heard.missed, heard.next) == (["GET /9"], 7, 9)
    here.take(Remembering((("id", REQUEST),)))
    assert remembered.get("id") == REQUEST


def test_requests_are_told_once() -> None:
    kept = Remembered(lambda: 0.0)
    for id_ in ("1", "2", "3"):
        kept.add(id_, REQUEST)
    assert [id_ for id_, _ in kept.since("")] == ["1", "2", "3"]
    assert [id_ for id_, _ in kept.since("2")] == ["3"]
    assert kept.since("3") == []


def test_recording_is_well_where_it_is_with_all() -> None:
    good = Recording(True, None, AT, 1, 2, 3, 4)
    bad = Recording(False, "the disk is full", AT, 10, 20, 30, 40)
    assert joined(good, []) == good
    assert joined(good, [good, bad]) == Recording(False, "the disk is full", AT, 12, 24, 36, 48)
