"""What the page of a trace says beside its trees: differences, header fields, times, commands. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from comparators.ids import IdTable
from comparators.model import Difference
from comparators.paths import pattern_of
from comparators.rules import Rules
from proxy.admin.curl import Curl, curl
from proxy.ledger.details import PATH_CHARACTERS, clean, finding_id
from proxy.model import ReadRequest, Side, Trace, Verdict
from proxy.settings import Settings
from proxy.verify.translation import translated

LISTED = 8
"""Differences of the list that stand open; the others are a click away."""
MOST = 200
"""Differences in the list; the trees and the JSON have them all."""
BAR = 300
"""Units of the longer of the two bars."""

STATES: Mapping[str, tuple[str, str]] = {
    "equal": ("=", "equal"),
    "differs": ("\u2260", "differs"),
    "inside": ("\u2026", "differs inside"),
    "forgiven": ("\u2248", "forgiven by a rule"),
    "ignored": ("\u2205", "ignored by a rule"),
    "primary": ("\u2212", "only the primary has it"),
    "shadow": ("+", "only the shadow has it"),
    "unlisted": ("?", "not the same; how is not told"),
}
"""The sign and the words of each state of a row."""

FOLDS: Mapping[str, str] = {
    "equal": "{} equal {}",
    "inside": "{} more {} that differ",
    "differs": "{} more {} that differ",
    "forgiven": "{} {} with differences that rules forgive",
    "ignored": "{} ignored {}",
    "primary": "{} {} that only the primary has",
    "shadow": "{} {} that only the shadow has",
    "unlisted": "{} {} that are not the same; how is not told",
}


class Field(NamedTuple):
    """A header field on both sides; `number` is that of its difference, `compared` whether the rules hold it so."""

    name: str
    primary: tuple[str, ...]
    shadow: tuple[str, ...]
    state: str
    compared: bool
    number: int | None


class Time(NamedTuple):
    """How long one side took. `width` is that of its bar."""

    side: str
    seconds: float
    width: float


class Command(NamedTuple):
    """How one side is asked by hand; `why` says why there is no command."""

    side: str
    curl: Curl | None
    why: str = ""


def fold_text(row: Mapping[str, Any]) -> str:
    """What stands on a fold."""
    noun = row["noun"] if row["count"] != 1 else row["noun"].removesuffix("s")
    return FOLDS[row["state"]].format(f"{row['count']:,}", noun)


def id_notes(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """The ids of a row: its entity, and both forms where the row itself does not show both."""
    texts = [(row[side] or {}) for side in ("primary", "shadow")]
    whole = " ".join(f"{cell.get('before', '')}{cell.get('changed', '')}{cell.get('after', '')}" for cell in texts)
    names = f"{row['primary_name']} {row['shadow_name']}"
    return [
        {
            "entity": one["entity"],
            "legacy": one["legacy"],
            "uuid": one["uuid"],
            "other": ""
            if one["legacy"] in whole + names and one["uuid"] in whole + names
            else one["uuid"]
            if one["legacy"] in (whole + names).lower()
            else one["legacy"],
        }
        for one in row["ids"]
    ]


def fields_of(trace: Trace, compared: Collection[str]) -> list[Field]:
    """The header fields of both sides, those that differ first where rules compare them."""
    sides = [_by_name(headers) for headers in (trace.primary_headers, trace.shadow_headers)]
    numbers = {
        difference.path.removeprefix("headers."): number
        for number, difference in enumerate(trace.differences)
        if difference.path.startswith("headers.")
    }
    found = []
    for name in dict.fromkeys((*sides[0], *sides[1])):
        left, right = (side.get(name, ()) for side in sides)
        state = "equal" if left == right else "primary" if not right else "shadow" if not left else "differs"
        found.append(Field(name, left, right, state, name in compared, numbers.get(name)))
    return sorted(found, key=lambda field: (field.number is None, not field.compared, field.state == "equal"))


def _by_name(headers: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, value in headers:
        found[name.lower()] = (*found.get(name.lower(), ()), value)
    return found


def times_of(trace: Trace) -> list[Time]:
    """The times of both sides, with bars to one scale."""
    both = [(Side.PRIMARY, trace.primary_seconds), (Side.SHADOW, trace.shadow_seconds)]
    longest = max(seconds for _, seconds in both) or 1.0
    return [Time(side.value, seconds, round(BAR * seconds / longest, 1)) for side, seconds in both]


def finding_of(trace: Trace, difference: Difference) -> str | None:
    """The id of the finding that a difference was counted in; None where it was in none."""
    if trace.verdict is not Verdict.DIFF:
        return None
    path = clean(pattern_of(difference.path)[:PATH_CHARACTERS])
    return finding_id(trace.domain, trace.route, path, difference.kind.value)


def link_of(template: str | None, trace_id: str) -> str | None:
    """The address of the distributed trace in the team's own system."""
    if template is None or not trace_id:
        return None
    return template.replace("{trace_id}", quote(trace_id, safe=""))


def commands_of(settings: Settings, trace: Trace, table: IdTable) -> list[Command]:
    """How to ask each side for the same by hand, without the secrets of whoever asked."""
    return [_primary(settings, trace), _shadow(settings, trace, table)]


def _primary(settings: Settings, trace: Trace) -> Command:
    if (store := _store(settings, trace, Side.PRIMARY)) is not None:
        return Command("primary", None, f"It is read from {store}, not asked over HTTP.")
    if settings.primary.url is None:
        return Command("primary", None, "primary.url is not set.")
    return Command("primary", curl(bare(settings.primary.url), trace.method, trace.target, trace.request_headers))


def _shadow(settings: Settings, trace: Trace, table: IdTable) -> Command:
    if (store := _store(settings, trace, Side.SHADOW)) is not None:
        return Command("shadow", None, f"It is read from {store}, not asked over HTTP.")
    if settings.shadow.url is None:
        return Command("shadow", None, "shadow.url is not set.")
    target = trace.target
    domain = settings.domains.get(trace.domain)
    if settings.shadow.translate_ids and domain is not None:
        target = translated(ReadRequest(trace.method, target, ()), table, domain.translate_ids).request.target
    mark = [("X-Shadow-Read", "1")]
    return Command("shadow", curl(bare(settings.shadow.url), trace.method, target, trace.request_headers, extra=mark))


def bare(url: str) -> str:
    """A backend's address without the user and password that may stand in it."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def _store(settings: Settings, trace: Trace, side: Side) -> str | None:
    domain = settings.domains.get(trace.domain)
    route = next((one for one in domain.routes if one.route == trace.route), None) if domain is not None else None
    reader = None if route is None else route.reader(side)
    return None if reader is None else reader.kind


def compared_fields(rules: Rules | None) -> frozenset[str]:
    return frozenset() if rules is None else frozenset(rules.headers)
