"""What the isolation benchmark found, as Markdown and as plain data, with the targets and whether they were met."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.bench.isolation_arms import (
    ARMS,
    DEAD_TWIN,
    FULL_DISK,
    HANGING_TWIN,
    NONE,
    PASSED,
    PASSED_PAGES,
    POSTGRES,
    VERIFIED,
    VERIFIED_PAGES,
    WRONG,
    Arm,
)
from tests.bench.isolation_figures import Estimate, Round, added, estimate, over, pooled, quantile, ratio
from tests.bench.isolation_rounds import Pace, Saturated

MEDIAN, P99, P999 = 0.5, 0.99, 0.999
ADDED_MEDIAN, ADDED_P99 = 0.5, 2.0
BY_VERIFYING, BY_TROUBLE = 1.1, 1.2
AT_SATURATION = 0.8
LATE = 1.0
"""Milliseconds by which one request in a hundred may leave late; of a later load nothing can be said."""

HELD = (
    (VERIFIED, PASSED, BY_VERIFYING),
    (VERIFIED_PAGES, PASSED_PAGES, BY_TROUBLE),
    (VERIFIED_PAGES, VERIFIED, BY_TROUBLE),
    (DEAD_TWIN, VERIFIED, BY_TROUBLE),
    (HANGING_TWIN, VERIFIED, BY_TROUBLE),
    (POSTGRES, VERIFIED, BY_TROUBLE),
    (FULL_DISK, WRONG, BY_TROUBLE),
)
"""Whose 99th percentile may be how many times that of which other."""


@dataclass(frozen=True, slots=True)
class Target:
    text: str
    bound: str
    figure: str
    met: bool


@dataclass(slots=True)
class Results:
    """Rounds by contender, one of each for every pass; rounds at full speed by `on` and `off`."""

    pace: Pace
    urgent: bool
    ahead: bool = False
    rounds: dict[Arm, list[Round]] = field(default_factory=dict)
    saturated: dict[str, list[Saturated]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def faults(self) -> list[str]:
        """Why the figures cannot be believed."""
        late = self.lateness()
        if late > LATE:
            return [f"the load itself was {late:.2f} ms late (median over the rounds of the 99th percentile)"]
        return []

    def lateness(self) -> float:
        """Of the load that goes straight to the backend: behind a slow proxy, requests wait for a connection."""
        rounds = self.rounds.get(NONE) or [one for some in self.rounds.values() for one in some]
        return statistics.median(quantile(one.lags, P99) for one in rounds)

    def targets(self) -> list[Target]:
        found = []
        for arm in (PASSED, VERIFIED):
            for share, name, bound in ((MEDIAN, "median", ADDED_MEDIAN), (P99, "99th percentile", ADDED_P99)):
                if arm in self.rounds and NONE in self.rounds:
                    more = added(self.rounds[arm], self.rounds[NONE], share)
                    text = f"{arm.name}: added to the {name} of no proxy"
                    found.append(Target(text, f"at most {bound:g} ms", _span(more, " ms"), more.value <= bound))
        for arm, base, bound in HELD:
            if arm in self.rounds and base in self.rounds:
                times = ratio(self.rounds[arm], self.rounds[base], P99)
                text = f"{arm.name}: 99th percentile against {base.name}"
                found.append(Target(text, f"at most {bound:g} times", _span(times, ""), times.value <= bound))
        if self.saturated:
            kept = self.kept()
            text = "at full speed: requests a second, verification on against off"
            met = kept.value >= AT_SATURATION
            found.append(Target(text, f"at least {AT_SATURATION:g} times", _span(kept, ""), met))
        return found

    def kept(self) -> Estimate:
        pairs = zip(self.saturated["on"], self.saturated["off"], strict=True)
        return estimate([on.rate / off.rate if off.rate else 0.0 for on, off in pairs])


def as_markdown(results: Results) -> str:
    pace = results.pace
    passes = max((len(some) for some in results.rounds.values()), default=0)
    timed = round(pace.rate * (pace.seconds - pace.warmup))
    lines = [
        f"Milliseconds from the moment a request was due to its last byte, at {pace.rate:g} requests a second of 10 KB "
        f"each. Medians over {passes} interleaved passes of {timed:,} timed requests, in brackets the bounds between "
        "which they lie with 95 % confidence; p99.9 of all passes together. 1 MB documents: "
        f"{pace.pages:g} a second.",
        "",
        _row(["", "median", "p99", "p99.9", "p99 to verification off", "p99 to verification on", "core", "ended as"]),
        _row(["---", *["---:"] * 6, "---"]),
    ]
    lines += [_line(results, arm) for arm in ARMS if arm in results.rounds]
    lines += [
        "",
        f"The load left {results.lateness():.2f} ms late at most in 99 of 100 cases, which is in all figures.",
    ]
    if not results.urgent:
        lines.append("Load and backends ran at the usual priority: this account may not give them a higher one.")
    if results.ahead:
        lines.append("The proxies went before all other work on the machine (--ahead).")
    lines += [f"Left out: {name}, because {why}." for name, why in results.left_out.items()]
    if results.saturated:
        lines += [
            "",
            _row(["at full speed", "requests a second", "core", "ended as"]),
            _row(["---", "---:", "---:", "---"]),
        ]
        for name, some in results.saturated.items():
            rate = estimate([one.rate for one in some])
            busy = statistics.median(one.busy for one in some)
            text = f"{rate.value:,.0f} ({rate.low:,.0f} to {rate.high:,.0f})"
            lines.append(_row([f"verification {name}", text, f"{busy:.0%}", _ended(one.verdicts for one in some)]))
    lines += ["", _row(["target", "", "reached", ""]), _row(["---", "---", "---", "---"])]
    lines += [_row([one.text, one.bound, one.figure, "met" if one.met else "**missed**"]) for one in results.targets()]
    return "\n".join(lines)


def as_json(results: Results) -> dict[str, Any]:
    """Milliseconds; every round of every contender."""
    return {
        "pace": asdict(results.pace),
        "rounds": {
            arm.name: [
                {"median": one.at(MEDIAN), "p99": one.at(P99), "p99.9": one.at(P999), "most": one.latencies[-1]}
                | {"requests": len(one.latencies), "late_p99": quantile(one.lags, P99)}
                | {"busy": one.busy, "verdicts": dict(one.verdicts)}
                for one in some
            ]
            for arm, some in results.rounds.items()
        },
        "saturated": {name: [asdict(one) for one in some] for name, some in results.saturated.items()},
        "left_out": results.left_out,
        "targets": [asdict(one) for one in results.targets()],
        "faults": results.faults(),
    }


def _line(results: Results, arm: Arm) -> str:
    rounds = results.rounds[arm]
    against = [
        _span(ratio(rounds, results.rounds[base], P99), "") if base in results.rounds and base is not arm else ""
        for base in (PASSED, VERIFIED)
    ]
    shares = [one.busy for one in rounds if one.busy is not None]
    core = f"{statistics.median(shares):.0%}" if shares else ""
    figures = [_span(over(rounds, share), "") for share in (MEDIAN, P99)]
    return _row(
        [arm.name, *figures, f"{pooled(rounds, P999):.2f}", *against, core, _ended(one.verdicts for one in rounds)]
    )


def _ended(verdicts: Iterable[Mapping[str, int]]) -> str:
    total: Counter[str] = Counter()
    for some in verdicts:
        total.update(some)
    whole = sum(total.values())
    return ", ".join(f"{name} {count / whole:.1%}" for name, count in total.most_common())


def _span(one: Estimate, unit: str) -> str:
    return f"{one.value:.2f}{unit} ({one.low:.2f} to {one.high:.2f})"


def _row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"
