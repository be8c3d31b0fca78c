"""What to fix first: of all closed gates the one behind which the most evidence is lost. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from proxy.gate.result import Condition


def fix_first(domains: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """An entry of the domains object, None where every gate that is watched is open.

    The weight of a domain is how many of its exchanges speak against it: all that were compared while it is unproven,
    otherwise those that differed or failed. Where none has any, what is nearest to open comes first, which is the
    domain with the fewest reasons.
    """
    closed = [one for one in domains if one["gate"] != "open" and one["stage"] != "off"]
    return max(closed, key=lambda one: (weight(one), -len(one["reasons"])), default=None)


def reason(domain: Mapping[str, Any], conditions: Iterable[Condition]) -> str:
    """Why that domain is the first: what its weight is of, else the first condition of its gate that does not hold."""
    failing = {one.name: one.reason for one in conditions if not one.ok}
    diffs = domain["verdicts"]["diff"]
    if domain["provenance"] == "unproven":
        ahead = ["provenance"]
    elif weight(domain) > 2 * diffs:
        ahead = ["failures", "diffs"]
    else:
        ahead = ["diffs", "upper_bound", "failures"] if diffs else []
    # What is not written down is wrong everywhere, whatever the other figures say.
    return next((failing[name] for name in ("recording", *ahead, *failing) if name in failing), "The gate is closed.")


def weight(domain: Mapping[str, Any]) -> int:
    """How many exchanges of the window speak against the domain."""
    if domain["provenance"] == "unproven":
        return int(domain["comparisons"])
    verdicts = domain["verdicts"]
    return int(verdicts["diff"] + verdicts["shadow_error"] + verdicts["lost"])
