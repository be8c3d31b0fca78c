"""Which routes of a domain can be swept, and what is asked of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from comparators.ids import IdPair
from comparators.paths import compile_path
from proxy.settings import Settings
from proxy.settings.patterns import Part, Pattern
from proxy.settings.sweeps import PagesSettings

LONGEST_CURSOR = 2_000


@dataclass(frozen=True, slots=True)
class Target:
    """A route to be swept: once, or once for each `entity` of the id map, and page by page where it has `pages`.

    `by_uuid` says that the primary is asked with uuids instead of legacy ids.
    """

    route: str
    pattern: Pattern
    step: str | None
    entity: str | None
    pages: PagesSettings | None
    by_uuid: bool

    def path(self, pair: IdPair | None) -> str:
        """The path of the route, for one entity where it has one."""
        id_ = "" if pair is None else pair.uuid if self.by_uuid else pair.legacy
        steps = [quote(each.text, safe="") if each.part is Part.LITERAL else id_ for each in self.pattern.segments]
        return "/" + "/".join(steps)


class Left(NamedTuple):
    """A route that is not swept, and why. `missing`: it was to be swept, and the id map has nothing for it."""

    route: str
    why: str
    missing: bool = False


def targets(settings: Settings, domain: str) -> tuple[list[Target], list[Left]]:
    """The routes of a domain that are swept, and those that are not."""
    made: list[Target] = []
    left: list[Left] = []
    by_uuid = settings.shadow.translate_ids and settings.domains[domain].translate_ids == "legacy"
    for claim in settings.claims():
        if claim.domain != domain:
            continue
        route, pattern = claim.pattern.text, claim.pattern
        sweep = settings.route_of(domain, route).sweep
        steps = [each.text for each in pattern.segments if each.part is Part.PARAM]
        if why := _cannot(pattern, steps, sweep.entities, sweep.pages):
            left.append(Left(route, why))
        else:
            step = steps[0] if steps else None
            entity = sweep.entities[step] if step else None
            made.append(Target(route, pattern, step, entity, sweep.pages, by_uuid))
    return made, left


def _cannot(pattern: Pattern, steps: list[str], entities: Mapping[str, str], pages: PagesSettings | None) -> str:
    if not entities and pages is None:
        return "it has no sweep: in the configuration"
    if pattern.method != "GET":
        return f"a sweep reads by GET, not by {pattern.method}"
    if any(each.part is Part.REST for each in pattern.segments):
        return "nobody says what stands for **"
    if unnamed := [step for step in steps if step not in entities]:
        return f"sweep.entities does not say what stands for {{{unnamed[0]}}}"
    if len(steps) > 1:
        return "two entities in one path: which belong together, the id map does not say"
    return ""


def first_page(pages: PagesSettings) -> str:
    return str(pages.first)


def page_query(pages: PagesSettings, value: str) -> str:
    """The query of one page. A cursor's first page is asked for without the parameter."""
    named = f"{quote(pages.parameter, safe='')}={quote(value, safe='')}"
    parts = [pages.query] if pages.query else []
    if pages.next is None or value != first_page(pages):
        parts.append(named)
    return "&".join(parts)


def next_page(pages: PagesSettings, value: str, document: Any) -> str | None:
    """The value of the page behind the one that was answered with `document`; None when that was the last one."""
    if pages.next is not None:
        found = _at(document, pages.next)
        if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
            return None
        text = str(found)
        return None if text == value or len(text) > LONGEST_CURSOR else text
    items = _at(document, pages.items)
    if not items or not isinstance(items, list | dict):
        return None
    return str(int(value) + pages.step)


def page_fault(pages: PagesSettings, value: str, document: Any) -> str:
    """Why the pages cannot be followed from one that was answered with `document`; "" where they can, or end here."""
    if pages.next is None:
        first = value == first_page(pages)
        listed = isinstance(_at(document, pages.items), list | dict)
        return f"the first page has no list at {pages.items}" if first and not listed else ""
    found = _at(document, pages.next)
    if found in (None, "", False) or next_page(pages, value, document) is not None:
        return ""
    return f"what stands at {pages.next} of a page leads to no other page"


def _at(document: Any, path: str) -> Any:
    """What stands at a path of names and indexes; None where nothing does."""
    for step in compile_path(path).steps:
        try:
            document = document[step.key]
        except (LookupError, TypeError):
            return None
    return document
