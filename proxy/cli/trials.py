"""One request asked on both sides of a route, and the verdict that its rules give. Nothing is recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from comparators.decode import Unparseable, decode
from comparators.ids import IdTable
from comparators.model import Comparison, Difference
from comparators.shown import shorten
from proxy.cli.known_ids import Target
from proxy.identity import Identity, IdentityError
from proxy.model import Headers, Observation, ReadRequest, Side, Verdict
from proxy.settings import Settings
from proxy.verify.case import RouteFacts
from proxy.verify.id_map import with_map_faults
from proxy.verify.judge import failure_text, primary_verdict, shadow_failed
from proxy.verify.redact import Redactor
from proxy.verify.requests import read_request
from proxy.verify.translation import ids_of, translated
from proxy.verify.work import Job, compare, response_of, rules_of, tokens_of

MAX_FOUND = 6
"""Things that one side has and that the other is asked for, until it has one too."""
MAX_DIFFERENCES = 20
_REFUSED = (401, 403)
_FAILURE = 400


@dataclass(frozen=True, slots=True)
class SideSeen:
    """What one side of a trial answered, shortened and redacted. `reader` is http, postgres or mongo."""

    reader: str
    status: int | None
    body: Any
    cut: bool
    detail: str

    def as_json(self) -> dict[str, Any]:
        return {
            "reader": self.reader,
            "status": self.status,
            "body": self.body,
            "cut": self.cut,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """One request and what became of it. `request` bears credentials and is never shown.

    `found` says whether the direct reader found what was asked for, `refused` whether a backend wants to know who asks,
    `faults` what a direct reader failed with.
    """

    request: ReadRequest
    target: str
    entity: str
    primary: SideSeen
    shadow: SideSeen
    verdict: Verdict
    detail: str
    found: bool
    refused: bool
    faults: tuple[tuple[Side, str], ...]
    differences: tuple[Difference, ...] = ()
    total: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "method": self.request.method,
            "target": self.target,
            "entity": self.entity,
            "verdict": self.verdict.value,
            "detail": self.detail,
            "primary": self.primary.as_json(),
            "shadow": self.shadow.as_json(),
            "differences": [one.as_json() for one in self.differences],
            "total": self.total,
        }


@dataclass(frozen=True, slots=True)
class RouteReaders:
    """Who answers for each side of a route. `found` is the status of a direct read that found something."""

    route: str
    facts: RouteFacts
    kinds: Mapping[Side, str]
    found: Mapping[Side, int]

    @property
    def direct(self) -> Side:
        """The side that is asked first, as it costs the least: a store."""
        return Side.SHADOW if Side.SHADOW in self.found else Side.PRIMARY


class Trials:
    """Asks both sides. `headers` are those of the caller that the backend is to see, and are never shown."""

    def __init__(
        self, settings: Settings, identity: Identity, redactor: Redactor, *, headers: Headers, today: date
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._redactor = redactor
        self._headers = headers
        self._today = today

    async def run(self, route: RouteReaders, targets: Sequence[Target]) -> Trial:
        """Ask for the first of `targets` (there is at least one) that both sides have, else for the likeliest."""
        method = route.route.partition(" ")[0]
        first = route.direct
        other = Side.PRIMARY if first is Side.SHADOW else Side.SHADOW
        best: tuple[Target, dict[Side, Observation]] | None = None
        had = 0
        for target in targets:
            seen = {first: await self._ask(route, first, method, target)}
            failed, found = seen[first].error is not None, seen[first].status == route.found[first]
            if best is not None and not found and not failed:
                continue
            seen[other] = await self._ask(route, other, method, target)
            status = seen[other].status
            both = found and status is not None and status < _FAILURE
            if best is None or failed or both or (found and had == 0):
                best = target, seen
            had += found
            if both or failed or status is None or status in _REFUSED or had >= MAX_FOUND:
                break
        assert best is not None  # noqa: S101 - there is a target
        return await self._judged(route, method, *best)

    async def _ask(self, route: RouteReaders, side: Side, method: str, target: Target) -> Observation:
        request = read_request(method, target.text, self._headers)
        facts = route.facts
        if side is Side.SHADOW and facts.translate is not None and (wanted := ids_of(request)):
            try:
                request = translated(request, await self._identity.lookup(wanted), facts.translate).request
            except IdentityError as error:
                return Observation(side, error="id_map", detail=f"the id map could not be read: {error}")
        reader = facts.primary if side is Side.PRIMARY else facts.shadow
        return await reader.read(request, self._settings.shadow.timeout)

    async def _judged(
        self, route: RouteReaders, method: str, target: Target, seen: Mapping[Side, Observation]
    ) -> Trial:
        primary, shadow = seen[Side.PRIMARY], seen[Side.SHADOW]
        direct = seen[route.direct]
        trial = Trial(
            request=read_request(method, target.text, self._headers),
            target=self._redactor.target(target.text),
            entity=target.entity,
            primary=self._side(route, primary),
            shadow=self._side(route, shadow),
            verdict=Verdict.MATCH,
            detail="",
            found=direct.status == route.found[route.direct],
            refused=any(one.status in _REFUSED for side, one in seen.items() if side not in route.found),
            faults=tuple((side, failure_text(one)) for side, one in seen.items() if one.error and side in route.found),
        )
        if (early := primary_verdict(primary)) is not None:
            return replace(trial, verdict=early, detail=failure_text(primary))
        if shadow_failed(shadow):
            return replace(trial, verdict=Verdict.SHADOW_ERROR, detail=failure_text(shadow))
        try:
            result = await self._compare(route, method, primary, shadow)
        except IdentityError as error:
            return replace(trial, verdict=Verdict.SHADOW_ERROR, detail=f"the id map could not be read: {error}")
        if result.equal:
            return trial
        hidden = self._redactor.differences(result.differences[:MAX_DIFFERENCES])
        return replace(
            trial,
            verdict=Verdict.DIFF,
            differences=tuple(
                one._replace(primary=shorten(one.primary)[0], shadow=shorten(one.shadow)[0]) for one in hidden
            ),
            total=result.total,
        )

    async def _compare(self, route: RouteReaders, method: str, primary: Observation, shadow: Observation) -> Comparison:
        layers = route.facts.layers
        rules = rules_of(layers, self._today)
        texts = [primary.body or b"", shadow.body or b""]
        texts += [value for one in (primary, shadow) for _, value in one.headers]
        wanted = tokens_of(texts) if rules.ids != "exact" else set()
        table = await self._identity.lookup(wanted) if wanted else IdTable()
        job = Job(
            response_of(primary),
            response_of(shadow),
            layers,
            self._today,
            table,
            head_only=method == "HEAD",
            max_depth=self._settings.limits.depth,
            max_differences=self._settings.limits.differences,
        )
        comparison = compare(job)
        return comparison if table.one_to_one else with_map_faults(comparison, table, (), named=rules.entities)

    def _side(self, route: RouteReaders, seen: Observation) -> SideSeen:
        text, why = self._redactor.body(seen.body)
        value, cut = shorten(None if not text else decode(text.encode(errors="surrogatepass")))
        if isinstance(value, Unparseable):
            value, cut = None, False
        told = failure_text(seen) if seen.error else seen.detail
        return SideSeen(
            route.kinds[seen.side], seen.status, value, cut or bool(why), "; ".join(filter(None, (told, why)))
        )
