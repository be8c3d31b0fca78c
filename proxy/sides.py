"""Who reads each side of each route: the backends over HTTP, or a store, each opened once."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

from proxy.direct.plans import MongoPlan, PostgresPlan
from proxy.identity import Identity
from proxy.model import Side
from proxy.readers.client import HttpClient
from proxy.readers.http import HttpReader
from proxy.readers.mongo import MongoReader, MongoStore
from proxy.readers.postgres import PostgresReader, PostgresStore
from proxy.readers.serving import Reader
from proxy.settings import MongoSettings, PostgresSettings, PrimarySettings, Settings, ShadowSettings, reader_plan
from proxy.settings.patterns import Part
from proxy.settings.routes import Claim
from proxy.shelf import Shelf
from proxy.verify.breaker import Breaker
from proxy.verify.case import RouteFacts
from proxy.verify.work import layers_text

MAX_CLIENT_CONNECTIONS = 10_000
MAX_IDLE = 256


class Sides:
    """The readers of every route. Open with `open`; what was opened is closed by the stack."""

    def __init__(self, settings: Settings, identity: Identity, breakers: dict[object, Breaker]) -> None:
        self._settings = settings
        self._identity = identity
        self.backend: HttpClient | None = None
        """The primary's backend; None where every route is answered by a store."""
        self._twin: HttpClient | None = None
        self._postgres: PostgresStore | None = None
        self._mongo: MongoStore | None = None
        self._breakers = breakers

    @classmethod
    async def open(
        cls,
        settings: Settings,
        identity: Identity,
        stack: AsyncExitStack,
        *,
        shelf: Shelf | None = None,
        clients: AsyncExitStack | None = None,
    ) -> Sides:
        """Open what the configuration names, or take it from the `shelf` where a configuration before this one has it
        open. Servers that are away are no error: readers connect when they read.

        `clients` is the stack that gives back the primary's backend, where clients may use it longer than the rest.
        """
        shelf = shelf or Shelf()
        primary, shadow, postgres, mongo = settings.primary, settings.shadow, settings.postgres, settings.mongo
        made = ("breakers", shadow.breaker, shadow.url, postgres, mongo)
        sides = cls(settings, identity, await shelf.take(made, _breakers, stack))
        if primary.url is not None:
            key = ("primary", primary.url, primary.connect_timeout, primary.idle_timeout)
            sides.backend = await shelf.take(key, partial(_backend, primary), clients or stack)
        if shadow.url is not None:
            sides._twin = await shelf.take(
                ("shadow", shadow.url, shadow.connect_timeout, shadow.timeout, shadow.max_concurrency),
                partial(_twin, shadow),
                stack,
            )
        plans = [sides._plan(claim, side) for claim in settings.claims() for side in Side]
        if postgres is not None and any(isinstance(plan, PostgresPlan) for plan in plans):
            sides._postgres = await shelf.take(postgres, partial(_postgres, postgres), stack)
        if mongo is not None and any(isinstance(plan, MongoPlan) for plan in plans):
            sides._mongo = await shelf.take(mongo, partial(_mongo, mongo), stack)
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


async def _breakers(_closing: AsyncExitStack) -> dict[object, Breaker]:
    return {}


async def _backend(primary: PrimarySettings, closing: AsyncExitStack) -> HttpClient:
    assert primary.url is not None  # noqa: S101 - asked for only where there is one
    client = HttpClient(
        primary.url,
        connect_timeout=primary.connect_timeout,
        idle_timeout=primary.idle_timeout,
        max_connections=MAX_CLIENT_CONNECTIONS,
        max_idle=MAX_IDLE,
    )
    closing.push_async_callback(client.close)
    return client


async def _twin(shadow: ShadowSettings, closing: AsyncExitStack) -> HttpClient:
    assert shadow.url is not None  # noqa: S101 - asked for only where there is one
    client = HttpClient(
        shadow.url,
        connect_timeout=shadow.connect_timeout,
        idle_timeout=shadow.timeout,
        max_connections=shadow.max_concurrency,
        max_idle=shadow.max_concurrency,
    )
    closing.push_async_callback(client.close)
    return client


async def _postgres(made: PostgresSettings, closing: AsyncExitStack) -> PostgresStore:
    store = PostgresStore(
        made.dsn.get_secret_value(),
        connections=made.connections,
        statement_timeout=made.statement_timeout,
        lock_timeout=made.lock_timeout,
    )
    await store.start()
    closing.push_async_callback(store.close)
    return store


async def _mongo(made: MongoSettings, closing: AsyncExitStack) -> MongoStore:
    store = MongoStore(
        made.url.get_secret_value(),
        made.database,
        connections=made.connections,
        max_time=made.max_time,
        read_preference=made.read_preference,
    )
    await store.start()
    closing.push_async_callback(store.close)
    return store
