"""Which matched pairs are examined, at what cost, and where it is kept."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from comparators.fields import State
from proxy.errors import LedgerError
from proxy.ledger import Ledger, examined
from proxy.settings import ExamineSettings
from proxy.verify import examine
from proxy.verify.examination import Examination, Tried
from proxy.verify.examine import DENSE, MAX_WAITING, Examiner, sums
from proxy.verify.work import Job, Work
from proxy.window import DamageCount, FieldCount
from tests.ledger.support import opened
from tests.verify.test_examination import PAYMENT, TWIN, job

ROUTE = "GET /api/payment/{id}"
DAMAGE = DamageCount("GET /u", "$.a", "text", 1, 1)


class Clock:
    """Seconds that go only when told."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """Stands for the worker: tells what it was given, and finds what it is told to find."""

    def __init__(self, clock: Clock, seconds: float = 0.0) -> None:
        self.clock = clock
        self.seconds = seconds
        self.given: list[tuple[Job, dict[str, Any]]] = []
        self.room = asyncio.Semaphore(1_000)
        self.error: Exception | None = None

    async def apart(self, function: Callable[..., object], job: Job, **how: Any) -> Examination:
        assert function is examine.examine
        self.given.append((job, {**how, "tried": dict(how["tried"])}))
        await self.room.acquire()
        self.clock.now += self.seconds
        if self.error is not None:
            raise self.error
        return Examination({"$": State(True, False, False, True)}, (Tried("$.a", "text", seen=True),), self.seconds)


@pytest.fixture
async def work() -> AsyncIterator[Work]:
    made = Work(timeout=20.0)
    yield made
    await made.close()


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with opened(tmp_path / "a.db") as made:
        yield made


def examiner(ledger: Any, work: Any, clock: Clock | None = None, **settings: Any) -> Examiner:
    return Examiner(ExamineSettings(**settings), ledger, work, clock=clock or Clock(), draw=random.Random(1).random)


async def until(held: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not held():  # noqa: ASYNC110 - what is waited for is seen from outside only
            await asyncio.sleep(0)


async def test_matched_pairs_are_examined_in_the_worker_and_kept_apart_from_verdicts(
    ledger: Ledger, work: Work
) -> None:
    made = examiner(ledger, work, share=1.0)
    window = ledger.restart("payments", "test", ledger._clock()).id
    for _ in range(3):
        made.offer("payments", ROUTE, window, job(PAYMENT, TWIN, {"ignore": ["$..amount"]}))
        await until(lambda: not made._offers)
    await until(lambda: made.examined)
    await made.stop()
    fields = {one.path: one for one in await ledger.ask(lambda c: examined.fields(c, window))}
    assert fields["$.note"] == FieldCount(ROUTE, "$.note", made.examined, made.examined, made.examined, 0, 0)
    damages = {(one.path, one.damage): one for one in await ledger.ask(lambda c: examined.damages(c, window))}
    blind = damages["$.amount", "decimal"]
    assert (blind.seen, blind.rule, blind.tried > 0) == (0, "ignore $..amount", True)
    assert damages["$.state", "text"].seen == damages["$.state", "text"].tried > 0
    counts = (await ledger.domains()).get("payments")
    assert counts is None or (counts.observed, dict(counts.verdicts)) == (0, {})


async def test_the_first_matches_of_each_route_then_rarer_ones(ledger: Ledger) -> None:
    clock = Clock()
    bench = Bench(clock)
    made = examiner(ledger, bench, clock, share=1.0)
    one = job(PAYMENT, TWIN)
    taken: list[int] = []
    for number in range(1, 20 * DENSE):
        before = len(bench.given)
        made.offer("payments", ROUTE, "w1", one)
        await until(lambda: not made._offers and not made._plans["w1", ROUTE].waiting)
        if len(bench.given) > before:
            taken.append(number)
    assert taken[:DENSE] == list(range(1, DENSE + 1))
    gaps = [b - a for a, b in pairwise(taken)]
    assert gaps == sorted(gaps)
    assert len(taken) < 5 * DENSE
    made.offer("payments", ROUTE, "w2", one)
    made.offer("payments", "GET /other", "w2", one)
    await until(lambda: len(bench.given) == len(taken) + 2)
    assert bench.given[-3][1]["tried"][("$.a", "text")] == len(taken) - 1
    assert bench.given[-1][1]["tried"] == {}, "another window starts anew"
    await made.stop()


async def test_rests_for_as_long_as_its_share_asks(ledger: Ledger) -> None:
    clock = Clock()
    bench = Bench(clock, seconds=0.5)
    made = examiner(ledger, bench, clock, share=0.05)
    for route in ("GET /a", "GET /b"):
        made.offer("payments", route, "w", job(PAYMENT))
    await until(lambda: made.examined == 1)
    clock.now += 9.4
    made._wake.set()
    await until(lambda: not made._wake.is_set())
    assert len(bench.given) == 1
    clock.now += 0.2
    made._wake.set()
    await until(lambda: made.examined == 2)
    await made.stop()


async def test_what_waits_is_bounded_and_one_a_route(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    bench = Bench(clock)
    bench.room = asyncio.Semaphore(0)
    made = examiner(ledger, bench, clock, share=1.0)
    for _ in range(3):
        for number in range(2 * MAX_WAITING):
            made.offer("payments", f"GET /{number}", "w", job(PAYMENT))
    assert len(made._offers) == MAX_WAITING
    await until(lambda: bench.given)
    for _ in range(3):
        made.offer("payments", f"GET /{MAX_WAITING}", "w", job(PAYMENT))
    assert len(made._offers) == MAX_WAITING
    for _ in range(MAX_WAITING + 1):
        bench.room.release()
    await until(lambda: made.examined == MAX_WAITING + 1)
    assert made._bytes == 0
    for bound in ("MAX_PAIR_BYTES", "MAX_WAITING_BYTES"):
        with monkeypatch.context() as tight:
            tight.setattr(examine, bound, 10)
            made.offer("payments", "GET /large", "w", job(PAYMENT))
            assert not made._offers
    await made.stop()


async def test_refusals_and_answers_without_a_body_are_no_evidence(ledger: Ledger) -> None:
    """That both sides answer 401 in the same words says nothing of what the route serves."""
    bench = Bench(clock := Clock())
    made = examiner(ledger, bench, clock, share=1.0)
    good = job(PAYMENT, TWIN)
    made.offer("payments", ROUTE, "w1", replace(good, primary=replace(good.primary, status=401)))
    made.offer("payments", ROUTE, "w1", replace(good, head_only=True))
    assert not made._offers
    made.offer("payments", ROUTE, "w1", good)
    assert len(made._offers) == 1
    await made.stop()


async def test_a_share_of_nothing_examines_nothing(ledger: Ledger) -> None:
    bench = Bench(Clock())
    made = examiner(ledger, bench, share=0.0)
    made.offer("payments", ROUTE, "w", job(PAYMENT))
    await made.stop()
    assert not bench.given
    assert not made._running


async def test_an_examination_that_fails_is_no_more_than_that(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    bench = Bench(clock)
    bench.error = RuntimeError("broken")
    made = examiner(ledger, bench, clock, share=1.0)
    with caplog.at_level(logging.ERROR):
        made.offer("payments", ROUTE, "w", job(PAYMENT))
        await until(lambda: made.failed == 1 and not made._running)
    assert f"a matched pair of {ROUTE} could not be examined" in caplog.text
    bench.error = None
    made.offer("payments", ROUTE, "w", job(PAYMENT))
    await until(lambda: made.examined == 1)
    await made.stop()
    (found,) = await ledger.ask(lambda c: examined.damages(c, "w"))
    assert found == DamageCount(ROUTE, "$.a", "text", 1, 1)


async def test_the_route_that_was_examined_least_comes_first(ledger: Ledger) -> None:
    clock = Clock()
    bench = Bench(clock)
    made = examiner(ledger, bench, clock, share=1.0)
    jobs = {route: job({"route": route}) for route in ("GET /a", "GET /b", "GET /new")}
    for _ in range(3):
        for route in ("GET /a", "GET /b"):
            made.offer("payments", route, "w", jobs[route])
        await until(lambda: not made._offers and not any(plan.waiting for plan in made._plans.values()))
    for route in jobs:
        made.offer("payments", route, "w", jobs[route])
    await until(lambda: len(bench.given) == 9)
    assert bench.given[6][0] is jobs["GET /new"]
    await made.stop()


async def test_what_was_found_in_windows_that_are_over_goes(ledger: Ledger) -> None:
    clock = Clock()
    made = examiner(ledger, Bench(clock), clock, share=1.0)
    current = ledger.restart("users", "test", ledger._clock()).id
    await ledger.flush()
    for window in (current, "over"):
        await ledger.write(partial(examined.add, window_id=window, fields=[], damages=[DAMAGE], domain="users"))
    made.offer("payments", ROUTE, "new", job(PAYMENT))
    await until(lambda: made.examined == 1)
    await made.stop()
    for window, count in ((current, 1), ("over", 0), ("new", 1)):
        assert len(await ledger.ask(partial(examined.damages, window_id=window))) == count


class Full:
    """A ledger whose disk is full until told otherwise."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.full = True
        self.tries = 0

    async def write(self, work: Any) -> Any:
        self.tries += 1
        if self.full:
            raise LedgerError("the disk is full")
        return await self.ledger.write(work)


async def test_what_cannot_be_written_waits(ledger: Ledger) -> None:
    clock = Clock()
    full = Full(ledger)
    made = examiner(full, Bench(clock), clock, share=1.0)
    made.offer("payments", ROUTE, "w", job(PAYMENT))
    await until(lambda: made.examined == 1)
    clock.now += 5
    made._wake.set()
    await until(lambda: full.tries == 1)
    full.full = False
    clock.now += 60
    made._wake.set()
    await until(lambda: full.tries == 2 and not made._running)
    assert len(await ledger.ask(lambda c: examined.damages(c, "w"))) == 1
    await made.stop()


async def test_what_is_under_way_ends_when_it_stops_and_later_offers_are_declined(ledger: Ledger) -> None:
    clock = Clock()
    bench = Bench(clock)
    made = examiner(ledger, bench, clock, share=0.001)
    made.offer("payments", ROUTE, "w", job(PAYMENT))
    await until(lambda: bench.given)
    await made.stop()
    assert len(await ledger.ask(lambda c: examined.fields(c, "w"))) == 1
    for _ in range(3):
        made.offer("payments", ROUTE, "w", job(PAYMENT))
    assert not made._offers
    assert not made._running


def test_sums_of_several_examinations() -> None:
    null, valued = State(True, True, False, False), State(True, False, False, True)
    hidden = Tried("$.a", "number", seen=False, rule="ignore $.a")
    found = [
        (ROUTE, Examination({"$": valued, "$.a": null}, (hidden, Tried("$.b", "text", seen=True)))),
        (ROUTE, Examination({"$": valued}, (Tried("$.a", "number", seen=True),))),
        ("GET /x", Examination({"$": valued})),
    ]
    assert sums(found) == (
        (
            FieldCount(ROUTE, "$", 2, 2, 0, 0, 2),
            FieldCount(ROUTE, "$.a", 1, 1, 1, 0, 0),
            FieldCount("GET /x", "$", 1, 1, 0, 0, 1),
        ),
        (DamageCount(ROUTE, "$.a", "number", 2, 1, "ignore $.a"), DamageCount(ROUTE, "$.b", "text", 1, 1)),
    )
