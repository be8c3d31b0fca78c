"""The requests that each domain was asked with last: what to read again where a domain is to be tried on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from proxy.model import ReadRequest

KEPT = 4
"""Requests of one route: a domain's routes may read different tables, and each is to be tried."""
EVERY = 16
"""Of the requests of a route that has enough, so many go by before one is taken."""
LARGEST = 16 * 1024
"""Characters of a target, its header fields and its body; a larger request is not kept."""


class Recent:
    """Different requests of each route, among the last. They bear credentials: in memory only, and never logged."""

    def __init__(self) -> None:
        self._by_domain: dict[str, dict[str, dict[str, ReadRequest]]] = {}
        self._passed = 0

    def add(self, domain: str, route: str, request: ReadRequest) -> None:
        """On the way of every exchange: where a route has enough, only one of `EVERY` costs more than a look."""
        kept = self._by_domain.setdefault(domain, {}).setdefault(route, {})
        if len(kept) >= KEPT:
            self._passed += 1
            if self._passed % EVERY:
                return
        bare = len(request.target) + len(request.body)
        if bare + sum(len(name) + len(value) for name, value in request.headers) > LARGEST:
            return
        kept.pop(request.target, None)
        kept[request.target] = request
        if len(kept) > KEPT:
            del kept[next(iter(kept))]

    def of(self, domain: str) -> Sequence[ReadRequest]:
        """One of each route in turn, the newest last."""
        routes = [list(kept.values()) for kept in self._by_domain.get(domain, {}).values()]
        rounds = zip_longest(*(reversed(kept) for kept in routes))
        return tuple(one for some in rounds for one in some if one is not None)[::-1]
