"""Whether a zero means anything: provenance, sensitivity and blind spots."""

from __future__ import annotations

import pytest

from proxy.gate import decide
from proxy.gate.blind import covers
from proxy.model import Verdict
from proxy.window import DamageCount, FieldCount
from tests.gate.making import SAME_STORE, STRICT, damage, evidence, failed, limits, standing

ONE = ("GET /a",)
UNPROVEN = "Unproven, so that no figure of this domain means anything: "


def test_a_shadow_that_reads_the_same_store_has_no_zero() -> None:
    same = evidence(standings=(standing("health", "failed", SAME_STORE), standing("scans")))
    result = decide("release_holds", STRICT, same)
    assert (result.state, result.provenance) == ("closed", "unproven")
    assert result.reasons[0].startswith(f"{UNPROVEN}health: failed, both sides read the same store")
    assert "To do: start the shadow with its Postgres flags on" in result.reasons[0]
    assert (result.diff_rate, result.upper_bound) == (None, None)
    assert set(failed(result)) == {"provenance", "diffs", "upper_bound", "route_upper_bound"}
    figures = {condition.name: condition.figure for condition in result.conditions}
    assert [figures[name] for name in ("diffs", "upper_bound", "route_upper_bound")] == [None, None, None]


def test_a_difference_is_one_whatever_the_shadow_reads() -> None:
    differing = evidence({Verdict.MATCH: 12_000, Verdict.DIFF: 3}, standings=())
    assert "3 diffs in 12,003 comparisons" in failed(decide("users", STRICT, differing))["diffs"]


@pytest.mark.parametrize(
    ("standings", "says"),
    [
        ((standing("health"),), "scans: not checked in this window"),
        ((), "health: not checked in this window; scans: not checked in this window"),
        (
            (standing("health", "unknown", "the shadow cannot be asked."), standing("scans")),
            "health: not known, the shadow cannot be asked",
        ),
        (
            (standing("health", hours=25), standing("scans")),
            "health: proven last at 2026-02-28 11:00:00 UTC, more than 1 d ago",
        ),
        (
            (standing("health"), standing("scans"), standing("canary", "failed", "the mark was not seen.")),
            "canary: failed, the mark was not seen",
        ),
    ],
)
def test_what_is_not_proven_keeps_it_closed_with_a_remedy(standings: tuple[object, ...], says: str) -> None:
    result = decide("users", STRICT, evidence(standings=standings))
    assert (result.state, result.provenance, result.diff_rate) == ("closed", "unproven", None)
    condition = result.conditions[0]
    assert condition.text == f"{UNPROVEN}{says}."
    assert condition.remedy


def test_only_the_checks_that_are_asked_for_count_and_asking_for_none_is_told() -> None:
    by_canary = evidence(standings=(standing("canary"),))
    assert decide("users", limits(provenance=["canary"]), by_canary).state == "open"
    assert decide("users", STRICT, by_canary).state == "closed"
    result = decide("users", limits(provenance=[]), evidence(standings=()))
    assert (result.state, result.provenance, result.diff_rate) == ("open", "not_asked", 0.0)
    assert [note.name for note in result.notes] == ["provenance_not_asked"]


@pytest.mark.parametrize("check", ["health", "canary"])
def test_who_asks_for_no_proof_still_hears_of_one_that_failed(check: str) -> None:
    result = decide("users", limits(provenance=[]), evidence(standings=(standing(check, "failed", SAME_STORE),)))
    assert (result.state, result.provenance, result.diff_rate) == ("closed", "unproven", None)
    assert "both sides read the same store" in result.reasons[0]


def test_too_little_damage_and_too_little_of_it_seen() -> None:
    few = failed(decide("users", STRICT, evidence(routes=ONE, damages=(damage(tried=60, seen=60),))))
    assert few == {
        "sensitivity": "60 of 60 planted damages were seen, at least 90 % of 100 damages are asked for. "
        "40 more are planted as matching answers come by; `shadowread prove` plants some at once."
    }
    dull = (damage(tried=100, seen=89, rule="number $..amount"), damage("$.x", 1, 1))
    assert failed(decide("users", STRICT, evidence(routes=ONE, damages=dull))) == {
        "sensitivity": "90 of 101 planted damages were seen (89.1 %), at least 90 % of 100 damages are asked for. "
        "Narrow what hides the most: number $..amount (11)."
    }


def test_no_damage_at_all_is_no_absence_of_blind_spots() -> None:
    assert set(failed(decide("users", STRICT, evidence(damages=())))) == {"sensitivity", "blind_spots"}
    assert decide("users", limits(min_damages=0), evidence(damages=())).state == "open"


def test_each_route_needs_damage_of_its_own_to_its_body() -> None:
    """A route whose answers were never damaged may hide anything, however much of the others was seen."""
    beside = DamageCount("GET /b", "status", "status", 100, 100)
    one = decide("users", STRICT, evidence(damages=(damage(tried=9_000, seen=9_000), beside)))
    assert failed(one) == {
        "blind_spots": "No damage was planted yet in answers of GET /b, so blind spots are not known. "
        "Matching answers are needed that bear a body and are no refusal."
    }


def test_a_rule_that_hides_an_amount_keeps_the_gate_closed_until_it_is_accepted() -> None:
    hidden = damage("$.data[*].amount", 40, 0, "number", "ignore $..amount")
    dull = evidence(routes=ONE, damages=(damage(tried=1_000, seen=1_000), hidden))
    told = "$.data[*].amount of GET /a (number, 40 tried, hidden by ignore $..amount)."
    assert failed(decide("payments", STRICT, dull)) == {
        "blind_spots": f"1 blind spot where a damaged value was never seen: {told} "
        "Narrow or remove the rules that hide them, or accept the paths under gate.accept_blind."
    }
    accepted = decide("payments", limits(accept_blind=["$..amount"]), dull)
    assert accepted.state == "open"
    assert [(note.name, note.figure) for note in accepted.notes] == [("accepted_blind_spots", 1)]
    assert told[:-1] in accepted.notes[0].text


def test_a_value_that_is_seldom_seen_is_not_lost_among_many_others() -> None:
    dull = evidence(routes=ONE, damages=(damage(tried=9_000, seen=9_000), damage("$.n", 90, 1, "number", "number $..")))
    (note,) = decide("users", STRICT, dull).notes
    assert note.text == (
        "1 place where a damaged value was not always seen: "
        "$.n of GET /a (number, 90 tried, 1 seen, hidden by number $..)."
    )
    assert [one.name for one in decide("users", limits(accept_blind=["$.n"]), dull).notes] == []


def test_an_order_that_may_differ_is_no_blind_value() -> None:
    swapped = damage("$.tags", 5, 0, "swap_elements", "order any $.tags")
    assert (
        decide("users", STRICT, evidence(routes=ONE, damages=(damage(tried=1_000, seen=1_000), swapped))).state
        == "open"
    )


def test_what_is_not_seen_at_accepted_paths_is_not_held_against_it() -> None:
    dull = evidence(
        routes=ONE, damages=(damage(tried=99, seen=99), damage("$.at", 50, 10), damage("$.at", 2, 2, "date"))
    )
    assert "111 of 151 planted damages" in failed(decide("users", STRICT, dull))["sensitivity"]
    assert decide("users", limits(accept_blind=["$.at"]), dull).state == "open"


def test_fields_without_a_value_are_named() -> None:
    empty = FieldCount("GET /a", "$.deletedAt", 500, 500, 500, 0, 0)
    result = decide("users", STRICT, evidence(fields_not_verified=12, empty_fields=(empty,)))
    assert result.state == "open"
    assert result.notes[0].text == (
        "Never seen with a value on both sides, so not verified: 12 fields: $.deletedAt of GET /a and 11 more."
    )


@pytest.mark.parametrize(
    ("rule", "place", "holds"),
    [
        ("$..amount", "$.data[*].amount", True),
        ("$..amount", "$.amount", True),
        ("$..amount", "$.amount.scale", False),
        ("$.data[*].amount", "$.data[*].amount", True),
        ("$.data.*.amount", "$.data[*].amount", True),
        ("$.data[0].amount", "$.data[*].amount", False),
        ("$.data[*].id", "$.data.x.id", True),
        ("$.meta..", "$.meta.a[*].b", True),
        ("$.meta..", "$.meta", True),
        ("$.meta..", "$.other", False),
        ("$..a..b", "$.x.a.y.b", True),
        ("$..a..b", "$.x.b.y.a", False),
        ("$['odd name']", "$['odd name']", True),
        ("$..", "$.a[*].b", True),
        ("$..amount", "(other paths)", False),
    ],
)
def test_which_places_a_path_accepts(rule: str, place: str, *, holds: bool) -> None:
    assert covers(rule, place) is holds


def test_what_a_rule_hides_past_the_bounds_is_accepted_under_its_own_path() -> None:
    assert covers("$..amount", "$..amount")
    assert not covers("$.data[*].amount", "$..amount")


def test_covering_is_quick_whatever_the_path() -> None:
    deep = "$" + "..a" * 20
    assert not covers(deep, "$" + ".a" * 19)
    assert covers(deep, "$" + ".a" * 40)
