"""The backends' health documents: each read once for all domains, bounded in size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from comparators.decode import Unparseable, decode
from proxy.model import Headers, Observation, ReadRequest, Side
from proxy.provenance.health import Answer, Told, asks_backend, direct_stores, stores_of_both
from proxy.readers.client import HttpClient
from proxy.readers.http import HttpReader
from proxy.settings import Settings

MAX_BODY = 256 * 1024
TIMEOUT = 3.0
"""Bytes and seconds that one document may take."""
HEADERS: Headers = (
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", b"identity"),
    (b"User-Agent", b"shadowread"),
    (b"X-Shadow-Read", b"1"),
)
_FULL_OF_TROUBLE = HTTPStatus.SERVICE_UNAVAILABLE
"""A backend with a trouble elsewhere says so with this status, and its document is as good."""

Fetch = Callable[[Side, str], Awaitable[Observation]]
"""Reads the document of a side at a path. Raises nothing but CancelledError."""


@dataclass(frozen=True, slots=True)
class Account:
    """What both sides of one domain say of themselves."""

    domain: str
    primary: Told
    shadow: Told


class Documents:
    """Asks the backends. It remembers since when one cannot be asked, and which documents ever named a version."""

    def __init__(self, settings: Settings, fetch: Fetch, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._fetch = fetch
        self._now = now
        self._away: dict[tuple[Side, str], datetime] = {}
        self._named: set[tuple[Side, str]] = set()

    async def look(self, domains: list[str] | None = None) -> list[Account]:
        """What is said now of these domains, or of all that are not off."""
        names = [
            name
            for name, domain in self._settings.domains.items()
            if (domain.stage != "off" if domains is None else name in domains)
        ]
        wanted = {(side, self._path(name, side)) for name in names for side in Side if self._asked(name, side)}
        async with asyncio.TaskGroup() as group:
            asked = {key: group.create_task(self._ask(*key)) for key in sorted(wanted)}
        answers = {key: task.result() for key, task in asked.items()}
        return [Account(name, *(self._told(name, side, answers) for side in Side)) for name in names]

    def _asked(self, domain: str, side: Side) -> bool:
        url = self._settings.primary.url if side is Side.PRIMARY else self._settings.shadow.url
        return url is not None and asks_backend(self._settings.domains[domain], side)

    def _path(self, domain: str, side: Side) -> str:
        made = self._settings.domains[domain].provenance
        report = made.primary if side is Side.PRIMARY else made.shadow
        return (report.health if report is not None else None) or self._settings.provenance.health

    def _told(self, domain: str, side: Side, answers: Mapping[tuple[Side, str], Answer]) -> Told:
        made, path = self._settings.domains[domain], self._path(domain, side)
        return Told(
            side,
            direct_stores(made, side),
            self._asked(domain, side),
            path,
            self._settings.provenance.version,
            made.provenance.primary if side is Side.PRIMARY else made.provenance.shadow,
            answers.get((side, path)),
            stores_of_both(made),
        )

    async def _ask(self, side: Side, path: str) -> Answer:
        answer = _read(await self._fetch(side, path))
        key = (side, path)
        if not answer.problem:
            # A document that has lost its version would look like another build.
            named = Told(side, (), True, path, self._settings.provenance.version, None, answer).version is not None
            if named:
                self._named.add(key)
            elif key in self._named:
                answer = Answer(problem=f"{path} names no version any more at {self._settings.provenance.version}")
        if not answer.problem:
            self._away.pop(key, None)
            return answer
        return Answer(problem=answer.problem, since=self._away.setdefault(key, self._now()))


def _read(seen: Observation) -> Answer:
    if seen.error is not None:
        return Answer(problem=seen.detail or seen.error)
    status = seen.status or 0
    if not 200 <= status < 300 and status != _FULL_OF_TROUBLE:
        return Answer(problem=f"its health document answers {status}")
    document = decode(seen.body or b"")
    if isinstance(document, Unparseable):
        return Answer(problem=f"its health document is not JSON: {document.as_text()}")
    if not isinstance(document, dict | list):
        return Answer(problem="its health document is no object")
    return Answer(document)


def fetcher(settings: Settings, stack: AsyncExitStack) -> Fetch:
    """Reads from the backends of the configuration over connections of their own, closed by the stack."""
    readers: dict[Side, HttpReader] = {}
    for side, url in ((Side.PRIMARY, settings.primary.url), (Side.SHADOW, settings.shadow.url)):
        if url is not None:
            client = HttpClient(url, connect_timeout=TIMEOUT, idle_timeout=TIMEOUT, max_connections=4, max_idle=1)
            stack.push_async_callback(client.close)
            readers[side] = HttpReader(client, side, max_body=MAX_BODY)

    async def fetch(side: Side, path: str) -> Observation:
        if side not in readers:
            return Observation(side, error="no_backend", detail=f"{side}.url is not set")
        return await readers[side].read(ReadRequest("GET", path, HEADERS), TIMEOUT)

    return fetch
