"""What is wrong between keys of a configuration that are each right by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from proxy.model import Side
from proxy.settings.blocks import FileSource
from proxy.settings.document import Document, Found, Key
from proxy.settings.model import RouteSettings, Settings
from proxy.settings.placed import Placed
from proxy.settings.types import HostPort


def contradictions(settings: Settings, document: Document) -> list[Found]:
    """All of them, at the lines of the file."""
    problems = (*_addresses(settings), *_ids(settings), *_sweeps(settings), *_primary(settings), *_readers(settings))
    return [Found(document.line(each.key), each.key, each.text) for each in problems]


def _addresses(settings: Settings) -> Iterator[Placed]:
    listen, admin = settings.listen, settings.admin.listen
    if listen == admin and listen.port:
        yield Placed(("admin", "listen"), f"{admin} is also the address of listen; give the admin site its own port")
    primary, shadow = settings.primary.url, settings.shadow.url
    for side, url in (("primary", primary), ("shadow", shadow)):
        if url and _reaches(url, listen):
            text = f"{url} is the proxy's own address (listen); requests would go round for ever"
            yield Placed((side, "url"), text)
    if primary and shadow and _address(primary) == _address(shadow):
        text = "is the primary itself, so a zero would prove nothing; to see the noise of one side use serve --aa"
        yield Placed(("shadow", "url"), text)


def _ids(settings: Settings) -> Iterator[Placed]:
    if settings.postgres is None:
        for number, source in enumerate(settings.ids.sources):
            if not isinstance(source, FileSource):
                yield Placed(("ids", "sources", number, "table"), "a table needs a database; set postgres.dsn")
        for number in range(len(settings.gaps)):
            yield Placed(("gaps", number, "table"), "a table needs a database; set postgres.dsn")
    if settings.shadow.translate_ids and not settings.ids.sources:
        yield Placed(("shadow", "translate_ids"), "needs the id map; set ids.sources")


def _sweeps(settings: Settings) -> Iterator[Placed]:
    if settings.ids.sources:
        return
    for key, route in _routes(settings):
        for name in route.sweep.entities:
            text = "names an entity of the id map, and there is none; set ids.sources"
            yield Placed((*key, "sweep", "entities", name), text)


def _primary(settings: Settings) -> Iterator[Placed]:
    """Without a backend nothing may be left for it to answer."""
    if settings.primary.url is not None:
        return
    routes = list(_routes(settings))
    asked = [key for key, route in routes if route.reader(Side.PRIMARY) is None]
    if not routes:
        yield Placed(("primary", "url"), "is required")
    elif len(asked) < len(routes):
        why = "this route has no reader of its own and primary.url is not set; set it, or write primary: {mongo: ...}"
        yield from (Placed(key, why) for key in asked)
    elif asked:
        yield Placed(("primary", "url"), "is required, unless every route has a primary reader of its own")


def _readers(settings: Settings) -> Iterator[Placed]:
    for key, route in _routes(settings):
        for side in Side:
            reader = route.reader(side)
            if reader is None:
                continue
            if reader.kind == "postgres" and settings.postgres is None:
                yield Placed((*key, side.value, "postgres"), "needs a Postgres to read; set postgres.dsn")
            if reader.kind == "mongo" and settings.mongo is None:
                text = "needs a MongoDB to read; set mongo.url and mongo.database"
                yield Placed((*key, side.value, "mongo"), text)
            for place, parameter in reader.parameters():
                if parameter.entity is not None and not settings.ids.sources:
                    text = "is an entity of the id map, and there is none; set ids.sources or remove it"
                    yield Placed((*key, side.value, reader.kind, *place, "entity"), text)


def _routes(settings: Settings) -> Iterator[tuple[Key, RouteSettings]]:
    for name, domain in settings.domains.items():
        for number, route in enumerate(domain.routes):
            yield ("domains", name, "routes", number), route


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return ("127.0.0.1" if host == "localhost" else host), parts.port or (443 if parts.scheme == "https" else 80)


def _reaches(url: str, listen: HostPort) -> bool:
    host, port = _address(url)
    if port != listen.port:
        return False
    everywhere = listen.host in ("0.0.0.0", "::")  # noqa: S104 - told apart, not bound
    here = "127.0.0.1" if listen.host == "localhost" else listen.host
    return host == here or (everywhere and HostPort(host, port).loopback)
