"""Requests with ids put as the other store spells them."""

from __future__ import annotations

import json
import string
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators.ids import TOKEN, IdPair, IdTable
from proxy.model import Headers, ReadRequest
from proxy.verify.translation import To, ids_of, translated

LEGACY, OTHER, STRANGE = "65f0a1b2c3d4e5f60718293a", "65f0a1b2c3d4e5f60718293b", "ffffffffffffffffffffffff"
UUID = "0b8e5a3c-4d2f-4e1a-9b7c-112233445566"
ANOTHER = "0b8e5a3c-4d2f-4e1a-9b7c-112233445567"
LOST = "0b8e5a3c-4d2f-4e1a-9b7c-000000000000"
TABLE = IdTable.of([IdPair("user", LEGACY, UUID), IdPair("listing", OTHER, ANOTHER)])
JSON: Headers = ((b"Content-Type", b"application/json; charset=utf-8"),)


def got(target: str) -> ReadRequest:
    return ReadRequest("GET", target, ())


def posted(body: str, headers: Headers = JSON) -> ReadRequest:
    return ReadRequest("POST", "/api/search", headers, body.encode())


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (f"/api/users/{LEGACY}", f"/api/users/{UUID}"),
        (f"/api/users/{LEGACY}/listings/{OTHER}?a=b", f"/api/users/{UUID}/listings/{ANOTHER}?a=b"),
        (f"/api?ids={LEGACY},{OTHER}&x={LEGACY}", f"/api?ids={UUID},{ANOTHER}&x={UUID}"),
        (f"/api?ids={LEGACY}%2C{OTHER}", f"/api?ids={UUID}%2C{ANOTHER}"),
        (f"/api/users%2F{LEGACY}%20b", f"/api/users%2F{UUID}%20b"),
        (f"/api/%C3%A9{LEGACY}", f"/api/%C3%A9{UUID}"),
        (f"/api/%36%35f0{LEGACY[4:]}?%zz", f"/api/{UUID}?%zz"),
        (f"/api?filter=%7B%22_id%22%3A%22{LEGACY}%22%7D", f"/api?filter=%7B%22_id%22%3A%22{UUID}%22%7D"),
        (f"/api/{LEGACY.upper()}", f"/api/{UUID}"),
        (f"/api/{LEGACY}a/a{LEGACY}/{LEGACY}%61", f"/api/{LEGACY}a/a{LEGACY}/{LEGACY}%61"),
        (f"/api/%2{LEGACY}%", f"/api/%2{LEGACY}%"),
        (f"/api/{UUID.upper()}", f"/api/{UUID.upper()}"),
        ("/", "/"),
    ],
)
def test_ids_of_path_and_query(target: str, expected: str) -> None:
    assert translated(got(target), TABLE, "uuid").request.target == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f'{{"id": "{LEGACY}"}}', f'{{"id": "{UUID}"}}'),
        (f'{{"{LEGACY}": ["{OTHER}" ]}}', f'{{"{UUID}": ["{ANOTHER}" ]}}'),
        (f'"{LEGACY}"', f'"{UUID}"'),
        (
            rf'{{"query": "{{ user(id: \"{LEGACY}\") {{ name }} }}"}}',
            rf'{{"query": "{{ user(id: \"{UUID}\") {{ name }} }}"}}',
        ),
        (rf'["\u0036\u0035f0{LEGACY[4:]}", "é\\", "\n{OTHER}"]', rf'["{UUID}", "é\\", "\n{ANOTHER}"]'),
        (rf'["\b{LEGACY}\f{OTHER}"]', rf'["\b{UUID}\f{ANOTHER}"]'),
        (rf'["\u0061{LEGACY}", "{LEGACY}\u0061"]', rf'["\u0061{LEGACY}", "{LEGACY}\u0061"]'),
    ],
)
def test_ids_of_a_json_body(body: str, expected: str) -> None:
    assert translated(posted(body), TABLE, "uuid").request.body == expected.encode()


def test_digits_outside_of_texts_are_a_number() -> None:
    number = "123456789012345678901234"
    table = IdTable.of([IdPair("user", number, UUID)])
    seen = translated(posted(f'{{"n": {number}, "f": 0.{number}, "id": "{number}"}}'), table, "uuid")
    assert seen.request.body == f'{{"n": {number}, "f": 0.{number}, "id": "{UUID}"}}'.encode()
    assert ids_of(posted(f'{{"n": {number}}}')) == set()


@pytest.mark.parametrize(
    ("headers", "changed"),
    [
        (((b"content-type", b"application/json"),), True),
        (((b"content-type", b" Application/Merge-Patch+JSON ;q=1"),), True),
        (((b"content-type", b"application/json"), (b"Content-Encoding", b"identity")), True),
        (((b"content-type", b"application/json"), (b"Content-Encoding", b"gzip")), False),
        (((b"content-type", b"application/jsonp"),), False),
        (((b"content-type", b"text/plain"),), False),
        ((), False),
    ],
)
def test_only_json_bodies_are_read(headers: Headers, changed: bool) -> None:
    request = posted(f'["{LEGACY}", "{STRANGE}"]', headers)
    seen = translated(request, TABLE, "uuid")
    assert (seen.request != request) is changed
    assert seen.unknown == ((STRANGE,) if changed else ())
    assert (LEGACY in ids_of(request)) is changed
    assert seen.request.headers == headers


def test_what_is_unknown_is_sent_as_it_stands_and_named() -> None:
    request = ReadRequest("POST", f"/{STRANGE}/{LEGACY}?x={'E' * 24}", JSON, f'["{STRANGE}", "{LOST}"]'.encode())
    seen = translated(request, TABLE, "uuid")
    assert seen.request.target == f"/{STRANGE}/{UUID}?x={'E' * 24}"
    assert seen.request.body == request.body
    assert seen.unknown == (STRANGE, "e" * 24), "a uuid is what was wanted, known or not"
    assert translated(request, TABLE, "legacy").unknown == (LOST,)


def test_what_is_ambiguous_is_sent_as_it_stands_and_named() -> None:
    table = IdTable.of(
        [IdPair("user", LEGACY, UUID), IdPair("listing", LEGACY, ANOTHER), IdPair("review", OTHER, UUID)]
    )
    seen = translated(got(f"/{LEGACY}/{OTHER}"), table, "uuid")
    assert (seen.request.target, seen.unknown) == (f"/{LEGACY}/{UUID}", (LEGACY,))
    back = translated(got(f"/{UUID}/{ANOTHER}"), table, "legacy")
    assert (back.request.target, back.unknown) == (f"/{UUID}/{LEGACY}", (UUID,))


def test_one_uuid_under_two_entities_is_not_ambiguous() -> None:
    table = IdTable.of([IdPair("user", LEGACY, UUID), IdPair("seller", LEGACY, UUID)])
    assert translated(got(f"/{LEGACY}"), table, "uuid").request.target == f"/{UUID}"


def test_all_ids_are_asked_for() -> None:
    request = ReadRequest(
        "POST", f"/{LEGACY}/%36{OTHER[1:]}?x={UUID.upper()}", JSON, rf'["\u0066{STRANGE[1:]}", "{LOST}"]'.encode()
    )
    assert ids_of(request) == {LEGACY, OTHER, UUID, STRANGE, LOST}


hexed = st.text("0123456789abcdef", min_size=24, max_size=24)
uuids = st.uuids().map(str)
tables = st.lists(st.tuples(hexed, uuids), min_size=1, max_size=4, unique_by=(lambda p: p[0], lambda p: p[1]))
filling = st.text(string.ascii_letters + string.digits + "-./?&=,%_~é ", max_size=30)
"""Text between ids; what it makes of itself or of its neighbours is part of the play."""


@st.composite
def requests(draw: st.DrawFn) -> tuple[ReadRequest, IdTable]:
    """A request with ids of one form in all three places, none of the other, and the table that knows some of them."""
    pairs = draw(tables)
    known = pairs[: draw(st.integers(0, len(pairs)))]
    ids = st.sampled_from([legacy for legacy, _ in pairs])
    target = "/" + "".join(draw(st.lists(st.one_of(ids, filling), max_size=8)))
    texts = st.one_of(filling, ids, st.tuples(filling, ids, filling).map("".join), st.text(max_size=5))
    values = st.recursive(
        st.one_of(texts, st.integers(), st.none()),
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=3)),
        max_leaves=10,
    )
    body = json.dumps(draw(values), ensure_ascii=draw(st.booleans()))
    request = ReadRequest("POST", target, JSON, body.encode("utf-8", "surrogatepass"))
    return request, IdTable.of(IdPair("any", *pair) for pair in known)


def replaced(value: Any, table: IdTable) -> Any:
    """A parsed value with each known id put as its uuid, said in another way."""
    if isinstance(value, str):
        return TOKEN.sub(lambda found: table.plain.get(found[0].lower(), found[0]), value)
    if isinstance(value, list):
        return [replaced(inner, table) for inner in value]
    if isinstance(value, dict):
        return {replaced(name, table): replaced(inner, table) for name, inner in value.items()}
    return value


@given(requests())
def test_there_and_back_is_the_same(case: tuple[ReadRequest, IdTable]) -> None:
    request, table = case
    there = translated(request, table, "uuid")
    assert not set(there.unknown) & table.by_legacy.keys()
    assert {token for token in ids_of(request) if "-" not in token} == {*there.unknown} | (
        ids_of(request) & table.by_legacy.keys()
    )
    back = translated(there.request, table, "legacy").request
    assert (back.target.lower(), back.body.lower()) == (request.target.lower(), request.body.lower())


@given(requests())
def test_nothing_else_changes(case: tuple[ReadRequest, IdTable]) -> None:
    request, table = case
    seen = translated(request, table, "uuid").request
    assert (seen.method, seen.headers) == (request.method, request.headers)
    before = json.loads(request.body.decode("utf-8", "surrogatepass"))
    assert json.loads(seen.body.decode("utf-8", "surrogatepass")) == replaced(before, table)
    # What stands between the ids, as bytes: cut both where an id was put.
    for old, new in ((request.target, seen.target), (request.body.decode("latin-1"), seen.body.decode("latin-1"))):
        at = 0
        for part in _between(new, {pair.uuid for pairs in table.by_legacy.values() for pair in pairs}):
            at = old.find(part, at)
            assert at >= 0
            at += len(part)


def _between(text: str, ids: set[str]) -> list[str]:
    parts = [text]
    for token in ids:
        parts = [piece for part in parts for piece in part.split(token)]
    return parts


def encoded(before: list[tuple[str, str]], escape: str) -> st.SearchStrategy[tuple[str, str]]:
    """A text of ids some of whose characters are escaped, and what is meant by it."""
    ids = st.tuples(st.sampled_from([LEGACY, OTHER, STRANGE, UUID]), st.sets(st.integers(0, 35)))
    one = ids.map(
        lambda drawn: (
            "".join(escape % ord(sign) if at in drawn[1] else sign for at, sign in enumerate(drawn[0])),
            drawn[0],
        )
    )
    parts = st.lists(st.one_of(st.sampled_from(before), one), max_size=8)
    return parts.map(lambda drawn: ("".join(raw for raw, _ in drawn), "".join(meant for _, meant in drawn)))


PERCENT = encoded([("/", "/"), ("%2F", "/"), ("%65", "e"), ("e", "e"), ("-", "-"), ("%zz", "%zz")], "%%%02x")
ESCAPED = encoded([(" ", " "), ("\\n", "\n"), ("\\u0065", "e"), ("e", "e"), ("\\\\", "\\"), ("é", "é")], "\\u%04X")


@given(PERCENT, ESCAPED)
def test_any_character_of_an_id_may_be_encoded(target: tuple[str, str], body: tuple[str, str]) -> None:
    request = ReadRequest("POST", f"/{target[0]}", JSON, f'["{body[0]}"]'.encode())
    assert ids_of(request) == {token.lower() for _, text in (target, body) for token in TOKEN.findall(text)}
    seen = translated(request, TABLE, "uuid").request
    assert unquote(seen.target) == replaced(f"/{target[1]}", TABLE)
    assert json.loads(seen.body) == replaced([body[1]], TABLE)


@given(st.text(max_size=60), st.binary(max_size=60), st.sampled_from(["uuid", "legacy"]))
def test_without_known_ids_it_is_the_same_request(target: str, body: bytes, to: To) -> None:
    request = ReadRequest("POST", f"/{target}", JSON, body)
    assert translated(request, IdTable(), to).request == request
