from __future__ import annotations

import itertools
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.settings.patterns import Part, Pattern, RouteError, contains, overlap, parse_route, path_segments
from proxy.settings.routes import Claim, Router, conflicts


def router(*routes: str) -> Router:
    return Router(Claim.of("d", route) for route in routes)


def claimed(table: Router, method: str, path: str) -> tuple[str, dict[str, str]] | None:
    match = table.match(method, path)
    return (match.route, match.params) if match else None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "GET api/users",
            'path "api/users" can never match: it must start with "/"; did you mean "/api/users"?',
        ),
        ("/api/users", 'lacks a method; did you mean "GET /api/users"?'),
        ("GET", "is not a route; write a method and a path"),
        ("", "is not a route"),
        ("get /x", '"get" is not a method that can be read; did you mean "GET"?'),
        ("GTE /x", 'did you mean "GET"?'),
        ("/x GET", '"/x" is not a method; write the method first, as in GET /x'),
        ("BREW /x", "methods are GET, HEAD, POST"),
        ("DELETE /x", "a DELETE is never a read"),
        ("GET /a?b=c", 'the query is not part of a route; did you mean "/a"?'),
        ("GET /a#b", 'a fragment is never sent; did you mean "/a"?'),
        ("GET /a//b", 'empty step "//"; did you mean "/a/b"?'),
        ("GET /a/", 'did you mean "/a"?'),
        ("GET //", 'empty step "//"; did you mean "/"?'),
        ("GET /a/../b", 'requests with ".." steps are not routed'),
        ("GET /a/./b", 'requests with "." steps are not routed'),
        ("GET /a/%2e%2E/b", 'requests with ".." steps are not routed'),
        ("GET /a b", "holds a blank, control sign or backslash"),
        ("GET /a\\b", "holds a blank, control sign or backslash"),
        ("GET /a%zz", '"%" must be followed by two hex digits'),
        ("GET /a/**/b", "** may only be the last step"),
        ("GET /a/*", '"*" is no wildcard'),
        ("GET /a/***", '"***" is no wildcard'),
        ("GET /a/b*", '"b*" is no wildcard'),
        ("GET /a/:id", 'did you mean "{id}"?'),
        ("GET /a/{id}.json", "a parameter is a whole step"),
        ("GET /a/{}", "a parameter is a whole step"),
        ("GET /a/{1}", "a parameter is a whole step"),
        ("GET /a/{id", "a parameter is a whole step"),
        ("GET /{id}/b/{id}", "names {id} twice"),
        ("GET " + "/a" * 65, "more than 64 steps"),
    ],
)
def test_a_pattern_that_no_request_can_match_is_refused(text: str, says: str) -> None:
    with pytest.raises(RouteError, match=re.escape(says)):
        parse_route(text)


@pytest.mark.parametrize(
    ("method", "path", "route", "params"),
    [
        ("GET", "/", "GET /", {}),
        ("GET", "/users", "GET /users", {}),
        ("GET", "/users/", "GET /users", {}),
        ("GET", "/users?x=/y//../%zz", "GET /users", {}),
        ("GET", "/users/7", "GET /users/{id}", {"id": "7"}),
        ("GET", "/users/me", "GET /users/me", {}),
        ("GET", "/users/%6de", "GET /users/me", {}),
        ("GET", "/users/a%2Fb", "GET /users/{id}", {"id": "a/b"}),
        ("GET", "/users/a%20b+c", "GET /users/{id}", {"id": "a b+c"}),
        ("GET", "/users/%zz", "GET /users/{id}", {"id": "%zz"}),
        ("GET", "/users/%ff", "GET /users/{id}", {"id": "\ufffd"}),
        ("GET", "/users/7/sessions", "GET /users/{id}/sessions", {"id": "7"}),
        ("GET", "/files/a/b.png", "GET /files/**", {"**": "a/b.png"}),
        ("GET", "/café", "GET /caf%C3%A9", {}),
        ("GET", "/caf%c3%a9", "GET /caf%C3%A9", {}),
        ("HEAD", "/users/7", "GET /users/{id}", {"id": "7"}),
        ("HEAD", "/users/me", "HEAD /users/me", {}),
        ("POST", "/users", "POST /users", {}),
    ],
)
def test_claims(method: str, path: str, route: str, params: dict[str, str]) -> None:
    table = router(
        "GET /", "GET /users", "GET /users/{id}", "GET /users/me", "HEAD /users/me", "GET /users/{id}/sessions",
        "GET /files/**", "GET /caf%C3%A9", "POST /users",
    )  # fmt: skip
    assert claimed(table, method, path) == (route, params)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/other"), ("PUT", "/users"), ("HEAD", "/posted"), ("get", "/users"), ("GET", "/Users"),
        ("GET", "users"), ("GET", ""), ("GET", "*"), ("GET", "//users"), ("GET", "/users//7"),
        ("GET", "/users/.."),
        ("GET", "/users/./7"), ("GET", "/users/%2e%2e"), ("GET", "/users/7//"), ("GET", "/files"),
        ("GET", "/files/"), ("GET", "/users/7/8/9"),
        ("GET", "http://h/users"),
    ],
)  # fmt: skip
def test_claimed_by_none(method: str, path: str) -> None:
    table = router("GET /users", "GET /users/{id}", "GET /files/**", "POST /posted")
    assert table.match(method, path) is None


def test_a_branch_that_fails_gives_way_to_the_next() -> None:
    table = router("GET /a/{x}/c", "GET /{y}/b/d", "GET /**")
    assert claimed(table, "GET", "/a/b/d") == ("GET /{y}/b/d", {"y": "a"})
    assert claimed(table, "GET", "/a/b/c") == ("GET /a/{x}/c", {"x": "b"})
    assert claimed(table, "GET", "/a/b/e") == ("GET /**", {"**": "a/b/e"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GET /a", "GET /a"),
        ("GET /a", "GET /%61"),
        ("GET /a/{x}", "GET /a/{y}"),
        ("GET /a/{x}", "GET /{y}/b"),
        ("GET /a/**", "GET /{x}/b"),
        ("GET /a/**", "GET /a/**"),
        ("GET /{x}/b/**", "GET /a/**"),
    ],
)
def test_two_routes_that_claim_the_same_request(one: str, other: str) -> None:
    for first, second in ((one, other), (other, one)):
        found = conflicts([Claim.of("left", first, "line 3"), Claim.of("right", second, "line 9")])
        assert len(found) == 1
        assert "(domains.left, line 3) and neither is more specific" in found[0].text()
        with pytest.raises(ValueError, match="neither is more specific"):
            router(first, second)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GET /a", "POST /a"), ("GET /a", "HEAD /a"), ("GET /a", "GET /b"), ("GET /a/{x}", "GET /a/b"),
        ("GET /a/{x}", "GET /a/**"),
        ("GET /**", "GET /a/**"), ("GET /a", "GET /a/**"), ("GET /{x}/c", "GET /a/b"), ("GET /", "GET /**"),
    ],
)  # fmt: skip
def test_routes_that_can_be_told_apart(one: str, other: str) -> None:
    assert conflicts([Claim.of("d", one), Claim.of("d", other)]) == []


STEPS = st.lists(st.sampled_from(["a", "b", "{}"]), max_size=4)
PATTERNS = st.builds(
    lambda steps, rest: "GET /" + "/".join([*(f"{{p{n}}}" if s == "{}" else s for n, s in enumerate(steps)), *rest]),
    STEPS,
    st.sampled_from([[], ["**"]]),
)
PATHS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=5).map(lambda steps: "/" + "/".join(steps))


def naive(pattern: Pattern, segments: list[str]) -> bool:
    """Matching told by a regular expression, to hold the trie against."""
    signs = {Part.PARAM: "[^/]+", Part.REST: "[^/]+(/[^/]+)*"}
    expression = "/".join(signs.get(s.part) or re.escape(s.text) for s in pattern.segments)
    return re.fullmatch(expression, "/".join(segments)) is not None


@settings(max_examples=300, deadline=None)
@given(st.lists(PATTERNS, max_size=8), st.lists(PATHS, min_size=1, max_size=8))
def test_the_router_agrees_with_a_naive_matcher(routes: list[str], paths: list[str]) -> None:
    kept: list[Claim] = []
    for route in routes:
        if not conflicts([*kept, claim := Claim.of("d", route)]):
            kept.append(claim)
    table = Router(kept)
    for path in paths:
        segments = path_segments(path)
        assert segments is not None
        matching = [claim.pattern for claim in kept if naive(claim.pattern, segments)]
        best = [p for p in matching if all(contains(other, p) for other in matching)]
        found = table.match("GET", path)
        assert [p.text for p in best] == ([found.route] if found else [])


ALL_PATHS: list[list[str]] = [[]] + [list(p) for n in range(1, 5) for p in itertools.product("abc", repeat=n)]


@settings(max_examples=300, deadline=None)
@given(PATTERNS, PATTERNS)
def test_overlap_and_containment_are_those_of_the_matched_paths(one: str, other: str) -> None:
    left, right = parse_route(one), parse_route(other)
    if max(len(left.segments), len(right.segments)) > 4:
        return
    mine = {tuple(p) for p in ALL_PATHS if naive(left, p)}
    theirs = {tuple(p) for p in ALL_PATHS if naive(right, p)}
    assert overlap(left, right) == bool(mine & theirs)
    assert contains(left, right) == (theirs <= mine)


def test_a_request_cannot_make_the_search_explode() -> None:
    table = router(
        *("GET " + "".join("/a" if n >> k & 1 else f"/{{p{k}}}" for k in range(8)) + "/z" for n in (0, 1, 3, 7, 255))
    )
    started = time.perf_counter()
    for _ in range(200):
        assert table.match("GET", "/a" * 4000) is None
    assert time.perf_counter() - started < 5
