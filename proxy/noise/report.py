"""What an A/A run has found, gathered from its ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from comparators.rules import compile_rules
from proxy.ledger import DomainCounts, Finding, LedgerReader, RouteCounts
from proxy.model import SKIPS, Trace, Verdict
from proxy.noise.rules import Rule, Seen, as_yaml, fold, rule_for
from proxy.settings import Settings

MOST_FINDINGS = 1_000
MOST_PROOFS = 40
"""Noises for which a rule is tried on the kept bodies; the most frequent ones come first."""


@dataclass(frozen=True, slots=True)
class Noise:
    """One noise of a route, the trace that shows it, and the rule that would silence it or why there is none."""

    seen: Seen
    trace: str | None
    rule: Rule | None
    remark: str

    def as_json(self) -> dict[str, Any]:
        rule = None if self.rule is None else {"section": self.rule.section, "yaml": self.rule.text}
        return {
            "path": self.seen.path,
            "kind": self.seen.kind.value,
            "exchanges": self.seen.exchanges,
            "share": self.seen.share,
            "sample": {"primary": self.seen.primary, "shadow": self.seen.shadow},
            "trace": self.trace,
            "rule": rule,
            "remark": self.remark,
        }


@dataclass(frozen=True, slots=True)
class RouteNoise:
    """One route: how many comparisons there were, how many differed, and where."""

    route: str
    comparisons: int
    differed: int
    noise: tuple[Noise, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "route": self.route,
            "comparisons": self.comparisons,
            "differed": self.differed,
            "noise": [one.as_json() for one in self.noise],
        }


@dataclass(frozen=True, slots=True)
class DomainNoise:
    """One domain; `failed` counts second reads that failed, `skipped` exchanges that were not compared."""

    domain: str
    observed: int
    comparisons: int
    failed: int
    skipped: int
    routes: tuple[RouteNoise, ...]

    @property
    def noisy(self) -> bool:
        return any(route.differed for route in self.routes)

    def as_json(self) -> dict[str, Any]:
        return {
            "domain": self.domain,
            "observed": self.observed,
            "comparisons": self.comparisons,
            "failed": self.failed,
            "skipped": self.skipped,
            "noisy": self.noisy,
            "routes": [route.as_json() for route in self.routes],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The whole run. `yaml` holds the suggested rules, ready to be pasted; empty where there is none."""

    domains: tuple[DomainNoise, ...]
    yaml: str

    def as_json(self) -> dict[str, Any]:
        return {"domains": [domain.as_json() for domain in self.domains], "rules": self.yaml}


async def report_of(settings: Settings, ledger: LedgerReader, today: date | None = None) -> Report:
    """Read what the run with `settings` (those of `aa_settings`) has left. Raises LedgerError.

    `today` decides which rules have expired, as in the comparison.
    """
    counts = await ledger.domains()
    proofs = MOST_PROOFS
    domains: list[DomainNoise] = []
    rules: dict[tuple[str, str], list[Rule]] = {}
    headers: dict[tuple[str, str], Sequence[str]] = {}
    for name, domain in settings.domains.items():
        if domain.stage == "off":
            continue
        count = counts.get(name)
        findings = await ledger.findings(name, limit=MOST_FINDINGS) if count is not None else []
        made: list[RouteNoise] = []
        for route in domain.routes:
            key = (name, route.route)
            own = None if count is None else count.routes.get(route.route)
            noise: list[Noise] = []
            layers = settings.compare_layers(*key)
            for finding in (one for one in findings if one.route == route.route):
                trace = None
                if proofs and finding.last_trace is not None:
                    proofs -= 1
                    trace = await ledger.trace(finding.last_trace)
                noise.append(await asyncio.to_thread(_noise, finding, own, layers, trace, today))
            rules[key] = list(dict.fromkeys(one.rule for one in noise if one.rule is not None))
            headers[key] = compile_rules(layers, today=today).headers
            made.append(_route(route.route, own, noise))
        domains.append(_domain(name, count, made))
    compared = [(domain.domain, route.route) for domain in domains for route in domain.routes if route.comparisons]
    return Report(tuple(domains), as_yaml(fold(rules, compared), headers))


def _noise(
    finding: Finding,
    counts: RouteCounts | None,
    layers: Sequence[Mapping[str, Any]],
    trace: Trace | None,
    today: date | None,
) -> Noise:
    comparisons = 0 if counts is None else counts.comparisons
    seen = Seen(
        finding.path, finding.kind, finding.exchanges, comparisons, finding.sample_primary, finding.sample_shadow
    )
    bodies = None
    if trace is not None and trace.primary_body is not None and trace.shadow_body is not None:
        bodies = trace.primary_body, trace.shadow_body
    rule, remark = rule_for(seen, layers, bodies, today)
    return Noise(seen, finding.last_trace, rule, remark)


def _route(route: str, counts: RouteCounts | None, noise: Sequence[Noise]) -> RouteNoise:
    if counts is None:
        return RouteNoise(route, 0, 0, tuple(noise))
    return RouteNoise(route, counts.comparisons, counts.verdicts.get(Verdict.DIFF, 0), tuple(noise))


def _domain(name: str, counts: DomainCounts | None, routes: Sequence[RouteNoise]) -> DomainNoise:
    if counts is None:
        return DomainNoise(name, 0, 0, 0, 0, tuple(routes))
    skipped = sum(counts.verdicts.get(verdict, 0) for verdict in SKIPS)
    return DomainNoise(name, counts.observed, counts.comparisons, counts.failures, skipped, tuple(routes))
