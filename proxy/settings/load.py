"""From a file to `Settings`, or to every problem of the file at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from comparators.rules import check_rules
from proxy.errors import SettingsError
from proxy.settings.blocks import FileSource
from proxy.settings.document import Document, Found, Key, read_document
from proxy.settings.explain import explain, rule_problems
from proxy.settings.model import MAX_ROUTES, Settings
from proxy.settings.patterns import RouteError
from proxy.settings.routes import Claim, conflicts
from proxy.settings.scalars import retyped
from proxy.settings.types import HostPort, Origin


def load_settings(path: Path, env: Mapping[str, str]) -> Settings:
    """Read, substitute, type and check the configuration at `path`.

    Relative paths in it start from its folder. Raises SettingsError with every problem of the file, each as
    `file:line: key: what is wrong; what would be right`.
    """
    document = read_document(path, env)
    if not isinstance(document.root.value, dict):
        raise SettingsError([f"{path}:{document.root.line}: must be a mapping of keys, see config/shadowread.yaml"])
    found = list(document.problems)
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(document.data(), context=Origin(path.resolve().parent))
    except ValidationError as error:
        broken = {problem.key for problem in document.problems}
        found += [problem for problem in explain(error, document) if not _below(problem.key, broken)]
    found += _route_conflicts(document)
    if settings is not None:
        found += _contradictions(settings, document)
    if found or settings is None:
        raise SettingsError(_rendered(found, document.name))
    return settings


def load_rules(path: Path, env: Mapping[str, str]) -> dict[str, Any]:
    """The `compare:` block of a rules file (YAML or JSON), checked; raises SettingsError like `load_settings`."""
    document = read_document(path, env)
    data = document.data()
    found = list(document.problems)
    if not isinstance(data, dict) or not isinstance(data.get("compare"), dict):
        found.append(Found(document.root.line, (), "a rules file is a mapping with one key, compare:"))
        raise SettingsError(_rendered(found, document.name))
    others = [name for name in data if name != "compare"]
    text = "unknown key; a rules file holds compare: alone"
    found += [Found(document.line((name,)), (name,), text) for name in others]
    block: dict[str, Any] = retyped(data["compare"])
    found += rule_problems(check_rules(block), ("compare",), document)
    if found:
        raise SettingsError(_rendered(found, document.name))
    return block


def _rendered(found: Iterable[Found], name: str) -> list[str]:
    return [problem.render(name) for problem in sorted(found, key=lambda problem: problem.line)]


def _below(key: Key, places: Iterable[Key]) -> bool:
    return any(key[: len(place)] == place for place in places)


def _route_conflicts(document: Document) -> list[Found]:
    """Pairs of routes that cannot be told apart, found even where other keys are wrong."""
    claims: list[Claim] = []
    places: dict[int, Key] = {}
    for domain, key, text in _written_routes(document.data()):
        try:
            claim = Claim.of(domain, text, f"line {document.line(key)}")
        except RouteError:
            continue
        claims.append(claim)
        places[id(claim)] = key
    if len(claims) > MAX_ROUTES:
        return [Found(document.line(("domains",)), ("domains",), f"more than {MAX_ROUTES} routes")]
    found = []
    for conflict in conflicts(claims):
        key = places[id(conflict.second)]
        found.append(Found(document.line(key), document.existing(key), conflict.text()))
    return found


def _written_routes(data: Any) -> Iterable[tuple[str, Key, str]]:
    domains = data.get("domains")
    for domain, block in domains.items() if isinstance(domains, dict) else ():
        routes = block.get("routes") if isinstance(block, dict) else None
        for number, route in enumerate(routes if isinstance(routes, list) else ()):
            key: Key = ("domains", domain, "routes", number)
            if isinstance(route, str):
                yield domain, key, route
            elif isinstance(route, dict) and isinstance(route.get("route"), str):
                yield domain, (*key, "route"), route["route"]


def _contradictions(settings: Settings, document: Document) -> list[Found]:
    """What is wrong between keys that are each right by themselves."""
    found: list[Found] = []

    def wrong(key: Key, text: str) -> None:
        found.append(Found(document.line(key), document.existing(key) or key[:1], text))

    listen, admin = settings.listen, settings.admin.listen
    if listen == admin and listen.port:
        wrong(("admin", "listen"), f"{admin} is also the address of listen; give the admin site its own port")
    for key, url in ((("primary", "url"), settings.primary.url), (("shadow", "url"), settings.shadow.url)):
        if url and _reaches(url, listen):
            wrong(key, f"{url} is the proxy's own address (listen); requests would go round for ever")
    if settings.shadow.url and _address(settings.shadow.url) == _address(settings.primary.url):
        text = "is the primary itself, so a zero would prove nothing; to see the noise of one side use serve --aa"
        wrong(("shadow", "url"), text)
    if settings.postgres is None:
        for number, source in enumerate(settings.ids.sources):
            if not isinstance(source, FileSource):
                wrong(("ids", "sources", number, "table"), "a table needs a database; set postgres.dsn")
    return found


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
