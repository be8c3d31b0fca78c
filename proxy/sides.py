"""Who reads each side of each route: the backends over HTTP, or a store, each opened once."""

from __future__ import annotations

from contextlib import AsyncExitStack

from proxy.direct.plans import MongoPlan, PostgresPlan
from proxy.identity import Identity
from proxy.model import Side
from proxy.readers.client import HttpClient
from proxy.readers.http import HttpReader
from proxy.readers.mongo import MongoReader, MongoStore
from proxy.readers.postgres import PostgresReader, PostgresStore
from proxy.readers.serving import Reader
from proxy.settings import Settings, reader_plan
from proxy.settings.patterns import Part
from proxy.settings.routes import Claim
from proxy.verify.breaker import Breaker
from proxy.verify.case import RouteFacts
from proxy.verify.work import layers_text

MAX_CLIENT_CONNECTIONS = 10_000
MAX_IDLE = 256


class Sides:
    """The readers of every route. Open with `open`; what was opened is closed by the stack."""

    def __init__(self, settings: Settings, identity: Identity) -> None:
        self._settings = settings
        self._identity = identity
        self.backend: HttpClient | None = None
        """The primary's backend; None where every route is answered by a store."""
        self._twin: HttpClient | None = None
        self._postgres: PostgresStore | None = None
        self._mongo: MongoStore | None = None
        self._breakers: dict[object, Breaker] = {}

    @classmethod
    async def open(cls, settings: Settings, identity: Identity, stack: AsyncExitStack) -> Sides:
        """Open what the configuration names. Servers that are away are no error: readers connect when they read."""
        sides = cls(settings, identity)
        if settings.primary.url is not None:
            sides.backend = HttpClient(
                settings.primary.url,
                connect_timeout=settings.primary.connect_timeout,
                idle_timeout=settings.primary.idle_timeout,
                max_connections=MAX_CLIENT_CONNECTIONS,
                max_idle=MAX_IDLE,
            )
            stack.push_async_callback(sides.backend.close)
        if settings.shadow.url is not None:
            sides._twin = HttpClient(
                settings.shadow.url,
                connect_timeout=settings.shadow.connect_timeout,
                idle_timeout=settings.shadow.timeout,
                max_connections=settings.shadow.max_concurrency,
                max_idle=settings.shadow.max_concurrency,
            )
            stack.push_async_callback(sides._twin.close)
        plans = [sides._plan(claim, side) for claim in settings.claims() for side in Side]
        if settings.postgres is not None and any(isinstance(plan, PostgresPlan) for plan in plans):
            sides._postgres = PostgresStore(
                settings.postgres.dsn.get_secret_value(),
                connections=settings.postgres.connections,
                statement_timeout=settings.postgres.statement_timeout,
                lock_timeout=settings.postgres.lock_timeout,
            )
            await sides._postgres.start()
            stack.push_async_callback(sides._postgres.close)
        if settings.mongo is not None and any(isinstance(plan, MongoPlan) for plan in plans):
            sides._mongo = MongoStore(
                settings.mongo.url.get_secret_value(),
                settings.mongo.database,
                connections=settings.mongo.connections,
                max_time=settings.mongo.max_time,
                read_preference=settings.mongo.read_preference,
            )
            await sides._mongo.start()
            stack.push_async_callback(sides._mongo.close)
        return sides

    def serving(self) -> dict[tuple[str, str], Reader]:
        """The readers of routes whose primary is a store, by domain and route, whatever the domain's stage."""
        return {
            (claim.domain, claim.pattern.text): reader
            for claim in self._settings.claims()
            if (reader := self._direct(claim, Side.PRIMARY)) is not None
        }

    def facts(self) -> dict[tuple[str, str], RouteFacts]:
        """What verification needs of every route that has two sides and whose domain is not off."""
        return {
            (claim.domain, claim.pattern.text): facts
            for claim in self._settings.claims()
            if self._settings.domains[claim.domain].stage != "off" and (facts := self._facts(claim)) is not None
        }

    def _facts(self, claim: Claim) -> RouteFacts | None:
        settings, route = self._settings, claim.pattern.text
        entity = self._entity(claim)
        direct = self._direct(claim, Side.SHADOW)
        primary = self._direct(claim, Side.PRIMARY) or self._http(self.backend, Side.PRIMARY)
        shadow = direct or self._http(self._twin, Side.SHADOW)
        if primary is None or shadow is None:
            return None
        return RouteFacts(
            settings.sampling_of(claim.domain, route),
            layers_text(settings.compare_layers(claim.domain, route)),
            primary,
            shadow,
            self._breaker(type(shadow)),
            settings.domains[claim.domain].translate_ids if settings.shadow.translate_ids and direct is None else None,
            entity[1] if entity else None,
            entity[0] if entity else None,
        )

    def _entity(self, claim: Claim) -> tuple[str, str] | None:
        """The last step of the path at which an entity stands, and which one."""
        named = self._settings.route_of(claim.domain, claim.pattern.text).sweep.entities
        steps = [segment.text for segment in claim.pattern.segments if segment.part is Part.PARAM]
        return next(((step, named[step]) for step in reversed(steps) if step in named), None)

    def _breaker(self, source: object) -> Breaker:
        """One for each thing that shadows are read from: a dead twin says nothing of a living Postgres."""
        made = self._settings.shadow.breaker
        return self._breakers.setdefault(source, Breaker(made.failures, made.open_for))

    def _http(self, client: HttpClient | None, side: Side) -> Reader | None:
        return None if client is None else HttpReader(client, side, max_body=self._settings.limits.body)

    def _plan(self, claim: Claim, side: Side) -> PostgresPlan | MongoPlan | None:
        return reader_plan(self._settings, claim.domain, claim.pattern.text, side)

    def _direct(self, claim: Claim, side: Side) -> Reader | None:
        plan, limit = self._plan(claim, side), self._settings.limits.body
        if isinstance(plan, PostgresPlan) and self._postgres is not None:
            return PostgresReader(self._postgres, plan, side, self._identity.lookup, max_body=limit)
        if isinstance(plan, MongoPlan) and self._mongo is not None:
            return MongoReader(self._mongo, plan, side, self._identity.lookup, max_body=limit)
        return None
