"""The contenders of the isolation benchmark: which proxy a load goes through, what goes wrong meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.bench.isolation_documents import DIFFERING, LISTINGS, PAGES

Fault = Literal["postgres", "disk"]

STRAIGHT, OFF, ON, DEAD, HANGING, STORES, FULL = "", "off", "on", "dead", "hanging", "stores", "full"
"""The proxies, each a process of its own; without one the load goes straight to the primary."""

NEVER = 1_000_000


@dataclass(frozen=True, slots=True)
class Arm:
    """`pages` sends documents of 1 MB through the same proxy meanwhile. At least `share` of its exchanges must end in
    one of `verdicts`; there are none where nothing is verified."""

    name: str
    proxy: str
    verdicts: tuple[str, ...] = ()
    kind: str = LISTINGS
    pages: bool = False
    fault: Fault | None = None
    share: float = 0.99


NONE = Arm("no proxy", STRAIGHT)
PASSED = Arm("verification off", OFF)
VERIFIED = Arm("verification on", ON, ("match",))
PASSED_PAGES = Arm("verification off, 1 MB documents pass", OFF, pages=True)
VERIFIED_PAGES = Arm("verification on, 1 MB documents are verified", ON, ("match",), pages=True)
DEAD_TWIN = Arm("dead twin, breaker held closed", DEAD, ("shadow_error",))
HANGING_TWIN = Arm("hanging twin, breaker held closed", HANGING, ("shadow_error", "skipped:no_room"))
WRONG = Arm("verification on, 1 % differ", ON, ("match", "diff"), kind=DIFFERING)
FULL_DISK = Arm("full ledger, 1 % differ", FULL, ("match", "diff"), kind=DIFFERING, fault="disk")
POSTGRES = Arm(
    "Postgres hangs (id map and ledger)", STORES, ("shadow_error", "skipped:no_room"), fault="postgres", share=0.1
)

ARMS = (
    NONE,
    PASSED,
    VERIFIED,
    PASSED_PAGES,
    VERIFIED_PAGES,
    DEAD_TWIN,
    HANGING_TWIN,
    POSTGRES,
    WRONG,
    FULL_DISK,
)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the parts listen. `refusing` is a port that refuses connections."""

    primary: str
    twin: str
    hanging: str
    refusing: str
    postgres: str
    journals: str
    small_disk: str


def configuration(proxy: str, at: Addresses) -> dict[str, Any]:
    """What a proxy is started with: the defaults of the product but for what the contender needs.

    The breaker is held closed where the twin fails: open, it would spare the proxy the very trouble that is measured.
    """
    routes = {kind: {"routes": [f"GET /api/{kind}/{{number}}"]} for kind in (LISTINGS, DIFFERING, PAGES)}
    ids: dict[str, Any] = {"sources": [{"table": "id_map", "entity": "entity", "legacy": "legacy", "uuid": "uuid"}]}
    shadow: Mapping[str, Any] | None = {"url": at.twin}
    more: dict[str, Any] = {}
    match proxy:
        case "off":
            shadow = None
        case "dead":
            shadow = {"url": at.refusing, "breaker": {"failures": NEVER}}
        case "hanging":
            # The limit shorter than by default: what waits when the load is over is to end before the next round.
            shadow = {"url": at.hanging, "timeout": "1s", "breaker": {"failures": NEVER}}
        case "stores":
            # A cache that holds the ids of few documents, so that nearly each exchange needs Postgres.
            ids["cache"] = 500
            more["ledger"] = {"url": at.postgres, "journal": at.journals}
        case "full":
            more["ledger"] = {"url": f"sqlite:///{at.small_disk}/shadowread.db"}
    if shadow is not None:
        more["shadow"] = shadow
    return {"primary": {"url": at.primary}, "postgres": {"dsn": at.postgres}, "ids": ids, "domains": routes, **more}
