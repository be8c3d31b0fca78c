"""The narrow rule that would cover a finding, tried on the newest trace kept of it, and what else it would hide.

A suggestion is for people: nothing here changes a rule.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from comparators.compare import compare_bodies
from comparators.ids import IdTable
from comparators.model import Kind
from comparators.paths import pattern_of
from comparators.suggest import MAX_DIFFERENCES, Suggestion, Suggestions, as_yaml, suggest
from proxy.admin.evidence import Evidence
from proxy.errors import LedgerError, ShadowreadError
from proxy.gate.blind import covers
from proxy.ledger import Finding, FindingState
from proxy.model import Trace
from proxy.verify.work import layers_text, rules_of, tokens_of

if TYPE_CHECKING:
    from proxy.admin.desk import Ids

MAX_BYTES = 1024 * 1024
"""Of both bodies together. The rule is tried in a thread beside the event loop, which gets slower by it."""
MAX_KEPT = 200
"""Answers that are remembered."""
FRESH = timedelta(minutes=1)
"""For how long an answer stands while newer traces come in."""
TRACES = 5
"""The newest traces of a finding among which one with both bodies is looked for."""
LISTED = 20
"""How many of what else would be hidden is named; how many there are stands beside it."""
FORGIVES = {"number": Kind.VALUE_CHANGED.value}
"""The kind of difference that a tolerance forgives, where it bears another name."""


@dataclass(frozen=True, slots=True)
class _Tried:
    """What trying found: `why` says in a sentence why there is no rule, or on what it was tried, `left` how many
    differences of the trace stay with it."""

    rule: Suggestion | None
    left: int
    why: str
    trace: str | None = None


class Covering:
    """Looks for rules, one at a time, and remembers what it found for as long as trace and rules are the same."""

    def __init__(self, evidence: Evidence, ids: Ids | None, now: Callable[[], datetime]) -> None:
        self._evidence = evidence
        self._ids = ids
        self._now = now
        self._one = asyncio.Semaphore(1)
        self._kept: OrderedDict[str, tuple[datetime, _Tried]] = OrderedDict()

    async def suggestion(self, finding: Finding) -> dict[str, Any]:
        """`rule` with what it would hide, or null and `why` there is none. Raises LedgerError."""
        if finding.path.startswith("$"):
            tried = await self._tried(finding)
        else:
            tried = _Tried(None, 0, "No rule of a body covers it: this difference stands beside the bodies.")
        return {
            "trace": tried.trace,
            "why": tried.why,
            "rule": None if tried.rule is None else await self._rule(finding, tried.rule, tried.left),
        }

    async def _trace(self, finding: Finding) -> Trace | None:
        """The newest one whose two bodies are kept, among the last few."""
        for one in await self._evidence.traces(finding=finding.id, limit=TRACES):
            trace = await self._evidence.ledger.trace(one.id)
            if trace is not None and trace.primary_body is not None and trace.shadow_body is not None:
                return trace
        return None

    async def _tried(self, finding: Finding) -> _Tried:
        async with self._one:
            now = self._now()
            at, found = self._kept.get(finding.id, (None, None))
            # The rules of one day are not those of the next.
            if found is not None and at is not None and now - at < FRESH and at.date() == now.date():
                return found
            trace = await self._trace(finding)
            if trace is None:
                return _Tried(None, 0, "No rule was tried: no trace of it is kept with the bodies of both sides.")
            if found is None or at is None or found.trace != trace.id or at.date() != now.date():
                found = replace(await self._try(finding, trace, now.astimezone(UTC).date()), trace=trace.id)
            self._kept[finding.id] = now, found
            self._kept.move_to_end(finding.id)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return found

    async def _try(self, finding: Finding, trace: Trace, today: date) -> _Tried:
        bodies = [(body or "").encode(errors="replace") for body in (trace.primary_body, trace.shadow_body)]
        if sum(map(len, bodies)) > MAX_BYTES:
            text = f"No rule was tried: the bodies of trace {trace.id} have more than {MAX_BYTES:,} bytes together."
            return _Tried(None, 0, f"{text} `shadowread compare` tries rules on two files.")
        domain = self._evidence.settings.domains.get(finding.domain)
        if domain is None or finding.route not in {route.route for route in domain.routes}:
            return _Tried(None, 0, f"No rule was tried: {finding.route} is no longer a route of {finding.domain}.")
        table = IdTable()
        if self._ids is not None:
            tokens = await asyncio.to_thread(tokens_of, bodies)
            try:
                table = await self._ids.lookup(tokens)
            except LedgerError:
                raise
            except ShadowreadError as error:
                return _Tried(None, 0, f"No rule was tried: the id map cannot be read: {error}.")
        layers = layers_text(self._evidence.settings.compare_layers(finding.domain, finding.route))
        found = await asyncio.to_thread(_look, bodies[0], bodies[1], layers, table, today, finding)
        if found is None:
            text = f"No rule was found: in what is kept of trace {trace.id} the rules of today find no such difference."
            return _Tried(None, 0, f"{text} Redaction may have hidden it, or the rules have changed.")
        if not found.rules:
            left_out = f" ({'; '.join(found.left_out)})" if found.left_out else ""
            if left_out:
                return _Tried(None, found.left, f"No rule was found on trace {trace.id}{left_out}.")
            return _Tried(
                None,
                found.left,
                f"No rule: a difference of kind {finding.kind.value} here is a difference of the data. "
                "It is never suggested to overlook it; repair it, or write a rule by hand.",
            )
        return _Tried(found.rules[0], found.left, f"Tried on trace {trace.id} under the rules of today.")

    async def _rule(self, finding: Finding, rule: Suggestion, left: int) -> dict[str, Any]:
        own = rule.pattern, rule.kind.value
        beside = sorted({(pattern_of(path), kind) for path, kind in rule.places} - {own})
        others = await self._covered(finding, rule)
        return {
            "yaml": as_yaml([rule]),
            "section": rule.section,
            "at": rule.at,
            "under": f"domains.{finding.domain}.routes: {finding.route}",
            "hides": rule.hides,
            "left": left,
            "beside": [{"path": path, "kind": kind} for path, kind in beside[:LISTED]],
            "beside_total": len(beside),
            "findings": [
                {
                    "id": one.id,
                    "route": one.route,
                    "path": one.path,
                    "kind": one.kind.value,
                    "exchanges": one.exchanges,
                    "same_route": one.route == finding.route,
                }
                for one in others[:LISTED]
            ],
            "findings_total": len(others),
        }

    async def _covered(self, finding: Finding, rule: Suggestion) -> Sequence[Finding]:
        """The other findings of the domain that the rule's path and kind speak of, those of its route first."""
        kinds = {Kind.ORDER_CHANGED.value} if rule.section == "order" else {rule.rule["kind"]}
        kinds |= {FORGIVES[kind] for kind in kinds if kind in FORGIVES}
        found = [
            one
            for one in await self._evidence.findings(finding.domain, limit=1_000)
            if one.id != finding.id
            and one.state is not FindingState.GONE
            and one.kind.value in kinds
            and covers(rule.at, one.path)
        ]
        return sorted(found, key=lambda one: one.route != finding.route)


def _look(
    primary: bytes, shadow: bytes, layers: str, table: IdTable, today: date, finding: Finding
) -> Suggestions | None:
    """None when the two bodies do not show the finding."""
    comparison = compare_bodies(primary, shadow, rules_of(layers, today), table, max_differences=MAX_DIFFERENCES)
    # The ledger has cut a long pattern; what it begins with tells it well enough.
    wanted = {
        pattern_of(one.path)
        for one in comparison.differences
        if one.kind is finding.kind and pattern_of(one.path).startswith(finding.path)
    }
    pattern = finding.path if finding.path in wanted else min(wanted, default=None)
    if pattern is None:
        return None
    return suggest(primary, shadow, json.loads(layers), table, comparison, today=today, only=(pattern, finding.kind))
