"""axe-core on a page, and what it found in a form that tells where to look."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from playwright.async_api import Page

SCRIPT = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
RUN = "rules => axe.run(document, {resultTypes: ['violations'], ...rules}).then(found => found.violations)"
COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules whose answer depends on the colours alone."""
GRAVE = ("serious", "critical")
MOST_NODES = 5


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule of axe-core that a page breaks; `nodes` are selectors with what is wrong there."""

    rule: str
    impact: str
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        shown = "".join(f"\n    {node}" for node in self.nodes[:MOST_NODES])
        more = f"\n    and {len(self.nodes) - MOST_NODES} more" if len(self.nodes) > MOST_NODES else ""
        return f"{self.rule} ({self.impact}){shown}{more}"


async def violations(page: Page, *, colours_only: bool = False) -> list[Violation]:
    """All that axe-core objects to on the page as it is shown now; takes seconds on a page of a thousand rows."""
    # Evaluated through the debugger, so the page's policy neither forbids it nor has to be loosened for it.
    await page.evaluate(SCRIPT)
    told = await page.evaluate(RUN, {"runOnly": COLOURS} if colours_only else {})
    return [
        Violation(
            one["id"],
            one["impact"] or "minor",
            tuple(f"{node['target']}: {' '.join((node.get('failureSummary') or '').split())}" for node in one["nodes"]),
        )
        for one in told
    ]


def grave(found: list[Violation]) -> str:
    """The serious and critical ones as text; empty when there are none."""
    return "\n".join(str(one) for one in found if one.impact in GRAVE)
