"""Which row a canary is put into, and which request shows that row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from comparators.ids import whole
from comparators.rules import compile_rules
from proxy.identity import Identity
from proxy.model import Headers, ReadRequest
from proxy.provenance.canary import Means, Trial
from proxy.provenance.fields import Place
from proxy.settings import RouteSettings, Settings
from proxy.settings.patterns import Part, parse_route

MAX_ROWS = 10
MAX_TRIALS = 3
"""Requests that are tried: not each route that names a row shows its field."""


async def choose(
    settings: Settings,
    domain: str,
    identity: Identity,
    means: Means,
    *,
    given: Sequence[ReadRequest] = (),
    headers: Headers = (),
) -> list[Trial]:
    """Up to `MAX_TRIALS` rows with requests that the shadow answers: of `given`, or of rows and detail routes.

    Raises FieldError and IdentityError.
    """
    made = settings.domains[domain].provenance.canary
    if made is None:
        return []
    place = Place.of(made)
    await means.fields.check(place)
    chosen: list[Trial] = []
    if given:
        wanted = [(request, ids) for request in given if (ids := _ids(settings, request))]
    else:
        rows = await means.fields.rows(place, MAX_ROWS)
        routes = _details(settings.domains[domain].routes, made.entity)
        wanted = [
            (ReadRequest("GET", _target(route, id_), headers), [row])
            for route in routes
            for row in rows
            # A client of the primary names it by the other store's id, most likely.
            for id_ in dict.fromkeys((await _partner(identity, row, made.entity), row))
        ]
    tried: set[str] = set()
    for request, ids in wanted:
        match = settings.router().match(request.method, request.target)
        if match is None or match.domain != domain or (not given and match.route in tried):
            continue
        row = await _row(means, place, identity, ids, made.entity)
        if row is None or not await _answered(means, domain, request):
            continue
        tried.add(match.route)
        layers = settings.compare_layers(domain, match.route)
        chosen.append(Trial(domain, place, row, request, compile_rules(layers, today=means.now().date())))
        if len(chosen) == MAX_TRIALS:
            break
    return chosen


async def _answered(means: Means, domain: str, request: ReadRequest) -> bool:
    seen = await means.reads.shadow_read(domain, request)
    return seen.error is None and seen.status is not None and 200 <= seen.status < 300


async def _row(means: Means, place: Place, identity: Identity, ids: Sequence[str], entity: str | None) -> str | None:
    """The first of these ids, or of their partners, that is the key of one row."""
    for id_ in ids:
        for key in dict.fromkeys((id_, await _partner(identity, id_, entity))):
            if await means.fields.has(place, key):
                return key
    return None


async def _partner(identity: Identity, id_: str, entity: str | None) -> str:
    """The other store's id of the same thing; the id itself where the map does not know it."""
    token = whole(id_)
    if token is None:
        return id_
    table = await identity.lookup([token])
    for pair in (*table.by_uuid.get(token, ()), *table.by_legacy.get(token, ())):
        if entity in (None, pair.entity):
            return pair.legacy if token == pair.uuid else pair.uuid
    return id_


def _ids(settings: Settings, request: ReadRequest) -> list[str]:
    """The values of the steps that the request's route names, the last one first."""
    match = settings.router().match(request.method, request.target)
    return [] if match is None else list(reversed(match.params.values()))


def _details(routes: Sequence[RouteSettings], entity: str | None) -> list[str]:
    """GET routes that name one thing: those that are said to name the canary's entity come first."""

    def rank(route: RouteSettings) -> int:
        named = set(route.sweep.entities.values()) if route.sweep is not None else set[str]()
        return 0 if entity in named else 1 if not named else 2

    return [route.route for route in sorted(routes, key=rank) if len(list(_steps(route.route))) == 1]


def _steps(route: str) -> Iterator[str]:
    pattern = parse_route(route)
    for segment in pattern.segments:
        if pattern.method != "GET" or segment.part is Part.REST:
            return
        if segment.part is Part.PARAM:
            yield segment.text


def _target(route: str, id_: str) -> str:
    steps = (id_ if step.part is Part.PARAM else step.text for step in parse_route(route).segments)
    return "/" + "/".join(quote(step, safe="") for step in steps)
