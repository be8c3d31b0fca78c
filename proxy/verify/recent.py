"""The requests that each domain was asked with last: what to read again where a domain is to be tried on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from proxy.model import ReadRequest

KEPT = 4
"""Requests of one route: a domain's routes may read different tables, and each is to be tried."""
LARGEST = 16 * 1024
"""Characters of a target and its header fields; a larger request is not kept."""


class Recent:
    """The last few different requests of each route. They bear credentials: in memory only, and never logged."""

    def __init__(self) -> None:
        self._by_domain: dict[str, dict[str, dict[str, ReadRequest]]] = {}

    def add(self, domain: str, route: str, request: ReadRequest) -> None:
        size = len(request.target) + sum(len(name) + len(value) for name, value in request.headers)
        if size > LARGEST:
            return
        kept = self._by_domain.setdefault(domain, {}).setdefault(route, {})
        kept.pop(request.target, None)
        kept[request.target] = request
        if len(kept) > KEPT:
            del kept[next(iter(kept))]

    def of(self, domain: str) -> Sequence[ReadRequest]:
        """One of each route in turn, the newest last."""
        routes = [list(kept.values()) for kept in self._by_domain.get(domain, {}).values()]
        rounds = zip_longest(*(reversed(kept) for kept in routes))
        return tuple(one for some in rounds for one in some if one is not None)[::-1]
