"""From a file to `Settings`, or to every problem of the file at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from comparators.rules import check_rules
from proxy.errors import SettingsError
from proxy.settings.contradictions import contradictions
from proxy.settings.document import Document, Found, Key, read_document
from proxy.settings.explain import explain, rule_problems
from proxy.settings.model import MAX_ROUTES, Settings
from proxy.settings.patterns import RouteError
from proxy.settings.routes import Claim, conflicts
from proxy.settings.scalars import retyped
from proxy.settings.types import Origin


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
        found += contradictions(settings, document)
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
