"""What one matched pair proves: which fields it carries, and which damage to it the live rules would show."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from comparators.compare import compare_responses, is_json
from comparators.damage import damages
from comparators.decode import Unparseable, decode
from comparators.encode import dumps
from comparators.fields import State, fields
from comparators.hiding import hiding_rule
from comparators.ids import Pairings
from comparators.model import Comparison, Response
from proxy.verify.work import Job, rules_of

MAX_SECONDS = 0.25
"""How long one pair is damaged and compared: the worker is there for real comparisons first."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Tried:
    """One damage of the shadow's answer: whether the comparison saw it, and the rule that hid it if it did not.

    `path` is the pattern of the place as the shadow names it.
    """

    path: str
    damage: str
    seen: bool
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found out of one pair. `seconds` is the processor time that it took.

    Both are empty for a pair that has no JSON on both sides, and `damages` for one that does not match: against what
    differs already no damage can be told.
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

    At most `limit` damages are tried, as `seed` has it; `tried` as for `damages`. After `seconds` (of `clock`) no more
    are begun, however few it were. Under `ids: inferred` the pairs of ids are those that the undamaged answers show.
    """
    began = clock()
    if job.head_only or not (is_json(job.primary) and is_json(job.shadow)):
        return Examination(seconds=clock() - began)
    primary = decode(job.primary.body)
    shadow = primary if job.primary.body == job.shadow.body else decode(job.shadow.body)
    if isinstance(primary, Unparseable) or isinstance(shadow, Unparseable):
        return Examination(seconds=clock() - began)
    rules = rules_of(job.layers, job.today)
    found = fields(primary, shadow, rules.root, max_depth=job.max_depth)
    pairings = Pairings() if rules.ids == "inferred" else None
    before = _compared(job, job.shadow, pairings)
    known = 0 if pairings is None else len(pairings)
    seen: list[Tried] = []
    if before.equal:
        until = clock() + seconds
        draw = random.Random(seed).random  # noqa: S311 - chooses among damages
        for damage in damages(shadow, limit=limit, draw=draw, ids=job.ids, tried=tried):
            if clock() > until:
                break
            body = _encoded(damage.document)
            after = _compared(job, Response(job.shadow.status, job.shadow.headers, body), pairings)
            if pairings is not None:
                # What a damaged answer made believable is no fact.
                pairings.undo(known)
            rule = hiding_rule(rules.root, damage, before, after) if after.equal else ""
            seen.append(Tried(damage.path, damage.sort, not after.equal, rule))
    return Examination(found, tuple(seen), clock() - began)


def _compared(job: Job, shadow: Response, pairings: Pairings | None) -> Comparison:
    return compare_responses(
        job.primary, shadow, rules_of(job.layers, job.today), job.ids, pairings=pairings, max_depth=job.max_depth,
        max_differences=1,
    )  # fmt: skip


def _encoded(document: object) -> bytes:
    try:
        return _encode(document)
    except (UnicodeEncodeError, OverflowError, RecursionError):
        # Lone surrogates, long integers, deep nesting: rare, and the other way takes three times as long.
        return dumps(document).encode()
