"""Gate decisions as annotations of GitHub Actions, which show beside the change and in the summary of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from proxy.cli.common import printable
from proxy.gate import GateResult

MOST = 4_000
"""Characters of one annotation; a longer one would be cut off by GitHub, in the middle of a reason."""
LEVELS = {"open": "notice", "closed": "error", "unknown": "error"}


def in_actions(environment: Mapping[str, str]) -> bool:
    """Whether this runs in a step of GitHub Actions."""
    return environment.get("GITHUB_ACTIONS") == "true"


def annotate(results: Iterable[GateResult]) -> Iterator[str]:
    """One workflow command a domain, each on a line of its own."""
    for result in results:
        if result.state == "open":
            flags = ", ".join(result.flags_to_change) or "no flag is written in the configuration"
            lines = [f"Its reads may flip: {flags}. To roll back: {result.rollback_plan}"]
        else:
            lines = [f"{one.name}: {one.reason}" for one in result.conditions if not one.ok]
        title = f"shadowread gate {result.domain}: {result.state}"
        yield f"::{LEVELS[result.state]} title={_property(title)}::{_data(_cut(lines))}"


def _cut(lines: list[str]) -> str:
    """As many whole lines as there is room for."""
    kept: list[str] = []
    for number, line in enumerate(lines):
        rest = f"and {len(lines) - number} more: shadowread gate shows them"
        if kept and sum(map(len, kept)) + len(kept) + len(line) + len(rest) > MOST:
            return "\n".join([*kept, rest])
        kept.append(printable(line)[:MOST])
    return "\n".join(kept)


def _data(text: str) -> str:
    """The escapes of a command's message."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """The escapes of a command's property, in which further signs have a meaning."""
    return _data(printable(text)).replace(":", "%3A").replace(",", "%2C")
