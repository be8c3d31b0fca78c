"""The benchmark of throughput must not measure what was not done."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping

import orjson
import pytest

from proxy.demo.processes import Supervisor
from tests.bench.backend import FIRST_PAGE, target
from tests.bench.contenders import BARE, COMPARED, CONTENDERS, OFF, Backend, Contender, Server, chosen, fetch
from tests.bench.installing import Program
from tests.bench.proxies import BenchError, Counts, Serving, descendants
from tests.bench.rounds import Measured, Range, Round, Track, UnverifiedError
from tests.bench.throughput import Results, as_json, as_markdown
from tests.bench.wrk import Wrk

BY_KEY = {each.key: each for each in CONTENDERS}
ID = re.compile(rb'"([0-9a-f]{24}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"')


@pytest.fixture(scope="module")
def sides() -> Iterator[Backend]:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two processors")
    with Supervisor() as owner:
        yield Backend(owner)


def track(sides: Backend, verified: Callable[[], Mapping[str, int]] | None, *, new: bool = False) -> Track:
    """The backend itself, asked for one answer by each of two clients, that says it had `verified` so much."""
    contender = Contender("it", "it", "it", new=new, few=frozenset((1,)))
    server = Server("it", sides.child.pid, sides.primary, verified=verified, wanted="match")
    return Track(contender, 1, server, sides, Wrk(Program("wrk"), sides.ids.parent), Range())


def test_the_sides_differ_in_every_id_and_in_nothing_else(sides: Backend) -> None:
    pairs = {row["legacy"].encode(): row["uuid"].encode() for row in orjson.loads(sides.ids.read_bytes())}
    primary, twin = (fetch(port, target(10)) for port in (sides.primary, sides.twin))
    assert not set(ID.findall(primary)) & set(ID.findall(twin))
    for legacy, uuid in pairs.items():
        primary = primary.replace(legacy, uuid)
    assert primary == twin


def test_each_page_has_an_answer_of_its_own_of_the_same_length(sides: Backend) -> None:
    bodies = {fetch(sides.primary, target(1, FIRST_PAGE + n)) for n in range(5)}
    assert len(bodies) == 5
    assert len({len(body) for body in bodies}) == 1


def test_processes_are_pinned_and_those_below_are_found(sides: Backend) -> None:
    assert os.sched_getaffinity(sides.child.pid) == {1}
    assert sides.child.pid in descendants(os.getpid())


def test_what_was_not_verified_does_not_count(sides: Backend) -> None:
    with pytest.raises(UnverifiedError, match=r"of 2 requests 0\.0% were verified"):
        track(sides, dict).measure(0)


def test_what_was_not_compared_is_not_new(sides: Backend) -> None:
    looks = iter([{"match": 0, COMPARED: 0}, {"match": 2, COMPARED: 0}])
    with pytest.raises(BenchError, match="of 2 pairs, all new, 0 were compared"):
        track(sides, lambda: next(looks), new=True).measure(0)


def test_what_was_verified_counts(sides: Backend) -> None:
    looks = iter([{"match": 0, COMPARED: 0}, {"match": 2, COMPARED: 0}])
    one = track(sides, lambda: next(looks))
    one.measure(0)
    assert [(taken.requests, taken.compared) for taken in one.measured.rounds] == [(2, 0)]


def test_a_proxy_that_answers_something_else_is_found_out(sides: Backend) -> None:
    server = Server("it", sides.child.pid, sides.twin)
    one = Track(BY_KEY[BARE], 1, server, sides, Wrk(Program("wrk"), sides.ids.parent), Range())
    with pytest.raises(BenchError, match="answered something else than the primary"):
        one.warm(0)


def test_targets_say_what_was_reached() -> None:
    rounds = {OFF: [300.0, 90.0, 500.0], BARE: [100.0, 50.0, 250.0]}
    measured = [
        Measured(BY_KEY[key], 1, [Round(int(rate), 1.0, 0.5, 0.0) for rate in rates]) for key, rates in rounds.items()
    ]
    results = Results([1], measured, {"nginx": "not to be had"})
    text = as_markdown(results)
    assert "| verification off: 2 times bare aiohttp, 1 KB | met: 2.00 times |" in text
    assert "| verification off: 2 times bare aiohttp, 10 KB | not measured |" in text
    assert "| **shadowread**, verification off | 300 |" in text
    assert "Left out: nginx: not to be had." in text
    assert "off at 1 KB 50%" in text, "half of its core was left: something else held it up"
    told = as_json(results)
    assert [one["rate"] for one in told["rounds"]] == [300, 90, 500, 100, 50, 250]
    assert told["targets"][0]["met"] is True
    assert told["targets"][1]["met"] is None


def test_a_pace_below_full_speed_is_marked() -> None:
    results = Results([1], [Measured(BY_KEY["new"], 1, [Round(100, 1.0, 0.9, 0.2, 3.5)])], {})
    assert "no two alike | ~100 |" in as_markdown(results)
    assert "| 9,000 + 2,000 |" in as_markdown(results)


def test_contenders_are_chosen_by_key_and_by_group() -> None:
    assert {each.key for each in chosen(["ours", "bare"])} == {
        "bare",
        "off",
        "same",
        "new",
        "same-2cores",
        "new-2cores",
    }
    with pytest.raises(ValueError, match="unknown: nignx; there are bare, "):
        chosen(["nignx"])


def test_counters_are_read_from_the_exposition(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        'shadowread_exchanges_total{domain="a",route="GET /x",verdict="match"} 4.0\n'
        'shadowread_exchanges_total{domain="b",route="GET /{id}",verdict="match"} 3.0\n'
        'shadowread_exchanges_total{domain="b",route="GET /{id}",verdict="skipped:no_room"} 1.0\n'
        "shadowread_queue_depth 2.0\n"
    )
    serving = Serving(child=None, port=1, admin_port=1, token="")  # type: ignore[arg-type] # not asked here
    monkeypatch.setattr(Serving, "ask", lambda *_: text)
    counts = serving.counts()
    assert (dict(counts.verdicts), counts.under_way) == ({"match": 7, "skipped:no_room": 1}, 2)
    assert counts.since(Counts({"match": 5}, 0, "")) == {"match": 2, "skipped:no_room": 1}
    assert counts.metric("shadowread_exchanges_total") == 8
