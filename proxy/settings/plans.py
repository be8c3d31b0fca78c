"""From the configuration of a route to what its readers are to do."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.direct.plans import MongoPlan, PostgresPlan
from proxy.model import Side
from proxy.settings.model import RouteSettings, Settings


def reader_plan(settings: Settings, domain: str, route: str, side: Side) -> PostgresPlan | MongoPlan | None:
    """What reads `side` of `route` from a store; None where the backend of that side is asked.

    KeyError when `domain` has no such route.
    """
    return _plan(settings.route_of(domain, route), side)


def reader_plans(settings: Settings) -> Iterator[tuple[str, Side, PostgresPlan | MongoPlan]]:
    """Every plan of the configuration with its domain and side, whatever the domain's stage."""
    for name, domain in settings.domains.items():
        for route in domain.routes:
            for side in Side:
                if plan := _plan(route, side):
                    yield name, side, plan


def _plan(route: RouteSettings, side: Side) -> PostgresPlan | MongoPlan | None:
    reader = route.reader(side)
    return reader.plan(route.route) if reader else None
