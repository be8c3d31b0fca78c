"""Whether what the sides say of themselves proves that they read different stores. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

from comparators.paths import compile_path
from proxy.model import Side
from proxy.settings import DomainSettings, ReportSettings
from proxy.window import Proof

SAME_STORE = "both sides read the same store"
LONGEST_VALUE = 100
STORES = {"postgres": "Postgres", "mongo": "MongoDB"}
"""What this proxy can read straight, as people call it."""
_SPELLED = {"postgres": "postgres", "postgresql": "postgres", "pg": "postgres", "mongo": "mongo", "mongodb": "mongo"}
"""How backends spell these stores: who says `PostgreSQL` reads what this proxy reads from Postgres."""


class Absent:
    """Stands for a place that a document does not have."""


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of reading one health document: the document, or why there is none and since when."""

    document: Any = ABSENT
    problem: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of the store that one side of a domain is read from.

    `direct` are the stores that this proxy reads straight for the domain's routes, `both` those that it reads straight
    for both sides of one route; `backend` says that its backend is asked for some. `answer` is the backend's document
    at `health`, and `report` what the configuration wants of it.
    """

    side: Side
    direct: tuple[str, ...]
    backend: bool
    health: str = ""
    version_path: str = "$.version"
    report: ReportSettings | None = None
    answer: Answer | None = None
    both: tuple[str, ...] = ()

    @property
    def value(self) -> Any:
        """What the document has at the path of the report."""
        if self.report is None or self.answer is None:
            return ABSENT
        return value_at(self.answer.document, self.report.path)

    @property
    def version(self) -> str | None:
        """The version that the document names."""
        found = ABSENT if self.answer is None else value_at(self.answer.document, self.version_path)
        return shown(found) if isinstance(found, str | int | Decimal) and found != "" else None


def direct_stores(domain: DomainSettings, side: Side) -> tuple[str, ...]:
    """The stores that this proxy reads straight for a side of the domain, in order of their names."""
    readers = (route.reader(side) for route in domain.routes)
    return tuple(sorted({reader.kind for reader in readers if reader is not None}))


def stores_of_both(domain: DomainSettings) -> tuple[str, ...]:
    """The stores that this proxy reads straight for both sides of one and the same route."""
    pairs = [(route.reader(Side.PRIMARY), route.reader(Side.SHADOW)) for route in domain.routes]
    return tuple(sorted({one.kind for one, other in pairs if one and other and one.kind == other.kind}))


def asks_backend(domain: DomainSettings, side: Side) -> bool:
    """Whether some route of the domain is answered by the side's backend."""
    return any(route.reader(side) is None for route in domain.routes)


def value_at(document: Any, path: str) -> Any:
    """The value at `path` (names and indexes alone), or ABSENT."""
    value = document
    for step in compile_path(path).steps:
        named = isinstance(value, dict) and step.sort == "name" and step.key in value
        numbered = isinstance(value, list) and isinstance(step.key, int) and step.key < len(value)
        if named or numbered:
            value = value[step.key]
        else:
            return ABSENT
    return value


def same(left: Any, right: Any) -> bool:
    """Whether two scalars of a document or of the configuration are one; a number is none of its spellings."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float | Decimal) and isinstance(right, int | float | Decimal):
        return Decimal(str(left)) == Decimal(str(right))
    return isinstance(left, str) and isinstance(right, str) and left == right


def shown(value: Any) -> str:
    """A value of a document for people: short, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = "".join(sign if sign.isprintable() else "?" for sign in str(value))
    # The hash keeps two long versions apart that begin alike.
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}...{sha256(text.encode()).hexdigest()[:12]}"


def part(told: Told) -> str | None:
    """What the side reports of itself, in short (`2.8.79, mongo`): what evidence belongs to.

    None while the side cannot be asked, or its document lacks what it is asked for.
    """
    pieces = [f"{STORES[kind]} itself" for kind in told.direct]
    if told.backend and (told.report is not None or told.answer is not None):
        value = told.value
        if told.answer is None or told.answer.problem or (told.report is not None and isinstance(value, Absent)):
            return None
        if told.version is not None:
            pieces.insert(0, told.version)
        if not isinstance(value, Absent):
            pieces.append(shown(value))
    return ", ".join(pieces) or None


def judge(primary: Told, shadow: Told) -> tuple[Proof, str]:
    """Whether the two sides are proven to read different stores, and the sentence that says why."""
    if (text := _same_store(primary, shadow)) is not None:
        return "failed", text
    found = [_of_side(told) for told in (primary, shadow)]
    for proof in ("failed", "unknown"):
        texts = [text for got, text in found if got == proof]
        if texts:
            return ("failed" if proof == "failed" else "unknown"), "; ".join(texts)
    return "proven", "; ".join(text for _, text in found)


def _same_store(primary: Told, shadow: Told) -> str | None:
    if primary.both:
        return f"{SAME_STORE}: this proxy reads both from {' and '.join(STORES[kind] for kind in primary.both)}"
    for one, other in ((primary, shadow), (shadow, primary)):
        if (kind := _store(one)) in other.direct:
            return f"{SAME_STORE}: {_said(one)}, and {_straight(other, (kind,))}"
    if not (primary.backend and shadow.backend and primary.report and shadow.report):
        return None
    left, right = primary.value, shadow.value
    one_place = compile_path(primary.report.path).steps == compile_path(shadow.report.path).steps
    if one_place and not isinstance(left, Absent) and same(left, right):
        return f'{SAME_STORE}: the primary and the shadow both say "{shown(left)}" at {primary.report.path}'
    if (kind := _store(primary)) is not None and kind == _store(shadow):
        return f"{SAME_STORE}: {_said(primary)}, {_said(shadow)}"
    return None


def _store(told: Told) -> str | None:
    """Which of the stores that this proxy knows the side's backend names; None for any other word."""
    value = told.value if told.backend else ABSENT
    return _SPELLED.get(value.strip().lower()) if isinstance(value, str) else None


def _said(told: Told) -> str:
    return f'the {told.side} says "{shown(told.value)}" at {told.report.path if told.report else ""}'


def _straight(told: Told, kinds: tuple[str, ...]) -> str:
    return f"the {told.side} is read straight from {' and '.join(STORES[kind] for kind in kinds)} by this proxy"


def _of_side(told: Told) -> tuple[Proof, str]:
    """What is known of one side alone."""
    straight = _straight(told, told.direct)
    if not told.backend:
        return ("proven", straight) if told.direct else ("unknown", f"no route of the domain has a {told.side}")
    if told.report is None:
        where = f"name the place and the value in its health document (provenance.{told.side})"
        return "unknown", f"nothing is known of the {told.side}: {where}"
    if told.answer is None or told.answer.problem:
        why = "it has not been asked yet" if told.answer is None else told.answer.problem
        return "unknown", f"the {told.side} cannot be asked{_since(told.answer)}: {why}"
    path, value = told.report.path, told.value
    if isinstance(value, Absent):
        return "unknown", f"the {told.side}'s {told.health} has nothing at {path}; correct provenance.{told.side}.path"
    said = _said(told)
    if not same(value, told.report.expect):
        return "failed", f'{said}, "{shown(told.report.expect)}" is expected'
    return "proven", f"{said}; {straight}" if told.direct else said


def _since(answer: Answer | None) -> str:
    if answer is None or answer.since is None:
        return ""
    return f" since {answer.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def parts_of(primary: Told, shadow: Told) -> Mapping[str, str]:
    """The parts of the domain's window that its sides decide; a side that says nothing has none."""
    found = {told.side.value: part(told) for told in (primary, shadow)}
    return {name: text for name, text in found.items() if text is not None}
