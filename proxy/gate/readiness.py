"""Whether nothing else stands in the way, and whether the figures themselves can be trusted. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.gate.evidence import GateEvidence
from proxy.gate.result import Condition
from proxy.gate.words import clause, number
from proxy.model import Verdict


def blockers(evidence: GateEvidence) -> Condition:
    count = len(evidence.blockers)
    if not count:
        return Condition("blockers", True, 0, 0, "No blocker is written in the configuration.")
    told = "; ".join(clause(blocker) for blocker in evidence.blockers)
    text = f"{number(count, 'blocker')} in the configuration: {told}."
    return Condition("blockers", False, count, 0, text, "Remove from blockers what is resolved.")


def rollback(evidence: GateEvidence) -> Condition:
    path, plan = evidence.rollback_path, evidence.rollback_text
    if path is None:
        remedy = "Write one and name it under rollback_plan."
        return Condition("rollback_plan", False, 0, 1, "No rollback plan is named.", remedy)
    if plan is None:
        text = f"The rollback plan {path} cannot be read as text of at most 1 MiB."
        return Condition("rollback_plan", False, 0, 1, text, "Write it.")
    length = len(plan.strip())
    if not length:
        return Condition("rollback_plan", False, 0, 1, f"The rollback plan {path} is empty.", "Write it.")
    return Condition("rollback_plan", True, length, 1, f"The rollback plan {path} has {length:,} characters.")


def accounting(evidence: GateEvidence) -> Condition:
    """The books of the window, and those of all windows together."""
    counted = sum(evidence.verdicts.values())
    wrong = _unbalanced(evidence.observed, evidence.verdicts, "in this window")
    wrong += _unbalanced(evidence.lifetime_observed, evidence.lifetime_verdicts, "in all windows together")
    if not wrong:
        text = f"All {number(counted, 'observed exchange')} have a verdict."
        return Condition("accounting", True, counted, evidence.observed, text)
    text = f"{' and '.join(wrong)}: the figures cannot be trusted."
    remedy = "Report this as a bug and start with a new ledger."
    return Condition("accounting", None, counted, evidence.observed, text, remedy)


def _unbalanced(observed: int, verdicts: Mapping[Verdict, int], where: str) -> list[str]:
    counted = sum(verdicts.values())
    if counted == observed:
        return []
    return [f"{observed:,} exchanges were observed and {counted:,} have a verdict {where}"]


def recording(evidence: GateEvidence) -> Condition:
    if evidence.recording is None:
        text = "Everything observed is being written to the ledger."
        if not evidence.live:
            text = "Read from the ledger's file; whether a running proxy can write to it, its own /readyz tells."
        return Condition("recording", True, None, None, text)
    text = f"The ledger is not being written: {clause(evidence.recording)}."
    return Condition("recording", None, None, None, text, "Repair that; what waits is then written.")
