"""What one matched pair proves: which fields it carries, and which damage to it the live rules would show."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from comparators.compare import compare_responses, is_json
from comparators.damage import damages
from comparators.decode import Unparseable, decode
from comparators.encode import dumps
from comparators.fields import State, fields
from comparators.hiding import NO_RULE, hiding_rule
from comparators.ids import Pairings
from comparators.model import Comparison, Response
from comparators.rules import DEFAULT_HEADERS
from proxy.verify.redact_paths import pattern_without_secrets
from proxy.verify.work import Job, rules_of

LONGEST_PATH = 500
"""Characters of a path that are kept. Two that differ behind them count as one."""
MAX_SECONDS = 0.25
"""How long one pair is damaged and compared: the worker is there for real comparisons first."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Tried:
    """One damage of the shadow's answer: whether the comparison saw it, and the rule that hid it if it did not.

    `path` is the pattern of the place as the shadow names it, or the primary what it alone has; `status` and
    `headers.NAME` stand beside the body.
    """

    path: str
    damage: str
    seen: bool
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found out of one pair. `seconds` is the processor time that it took.

    `fields` are empty for a pair that has no JSON on both sides, both for one without bodies. `damages` are empty for
    one that does not match: against what differs already no damage can be told.
    """

    fields: Mapping[str, State] = field(default_factory=dict)
    damages: tuple[Tried, ...] = ()
    seconds: float = 0.0


def examine(
    job: Job,
    *,
    limit: int,
    seed: int,
    tried: Mapping[tuple[str, str], int] | None = None,
    seconds: float = MAX_SECONDS,
    clock: Callable[[], float] = time.process_time,
) -> Examination:
    """Examine the two answers of a comparison that matched, under its own rules.

    At most `limit` damages of JSON are tried, as `seed` has it; `tried` as for `damages`. After `seconds` (of `clock`)
    no more are begun, but one is always tried. Under `ids: inferred` the pairs of ids are those that the undamaged
    answers show.
    """
    began = clock()
    if job.head_only:
        return Examination(seconds=clock() - began)
    primary: Any = Unparseable("no JSON")
    shadow: Any = primary
    if is_json(job.primary) and is_json(job.shadow):
        primary = decode(job.primary.body)
        shadow = primary if job.primary.body == job.shadow.body else decode(job.shadow.body)
    rules = rules_of(job.layers, job.today)
    pairings = Pairings() if rules.ids == "inferred" else None
    before = _compared(job, job.primary, job.shadow, pairings)
    if isinstance(primary, Unparseable) or isinstance(shadow, Unparseable):
        return Examination({}, (*_one_byte_more(job), *_outside(job)) if before.equal else (), clock() - began)
    found = fields(primary, shadow, rules.root, max_depth=job.max_depth)
    known = 0 if pairings is None else len(pairings)
    seen: list[Tried] = []
    if before.equal:
        until = clock() + seconds
        draw = random.Random(seed).random  # noqa: S311 - chooses among damages
        opposite = None if primary is shadow else primary
        for damage in damages(shadow, limit=limit, draw=draw, ids=job.ids, tried=tried, opposite=opposite):
            if clock() > until and seen:
                break
            body = _encoded(damage.document)
            if damage.opposite:
                after = _compared(job, replace(job.primary, body=body), job.shadow, pairings)
            else:
                after = _compared(job, job.primary, replace(job.shadow, body=body), pairings)
            if pairings is not None:
                # What a damaged answer made believable is no fact.
                pairings.undo(known)
            rule = hiding_rule(rules.root, damage, before, after) if after.equal else ""
            seen.append(Tried(damage.path, damage.sort, not after.equal, rule))
        seen += _outside(job)
    return Examination(_storable(found), tuple(_stored(one) for one in seen), clock() - began)


def _storable(found: Mapping[str, State]) -> Mapping[str, State]:
    """The fields by paths that may be stored; those that only the name of a member told apart are one."""
    made: dict[str, State] = {}
    for path, state in found.items():
        stored = _path(path)
        known = made.get(stored)
        made[stored] = state if known is None else State(*(a or b for a, b in zip(known, state, strict=True)))
    return made


def _stored(one: Tried) -> Tried:
    path = _path(one.path)
    return one if path == one.path else replace(one, path=path)


def _path(path: str) -> str:
    """A path as it is kept: without secrets, and never as long as a body."""
    return pattern_without_secrets(path)[:LONGEST_PATH]


def _one_byte_more(job: Job) -> Iterator[Tried]:
    """Damage to a body that is no JSON, of which rules know nothing."""
    longer = replace(job.shadow, body=job.shadow.body + b"x")
    hidden = _compared(job, job.primary, longer, None).equal
    yield Tried("$", "text", not hidden, NO_RULE if hidden else "")


def _outside(job: Job) -> Iterator[Tried]:
    """Damage to what stands beside a body: another status of the same class, and the fields compared by default."""
    status = job.shadow.status
    other = replace(job.shadow, status=status - 1 if status % 100 else status + 1)
    hidden = _compared(job, job.primary, other, None, head_only=True).equal
    yield Tried("status", "status", not hidden, "status class" if hidden else "")
    for name in DEFAULT_HEADERS:
        if any(key == name for key, _ in job.shadow.headers):
            headers = tuple([(key, f"{value}; x=x" if key == name else value) for key, value in job.shadow.headers])
            other = replace(job.shadow, headers=headers)
            hidden = _compared(job, job.primary, other, None, head_only=True).equal
            yield Tried(f"headers.{name}", "header", not hidden, "headers" if hidden else "")


def _compared(
    job: Job, primary: Response, shadow: Response, pairings: Pairings | None, *, head_only: bool = False
) -> Comparison:
    return compare_responses(
        primary, shadow, rules_of(job.layers, job.today), job.ids, head_only=head_only, pairings=pairings,
        max_depth=job.max_depth, max_differences=1,
    )  # fmt: skip


def _encoded(document: object) -> bytes:
    try:
        return _encode(document)
    except (UnicodeEncodeError, OverflowError, RecursionError):
        # Lone surrogates, long integers, deep nesting: rare, and the other way takes three times as long.
        return dumps(document).encode()
