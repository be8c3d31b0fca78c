"""Which rule would silence a noise. Pure: a finding and one trace of it in, a rule or the reason for none out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from comparators.candidates import rule_path
from comparators.compare import compare_bodies
from comparators.ids import IdTable
from comparators.model import Kind
from comparators.rules import RulesError, compile_rules
from comparators.suggest import suggest
from comparators.yaml import flow

WHY = "differs between two reads of the primary (A/A run)"
RARE = 0.05
"""Below this share of a route's comparisons a difference is as likely a write between the two reads."""
FEWEST = 3
_OUTSIDE = frozenset({Kind.STATUS, Kind.CONTENT_TYPE, Kind.UNPARSEABLE})
_ROW_NAMES = (".id", "._id")

Layers = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a `compare:` block. `at` is its path under `order`, the name of the header under `headers`."""

    section: str
    at: str
    text: str
    """The rule as YAML on one line, with its path."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One noise: a kind of difference at one pattern of paths, in `exchanges` of a route's `comparisons`.

    `primary` and `shadow` are the values of one of them as JSON text, None where absent.
    """

    path: str
    kind: Kind
    exchanges: int
    comparisons: int
    primary: str | None
    shadow: str | None

    @property
    def share(self) -> float:
        return min(1.0, self.exchanges / self.comparisons) if self.comparisons else 0.0


def rule_for(
    seen: Seen, layers: Layers, bodies: tuple[str, str] | None, today: date | None = None
) -> tuple[Rule | None, str]:
    """The rule that silences a noise, or None and the reason. `bodies` are those of one exchange that bore it.

    A tolerance that was proved on the bodies is preferred; what remains is an `ignore` of a single volatile value.
    """
    if seen.kind in _OUTSIDE or seen.path == "status":
        return None, "the primary answers the same question in different ways; no rule should hide that"
    if seen.path.startswith("headers."):
        name = seen.path.removeprefix("headers.")
        return Rule("headers", name, name), ""
    if seen.share < RARE or seen.exchanges < FEWEST:
        return None, "rare: a write between the two reads looks the same, and settling reads again; no rule is needed"
    if bodies is not None and (proved := _proved(seen, layers, bodies, today)) is not None:
        return proved, ""
    return _ignored(seen, layers)


def _proved(seen: Seen, layers: Layers, bodies: tuple[str, str], today: date | None) -> Rule | None:
    primary, shadow = (body.encode(errors="surrogatepass") for body in bodies)
    comparison = compare_bodies(primary, shadow, compile_rules(list(layers), today=today), IdTable())
    for found in suggest(primary, shadow, layers, IdTable(), comparison, today=today).rules:
        if (found.pattern, found.kind) == (seen.path, seen.kind):
            if found.section == "order":
                return Rule("order", found.at, f"{flow(found.at)}: {flow(found.rule)}")
            return Rule(found.section, found.at, flow(found.rule))
    return None


def _ignored(seen: Seen, layers: Layers) -> tuple[Rule | None, str]:
    samples = [sample for sample in (seen.primary, seen.shadow) if sample is not None]
    if seen.path.endswith(("[*]", ".*")) or any(sample.startswith(("{", "[")) for sample in samples):
        return None, "whole rows or lists differ; look at a trace before a rule hides them"
    if seen.path.endswith(_ROW_NAMES):
        return None, "another row stands there; a rule would hide that"
    at = rule_path(seen.path)
    rule = {"at": at, "why": WHY}
    try:
        compile_rules([*layers[:-1], {**(layers[-1] if layers else {}), "ignore": [rule]}])
    except RulesError as error:
        return None, f"no rule can name this place: {error}"
    return Rule("ignore", at, flow(rule)), ""


def block_of(rules: Sequence[Rule], headers: Sequence[str]) -> dict[str, list[str]]:
    """The lines of one `compare:` block by section. `headers` are those that are compared so far."""
    lines: dict[str, list[str]] = {}
    if volatile := {rule.at for rule in rules if rule.section == "headers"}:
        kept = [name for name in headers if name not in volatile]
        lines["headers"] = [f"headers: {json.dumps(kept)}"]
    for section in ("ignore", "order", "tolerate"):
        found = dict.fromkeys(rule.text for rule in rules if rule.section == section)
        if found:
            mark = "" if section == "order" else "- "
            lines[section] = [f"{section}:", *(f"  {mark}{text}" for text in found)]
    return lines


def fold(
    rules: Mapping[tuple[str, str], Sequence[Rule]], compared: Sequence[tuple[str, str]]
) -> dict[tuple[str | None, str | None], list[Rule]]:
    """Rules by where they belong: a route, a whole domain (route None), or all domains (both None).

    A rule moves up only where every one of the several routes that were `compared` needs it, and every domain in turn.
    """
    placed: dict[tuple[str | None, str | None], list[Rule]] = {}
    whole: dict[str, list[Rule]] = {}
    domains = list(dict.fromkeys(domain for domain, _ in compared))
    for domain in domains:
        keys = [key for key in compared if key[0] == domain]
        common = _common([rules.get(key, ()) for key in keys])
        whole[domain] = common
        for key in keys:
            if rest := [rule for rule in rules.get(key, ()) if rule not in common]:
                placed[key] = rest
    everywhere = _common([whole[domain] for domain in domains])
    for domain in domains:
        if rest := [rule for rule in whole[domain] if rule not in everywhere]:
            placed[domain, None] = rest
    if everywhere:
        placed[None, None] = everywhere
    return placed


def _common(groups: Sequence[Sequence[Rule]]) -> list[Rule]:
    if len(groups) < 2:
        return []
    # A list of headers replaces the one above it as a whole, so it stays where it was seen.
    return [rule for rule in groups[0] if rule.section != "headers" and all(rule in group for group in groups[1:])]


def as_yaml(
    placed: Mapping[tuple[str | None, str | None], Sequence[Rule]], headers: Mapping[tuple[str, str], Sequence[str]]
) -> str:
    """Everything to paste, as one configuration document; "" when there is nothing."""
    lines: list[str] = []
    if everywhere := placed.get((None, None)):
        lines += ["compare:", *_indented(block_of(everywhere, ()), 2)]
    domains = dict.fromkeys(domain for domain, _ in placed if domain is not None)
    if domains:
        lines.append("domains:")
    for domain in domains:
        lines.append(f"  {domain}:")
        if whole := placed.get((domain, None)):
            lines += ["    compare:", *_indented(block_of(whole, ()), 6)]
        routes = [(key, rules) for key, rules in placed.items() if key[0] == domain and key[1] is not None]
        if routes:
            lines.append("    routes:")
        for (_, route), rules in routes:
            lines += [f"      - route: {flow(route)}", "        compare:"]
            lines += _indented(block_of(rules, headers.get((domain, str(route)), ())), 10)
    return "\n".join([*lines, ""]) if lines else ""


def _indented(block: Mapping[str, Sequence[str]], by: int) -> list[str]:
    return [" " * by + line for lines in block.values() for line in lines]
