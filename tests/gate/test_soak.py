"""How watched time is added up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from proxy.soak import NOT_RUNNING, Hole, Soak, soak
from proxy.window import Watch

ZERO = datetime(2026, 3, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return ZERO + timedelta(seconds=seconds)


def watches(*stretches: tuple[int, int]) -> list[Watch]:
    return [Watch(at(began), at(ended), "down") for began, ended in stretches]


def test_nothing_was_watched() -> None:
    assert soak([], at(0), 60) == Soak(0.0, None, ())


def test_a_stretch_that_still_goes_on_counts_up_to_its_last_pulse() -> None:
    assert soak(watches((0, 100)), at(104), 60) == Soak(100.0, at(0), ())


def test_a_proxy_that_stopped_leaves_a_hole_after_four_pulses() -> None:
    assert soak(watches((0, 100)), at(120), 60).holes == ()
    found = soak(watches((0, 100)), at(121), 60)
    assert found == Soak(100.0, at(0), (Hole(at(100), at(121), NOT_RUNNING),))
    assert soak(watches((0, 100)), at(161), 60) == Soak(0.0, None, (Hole(at(100), at(161), NOT_RUNNING),))
    assert soak(watches((0, 100)), at(161), 60, pulse_seconds=20).holes == ()


def test_short_holes_are_left_out_and_long_ones_begin_it_anew() -> None:
    short = soak(watches((0, 100), (160, 200)), at(200), 60)
    assert short == Soak(140.0, at(0), (Hole(at(100), at(160), "down"),))
    long = soak(watches((0, 100), (161, 200)), at(200), 60)
    assert long == Soak(39.0, at(161), (Hole(at(100), at(161), "down"),))


def test_two_processes_watch_the_same_time_once() -> None:
    assert soak(watches((0, 100), (50, 80), (90, 150)), at(150), 60) == Soak(150.0, at(0), ())


def test_a_clock_that_was_set_back_gives_no_time_that_has_not_been() -> None:
    assert soak(watches((0, 500)), at(100), 60) == Soak(100.0, at(0), ())
    assert soak(watches((200, 500)), at(100), 60).seconds == 0


stretches = st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 200)), max_size=12)


@given(stretches, st.integers(0, 1_500), st.integers(0, 300))
def test_never_more_than_was_watched_and_a_laxer_limit_never_gives_less(
    found: list[tuple[int, int]], now: int, hole: int
) -> None:
    seen = watches(*((began, began + length) for began, length in found))
    got = soak(seen, at(now), hole)
    watched = {second for began, length in found for second in range(began, min(began + length, now))}
    assert 0 <= got.seconds <= len(watched)
    assert soak(seen, at(now), hole + 100).seconds >= got.seconds
    assert soak(seen, at(now), 10_000).seconds == len(watched)
    assert all(one.began < one.ended for one in got.holes)
