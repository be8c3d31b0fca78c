"""What opens a gate, what closes it, and what its reasons say."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.gate import GateEvidence, State, decide, exit_code
from proxy.model import COMPARISONS, SKIPS, Verdict
from proxy.settings import GateSettings
from tests.gate.making import AT, STRICT, evidence, failed, limits

NAMES = [
    "provenance", "window", "comparisons", "diffs", "upper_bound", "route_upper_bound", "unstable", "failures", "skips",
    "routes", "entities", "soak", "shelf_life", "sensitivity", "blind_spots", "latency", "blockers", "rollback_plan",
    "accounting", "recording",
]  # fmt: skip


def test_good_evidence_opens_and_names_what_to_change_and_how_to_go_back() -> None:
    result = decide("users", STRICT, evidence())
    assert (result.state, result.reasons, result.provenance) == ("open", (), "proven")
    assert [condition.name for condition in result.conditions] == NAMES
    assert all(condition.text and not condition.remedy for condition in result.conditions)
    assert result.flags_to_change == ("REPO_USER=pg", "AUTH_STORE=postgres")
    assert result.rollback_plan == "rollback/users.md"
    assert result.rollback_digest == sha256(b"Set REPO_USER=mongo.").hexdigest()
    assert (result.diff_rate, result.decided_at) == (0.0, AT)
    assert result.upper_bound == pytest.approx(0.00024961, rel=1e-3)


@pytest.mark.parametrize(
    ("changed", "name", "sentence"),
    [
        (
            evidence({Verdict.MATCH: 9_412}),
            "comparisons",
            "Only 9,412 comparisons made of the 10,000 asked for. 588 more are needed.",
        ),
        (
            evidence({Verdict.MATCH: 99_999, Verdict.DIFF: 1}),
            "diffs",
            "1 diff in 100,000 comparisons, at most 0 allowed. "
            "Explain and repair them, then begin a new window: `shadowread window`.",
        ),
        (
            evidence({Verdict.MATCH: 99_997, Verdict.DIFF: 3}, known_gaps=2),
            "diffs",
            "3 diffs in 100,000 comparisons, 2 of them explained by a known gap, at most 0 allowed. "
            "Explain and repair them, then begin a new window: `shadowread window`.",
        ),
        (
            evidence({Verdict.MATCH: 10_000, Verdict.UNSTABLE: 1_000}),
            "unstable",
            "In 1,000 of 11,000 comparisons the primary disagreed with itself (0.09091), limit 0.05. "
            "9,000 more without one would reach it; `shadowread serve --aa` shows which paths are noise.",
        ),
        (
            evidence({Verdict.MATCH: 10_000, Verdict.SHADOW_ERROR: 15, Verdict.LOST: 5}),
            "failures",
            "20 of 10,020 shadow reads failed or were lost (0.001996), limit 0.001. "
            "9,980 more without one would reach it.",
        ),
        (
            evidence({Verdict.MATCH: 12_000, Verdict.NO_ROOM: 900, Verdict.TOO_LARGE: 100, Verdict.NOT_SAMPLED: 10**6}),
            "skips",
            "1,000 of 13,000 sampled exchanges were skipped (0.07692), limit 0.05. 7,000 more without one would "
            "reach it; most are skipped:no_room (900).",
        ),
        (
            evidence(blockers=("chat is not normalized.",)),
            "blockers",
            "1 blocker in the configuration: chat is not normalized. Remove from blockers what is resolved.",
        ),
        (
            evidence(rollback_path=None, rollback_text=None),
            "rollback_plan",
            "No rollback plan is named. Write one and name it under rollback_plan.",
        ),
        (
            evidence(rollback_text=None),
            "rollback_plan",
            "The rollback plan rollback/users.md cannot be read as text of at most 1 MiB. Write it.",
        ),
        (
            evidence(rollback_text=" \n"),
            "rollback_plan",
            "The rollback plan rollback/users.md is empty. Write it.",
        ),
    ],
)
def test_one_thing_amiss_closes_it_and_the_reason_says_what_would_do(
    changed: GateEvidence, name: str, sentence: str
) -> None:
    result = decide("users", STRICT, changed)
    assert result.state == "closed"
    assert failed(result) == {name: sentence}
    assert result.reasons == (sentence,)


def test_the_bound_says_how_many_comparisons_are_missing() -> None:
    result = decide("users", limits(min_comparisons=100), evidence({Verdict.MATCH: 3_000}))
    assert failed(result) == {
        "upper_bound": "The diff rate is below 0.0009981 with 95 % confidence, the limit is 0.0005. "
        "5,990 comparisons with no more than 0 diffs would reach it."
    }
    opened = decide("users", limits(min_comparisons=100), evidence({Verdict.MATCH: 5_990}))
    assert opened.state == "open"


def test_errors_of_the_primary_do_not_thin_out_what_was_skipped() -> None:
    verdicts = {Verdict.MATCH: 12_000, Verdict.NO_ROOM: 1_000, Verdict.PRIMARY_ERROR: 1_000_000}
    assert "1,000 of 13,000 sampled exchanges" in failed(decide("users", STRICT, evidence(verdicts)))["skips"]


def test_a_pause_that_a_check_asked_for_is_no_skip() -> None:
    paused = evidence({Verdict.MATCH: 12_000, Verdict.PAUSED: 10**6})
    assert decide("users", STRICT, paused).state == "open"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (evidence(observed=12_001), "12,001 exchanges were observed and 12,000 have a verdict in this window"),
        (evidence(lifetime_observed=20_001), "20,000 have a verdict in all windows together"),
    ],
)
def test_books_that_do_not_balance_cannot_tell(changed: GateEvidence, says: str) -> None:
    result = decide("users", STRICT, changed)
    assert (result.state, list(failed(result))) == ("unknown", ["accounting"])
    assert says in result.reasons[0]


def test_a_ledger_that_is_not_written_cannot_tell() -> None:
    result = decide("users", STRICT, evidence(recording="the disk is full"))
    assert (result.state, list(failed(result))) == ("unknown", ["recording"])
    assert "the disk is full" in result.reasons[0]


counts = st.dictionaries(st.sampled_from(list(Verdict)), st.integers(0, 10**6))


@settings(deadline=None)
@given(counts.map(lambda found: {k: v for k, v in found.items() if k not in COMPARISONS}))
def test_never_open_without_a_comparison(verdicts: dict[Verdict, int]) -> None:
    loosest = limits(
        min_comparisons=1, max_diffs=10**9, max_upper_bound=1.0, max_unstable_rate=1.0, max_failure_rate=1.0,
        max_skip_rate=1.0, max_route_upper_bound=1.0,
    )  # fmt: skip
    result = decide("users", loosest, evidence(verdicts))
    assert result.state == "closed"
    assert (result.diff_rate, result.upper_bound) == (None, None)


some_limits = st.builds(
    limits,
    min_comparisons=st.integers(1, 10_000),
    max_diffs=st.integers(0, 5),
    max_upper_bound=st.floats(0, 0.1),
    max_unstable_rate=st.floats(0, 0.2),
    max_failure_rate=st.floats(0, 0.2),
    max_skip_rate=st.floats(0, 0.2),
)
WORSE = [*sorted(SKIPS - {Verdict.NOT_SAMPLED, Verdict.PAUSED}), Verdict.DIFF, Verdict.LOST, Verdict.UNSTABLE]


@settings(deadline=None)
@given(counts, some_limits, st.sampled_from(WORSE))
def test_worse_evidence_never_opens_what_was_closed(
    verdicts: dict[Verdict, int], gate: GateSettings, worse: Verdict
) -> None:
    before = decide("users", gate, evidence(verdicts))
    fewer = dict(verdicts)
    if fewer.get(Verdict.MATCH, 0):
        fewer[Verdict.MATCH] -= 1
    fewer[worse] = fewer.get(worse, 0) + 1
    after = decide("users", gate, evidence(fewer))
    # A diff is also a comparison: it may complete their number, which is why it is taken from the matches.
    if before.state == "closed" and verdicts.get(Verdict.MATCH, 0):
        assert after.state == "closed"


@settings(deadline=None)
@given(counts, some_limits, st.integers(1, 10**6))
def test_more_matches_never_close_what_was_open(verdicts: dict[Verdict, int], gate: GateSettings, more: int) -> None:
    better = {**verdicts, Verdict.MATCH: verdicts.get(Verdict.MATCH, 0) + more}
    if decide("users", gate, evidence(verdicts)).state == "open":
        assert decide("users", gate, evidence(better)).state == "open"


@settings(deadline=None)
@given(counts, some_limits)
def test_open_means_every_condition_holds_and_otherwise_there_is_a_reason_with_a_remedy(
    verdicts: dict[Verdict, int], gate: GateSettings
) -> None:
    result = decide("users", gate, evidence(verdicts))
    assert (result.state == "open") == all(condition.ok for condition in result.conditions)
    assert (result.state == "open") == (not result.reasons)
    assert all(bool(condition.remedy) == (not condition.ok) for condition in result.conditions)


def test_exit_codes() -> None:
    def code(*states: State) -> int:
        return exit_code(replace(decide("users", STRICT, evidence()), state=state) for state in states)

    assert code() == 2
    every: tuple[State, ...] = ("open", "closed", "unknown")
    for states in product(every, repeat=2):
        expected = 1 if "closed" in states else 2 if "unknown" in states else 0
        assert code(*states) == expected


def test_as_json_is_plain_data() -> None:
    found = decide("users", STRICT, evidence()).as_json()
    assert json.loads(json.dumps(found)) == found
    assert found["decided_at"] == "2026-03-01T12:00:00+00:00"
    assert set(found["conditions"][0]) == {"name", "ok", "figure", "limit", "text", "remedy"}


def test_who_only_reads_the_file_does_not_claim_that_it_is_being_written() -> None:
    def recording(*, live: bool) -> str:
        conditions = decide("users", STRICT, evidence(live=live)).conditions
        return next(c.text for c in conditions if c.name == "recording")

    assert "is being written" in recording(live=True)
    assert "/readyz" in recording(live=False)
