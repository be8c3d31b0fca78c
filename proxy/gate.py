"""The gate: whether a domain's evidence suffices to flip its reads. Pure: figures in, a decision out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from fractions import Fraction
from hashlib import sha256
from math import ceil
from typing import Any, Literal, Protocol

from proxy.bound import comparisons_needed, upper_bound
from proxy.model import COMPARISONS, FAILURES, SKIPS, Verdict
from proxy.notes import Note, notes_of

State = Literal["open", "closed", "unknown"]
NAMED = 10
"""How many routes a sentence names before it says how many more there are."""


class Limits(Protocol):
    """What a domain must show. Rates and the bound are fractions from 0 to 1."""

    @property
    def min_comparisons(self) -> int: ...
    @property
    def max_diffs(self) -> int: ...
    @property
    def max_upper_bound(self) -> float: ...
    @property
    def max_failure_rate(self) -> float: ...
    @property
    def max_skip_rate(self) -> float: ...


@dataclass(frozen=True, slots=True)
class GateEvidence:
    """Everything the decision rests on. The caller reads the plan and asks the ledger; the gate does no I/O.

    `observed` is the ledger's own count of finished exchanges, independent of `verdicts`. `routes` are those
    the configuration gives the domain, `route_comparisons` how often each was compared.
    `rollback_text` is None when the file could not be read. `recording` is None while everything observed
    is being written, otherwise why it is not. `live` is False where nobody could ask: the decision is made from
    the ledger's file alone, beside the process that writes it. `tolerated` counts what was forgiven by kind and
    rule; `expired` and `expiring` name the rules that no longer apply on the day of `at`, and those that will not
    `warn_days` later.
    """

    at: datetime
    observed: int
    verdicts: Mapping[Verdict, int]
    routes: tuple[str, ...] = ()
    route_comparisons: Mapping[str, int] = field(default_factory=dict)
    blockers: tuple[str, ...] = ()
    flags: Mapping[str, str] = field(default_factory=dict)
    rollback_path: str | None = None
    rollback_text: str | None = None
    recording: str | None = None
    live: bool = True
    tolerated: Mapping[tuple[str, str], int] = field(default_factory=dict)
    expired: tuple[str, ...] = ()
    expiring: tuple[str, ...] = ()
    warn_days: int = 0

    def total(self, kinds: Iterable[Verdict]) -> int:
        return sum(self.verdicts.get(verdict, 0) for verdict in kinds)


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that must hold. `ok` is None when it cannot be told; `text` is a sentence with the figures."""

    name: str
    ok: bool | None
    figure: float | int | None
    limit: float | int | None
    text: str


@dataclass(frozen=True, slots=True)
class GateResult:
    """A decision with all its figures. `reasons` are the texts of the conditions that do not hold.

    `diff_rate` and `upper_bound` are None while nothing was compared. `rollback_digest` is the SHA-256 of the
    plan's text in UTF-8, in hex. `notes` do not decide: an expired rule, say, makes the comparison stricter, so
    that it takes nothing from a zero.
    """

    domain: str
    state: State
    conditions: tuple[Condition, ...]
    reasons: tuple[str, ...]
    diff_rate: float | None
    upper_bound: float | None
    decided_at: datetime
    flags_to_change: tuple[str, ...]
    rollback_plan: str | None
    rollback_digest: str | None
    notes: tuple[Note, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "decided_at": self.decided_at.isoformat()}


def decide(domain: str, gate: Limits, evidence: GateEvidence) -> GateResult:
    """Open when every condition holds, unknown when one cannot be told, closed otherwise.

    Without a single comparison the gate is never open, whatever the limits say.
    """
    comparisons = evidence.total(COMPARISONS)
    diffs = evidence.verdicts.get(Verdict.DIFF, 0)
    conditions = (
        _comparisons(gate, comparisons),
        _diffs(gate, diffs, comparisons),
        _bound(gate, diffs, comparisons),
        _failures(gate, evidence, comparisons),
        _skips(gate, evidence),
        _routes(evidence),
        _blockers(evidence),
        _rollback(evidence),
        _accounting(evidence),
        _recording(evidence),
    )
    state: State = "open"
    if any(condition.ok is None for condition in conditions):
        state = "unknown"
    elif not all(condition.ok for condition in conditions):
        state = "closed"
    plan = evidence.rollback_text
    return GateResult(
        domain=domain,
        state=state,
        conditions=conditions,
        reasons=tuple(condition.text for condition in conditions if not condition.ok),
        diff_rate=diffs / comparisons if comparisons else None,
        upper_bound=upper_bound(diffs, comparisons) if comparisons else None,
        decided_at=evidence.at,
        flags_to_change=tuple(f"{flag}={value}" for flag, value in evidence.flags.items()),
        rollback_plan=evidence.rollback_path,
        rollback_digest=None if plan is None else sha256(plan.encode()).hexdigest(),
        notes=notes_of(evidence.tolerated, evidence.expired, evidence.expiring, evidence.warn_days),
    )


def exit_code(results: Iterable[GateResult]) -> Literal[0, 1, 2]:
    """0 when all are open, 1 when some are closed, 2 when it cannot be told (also when there is none).

    A closed gate beside one that cannot be told answers 1: that not all are open is then known.
    """
    states = {result.state for result in results}
    if "closed" in states:
        return 1
    return 0 if states == {"open"} else 2


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _rate(value: float) -> str:
    return f"{value:.4g}"


def _comparisons(gate: Limits, comparisons: int) -> Condition:
    least = max(1, gate.min_comparisons)
    if comparisons >= least:
        text = f"{_number(comparisons, 'comparison')} made, at least {least:,} are asked for."
    else:
        text = (
            f"Only {_number(comparisons, 'comparison')} made of the {least:,} asked for: "
            f"{least - comparisons:,} more are needed."
        )
    return Condition("comparisons", comparisons >= least, comparisons, least, text)


def _diffs(gate: Limits, diffs: int, comparisons: int) -> Condition:
    text = f"{_number(diffs, 'diff')} in {_number(comparisons, 'comparison')}, at most {gate.max_diffs:,} allowed"
    ok = diffs <= gate.max_diffs
    return Condition("diffs", ok, diffs, gate.max_diffs, f"{text}{'.' if ok else ': explain and repair them.'}")


def _bound(gate: Limits, diffs: int, comparisons: int) -> Condition:
    limit = gate.max_upper_bound
    if not comparisons:
        text = "Nothing was compared, so the diff rate has no upper bound under 1."
        return Condition("upper_bound", False, None, limit, text)
    bound = upper_bound(diffs, comparisons)
    text = f"The diff rate is below {_rate(bound)} with 95 % confidence, the limit is {_rate(limit)}"
    if bound <= limit:
        return Condition("upper_bound", True, bound, limit, text + ".")
    needed = comparisons_needed(diffs, limit)
    if needed is None:
        hope = f"{_number(diffs, 'diff')} cannot be outweighed by more comparisons"
    else:
        hope = f"{needed:,} comparisons with no more than {_number(diffs, 'diff')} would reach it"
    return Condition("upper_bound", False, bound, limit, f"{text}: {hope}.")


def _failures(gate: Limits, evidence: GateEvidence, comparisons: int) -> Condition:
    """Out of the exchanges whose shadow was asked: those compared and those that failed or were lost."""
    failures = evidence.total(FAILURES)
    asked = comparisons + failures
    limit = gate.max_failure_rate
    if not asked:
        return Condition(
            "failures", False, None, limit, "The shadow was never asked, so its failure rate is not known."
        )
    rate = failures / asked
    text = f"{failures:,} of {_number(asked, 'shadow read')} failed or were lost ({_rate(rate)}), limit {_rate(limit)}"
    if rate <= limit:
        return Condition("failures", True, rate, limit, text + ".")
    return Condition("failures", False, rate, limit, f"{text}: {_dilution(failures, asked, limit)}.")


def _skips(gate: Limits, evidence: GateEvidence) -> Condition:
    """Out of all finished exchanges but those that sampling left out, which the owner asked for."""
    skips = evidence.total(SKIPS - {Verdict.NOT_SAMPLED})
    wanted = evidence.total(verdict for verdict in Verdict if verdict is not Verdict.NOT_SAMPLED)
    limit = gate.max_skip_rate
    if not wanted:
        return Condition("skips", False, None, limit, "No sampled exchange was seen, so the skip rate is not known.")
    rate = skips / wanted
    text = f"{skips:,} of {_number(wanted, 'sampled exchange')} were skipped ({_rate(rate)}), limit {_rate(limit)}"
    if rate <= limit:
        return Condition("skips", True, rate, limit, text + ".")
    most = max(
        (verdict for verdict in SKIPS if verdict is not Verdict.NOT_SAMPLED),
        key=lambda verdict: (evidence.verdicts.get(verdict, 0), verdict.value),
    )
    detail = f"{_dilution(skips, wanted, limit)}; most are {most.value} ({evidence.verdicts.get(most, 0):,})"
    return Condition("skips", False, rate, limit, f"{text}: {detail}.")


def _dilution(bad: int, total: int, limit: float) -> str:
    """What would bring `bad` out of a growing total to the limit."""
    if limit <= 0:
        return "none is allowed"
    needed = ceil(Fraction(bad) / Fraction(limit))
    return f"{needed - total:,} more without one would reach it"


def _routes(evidence: GateEvidence) -> Condition:
    unseen = [route for route in evidence.routes if evidence.route_comparisons.get(route, 0) < 1]
    seen, known = len(evidence.routes) - len(unseen), len(evidence.routes)
    if not known:
        return Condition("routes", False, 0, 1, "The domain has no route, so nothing of it can be verified.")
    text = f"{seen} of {_number(known, 'route')} compared at least once"
    if not unseen:
        return Condition("routes", True, seen, known, text + ".")
    more = f" and {len(unseen) - NAMED} more" if len(unseen) > NAMED else ""
    return Condition("routes", False, seen, known, f"{text}: still to be seen {', '.join(unseen[:NAMED])}{more}.")


def _blockers(evidence: GateEvidence) -> Condition:
    count = len(evidence.blockers)
    if not count:
        return Condition("blockers", True, 0, 0, "No blocker is written in the configuration.")
    text = f"{_number(count, 'blocker')} in the configuration: {'; '.join(evidence.blockers)}. Remove when resolved."
    return Condition("blockers", False, count, 0, text)


def _rollback(evidence: GateEvidence) -> Condition:
    path, plan = evidence.rollback_path, evidence.rollback_text
    if path is None:
        text = "No rollback plan is named: write one and name it under rollback_plan."
        return Condition("rollback_plan", False, 0, 1, text)
    if plan is None:
        return Condition("rollback_plan", False, 0, 1, f"The rollback plan {path} cannot be read: write it.")
    length = len(plan.strip())
    if not length:
        return Condition("rollback_plan", False, 0, 1, f"The rollback plan {path} is empty: write it.")
    return Condition("rollback_plan", True, length, 1, f"The rollback plan {path} has {length:,} characters.")


def _accounting(evidence: GateEvidence) -> Condition:
    counted = sum(evidence.verdicts.values())
    if counted == evidence.observed:
        text = f"All {_number(counted, 'observed exchange')} have a verdict."
        return Condition("accounting", True, counted, evidence.observed, text)
    text = (
        f"{evidence.observed:,} exchanges were observed and {counted:,} have a verdict: "
        "the figures cannot be trusted; report this as a bug and start with a new ledger."
    )
    return Condition("accounting", None, counted, evidence.observed, text)


def _recording(evidence: GateEvidence) -> Condition:
    if evidence.recording is None:
        text = "Everything observed is being written to the ledger."
        if not evidence.live:
            text = "Read from the ledger's file; whether a running proxy can write to it, its own /readyz tells."
        return Condition("recording", True, None, None, text)
    text = f"The ledger is not being written: {evidence.recording}. Repair that; what waits is then written."
    return Condition("recording", None, None, None, text)
