"""What a sweep asks, in which order its pieces count, and which stored requests can be sent again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from comparators.ids import IdPair
from comparators.model import Difference, Kind
from proxy.model import Headers, Observation, Side, Trace, Verdict
from proxy.settings import Settings
from proxy.settings.sweeps import PagesSettings
from proxy.sweep.frontier import Frontier, Piece
from proxy.sweep.headers import HeaderFileError, read_headers
from proxy.sweep.replay import Answer, answer_to, findings_in, request_of
from proxy.sweep.targets import next_page, page_query, targets
from proxy.verify.case import Asked
from proxy.verify.redact import Redactor

PAIR = IdPair("user", "a" * 24, "11111111-1111-4111-8111-111111111111")


def made(*routes: dict[str, Any], **more: Any) -> Settings:
    return Settings.model_validate(
        {
            "primary": {"url": "http://127.0.0.1:1"},
            "shadow": {"url": "http://127.0.0.1:2", **more.pop("shadow", {})},
            "ids": {"sources": [{"file": "ids.json"}]},
            "domains": {"users": {"routes": list(routes), **more}},
        }
    )


def test_routes_that_are_swept_and_why_others_are_not() -> None:
    settings = made(
        {"route": "GET /api/a b/{id}".replace(" b", "%20b"), "sweep": {"entities": {"id": "user"}}},
        {"route": "GET /api/users", "sweep": {"pages": {"parameter": "page"}}},
        {"route": "GET /api/plain"},
        {"route": "GET /api/users/{id}/files/{file}", "sweep": {"entities": {"id": "user"}}},
        {"route": "GET /api/x/{a}/{b}", "sweep": {"entities": {"a": "user", "b": "user"}}},
        {"route": "POST /api/users/{id}/search", "safe": True, "sweep": {"entities": {"id": "user"}}},
    )
    found, left = targets(settings, "users")
    assert [one.path(PAIR if one.entity else None) for one in found] == [f"/api/a%20b/{'a' * 24}", "/api/users"]
    assert [one.route for one in left] == [
        "GET /api/plain",
        "GET /api/users/{id}/files/{file}",
        "GET /api/x/{a}/{b}",
        "POST /api/users/{id}/search",
    ]
    assert "{file}" in left[1].why


def test_a_primary_that_is_postgres_already_is_asked_by_uuid() -> None:
    settings = made(
        {"route": "GET /u/{id}", "sweep": {"entities": {"id": "user"}}},
        translate_ids="legacy",
        shadow={"translate_ids": True},
    )
    (one,), _ = targets(settings, "users")
    assert one.path(PAIR) == f"/u/{PAIR.uuid}"


@pytest.mark.parametrize(
    ("pages", "value", "document", "query", "following"),
    [
        ({}, "1", {"data": [1]}, "page=1", "2"),
        ({}, "7", {"data": []}, "page=7", None),
        ({}, "1", {"items": [1]}, "page=1", None),
        ({"first": 0, "step": 50, "query": "limit=50"}, "50", {"data": [1]}, "limit=50&page=50", "100"),
        ({"items": "$.data.rows"}, "1", {"data": {"rows": [1]}}, "page=1", "2"),
        ({"next": "$.next"}, "1", {"next": "c/1", "data": []}, "", "c/1"),
        ({"next": "$.next"}, "c/1", {"next": None}, "page=c%2F1", None),
        ({"next": "$.next"}, "c/1", {"next": "c/1"}, "page=c%2F1", None),
        ({"next": "$.next"}, "c/1", {"next": True}, "page=c%2F1", None),
    ],
)
def test_pages(pages: dict[str, Any], value: str, document: Any, query: str, following: str | None) -> None:
    settings = PagesSettings.model_validate({"parameter": "page", **pages})
    assert page_query(settings, value) == query
    assert next_page(settings, value, document) == following


def test_pieces_count_in_their_order_only() -> None:
    frontier = Frontier("", Piece(3, 2, {"match": 3}))
    first, second, third = (frontier.begin(place) for place in "abc")
    frontier.end(third, Piece(1, 1, {"match": 1}))
    frontier.end(second, Piece(1, 0, {"diff": 1}))
    assert (frontier.place, frontier.done, frontier.under_way) == ("", 3, 3), "the first is not done"
    frontier.end(first, Piece(1, 1, {"match": 1}))
    assert (frontier.place, frontier.done, frontier.found) == ("c", 6, 4)
    assert dict(frontier.ended) == {"match": 5, "diff": 1}
    assert frontier.under_way == 0


def test_a_header_file(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("# a token\n\nAuthorization: Bearer a:b\nX-Name:é\r\n")
    assert read_headers(file) == ((b"Authorization", b"Bearer a:b"), (b"X-Name", "é".encode("latin-1")))


@pytest.mark.parametrize(
    "text",
    ["secret", ": secret", "a b: secret", "Content-Length: 5", "X: sec\x00ret", "X: secret\u20ac", "X: y\n" * 101],
)
def test_a_header_file_that_is_refused_is_not_quoted(tmp_path: Path, text: str) -> None:
    file = tmp_path / "headers"
    file.write_text(text)
    with pytest.raises(HeaderFileError) as refused:
        read_headers(file)
    assert "secret" not in str(refused.value)
    assert str(file) in str(refused.value)


DIFFERENCE = Difference("$.data[3].n", Kind.VALUE_CHANGED, 1, 2)
TRACE = Trace(
    id="t1",
    at=datetime(2026, 1, 1, tzinfo=UTC),
    domain="users",
    route="GET /u/{id}",
    verdict=Verdict.DIFF,
    method="GET",
    target="/u/1?q=a",
    request_headers=(("Host", "shop.test"), ("Accept", "*/*"), ("Connection", "close")),
    primary_status=200,
    shadow_status=200,
    primary_headers=(),
    shadow_headers=(),
    primary_body=None,
    shadow_body=None,
    primary_seconds=0.0,
    shadow_seconds=0.0,
    differences=(DIFFERENCE,),
    differences_total=1,
)
TOKEN: Headers = ((b"authorization", b"Bearer new"),)


def test_a_stored_request_is_sent_as_it_was_but_for_its_connection() -> None:
    request = request_of(TRACE, ())
    assert not isinstance(request, str)
    assert (request.method, request.target) == ("GET", "/u/1?q=a")
    assert request.headers == ((b"Host", b"shop.test"), (b"Accept", b"*/*"))


def test_what_is_redacted_has_to_be_given_anew() -> None:
    redactor = Redactor([], b"k" * 16)
    hidden = redactor.headers(((b"Authorization", b"Bearer old"),))
    stored = replace(TRACE, request_headers=hidden)
    assert request_of(stored, ()) == "its Authorization is redacted; give one under --headers"
    given = request_of(stored, TOKEN)
    assert not isinstance(given, str)
    assert given.headers == TOKEN
    assert "query" in str(request_of(replace(TRACE, target=redactor.target("/u/1?token=x")), TOKEN))
    assert "POST" in str(request_of(replace(TRACE, method="POST"), ()))


def asked(verdict: Verdict, *differences: Difference, status: int = 200, total: int | None = None) -> Asked:
    primary = Observation(Side.PRIMARY, status, (), b"{}")
    count = len(differences) if total is None else total
    return Asked("users", "GET /u/{id}", verdict, None, differences, count, primary, "")


@pytest.mark.parametrize(
    ("again", "answer"),
    [
        (asked(Verdict.MATCH), "gone"),
        (asked(Verdict.TRANSIENT), "gone"),
        (asked(Verdict.DIFF, Difference("$.data[9].n", Kind.VALUE_CHANGED, 5, 6)), "differs"),
        (asked(Verdict.DIFF, Difference("$.other", Kind.VALUE_CHANGED, 5, 6)), "gone"),
        (asked(Verdict.DIFF, Difference("$.data[9].n", Kind.MISSING, 5)), "gone"),
        (asked(Verdict.DIFF, Difference("$.other", Kind.MISSING, 5), total=7), "unknown"),
        (asked(Verdict.UNSTABLE, Difference("$.other", Kind.MISSING, 5)), "unknown"),
        (asked(Verdict.MATCH, status=401), "unknown"),
        (asked(Verdict.SHADOW_ERROR), "unknown"),
        (asked(Verdict.BREAKER_OPEN), "unknown"),
    ],
)
def test_what_a_new_reading_says(again: Asked, answer: Answer) -> None:
    assert answer_to(TRACE, again, findings_in(TRACE))[0] == answer
