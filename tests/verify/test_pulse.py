"""Watched time: extended by each pulse, broken where nobody watched, and never counted for a window before."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from proxy.ledger import Ledger
from proxy.model import Outcome, Verdict
from proxy.soak import PULSE_SECONDS
from proxy.verify.pulse import BEGINNING, STILL, Beat, Pulse, Seen, Tallies
from proxy.window import Watch, Window

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
BUSY = Seen(100, 0)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def window(id_: str = "w1", began: float = -100) -> Window:
    return Window(id_, "users", {}, at(began), "")


def test_pulses_extend_one_watch_and_the_first_says_that_nobody_watched_before() -> None:
    beat = Beat(0.05)
    assert beat.pulse(at(0), window(), BUSY) == Watch(at(0), at(0), BEGINNING)
    assert beat.pulse(at(5), window(), BUSY) == Watch(at(0), at(5), BEGINNING)
    assert beat.pulse(at(24), window(), BUSY) == Watch(at(0), at(24), BEGINNING)


def test_a_late_pulse_begins_a_new_watch() -> None:
    beat = Beat(0.05)
    beat.pulse(at(0), window(), BUSY)
    assert beat.pulse(at(20.5), window(), BUSY) == Watch(at(20.5), at(20.5), STILL)
    assert beat.pulse(at(25), window(), BUSY) == Watch(at(20.5), at(25), STILL)


def test_a_minute_in_which_too_much_was_skipped_is_a_hole_with_its_figures() -> None:
    beat = Beat(0.05)
    beat.pulse(at(0), window(), BUSY)
    assert beat.pulse(at(5), window(), Seen(100, 10)) is not None, "10 of 200: at the limit"
    assert beat.pulse(at(10), window(), Seen(100, 38)) is None, "48 of 300"
    watch = beat.pulse(at(75), window(), BUSY)
    assert watch == Watch(at(75), at(75), STILL)


def test_the_share_is_that_of_the_last_minute() -> None:
    beat = Beat(0.05)
    assert beat.pulse(at(0), window(), Seen(100, 12)) is None
    for second in range(5, 60, 5):
        assert beat.pulse(at(second), window(), Seen(1, 0)) is None, second
    watch = beat.pulse(at(60), window(), Seen(10, 0))
    assert watch == Watch(at(60), at(60), BEGINNING), "nothing was watched before it"
    assert beat.pulse(at(65), window(), Seen(100, 30)) is None
    for second in range(70, 125, 5):
        assert beat.pulse(at(second), window(), Seen()) is None, second
    again = beat.pulse(at(125), window(), BUSY)
    assert again is not None
    assert (again.began, again.why) == (at(125), "skipped 30 % (limit 5 %)")


def test_a_share_of_few_exchanges_says_nothing() -> None:
    beat = Beat(0.05)
    assert beat.pulse(at(0), window(), Seen(9, 9)) is not None
    assert beat.pulse(at(5), window(), Seen(1, 0)) is None


def test_a_new_window_begins_where_it_began_and_without_a_hole() -> None:
    beat = Beat(0.05)
    beat.pulse(at(0), window(), BUSY)
    beat.pulse(at(5), window(), BUSY)
    made = beat.pulse(at(10), window("w2", 8), BUSY)
    assert made == Watch(at(8), at(10))
    assert beat.pulse(at(15), window("w2", 8), BUSY) == Watch(at(8), at(15))


def test_a_window_that_began_before_the_last_pulse_takes_no_time_of_the_one_before() -> None:
    beat = Beat(0.05)
    beat.pulse(at(0), window(), BUSY)
    beat.pulse(at(5), window(), BUSY)
    assert beat.pulse(at(10), window("w2", -50), BUSY) == Watch(at(5), at(10))


def test_a_clock_that_is_set_back_counts_no_time_twice() -> None:
    beat = Beat(0.05)
    beat.pulse(at(0), window(), BUSY)
    beat.pulse(at(5), window(), BUSY)
    assert beat.pulse(at(-3600), window(), BUSY) is None
    assert beat.pulse(at(10), window(), BUSY) == Watch(at(0), at(10), BEGINNING)


def test_what_is_skipped_on_purpose_is_not_counted() -> None:
    tallies = Tallies()
    for verdict in (Verdict.MATCH, Verdict.NO_ROOM, Verdict.PAUSED, Verdict.NOT_SAMPLED, Verdict.DIFF):
        tallies.ended("users", verdict)
    assert tallies.take("users") == Seen(3, 1)
    assert tallies.take("users") == Seen(0, 0)


async def test_the_pulse_keeps_watches_and_looks_at_the_rules_again_on_a_new_day(tmp_path: Path) -> None:
    now = datetime(2026, 3, 1, 23, 59, 52, tzinfo=UTC)
    days: list[date] = []
    pulses = 0
    enough = asyncio.Event()

    async def sleep(seconds: float) -> None:
        nonlocal now, pulses
        assert seconds == PULSE_SECONDS
        now += timedelta(seconds=seconds)
        pulses += 1
        if pulses == 4:
            enough.set()
            await asyncio.Event().wait()

    ledger = await Ledger.open(
        f"sqlite:///{tmp_path / 'shadowread.db'}",
        flush_seconds=0.05,
        max_traces=1,
        max_trace_bytes=1,
        max_findings=1,
        clock=lambda: now,
    )
    ledger.enter("users", {"rules": "a"}, now)
    ledger.record(ledger.begin("users", "GET /"), Outcome("users", "GET /", Verdict.MATCH, now))

    def on_new_day() -> None:
        days.append(now.date())
        if len(days) == 1:
            raise ValueError("not at the first go")

    pulse = Pulse(
        ledger,
        [("users", 0.05), ("never entered", 0.05)],
        Tallies(),
        clock=lambda: now,
        sleep=sleep,
        on_new_day=on_new_day,
    )
    pulse.start()
    await asyncio.wait_for(enough.wait(), 5)
    await pulse.stop()
    await ledger.flush()
    counts = (await ledger.domains())["users"]
    await ledger.close()
    assert days == [date(2026, 3, 2)] * 2, "until it worked, and not at the start"
    begun = datetime(2026, 3, 1, 23, 59, 52, tzinfo=UTC)
    assert counts.watches == (Watch(begun, begun + timedelta(seconds=20), BEGINNING),)
