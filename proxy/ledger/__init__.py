"""The ledger: the durable record of verdicts, findings, traces and gate decisions, in SQLite or Postgres.

Two books are kept apart and must agree whenever anyone looks: how many exchanges were observed, and how they
ended. A process that dies leaves its journal behind, from which the next one counts what was lost.

All counts are of a window of their domain: one set of rules and one state of both sides. Of windows that are long past
only the sums are kept.
"""

from __future__ import annotations

from proxy.ledger import examined, sweeps
from proxy.ledger.chain import Decision
from proxy.ledger.findings import Acceptance, Finding, FindingState
from proxy.ledger.ledger import Ledger
from proxy.ledger.reader import LedgerReader, OutdatedLedgerError
from proxy.ledger.records import (
    ENTITY_LIMIT,
    DomainCounts,
    MinuteCount,
    Recording,
    RouteCounts,
    ToleratedCount,
    TraceSummary,
)
from proxy.ledger.standing import Canary
from proxy.ledger.summary import domain_summary, gate_evidence, no_counts
from proxy.ledger.tally import Ticket

__all__ = [
    "ENTITY_LIMIT",
    "Acceptance",
    "Canary",
    "Decision",
    "DomainCounts",
    "Finding",
    "FindingState",
    "Ledger",
    "LedgerReader",
    "MinuteCount",
    "OutdatedLedgerError",
    "Recording",
    "RouteCounts",
    "Ticket",
    "ToleratedCount",
    "TraceSummary",
    "domain_summary",
    "examined",
    "gate_evidence",
    "no_counts",
    "sweeps",
]
