"""The written budget of memory: it adds up, every limit moves it, and the code keeps to its constants."""

from __future__ import annotations

import gc
import tracemalloc
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from comparators import decode
from comparators.compare import compare_bodies
from comparators.ids import IdPair, IdTable, Pairings
from comparators.model import Tolerated
from comparators.rules import compile_rules
from proxy import sides, succession, tail
from proxy.admin import events, listener
from proxy.identity import pairs, service
from proxy.identity.cache import Cache
from proxy.identity.conflicts import Row
from proxy.ledger import details, records, tally, timing
from proxy.ledger.epoch import Epoch
from proxy.model import Ended, Observation, Outcome, ReadRequest, Side, Verdict
from proxy.readers import client_response, postgres_store
from proxy.settings import Settings
from proxy.settings import budget_units as unit
from proxy.settings.budget import budget
from proxy.telemetry import figures
from proxy.verify import examine, recent, record, redact_echoes, remembered, work
from proxy.verify.memo import Entry, Memo, outside_of
from proxy.verify.redact_echoes import Echoes
from proxy.verify.redact_names import secrecy_of
from proxy.verify.redact_paths import pattern_without_secrets
from proxy.window import Window

NOW = datetime(2026, 5, 1, tzinfo=UTC)
ROUTED: dict[str, Any] = {"domains": {"users": {"routes": [{"route": "GET /users/{id}"}]}}}


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (unit.BACKEND_CONNECTIONS, sides.MAX_CLIENT_CONNECTIONS),
        (unit.BODIES_TO_TRACES, record.UNDER_WAY_BYTES),
        (unit.REMEMBERED, remembered.KEPT),
        (unit.REMEMBERED_BYTES, remembered.BYTES),
        (unit.RECENT, recent.KEPT),
        (unit.RECENT_BYTES, 2 * recent.LARGEST),
        (unit.RULE_SETS, work.rules_of.cache_parameters()["maxsize"]),
        (unit.CREDENTIALS, redact_echoes._spellings.cache_parameters()["maxsize"]),
        (unit.EXAMINED_BYTES, examine.MAX_WAITING_BYTES),
        (unit.EXAMINED_PLANS, examine.MAX_PLANS),
        (unit.PLAN_DAMAGES, examine.MAX_TRIED),
        (unit.ROWS_BYTES, 3 * postgres_store.MAX_BYTES),
        (unit.FILE_BYTES, pairs.FILE_BYTES),
        (unit.MEMBERS, decode.MAX_MEMBERS),
        (unit.LOOKUPS, service.Limits().lookups),
        (unit.LOOKUP_IDS, service.Limits().tokens),
        (unit.TRACES_WAITING, details.QUEUE_BYTES),
        (unit.SAMPLES, 2 * details.SAMPLE_CHARACTERS + 96),
        (unit.EARLIER, succession.MOST_ENDING),
        (unit.ENTITIES, records.ENTITY_LIMIT),
        (unit.PLACES, 2 * details.TOLERATED_PLACES),
        (unit.MINUTES, tally.MINUTES_WAITING),
        (unit.ROUTE_VERDICTS, len(Verdict)),
        (unit.WATCHES, timing.WATCHES),
        (unit.ADMIN_CONNECTIONS, listener.CONNECTIONS),
        (unit.ADMIN_CONNECTION, (256 + 128 * 8 + 4 * 64) * 1024),
        (unit.TAIL, tail.KEPT),
        (unit.LISTENERS, events.LISTENERS),
        (unit.LISTENER_BATCHES, events.PENDING * events.BATCH * 512),
        (unit.SERIES, figures.MAX_SERIES),
        (unit.EXCHANGE_BUFFERS, 6 * client_response.HIGH_WATER),
    ],
)
def test_the_code_keeps_to_what_the_budget_says(written: int, kept: int) -> None:
    assert written == kept


def test_pairs_believed() -> None:
    made = Pairings()
    assert made._limit == unit.BELIEVED


def grown(make: Callable[[], object]) -> int:
    """Bytes that what `make` returns takes."""
    gc.collect()
    tracemalloc.start()
    try:
        kept = make()
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        del kept
    finally:
        tracemalloc.stop()
    return size


def pair(number: int) -> IdPair:
    return IdPair("user", f"{number:024x}", str(uuid.UUID(int=number)))


def a_cache() -> object:
    cache = Cache(500, 0.0)
    for first in range(0, 5_000, 100):
        rows = [Row("users", pair(number)) for number in range(first, first + 100)]
        cache.put({token: [row] for row in rows for token in (row.pair.legacy, row.pair.uuid)}, 1.0)
    return cache


def a_tail() -> object:
    made = tail.Tail()
    for number in range(2 * tail.KEPT):
        made.add(
            Ended(NOW.replace(microsecond=number), "users", "GET /users/{id}", Verdict.DIFF, f"{number:024}", number,
                  number / 7, number / 3, f"{number:032}")
        )  # fmt: skip
    return made


def believed() -> object:
    made = Pairings()
    for number in range(3_000):
        made.join("user", *pair(number)[1:])
    return made


def epoch() -> Epoch:
    return Epoch(Window("w", "users", {}, NOW, ""), 1)


def outcome(**more: Any) -> Outcome:
    return Outcome("users", "GET /users/{id}", Verdict.MATCH, NOW, **more)


def entities() -> object:
    """Seen, waiting, and those of a batch that is being written."""
    made, of = details.Details(10), epoch()
    for number in range(3_000):
        made.add(of, "users", "GET /users/{id}", outcome(entity=f"{number:x}".rjust(2_000, "x"), entity_kind="user"), 1)
    first = made.peek(), made._hashes()
    return made, first


def places() -> object:
    made, of = details.Details(10), epoch()
    for number in range(details.TOLERATED_PLACES // 2):
        told = Tolerated("ignore", f"$.{number:x}" + "y" * 5_000, 1, f"$..{number}" + "z" * 5_000)
        made.add(of, "users", "GET /users/{id}", outcome(tolerated=(told,)), 1)
    return made


def requests() -> object:
    made = remembered.Remembered(lambda: 0.0)
    for number in range(2 * remembered.KEPT):
        fields = tuple((b"x-%d" % n, b"v" * 100 + b"%d" % number) for n in range(100))
        made.add(f"{number:024}", ReadRequest("GET", f"/{number}", fields))
    return made


@pytest.mark.parametrize(
    ("make", "count", "each"),
    [
        (a_cache, 500, unit.ID_PAIR),
        (a_tail, unit.TAIL, unit.ENDED),
        (believed, 3_000, unit.BELIEVED_PAIR),
        (entities, 3_000, unit.ENTITY),
        (places, details.TOLERATED_PLACES // 2, unit.PLACE * 2),
        (requests, unit.REMEMBERED, unit.REMEMBERED_BYTES + unit.HEAD // 8),
    ],
)
def test_a_piece_takes_no_more_than_the_budget_counts(make: Callable[[], object], count: int, each: int) -> None:
    assert grown(make) <= count * each


@pytest.mark.parametrize(
    ("before", "after", "more"),
    [
        ({"limits": {"clients": 100}}, {"limits": {"clients": 101}}, (1536 + 320 + 2 * 8) * 1024),
        ({"limits": {"buffered": 2**20}}, {"limits": {"buffered": 2**21}}, 4 * 2**20 + 2**20 // 24 * 512),
        ({"limits": {"queue": 10}}, {"limits": {"queue": 11}}, 3 * 64 * 1024),
        ({"limits": {"memo": 0}}, {"limits": {"memo": 2**20}}, 2**20),
        ({"limits": {"findings": 10}}, {"limits": {"findings": 11}}, 10 * 1024),
        ({"limits": {"workers": 1}}, {"limits": {"workers": 2}}, 96 * 2**20 + 2 * (32 * 2**20 + 640_000_000)),
        ({"limits": {"body": 2**20}}, {"limits": {"body": 2**21}}, (128 + 8) * 2**20 + 2 * 475_712 * 640),
        ({"shadow": {"max_concurrency": 1}}, {"shadow": {"max_concurrency": 2}}, 2 * 8 * 2**20 + 8 * 1024),
        ({"ids": {"cache": 1_000}}, {"ids": {"cache": 2_000}}, 1_000 * 512),
        ({"examine": {"share": 0.0}}, {"examine": {"share": 0.1}}, 4 * 32 * 2**20 + 2 * 500 * 256),
    ],
)
def test_every_limit_moves_it(before: dict[str, Any], after: dict[str, Any], more: int) -> None:
    one, other = (budget(Settings.model_validate({**ROUTED, **changed})) for changed in (before, after))
    assert other.total - one.total == pytest.approx(more, abs=1024)


def test_it_is_the_sum_of_its_lines_and_groups() -> None:
    told = budget(Settings.model_validate(ROUTED)).as_json()
    assert told["total"] == sum(line["bytes"] for line in told["lines"]) == sum(told["groups"].values())
    renewed = sum(told["groups"][group] for group in ("verification", "ids", "workers"))
    assert told["while_reloading"] == told["total"] + unit.EARLIER * renewed
    assert all(line["bytes"] > 0 and line["formula"] for line in told["lines"])
    settings = {name for line in told["lines"] for name in (line["setting"] or "").split(", ") if name}
    known = Settings()
    for name in settings:
        block, key = name.split(".")
        assert key in type(getattr(known, block) or known.limits).model_fields, name


def test_a_file_of_ids_counts_by_its_size() -> None:
    made = Settings.model_validate({**ROUTED, "ids": {"sources": [{"file": Path("/ids.json")}]}})
    known, unknown = budget(made, {Path("/ids.json"): 1_000}), budget(made)
    assert unknown.total - known.total == unit.FILE_FACTOR * (unit.FILE_BYTES - 1_000)


LONG = "Ü" * 40_000
"""A name as a hostile backend may write it."""


@pytest.mark.parametrize(
    "ask",
    [
        lambda n: secrecy_of(f"{LONG}{n}password"),
        lambda n: pattern_without_secrets(f"$['{LONG}{n}'].name"),
        lambda n: Echoes([f"{'s3cret-' * 1_100}{n}"]),
    ],
)
def test_what_is_remembered_of_a_text_is_never_as_long_as_a_body(ask: Callable[[int], object]) -> None:
    ask(0)
    assert grown(lambda: [None for n in range(40) if ask(n) is None]) < 200_000


@pytest.mark.parametrize(("member", "count"), [(b"[],", 1), (b'{"a":1},', 2), (b"1.5,", 1), (b'"a",', 1)])
def test_a_comparison_takes_no_more_than_the_budget_counts(member: bytes, count: int) -> None:
    members = 20_000 * count
    body = b"[" + member * 20_000 + b"1]"
    other = body[:-2] + b"2]"
    gc.collect()
    tracemalloc.start()
    try:
        assert compare_bodies(body, other, compile_rules([{}]), IdTable()).total == 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 2 * (unit.COMPARED_FACTOR * len(body) + members * unit.MEMBER)


def test_pairs_seen_equal_take_no_more_than_their_limit() -> None:
    limit, rules = 2_000_000, compile_rules([{}])

    def made() -> object:
        memo = Memo(limit)
        for number in range(2_000):
            told = tuple(Tolerated("ignore", f"$.data[*].{number}.{n}", n, "$..x") for n in range(3))
            sides = [
                Observation(
                    side, 200, tuple((b"x-%d" % n, b"v-%d-%d" % (n, number)) for n in range(12)), b"%d" % number
                )
                for side in Side
            ]
            outside = outside_of(sides[0], sides[1], frozenset({b"x-1"}), head_only=False)
            memo.add("GET /users/{id}", Entry(rules, outside, sides[0], sides[1], 1, 2.0, told))
        assert limit * 0.9 < memo.bytes <= limit
        return memo

    assert grown(made) <= limit
