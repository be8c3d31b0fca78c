"""Routes, entities, time and speed: each condition holds at its limit and says what is missing beyond it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from proxy.gate import decide
from proxy.model import Side
from proxy.window import KnownEntities, Latency, Watch
from tests.gate.making import AT, STRICT, evidence, failed, limits

SEEN = {"GET /a": 11_970, "GET /b": 30}


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        (
            {"window": None},
            {
                "window": "No window has begun, so there is no evidence. "
                "Let `shadowread serve` see the domain's requests."
            },
        ),
        (
            {"rules": "xyz"},
            {
                "window": "The evidence is of the rules abc, the configuration now has xyz, in the window that began "
                "at 2026-02-27 12:00:00 UTC. Restart `shadowread serve` with this configuration."
            },
        ),
        (
            {"route_comparisons": {"GET /a": 12_000, "GET /b": 29}},
            {"routes": "1 of 2 routes compared at least 30 times. Still needed: GET /b (1 more)."},
        ),
        (
            {"routes": ()},
            {
                "routes": "The domain has no route, so nothing of it can be verified. Name its reads under routes.",
                "route_upper_bound": "The domain has no route, so none has a bound. Name its reads under routes.",
            },
        ),
        (
            {"entities": {"user": 99}},
            {
                "entities": "Distinct entities that matched: user 99 of 5,000; at least 100 or all are asked for. "
                "Needed: 1 more of user; `shadowread sweep` reads all of them."
            },
        ),
        (
            {"entities": {"": 99}, "known": {}, "entities_exact": False},
            {
                "entities": "Distinct entities that matched: user about 0 of an unknown number; at least 100 or all "
                "are asked for. Needed: 100 more of user; `shadowread sweep` reads all of them."
            },
        ),
        (
            {"watches": (Watch(AT - timedelta(hours=23, minutes=59), AT),)},
            {
                "soak": "Watched for 23 h 59 min since 2026-02-28 12:01:00 UTC, without a hole longer than 10 min; "
                "1 d are asked for. 1 min more under `shadowread serve` without a hole longer than 10 min."
            },
        ),
        (
            {"watches": ()},
            {
                "soak": "The domain is not being watched. "
                "1 d more under `shadowread serve` without a hole longer than 10 min."
            },
        ),
        (
            {"last_comparison_at": AT - timedelta(hours=24, seconds=1)},
            {
                "shelf_life": "The last comparison was 1 d 1 s ago (2026-02-28 11:59:59 UTC), the limit is 1 d. "
                "Let the domain's requests be compared again."
            },
        ),
        (
            {"latency": {Side.PRIMARY: Latency({80: 100}), Side.SHADOW: Latency({80: 94, 89: 6})}},
            {
                "latency": "95 % of the shadow's reads took at most 2.23 ms, of the primary's 1.02 ms: 2.181 times as "
                "long, the limit is 2. Make the shadow's slowest routes faster, or raise the limit."
            },
        ),
        (
            {"latency": {Side.PRIMARY: Latency({80: 1})}},
            {"latency": "No compared reads of both sides were timed. Comparisons are needed."},
        ),
    ],
)
def test_what_is_missing_closes_it_with_its_figures(changes: dict[str, Any], reasons: dict[str, str]) -> None:
    result = decide("users", STRICT, evidence(**changes))
    assert (result.state, failed(result)) == ("closed", reasons)


def test_the_worst_route_has_a_bound_of_its_own() -> None:
    loose = limits(max_diffs=1, max_upper_bound=0.001)
    busy = evidence(route_diffs={"GET /a": 1}, route_comparisons=SEEN)
    good = replace(busy, verdicts={**busy.verdicts})
    assert decide("users", loose, good).state == "open"
    rare = evidence(route_diffs={"GET /b": 1}, route_comparisons=SEEN)
    assert failed(decide("users", loose, rare)) == {
        "route_upper_bound": "The worst route is GET /b: 1 diff in 30 comparisons, a diff rate below 0.1486, the limit "
        "is 0.1. 46 comparisons with no more than 1 diff would reach it."
    }
    unseen = evidence(route_comparisons={"GET /a": 12_000})
    assert (
        "The worst route is GET /b: 0 diffs in 0 comparisons"
        in failed(decide("users", STRICT, unseen))["route_upper_bound"]
    )


def test_a_kind_of_which_the_id_map_knows_few_needs_all_of_them() -> None:
    known = {"user": KnownEntities("user", 7, exact=True, at=AT)}
    assert decide("users", STRICT, evidence(entities={"user": 7}, known=known)).state == "open"
    assert "1 more of user" in failed(decide("users", STRICT, evidence(entities={"user": 6}, known=known)))["entities"]
    none_named = evidence(entity_kinds=(), entities={"": 3})
    assert decide("users", STRICT, none_named).state == "open", "no route names a kind"


@pytest.mark.parametrize(
    "known",
    [
        KnownEntities("user", 0, exact=True, at=AT),
        KnownEntities("user", 3, exact=False, at=AT),
        KnownEntities("user", 3, exact=True, at=AT - timedelta(days=2)),
    ],
)
def test_a_count_that_is_none_or_guessed_or_old_asks_for_no_fewer(known: KnownEntities) -> None:
    few = evidence(entities={"user": min(known.count, 3)}, known={"user": known})
    assert "more of user" in failed(decide("users", STRICT, few))["entities"]


def test_many_of_one_kind_do_not_stand_for_another() -> None:
    both = evidence(entity_kinds=("user", "passkey"), entities={"user": 10**6, "passkey": 99})
    (condition,) = [one for one in decide("users", STRICT, both).conditions if one.name == "entities"]
    assert (condition.ok, condition.figure, condition.limit) == (False, 199, 200)


def test_a_short_hole_is_left_out_and_a_long_one_begins_the_time_anew() -> None:
    def soaked(hole: timedelta) -> tuple[float | int | None, str]:
        middle = AT - timedelta(hours=10)
        watches = (Watch(AT - timedelta(days=3), middle - hole), Watch(middle, AT, "the proxy did not run"))
        result = decide("users", STRICT, evidence(watches=watches))
        (condition,) = [one for one in result.conditions if one.name == "soak"]
        return condition.figure, condition.text

    figure, text = soaked(timedelta(minutes=10))
    assert figure == timedelta(days=3).total_seconds() - 600
    assert "1 shorter hole left out" in text
    figure, text = soaked(timedelta(minutes=10, seconds=1))
    assert figure == timedelta(hours=10).total_seconds()
    assert "after a hole of 10 min 1 s (the proxy did not run)" in text


def test_each_limit_is_a_domains_own() -> None:
    patient = limits(min_soak=0, shelf_life=30 * 86_400, max_latency_ratio=100, min_entities=0, min_route_comparisons=1)
    poor = evidence(
        watches=(),
        last_comparison_at=AT - timedelta(days=29),
        entities={},
        latency={Side.PRIMARY: Latency({0: 1}), Side.SHADOW: Latency({50: 1})},
    )
    assert decide("users", patient, poor).state == "open"
