"""Sweeps: every entity once, whatever stops them in between."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from comparators.ids import IdPair
from proxy.cli.sweep import Summary, held_to
from proxy.identity import FileSource, IdentityError
from proxy.identity.census import BEGINNING, Census, Located, Place
from proxy.ledger import Ledger, sweeps
from proxy.model import Observation, Outcome, ReadRequest, Side, Verdict
from proxy.opening import chance
from proxy.settings import Settings
from proxy.settings.patterns import parse_route
from proxy.settings.sweeps import PagesSettings
from proxy.sweep.sweep import Pace, Sweep, Swept, resumable
from proxy.sweep.targets import Left, Target, targets
from proxy.verify.case import Asked, Chance
from proxy.window import Window
from tests.sweep.support import ROUTE, Things, configured, ended, legacy, run, started, uuid

COUNT = 60
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Asks:
    """Answers each read with a verdict as `verdict_of` has it, and counts it in the ledger as the verifier does."""

    def __init__(self, ledger: Ledger, verdict_of: Callable[[str, int], Verdict], body: bytes = b"{}") -> None:
        self.ledger = ledger
        self.body = body
        self.verdict_of = verdict_of
        self.targets: list[str] = []

    async def ask(self, request: ReadRequest) -> Asked:
        ticket = self.ledger.begin("things", ROUTE)
        self.targets.append(request.target)
        await asyncio.sleep(0)
        verdict = self.verdict_of(request.target, self.targets.count(request.target))
        self.ledger.record(ticket, Outcome("things", ROUTE, verdict, datetime.now(UTC)))
        primary = Observation(Side.PRIMARY, 200, (), self.body)
        return Asked("things", ROUTE, verdict, None, (), 0, primary, "")


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    made = await Ledger.open(
        f"sqlite:///{tmp_path / 'shadowread.db'}",
        flush_seconds=0.05,
        max_traces=10,
        max_trace_bytes=10**6,
        max_findings=10,
        clock=lambda: datetime.now(UTC),
    )
    made.enter("things", {"rules": "one"}, datetime.now(UTC))
    yield made
    await made.close()


@pytest.fixture
def census(tmp_path: Path) -> Census:
    file = tmp_path / "ids.json"
    pairs = [{"entity": "thing", "legacy": legacy(n), "uuid": uuid(n)} for n in range(1, COUNT + 1)]
    file.write_text(json.dumps(pairs))
    return Census(None, [FileSource(file)], clock=lambda: NOW)


@pytest.fixture
def target() -> Target:
    domains = {"things": {"routes": [{"route": ROUTE, "sweep": {"entities": {"id": "thing"}}}]}}
    made = {"primary": {"url": "http://127.0.0.1:1"}, "ids": {"sources": [{"file": "x"}]}, "domains": domains}
    (one,), _ = targets(Settings.model_validate(made), "things")
    return one


def sweeping(asks: Asks, census: Census, pace: Pace, clock: Chance | None = None) -> Sweep:
    return Sweep(asks, asks.ledger, census, headers=(), pace=pace, chance=clock or chance())


PATHS = [f"/api/things/{legacy(n)}" for n in range(1, COUNT + 1)]


async def test_every_entity_is_read_once_and_how_each_ended_is_kept(
    ledger: Ledger, census: Census, target: Target
) -> None:
    odd = {PATHS[3]: Verdict.DIFF, PATHS[9]: Verdict.SHADOW_ERROR}
    asks = Asks(ledger, lambda path, _: odd.get(path, Verdict.MATCH))
    swept = await sweeping(asks, census, Pace()).route("things", target, None)
    assert sorted(asks.targets) == PATHS
    assert (swept.progress.done, swept.progress.found, swept.progress.finished) == (COUNT, COUNT - 1, True)
    assert swept.progress.ended == {"match": COUNT - 2, "diff": 1, "shadow_error": 1}
    (kept,) = await ledger.ask(lambda connection: sweeps.progress(connection, "things"))
    assert kept.ended == swept.progress.ended
    assert kept.finished


async def test_a_sweep_that_was_stopped_goes_on_and_leaves_nothing_out(
    ledger: Ledger, census: Census, target: Target, tmp_path: Path
) -> None:
    asks = Asks(ledger, lambda _path, _time: Verdict.MATCH)
    first = sweeping(asks, census, Pace(concurrency=4))

    def stop_at(path: str, _time: int) -> Verdict:
        if path == PATHS[20]:
            first.stop()
        return Verdict.MATCH

    asks.verdict_of = stop_at
    stopped = await first.route("things", target, None)
    assert not stopped.progress.finished
    assert 20 <= stopped.progress.done < COUNT
    before = {one.route: one for one in await ledger.ask(lambda connection: sweeps.progress(connection, "things"))}
    window = ledger.window("things")
    assert window is not None
    known = resumable(before, target, census, window.id)
    swept = await sweeping(asks, census, Pace()).route("things", target, known)
    assert (swept.resumed, swept.progress.done, swept.progress.finished) == (stopped.progress.done, COUNT, True)
    assert sorted(asks.targets) == PATHS, "none twice, none left out"
    assert resumable(before, target, census, "another window") is None, "what was found there does not count any more"
    assert resumable(before, replace(target, entity="user"), census, window.id) is None, "places of other things"
    others = Census(None, [FileSource(tmp_path / "others.json")], clock=lambda: NOW)
    assert resumable(before, target, others, window.id) is None, "places in another id map"


async def test_a_write_in_flight_is_read_once_more_and_what_cannot_be_read_now_later(
    ledger: Ledger, census: Census, target: Target
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    def verdict(path: str, time: int) -> Verdict:
        if path == PATHS[0]:
            return Verdict.TRANSIENT if time == 1 else Verdict.MATCH
        if path == PATHS[1]:
            return Verdict.BREAKER_OPEN if time < 3 else Verdict.MATCH
        return Verdict.BREAKER_OPEN if path == PATHS[2] else Verdict.MATCH

    asks = Asks(ledger, verdict)
    clock = Chance(lambda: 0.0, lambda: datetime.now(UTC), lambda: 0.0, lambda: "x", sleep)
    swept = await sweeping(asks, census, Pace(patience=3.0), clock).route("things", target, None)
    assert swept.progress.ended == {"match": COUNT - 1, "skipped:breaker_open": 1}
    assert set(slept) == {3.0}


async def test_a_window_that_begins_meanwhile_is_said_and_the_sweep_is_not_finished(
    ledger: Ledger, census: Census, target: Target
) -> None:
    def verdict(path: str, _time: int) -> Verdict:
        if path == PATHS[30]:
            ledger.restart("things", "by hand", datetime.now(UTC))
        return Verdict.MATCH

    swept = await sweeping(Asks(ledger, verdict), census, Pace()).route("things", target, None)
    assert (swept.progress.done, swept.progress.finished) == (COUNT, False)
    assert "a new evidence window began meanwhile (by hand" in swept.problem


async def test_an_id_map_that_goes_away_ends_it_and_what_was_read_is_kept(ledger: Ledger, target: Target) -> None:
    class Failing(Census):
        async def walk(self, entity: str, behind: Place = BEGINNING) -> AsyncGenerator[Located]:
            assert behind == BEGINNING
            for n in range(1, 11):
                yield Located(IdPair(entity, legacy(n), uuid(n)), Place(0, legacy(n)))
            raise IdentityError("the id map cannot be walked")

    asks = Asks(ledger, lambda _path, _time: Verdict.MATCH)
    census = Failing(None, [], clock=lambda: NOW)
    with pytest.raises(IdentityError, match="cannot be walked"):
        await sweeping(asks, census, Pace(concurrency=4)).route("things", target, None)
    (kept,) = await ledger.ask(lambda connection: sweeps.progress(connection, "things"))
    assert kept.done == 10
    assert json.loads(kept.place.partition(" ")[2]) == [0, legacy(10)]
    assert (await ledger.domains())["things"].verdicts == {Verdict.MATCH: 10}, "what was under way came to its end"


async def test_a_row_that_nothing_can_be_read_of_is_counted(ledger: Ledger, target: Target) -> None:
    class Odd(Census):
        async def walk(self, entity: str, behind: Place = BEGINNING) -> AsyncGenerator[Located]:
            assert behind == BEGINNING
            yield Located(IdPair(entity, legacy(1), uuid(1)), Place(0, legacy(1)))
            yield Located(None, Place(0, "odd"))

    asks = Asks(ledger, lambda _path, _time: Verdict.MATCH)
    swept = await sweeping(asks, Odd(None, [], clock=lambda: NOW), Pace()).route("things", target, None)
    assert (swept.progress.done, swept.progress.found) == (2, 1)
    assert swept.progress.ended == {"match": 1, "no usable id": 1}


@pytest.mark.parametrize(
    ("pages", "body", "why"),
    [
        ({}, b"<html>", "a page is no JSON"),
        ({}, b'{"items": [1]}', "the first page has no list at $.data"),
        ({"next": "$.next"}, b'{"next": true}', "what stands at $.next of a page leads to no other page"),
        ({}, b'{"data": []}', ""),
        ({"next": "$.next"}, b'{"next": null}', ""),
    ],
)
async def test_pages_that_cannot_be_followed_are_not_all_of_them(
    ledger: Ledger, census: Census, target: Target, pages: dict[str, str], body: bytes, why: str
) -> None:
    asks = Asks(ledger, lambda _path, _time: Verdict.MATCH, body)
    made = PagesSettings.model_validate({"parameter": "page", **pages})
    swept = await sweeping(asks, census, Pace()).route("things", replace(target, entity=None, pages=made), None)
    assert (swept.progress.done, swept.progress.finished, swept.problem) == (1, not why, why)
    each = await sweeping(asks, census, Pace()).route("things", replace(target, pages=made), None)
    assert (each.progress.done, each.progress.finished, each.problem) == (COUNT, not why, why)


def of_one_route(done: int, found: int, ended: dict[str, int], window: str = "w") -> Swept:
    target = Target(ROUTE, parse_route(ROUTE), "id", "thing", None, False)
    return Swept(target, sweeps.Progress("things", ROUTE, window, NOW, NOW, "", done, found, ended, True), 0)


def test_only_what_was_read_and_equal_is_all() -> None:
    whole = of_one_route(2, 2, {"match": 2})
    refused = of_one_route(100, 1, {"match": 100, "401 of the primary": 99})
    missing = Left("GET /y/{id}", "the id map knows no entity y", True)
    plain = Left("GET /z", "it has no sweep: in the configuration")

    def code(swept: Swept, *left: Left) -> int:
        return Summary("things", (whole, swept), left, (), {}, False).exit_code

    assert (code(whole), code(whole, plain), code(whole, missing), code(refused)) == (0, 0, 1, 1)
    now_in = Window("w2", "things", {}, NOW, "by hand")
    assert code(held_to(now_in, whole)) == 1, "what was found belongs to an earlier window"
    assert code(held_to(replace(now_in, id="w"), whole)) == 0


async def test_reads_keep_their_rate(ledger: Ledger, census: Census, target: Target) -> None:
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        await asyncio.sleep(0)

    asks = Asks(ledger, lambda _path, _time: Verdict.MATCH)
    clock = Chance(lambda: now, lambda: datetime.now(UTC), lambda: 0.0, lambda: "x", sleep)
    await sweeping(asks, census, Pace(rate=20.0, concurrency=1), clock).route("things", target, None)
    assert now == pytest.approx((COUNT - 1) / 20)


@pytest.mark.slow
async def test_the_command_reads_every_entity_through_its_pages_too_and_says_what_differs(tmp_path: Path) -> None:
    primary, shadow = Things(25, by_uuid=False), Things(25, by_uuid=True)
    routes = [
        {"route": ROUTE, "sweep": {"entities": {"id": "thing"}}},
        {"route": "GET /api/things", "sweep": {"pages": {"parameter": "page", "query": "sort=id"}}},
        "GET /api/things/named/{name}",
    ]
    token = tmp_path / "token"
    token.write_text("Authorization: Bearer secret\n")
    async with configured(tmp_path, primary, shadow, domains={"things": {"routes": routes}}) as config:
        code, told, text = await run("sweep", "things", "-c", config, "--headers", token, "--json")
        assert code == 0, text
        assert told["entities"] == {"thing": {"verified": 25, "known": 25, "exact": True}}
        assert [(one["read"], one["equal"]) for one in told["routes"]] == [(25, 25), (4, 4)]
        assert [one["route"] for one in told["not_swept"]] == ["GET /api/things/named/{name}"]
        assert sorted(primary.asked) == sorted(shadow.asked) == list(range(1, 26))
        assert all(b"Authorization: Bearer secret" in head for head in (*primary.heads, *shadow.heads))
        shadow.things[7]["name"] = "other"
        code, told, text = await run("sweep", "things", "-c", config, "--json")
        assert code == 1, text
        assert told["routes"][0]["ended"] == {"match": 24, "diff": 1}
        primary.down = True
        code, told, text = await run("sweep", "things", "-c", config)
        assert code == 2, text
        assert "primary_error 25" in text


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_a_sweep_that_was_interrupted_or_killed_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    primary, shadow = Things(300, by_uuid=False), Things(300, by_uuid=True)
    async with configured(tmp_path, primary, shadow) as config:
        process = await started("sweep", "things", "-c", config, "--rate", "60", "--json")
        async with asyncio.timeout(30):
            while len(primary.heads) < 150:  # noqa: ASYNC110 - the backend's own list has nobody to tell
                await asyncio.sleep(0.02)
        process.send_signal(number)
        code, told, text = await ended(process)
        assert code == (130 if number == signal.SIGINT else -number), text
        if told is not None:
            assert told["stopped"]
        primary.heads.clear()
        code, told, text = await run("sweep", "things", "-c", config, "--resume", "--json")
        assert code == 0, text
        assert told["entities"] == {"thing": {"verified": 300, "known": 300, "exact": True}}
        assert told["routes"][0]["read"] == 300
        assert told["routes"][0]["resumed"] > 50
        assert len(primary.heads) == 300 - told["routes"][0]["resumed"]


async def test_what_cannot_be_swept_is_said(tmp_path: Path) -> None:
    async with configured(tmp_path, Things(1, by_uuid=False), Things(1, by_uuid=True)) as config:
        code, _, text = await run("sweep", "nothing", "-c", config)
        assert code == 2
        assert "there are things" in text
    route = {"route": ROUTE, "sweep": {"entities": {"id": "thng"}}}
    domains = {"things": {"routes": [route]}}
    async with configured(tmp_path, Things(1, by_uuid=False), Things(1, by_uuid=True), domains=domains) as config:
        code, _, text = await run("sweep", "things", "-c", config)
        assert code == 2
        assert "knows no entity thng; it knows thing" in text
