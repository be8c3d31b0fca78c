"""What the sides say of themselves, and what of it is proof."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from proxy.model import Observation, Side
from proxy.provenance.documents import Documents
from proxy.provenance.health import SAME_STORE, Answer, Told, judge, part, parts_of, shown, value_at
from proxy.settings import ReportSettings, Settings

SINCE = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
PATH = "$.checks.modes.user"


def document(mode: Any, version: Any = "2.8.79") -> dict[str, Any]:
    return {"version": version, "checks": {"modes": {"user": mode}}}


def told(side: Side, says: Any = "mongo", expect: Any = "mongo", **more: Any) -> Told:
    values: Mapping[str, Any] = {
        "direct": (),
        "backend": True,
        "health": "/api/health",
        "report": ReportSettings(path=PATH, expect=expect),
        "answer": Answer(document(says)),
        **more,
    }
    return Told(side, **values)


def primary(says: Any = "mongo", expect: Any = "mongo", **more: Any) -> Told:
    return told(Side.PRIMARY, says, expect, **more)


def shadow(says: Any = "postgres", expect: Any = "postgres", **more: Any) -> Told:
    return told(Side.SHADOW, says, expect, **more)


def test_sides_that_say_what_is_expected_are_proven() -> None:
    assert judge(primary(), shadow()) == (
        "proven",
        f'the primary says "mongo" at {PATH}; the shadow says "postgres" at {PATH}',
    )


@pytest.mark.parametrize("says", ["dual", True, 3, "postgres"])
def test_sides_that_say_the_same_read_the_same_store_whatever_was_expected(says: Any) -> None:
    proof, text = judge(primary(says, expect=says), shadow(says, expect=says))
    assert proof == "failed"
    assert text.startswith("both sides read the same store: ")


def test_another_value_than_expected_fails_and_names_both() -> None:
    assert judge(primary(), shadow("dual")) == (
        "failed",
        f'the shadow says "dual" at {PATH}, "postgres" is expected',
    )


@pytest.mark.parametrize(
    ("says", "expect", "proven"),
    [(True, True, True), (1, True, False), (True, 1, False), ("1", 1, False), (1, 1.0, True), (None, "null", False)],
)
def test_a_value_is_its_type_too(says: Any, expect: Any, proven: bool) -> None:
    assert (judge(primary(), shadow(says, expect=expect))[0] == "proven") is proven


def test_a_side_that_cannot_be_asked_is_unknown_since_then() -> None:
    away = shadow(answer=Answer(problem="refused: 127.0.0.1:1", since=SINCE))
    assert judge(primary(), away) == (
        "unknown",
        "the shadow cannot be asked since 2026-05-01 12:00:00 UTC: refused: 127.0.0.1:1",
    )
    assert part(away) is None


def test_a_document_without_the_place_is_unknown_with_the_remedy() -> None:
    proof, text = judge(primary(), shadow(answer=Answer({"version": "1"})))
    assert proof == "unknown"
    assert "has nothing at $.checks.modes.user; correct provenance.shadow.path" in text


def test_a_side_of_which_nothing_is_configured_is_unknown_with_the_remedy() -> None:
    proof, text = judge(primary(), shadow(report=None))
    assert (proof, "provenance.shadow" in text) == ("unknown", True)


def test_a_failure_is_told_before_what_is_not_known() -> None:
    assert judge(primary(answer=None), shadow("dual"))[0] == "failed"


def test_a_store_that_is_read_straight_needs_no_document() -> None:
    straight = shadow(direct=("postgres",), backend=False, report=None, answer=None)
    proof, text = judge(primary(), straight)
    assert (proof, text.endswith("the shadow is read straight from Postgres by this proxy")) == ("proven", True)
    assert part(straight) == "Postgres itself"


def test_two_readers_of_one_store_read_the_same_store() -> None:
    both = {"direct": ("postgres",), "both": ("postgres",), "backend": False, "report": None, "answer": None}
    assert judge(primary(**both), shadow(**both)) == ("failed", f"{SAME_STORE}: this proxy reads both from Postgres")


def test_a_backend_that_names_the_store_that_the_other_side_is_read_from_reads_the_same() -> None:
    straight = shadow(direct=("postgres",), backend=False, report=None, answer=None)
    assert judge(primary("PostgreSQL", expect="PostgreSQL"), straight) == (
        "failed",
        f'{SAME_STORE}: the primary says "PostgreSQL" at {PATH}, and the shadow is read straight from Postgres by this '
        "proxy",
    )
    partly = primary(direct=("mongo",), expect="mongo")
    assert judge(partly, shadow("MongoDB ", expect="MongoDB "))[1].startswith(SAME_STORE)


@pytest.mark.parametrize(
    ("path", "says", "ours"),
    [
        ("$['checks'].modes['user']", "dual", "dual"),
        (PATH, "Mongo", "mongo"),
        ("$.other", "mongodb", "mongo"),
        ("$.other", "pg", "postgresql"),
    ],
)
def test_one_store_is_one_however_it_and_its_place_are_spelled(path: str, says: str, ours: str) -> None:
    document = {"checks": {"modes": {"user": says}}, "other": says}
    other = shadow(report=ReportSettings(path=path, expect=says), answer=Answer(document))
    proof, text = judge(primary(ours, expect=ours), other)
    assert (proof, text.startswith(f"{SAME_STORE}: ")) == ("failed", True)


def test_one_route_with_both_sides_on_one_store_is_enough() -> None:
    assert judge(primary(direct=("mongo",), both=("mongo",)), shadow(direct=("mongo",), both=("mongo",))) == (
        "failed",
        f"{SAME_STORE}: this proxy reads both from MongoDB",
    )


def test_a_domain_that_is_partly_read_straight_needs_the_document_too() -> None:
    assert judge(primary(), shadow(direct=("postgres",)))[0] == "proven"
    assert judge(primary(), shadow(direct=("postgres",), report=None))[0] == "unknown"


def test_the_parts_name_version_and_store() -> None:
    assert parts_of(primary(), shadow("postgres", version_path="$.version")) == {
        "primary": "2.8.79, mongo",
        "shadow": "2.8.79, postgres",
    }
    assert parts_of(primary(report=None), shadow(answer=Answer({"checks": {}}))) == {"primary": "2.8.79"}
    assert part(primary(answer=Answer(document("mongo", version=None)))) == "mongo"


@pytest.mark.parametrize(
    ("path", "value"),
    [("$", {"a": [{"b": 1}]}), ("$.a[0].b", 1), ("$['a'][0]", {"b": 1})],
)
def test_a_place_is_found(path: str, value: Any) -> None:
    assert value_at({"a": [{"b": 1}]}, path) == value


@pytest.mark.parametrize("path", ["$.a[1]", "$.a.b", "$[0]", "$.a[0].b.c"])
def test_a_place_that_is_not_there_is_absent(path: str) -> None:
    assert not isinstance(value_at({"a": [{"b": 1}]}, path), dict | list | int)


def test_what_a_backend_says_is_shown_on_one_short_line() -> None:
    text = judge(primary(), shadow("x\n\x1b[31m" + "y" * 500))[1]
    assert text.isprintable()
    assert len(text) < 300


async def test_the_stores_that_one_route_reads_on_both_sides_are_found() -> None:
    def mongo(collection: str) -> dict[str, Any]:
        params = [{"from": "path.id", "type": "object_id"}]
        return {"mongo": {"collection": collection, "find": {"_id": "$1"}, "params": params}}

    async def fetch(side: Side, _path: str) -> Observation:
        return Observation(side, 200, (), b'{"version": "1"}')

    settings = Settings.model_validate(
        {
            "primary": {"url": "http://127.0.0.1:1"},
            "shadow": {"url": "http://127.0.0.1:2"},
            "mongo": {"url": "mongodb://127.0.0.1:3", "database": "shop"},
            "domains": {
                "users": {"routes": ["GET /u", {"route": "GET /u/{id}", "primary": mongo("a"), "shadow": mongo("b")}]},
                "posts": {"routes": ["GET /p", {"route": "GET /p/{id}", "shadow": mongo("b")}]},
            },
        }
    )
    accounts = await Documents(settings, fetch, lambda: SINCE).look()
    judged = {one.domain: judge(one.primary, one.shadow) for one in accounts}
    assert judged["users"] == ("failed", f"{SAME_STORE}: this proxy reads both from MongoDB")
    assert judged["posts"][0] == "unknown"


def test_long_versions_that_begin_alike_are_told_apart() -> None:
    one, other = ("build " * 50 + end for end in ("a", "b"))
    assert shown(one) != shown(other)
    assert shown(one) == shown(one)
    assert len(shown(one)) < 150
