"""Rules that would make differences equal: each narrow, proved on the pair it is suggested for, and ready to paste.

A rule is suggested only after the comparison was made again with it: what it is for must be gone, and nothing may have
come up in its place. What changes a value is never suggested to be overlooked: a changed, missing or added value and an
id of another row have no rule here, because a false zero costs more than a rule written by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from comparators.candidates import Candidate, candidates
from comparators.compare import compare_bodies
from comparators.decode import Unparseable, decode
from comparators.ids import IdTable
from comparators.model import Comparison, Difference, Kind
from comparators.paths import pattern_of
from comparators.rules import Rules, RulesError, compile_rules
from comparators.yaml import flow

MAX_SUGGESTIONS = 20
MAX_PROOFS = 40
MAX_WORK = 32 * 1024 * 1024
"""How much all proofs together may compare: bytes of bodies, and `_PER_DIFFERENCE` for each that is found in them."""
MAX_DIFFERENCES = 100_000
_PER_DIFFERENCE = 100
_MAX_PLACES = 10

_Found = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rule for the differences of one kind at the places of one pattern.

    `section` is the part of a `compare:` block that it belongs to (`tolerate` or `order`), `at` the path of the rule,
    `rule` what is said there. `hides` counts the differences of this pair that go away with it, and `places` names
    them (path and kind).
    """

    pattern: str
    kind: Kind
    section: str
    at: str
    rule: Any
    hides: int
    places: _Found

    def covers(self, difference: Difference) -> bool:
        """Whether this rule makes this difference of the pair equal."""
        return (difference.path, difference.kind.value) in self.places

    def block(self) -> dict[str, Any]:
        """A `compare:` block that holds this rule alone."""
        return {"order": {self.at: self.rule}} if self.section == "order" else {"tolerate": [self.rule]}

    def as_text(self) -> str:
        """The rule on one line of YAML, and what it hides."""
        line = f"{flow(self.at)}: {flow(self.rule)}" if self.section == "order" else flow(self.rule)
        return f"{self.section}: {line}" + (f" (hides {self.hides} differences here)" if self.hides > 1 else "")

    def as_json(self) -> dict[str, Any]:
        places = sorted(self.places)[:_MAX_PLACES]
        return {
            "path": self.pattern,
            "kind": self.kind.value,
            "yaml": as_yaml([self]),
            "hides": self.hides,
            "places": [{"path": path, "kind": kind} for path, kind in places],
        }


@dataclass(frozen=True, slots=True)
class Suggestions:
    """The rules for one pair of bodies. `left` counts the differences that stay when all of them are pasted;
    `left_out` says in words why there may be fewer rules than there could be."""

    rules: tuple[Suggestion, ...] = ()
    left: int = 0
    left_out: tuple[str, ...] = ()


def as_yaml(rules: Sequence[Suggestion]) -> str:
    """One `compare:` block with all the rules, "" when there is none: YAML 1.2, printable, no `${...}` in it."""
    orders = [f"    {flow(rule.at)}: {flow(rule.rule)}" for rule in rules if rule.section == "order"]
    tolerances = [f"    - {flow(rule.rule)}" for rule in rules if rule.section == "tolerate"]
    lines = ["  order:", *orders] if orders else []
    lines += ["  tolerate:", *tolerances] if tolerances else []
    return "\n".join(["compare:", *lines, ""]) if lines else ""


def suggest(
    primary: bytes,
    shadow: bytes,
    layers: Sequence[Mapping[str, Any]],
    ids: IdTable,
    comparison: Comparison,
    *,
    today: date | None = None,
    only: tuple[str, Kind] | None = None,
) -> Suggestions:
    """The rules that would make differences of two JSON bodies equal, at most one for each pattern and kind.

    With `only` a rule is looked for at that pattern and kind alone.

    `layers` are the `compare:` blocks that hold already, farthest first, and `comparison` is what was found under them;
    each rule is proved as if it were pasted into the nearest. `today` is as in `compile_rules`. Compares the bodies
    again for each rule tried, within `MAX_PROOFS` and `MAX_WORK`. Raises RulesError for layers that cannot be used,
    nothing for what stands in the bodies.
    """
    if comparison.equal:
        return Suggestions()
    prover = _Prover(primary, shadow, layers or [{}], ids, today)
    inside = [one for one in comparison.differences if one.path.startswith("$")]
    if comparison.total > len(comparison.differences) and prover.can_go_on(comparison.total):
        # The caller was content with fewer of them than it takes to see that nothing new comes up.
        whole = prover.compare(compile_rules(layers, today=today))
        inside = list(whole.differences)
        if whole.total > len(inside):
            return Suggestions(left=whole.total, left_out=("too many differences for rules to be tried",))
    prover.before = _found(inside)
    body = decode(primary)
    if isinstance(body, Unparseable):
        return Suggestions(left=len(inside))
    rules = compile_rules(layers, today=today)
    found: list[Suggestion] = []
    notes: list[str] = []
    for (pattern, kind), differences in _groups(inside).items():
        if only not in (None, (pattern, kind)):
            continue
        tried = candidates(pattern, kind, differences, body, rules)
        if len(found) < MAX_SUGGESTIONS and prover.can_go_on(len(inside)):
            if (made := prover.best(pattern, kind, differences, tried)) is not None:
                found.append(made)
        elif next(tried, None) is not None:
            notes.append("not every rule that might help was tried")
            break
    left = prover.left_with(found) if found else max(comparison.total, len(inside))
    return Suggestions(tuple(found), left, tuple(notes))


def pasted(block: Mapping[str, Any], section: str, at: str, rule: Any) -> dict[str, Any]:
    """A `compare:` block with one rule more. An order that stands at the same path gives way."""
    if section == "order":
        return {**block, "order": {**(block.get("order") or {}), at: rule}}
    return {**block, "tolerate": [*(block.get("tolerate") or ()), rule]}


def _groups(differences: Sequence[Difference]) -> dict[tuple[str, Kind], list[Difference]]:
    groups: dict[tuple[str, Kind], list[Difference]] = {}
    for one in differences:
        groups.setdefault((pattern_of(one.path), one.kind), []).append(one)
    return groups


def _found(differences: Sequence[Difference]) -> _Found:
    return frozenset((one.path, one.kind.value) for one in differences)


class _Prover:
    """Makes the comparison again with one rule more, as often as it may. `before` is what differs without."""

    def __init__(
        self,
        primary: bytes,
        shadow: bytes,
        layers: Sequence[Mapping[str, Any]],
        ids: IdTable,
        today: date | None,
    ) -> None:
        self._bodies = primary, shadow
        self._layers = layers
        self._ids = ids
        self._today = today
        self._proofs = MAX_PROOFS
        self._work = MAX_WORK
        self.before: _Found = frozenset()

    def can_go_on(self, differences: int) -> bool:
        """Whether there is room for a comparison that finds so many differences."""
        return self._proofs > 0 and self._cost(differences) <= self._work

    def _cost(self, differences: int) -> int:
        return sum(map(len, self._bodies)) + differences * _PER_DIFFERENCE

    def compare(self, rules: Rules) -> Comparison:
        result = compare_bodies(*self._bodies, rules, self._ids, max_differences=MAX_DIFFERENCES)
        self._proofs -= 1
        self._work -= self._cost(result.total)
        return result

    def best(
        self, pattern: str, kind: Kind, differences: Sequence[Difference], tried: Iterator[Candidate]
    ) -> Suggestion | None:
        """The first candidate with which all of `differences` are gone, else the one with which most are."""
        best: Suggestion | None = None
        most = 0
        for candidate in tried:
            if not self.can_go_on(len(self.before)):
                break
            made = self._proved(pattern, kind, candidate)
            gone = 0 if made is None else sum(map(made.covers, differences))
            if gone > most:
                best, most = made, gone
            if most == len(differences):
                break
        return best

    def left_with(self, found: Sequence[Suggestion]) -> int:
        """How many differences stay when all of these rules are pasted."""
        block = self._layers[-1]
        for one in found:
            block = pasted(block, one.section, one.at, one.rule)
        return self.compare(compile_rules([*self._layers[:-1], block], today=self._today)).total

    def _proved(self, pattern: str, kind: Kind, candidate: Candidate) -> Suggestion | None:
        block = pasted(self._layers[-1], candidate.section, candidate.at, candidate.rule)
        try:
            rules = compile_rules([*self._layers[:-1], block], today=self._today)
        except RulesError:
            # A path too long or too deep to be a rule's.
            return None
        after = self.compare(rules)
        found = _found(after.differences)
        if not found < self.before or after.total > len(after.differences):
            return None
        gone = self.before - found
        return Suggestion(pattern, kind, candidate.section, candidate.at, candidate.rule, len(gone), gone)
