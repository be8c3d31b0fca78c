"""What was measured, as text for a terminal, as Markdown for the README and as JSON; and which targets were met."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from tests.bench.documents import ALL_DIFFER, EQUAL, ONE_DIFFERS, REORDERED
from tests.bench.timing import DEEP, DEEP_ANY, FLOOR, JSONDIFF, OURS, Cell, Peak

CONTENDERS = (OURS, DEEP, DEEP_ANY, JSONDIFF)
LEGEND = (
    "Multiples of the floor: parsing both bodies with orjson and asking `==`. Processor time, medians of one "
    "interleaved run. `ignore_order` is DeepDiff with that option on. Floor, DeepDiff and jsondiff know no ids and no "
    "tolerances."
)
_WIDTHS = (36, 7, 10, 12, 10, 14, 10, 10, 14)


@dataclass(frozen=True, slots=True)
class Target:
    """What was to be reached, the worst figure seen and where; `worst` and `met` are None when nothing was measured."""

    text: str
    worst: float | None
    where: str
    met: bool | None

    def verdict(self) -> str:
        if self.worst is None:
            return "not measured"
        return f"{'met' if self.met else 'missed'} (at worst {short(self.worst)}, {self.where})"


@dataclass(frozen=True, slots=True)
class Results:
    cells: Sequence[Cell]
    peaks: Sequence[Peak]

    def sizes(self) -> dict[str, int]:
        """The bytes of the primary's plain body, by size."""
        return {cell.size: cell.length for cell in self.cells if cell.pair == EQUAL}

    def by_pair(self) -> dict[str, list[Cell]]:
        names = dict.fromkeys(cell.pair for cell in self.cells)
        return {name: [cell for cell in self.cells if cell.pair == name] for name in names}

    def targets(self) -> list[Target]:
        memory = [(peak.ours, f"{peak.pair}, {peak.size}") for peak in self.peaks]
        faster = "at least 50 times faster than DeepDiff"
        return [
            _target(f"{EQUAL}: at most 2 times the floor", max, 2, self._ratios(OURS, FLOOR, EQUAL)),
            _target(f"{ONE_DIFFERS}: at most 5 times the floor", max, 5, self._ratios(OURS, FLOOR, ONE_DIFFERS)),
            _target(f"{ALL_DIFFER}: {faster}", min, 50, self._ratios(DEEP, OURS, ALL_DIFFER)),
            _target(f"reordered: {faster}", min, 50, self._ratios(DEEP, OURS, *REORDERED)),
            _target(
                f"reordered: {faster} with ignore_order=True",
                min,
                50,
                self._ratios(DEEP_ANY, OURS, *REORDERED),
            ),
            _target("memory: at most 12 times the larger body", max, 12, memory),
        ]

    def notes(self) -> list[str]:
        """Why there are dashes, said once for each contender, size and reason."""
        said = [(who, cell.size, why) for cell in self.cells for who, why in cell.forgone.items()]
        return [
            f"{who} at {size}, {said.count((who, size, why))} pairs: {why}" for who, size, why in dict.fromkeys(said)
        ]

    def _ratios(self, of: str, to: str, *names: str) -> list[tuple[float, str]]:
        found = [(cell.ratio(of, to), cell) for cell in self.cells if cell.pair in names]
        told = "{0.size}" if len(names) == 1 else "{0.pair}, {0.size}"
        return [(ratio, told.format(cell)) for ratio, cell in found if ratio is not None]


def _target(
    text: str,
    worst_of: Callable[[Iterable[tuple[float, str]]], tuple[float, str]],
    bound: float,
    seen: list[tuple[float, str]],
) -> Target:
    """`worst_of` is `max` where figures are to stay at or under `bound`, `min` where they are to be at or over it."""
    if not seen:
        return Target(text, None, "", None)
    figure, where = worst_of(seen)
    return Target(text, figure, where, worst_of([(figure, ""), (bound, "")])[0] == bound)


def short(value: float | None) -> str:
    """As many digits as mean something; `-` for what was not measured."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def span(values: Iterable[float | None]) -> str:
    """The least and the most of what was measured."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return "-"
    low, high = short(known[0]), short(known[-1])
    return low if low == high else f"{low} to {high}"


def setting(results: Results) -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("orjson", "deepdiff", "jsondiff"))
    lengths = ", ".join(f"{size} = {length:,}" for size, length in results.sizes().items())
    return (
        f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} processors, {libraries}; "
        f"bytes of the primary's body: {lengths}."
    )


def as_text(results: Results) -> str:
    heads = ("pair", "size", "floor us", OURS, DEEP, "ignore_order", JSONDIFF, "x faster", "ignore_order")
    lines = [
        setting(results),
        LEGEND,
        "x faster: how many times faster than DeepDiff, and than DeepDiff with ignore_order=True.",
        "",
        _columns(heads),
    ]
    for name, cells in results.by_pair().items():
        for cell in cells:
            floor = cell.median(FLOOR)
            figures = [floor and floor * 1e6, *(cell.ratio(each, FLOOR) for each in CONTENDERS)]
            figures += [cell.ratio(DEEP, OURS), cell.ratio(DEEP_ANY, OURS)]
            texts = [short(figure) for figure in figures]
            if name not in REORDERED:
                texts[3] = texts[6] = ""
            lines.append(_columns((name, cell.size, *texts)))
    lines += ["", "-: not timed", *results.notes()] if results.notes() else []
    lines += ["", "Most memory held during one call, as multiples of the larger body"]
    lines += [f"{p.pair:36}{p.size:>7}   {OURS} {short(p.ours):>5}   floor {short(p.floor):>5}" for p in results.peaks]
    lines += ["", "Targets", *(f"{target.text}: {target.verdict()}" for target in results.targets())]
    return "\n".join(lines)


def _columns(texts: Sequence[str]) -> str:
    first, *rest = texts
    return first.ljust(_WIDTHS[0]) + "".join(text.rjust(width) for text, width in zip(rest, _WIDTHS[1:], strict=True))


def as_markdown(results: Results) -> str:
    sizes = list(results.sizes())
    lines = [LEGEND, setting(results), ""]
    lines += _head(["pair", *sizes, DEEP, JSONDIFF, "times faster than DeepDiff"])
    for name, cells in results.by_pair().items():
        ours = {cell.size: short(cell.ratio(OURS, FLOOR)) for cell in cells}
        deep, faster = (span(cell.ratio(DEEP, to) for cell in cells) for to in (FLOOR, OURS))
        if name in REORDERED:
            deep += f"; `ignore_order` {span(cell.ratio(DEEP_ANY, FLOOR) for cell in cells)}"
            faster += f"; `ignore_order` {span(cell.ratio(DEEP_ANY, OURS) for cell in cells)}"
        other = span(cell.ratio(JSONDIFF, FLOOR) for cell in cells)
        lines.append(_row([name, *(ours[size] for size in sizes), deep, other, faster]))
    floors = ", ".join(f"{_floors(results.cells, size)} at {size}" for size in sizes)
    lines += ["", f"The floor in microseconds: {floors}."]
    lines += [f"Not timed: {note}." for note in results.notes()]
    if results.peaks:
        lines += [
            "",
            f"Most memory held during one call at {results.peaks[0].size}, as multiples of the larger body:",
            "",
        ]
        lines += _head(["pair", OURS, "floor"])
        lines += [_row([peak.pair, short(peak.ours), short(peak.floor)]) for peak in results.peaks]
    lines += ["", *_head(["target", "reached"])]
    lines += [_row([target.text, target.verdict()]) for target in results.targets()]
    return "\n".join(lines)


def _floors(cells: Sequence[Cell], size: str) -> str:
    """Microseconds of the floor, over all pairs of a size."""
    known = [median for cell in cells if cell.size == size and (median := cell.median(FLOOR)) is not None]
    return span(median * 1e6 for median in known)


def _head(texts: Sequence[str]) -> list[str]:
    return [_row(texts), _row(["---"] * len(texts))]


def _row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def as_json(results: Results) -> dict[str, Any]:
    """Times in seconds, ratios as numbers, null for what was not timed."""
    return {
        "setting": setting(results),
        "bytes": results.sizes(),
        "rows": [
            {
                "pair": cell.pair,
                "size": cell.size,
                "floor_seconds": cell.median(FLOOR),
                "multiples": {name: cell.ratio(name, FLOOR) for name in CONTENDERS},
                "faster_than": {name: cell.ratio(name, OURS) for name in (DEEP, DEEP_ANY, JSONDIFF)},
                "calls": {name: len(taken) for name, taken in cell.times.items()},
                "not_timed": cell.forgone,
            }
            for cell in results.cells
        ],
        "memory": [asdict(peak) for peak in results.peaks],
        "targets": [asdict(target) for target in results.targets()],
    }
