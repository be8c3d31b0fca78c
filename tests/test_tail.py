"""The tail: what ended last, and how much was missed."""

from __future__ import annotations

from datetime import UTC, datetime

from proxy.model import Ended, Verdict
from proxy.tail import Tail


def ended(route: str) -> Ended:
    return Ended(datetime(2026, 11, 1, tzinfo=UTC), "users", route, Verdict.MATCH)


def routes(tail: Tail, place: int) -> tuple[list[str], int, int]:
    heard = tail.since(place)
    return [one.route for one in heard.ended], heard.missed, heard.next


def test_each_place_goes_on_where_it_was() -> None:
    tail = Tail(3)
    assert routes(tail, 0) == ([], 0, 0)
    tail.add(ended("a"))
    tail.add(ended("b"))
    assert routes(tail, 0) == (["a", "b"], 0, 2)
    tail.add(ended("c"))
    assert routes(tail, 2) == (["c"], 0, 3)
    assert routes(tail, tail.place) == ([], 0, 3)


def test_what_is_no_longer_kept_is_counted_as_missed() -> None:
    tail = Tail(2)
    for name in "abcde":
        tail.add(ended(name))
    assert routes(tail, 1) == (["d", "e"], 2, 5)


def test_a_place_of_another_process_begins_anew() -> None:
    tail = Tail(2)
    tail.add(ended("a"))
    assert routes(tail, 900) == (["a"], 0, 1)
    assert routes(tail, -1) == (["a"], 0, 1)
