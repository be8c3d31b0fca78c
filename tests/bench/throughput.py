"""What was measured, as Markdown for the README and as JSON, and which targets were met. Pure."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from tests.bench.contenders import BARE, CONTENDERS, DEEPDIFF, MIRROR, NEW, NEW_TWO, OFF, SAME, SAME_TWO
from tests.bench.rounds import Measured, Round
from tests.bench.tables import short

LEGEND = (
    "Requests a second, medians of interleaved rounds; the proxy on one core, backends and wrk (32 connections) on the "
    "other, and so are comparison workers where it says so. Documents differ in every id. Verified: each request was "
    "answered by the primary, read from the twin, compared, and ended as a match (99 % at least, or the run fails). "
    "*No two alike*: each request has another answer; otherwise it is the same one time and again. ~: cannot verify as "
    "fast as it could serve; the highest rate at which everything was verified."
)
SHORT_OF_LOAD = 0.85
"""A proxy that used less of its core than this was not what held the load up."""


@dataclass(frozen=True, slots=True)
class Target:
    """`reached` of `bound` times; None when one of the two was not measured."""

    text: str
    bound: float
    reached: float | None

    @property
    def verdict(self) -> str:
        if self.reached is None:
            return "not measured"
        return f"{'met' if self.reached >= self.bound else 'missed'}: {short(self.reached)} times"


@dataclass(frozen=True, slots=True)
class Results:
    """`left_out` says why, by the title of the contender."""

    sizes: Sequence[int]
    measured: list[Measured]
    left_out: dict[str, str]

    def rounds(self, key: str, size: int) -> list[Round]:
        return [
            taken for one in self.measured if (one.contender.key, one.kilobytes) == (key, size) for taken in one.rounds
        ]

    def median(self, key: str, size: int, of: Callable[[Round], float]) -> float | None:
        rounds = self.rounds(key, size)
        return statistics.median(map(of, rounds)) if rounds else None

    def ratio(self, key: str, to: str, size: int) -> float | None:
        """How many times as many requests a second, median over the rounds, each pair of which ran side by side."""
        pairs = list(zip(self.rounds(key, size), self.rounds(to, size), strict=False))
        return statistics.median(one.rate / other.rate for one, other in pairs) if pairs else None

    def targets(self) -> list[Target]:
        found = [
            Target(f"verification off: 2 times bare aiohttp, {size} KB", 2, self.ratio(OFF, BARE, size))
            for size in (1, 10, 100)
        ]
        for said, on, two in (("verified", SAME, SAME_TWO), ("verified, no two alike", NEW, NEW_TWO)):
            found += [
                Target(f"{said}: nginx with `mirror`, 1 KB", 1, self.ratio(on, MIRROR, 1)),
                Target(f"{said}: half of nginx with `mirror`, 10 KB", 0.5, self.ratio(on, MIRROR, 10)),
                Target(f"{said}: a tenth of it, 100 KB", 0.1, self.ratio(on, MIRROR, 100)),
                Target(f"{said}: three tenths of it with a second core, 100 KB", 0.3, self.ratio(two, MIRROR, 100)),
                Target(f"{said}: 30 times mitmproxy with DeepDiff, 1 KB", 30, self.ratio(on, DEEPDIFF, 1)),
                Target(f"{said}: 100 times mitmproxy with DeepDiff, 10 KB", 100, self.ratio(on, DEEPDIFF, 10)),
            ]
        return found


def as_markdown(results: Results) -> str:
    titles = {each.key: each.title for each in CONTENDERS if any(results.rounds(each.key, s) for s in results.sizes)}
    heads = [f"{size} KB" for size in results.sizes]
    lines = [LEGEND, "", setting(), "", *_head(["requests a second", *heads])]
    lines += [_row([title, *(_rate(results, key, size) for size in results.sizes)]) for key, title in titles.items()]
    lines += [
        "",
        "Microseconds of processor time for each request; after + those that comparison workers take on another core:",
        "",
        *_head(["", *heads]),
    ]
    lines += [_row([title, *(_cost(results, key, size) for size in results.sizes)]) for key, title in titles.items()]
    lines += ["", *_head(["target", "reached"])]
    lines += [_row([target.text, target.verdict]) for target in results.targets()]
    lines += [f"\nLeft out: {title}: {why}." for title, why in results.left_out.items()]
    lines += [f"\nAt full speed, {one.overloaded}." for one in results.measured if one.overloaded]
    told = [(one, share) for one in results.measured if (share := _compared(one)) is not None]
    if told:
        shares = ", ".join(f"{_name(one)} {share:.1%}" for one, share in told)
        lines += [
            "",
            f"Pairs compared, of all (the others had been seen equal before): {shares}.",
        ]
    idle = [
        f"{_name(one)} {busy:.0%}"
        for one in results.measured
        if one.rounds
        and not one.rounds[-1].pause
        and (busy := statistics.median(taken.busy for taken in one.rounds)) < SHORT_OF_LOAD
    ]
    if idle:
        lines += ["", f"Held up by something else than their own core, of which they used: {', '.join(idle)}."]
    return "\n".join(lines)


def setting() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "uvloop"))
    return f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} processors, {libraries}."


def _name(one: Measured) -> str:
    return f"{one.contender.key} at {one.kilobytes} KB"


def _compared(one: Measured) -> float | None:
    shares = [taken.compared / taken.requests for taken in one.rounds if taken.compared is not None]
    return statistics.median(shares) if shares else None


def _rate(results: Results, key: str, size: int) -> str:
    rate = results.median(key, size, lambda taken: taken.rate)
    if rate is None:
        return "-"
    paced = any(taken.pause for taken in results.rounds(key, size))
    return f"{'~' if paced else ''}{short(rate)}"


def _cost(results: Results, key: str, size: int) -> str:
    own = results.median(key, size, lambda taken: taken.microseconds)
    apart = results.median(key, size, lambda taken: taken.microseconds_apart)
    if own is None:
        return "-"
    return short(own) + (f" + {short(apart)}" if apart is not None and apart >= 1 else "")


def _head(texts: Sequence[str]) -> list[str]:
    return [_row(texts), _row(["---"] * len(texts))]


def _row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def as_json(results: Results) -> dict[str, Any]:
    """Every round; rates in requests a second, times in seconds, `pause` in milliseconds."""
    return {
        "setting": setting(),
        "rounds": [
            {"contender": one.contender.key, "kilobytes": one.kilobytes, "rate": taken.rate, **asdict(taken)}
            for one in results.measured
            for taken in one.rounds
        ],
        "targets": [{**asdict(target), "met": _met(target)} for target in results.targets()],
        "left_out": results.left_out,
    }


def _met(target: Target) -> bool | None:
    return None if target.reached is None else target.reached >= target.bound
