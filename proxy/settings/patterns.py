"""Route patterns such as `GET /api/users/{id}`: parsed, held against each other, refused where they cannot match."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import unquote

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS", "QUERY")
READS = frozenset({"GET", "HEAD"})
MAX_SEGMENTS = 64

_PARAM = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SHAPE = re.compile(r"(\S+)[ \t]+(.*)", re.DOTALL)


class RouteError(ValueError):
    """A pattern that cannot be used; the text says why and what to write instead."""


class Part(IntEnum):
    """What a segment of a pattern matches, most specific first."""

    LITERAL = 0
    PARAM = 1
    REST = 2


@dataclass(frozen=True, slots=True)
class Segment:
    """One step of a pattern. `text` is the decoded literal, the parameter's name, or empty for `**`."""

    part: Part
    text: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """A method and the steps of a path. `**` stands for one or more steps and only at the end."""

    method: str
    segments: tuple[Segment, ...]
    text: str


def parse_route(text: str) -> Pattern:
    """The pattern of `METHOD /path/{param}/**`. Raises RouteError for whatever no request can match."""
    found = _SHAPE.fullmatch(text.strip())
    if not found:
        if text.strip().startswith("/"):
            raise RouteError(f'"{text}" lacks a method; did you mean "GET {text.strip()}"?')
        raise RouteError(f'"{text}" is not a route; write a method and a path, as in GET /api/users/{{id}}')
    method, path = found[1], found[2]
    if method not in METHODS:
        raise RouteError(_method_problem(method))
    return Pattern(method, _segments(path), f"{method} {path}")


def overlap(one: Pattern, other: Pattern) -> bool:
    """Whether some path matches both (the methods are not looked at)."""
    left, right = one.segments, other.segments
    for a, b in zip(left, right, strict=False):
        if Part.REST in (a.part, b.part):
            return True
        if a.part is Part.LITERAL and b.part is Part.LITERAL and a.text != b.text:
            return False
    return len(left) == len(right)


def contains(outer: Pattern, inner: Pattern) -> bool:
    """Whether every path that `inner` matches is also matched by `outer`."""
    for a, b in zip(outer.segments, inner.segments, strict=False):
        if a.part is Part.REST:
            return True
        if b.part > a.part or (a.part is Part.LITERAL and a.text != b.text):
            return False
    return len(outer.segments) == len(inner.segments)


def undecided(one: Pattern, other: Pattern) -> bool:
    """Whether some request matches both and neither pattern is the more specific one."""
    return one.method == other.method and overlap(one, other) and contains(one, other) == contains(other, one)


def path_segments(path: str) -> list[str] | None:
    """The decoded steps of a request path as on the wire; None for a path that no pattern matches.

    The path is split before it is decoded, so `%2F` stays inside its step. One slash at the end is ignored, as
    Express ignores it. Empty steps and `.` or `..` (also encoded) match nothing: what a backend makes of them is
    its own business, and evidence must not be booked under a guess. The query, if any, is cut off.
    """
    path = path.partition("?")[0]
    if not path.startswith("/"):
        return None
    if path == "/":
        return []
    raw = path[1:-1] if path.endswith("/") else path[1:]
    segments = [unquote(part) if "%" in part else part for part in raw.split("/")]
    if "" in segments or "." in segments or ".." in segments:
        return None
    return segments


def _segments(path: str) -> tuple[Segment, ...]:
    if not path.startswith("/"):
        raise RouteError(f'path "{path}" can never match: it must start with "/"; did you mean "/{path}"?')
    for sign, why in (("?", "the query is not part of a route"), ("#", "a fragment is never sent")):
        if sign in path:
            bare = path.partition(sign)[0]
            raise RouteError(f'path "{path}" can never match: {why}; did you mean "{bare}"?')
    if re.search(r"[\s\x00-\x1f\x7f\\]", path):
        raise RouteError(f"path {path!r} can never match: it holds a blank, control sign or backslash; encode it (%20)")
    if _BAD_PERCENT.search(path):
        raise RouteError(f'path "{path}" can never match: "%" must be followed by two hex digits; write %25 for itself')
    if path == "/":
        return ()
    if "//" in path:
        shorter = re.sub("/+", "/", path)
        raise RouteError(f'path "{path}" can never match: empty step "//"; did you mean "{shorter}"?')
    if path.endswith("/"):
        raise RouteError(f'path "{path}": a slash at the end is ignored in requests; did you mean "{path[:-1]}"?')
    steps = path[1:].split("/")
    if len(steps) > MAX_SEGMENTS:
        raise RouteError(f"path has more than {MAX_SEGMENTS} steps")
    segments = tuple(_segment(step, path) for step in steps)
    if any(segment.part is Part.REST for segment in segments[:-1]):
        raise RouteError(f'path "{path}" can never match: ** may only be the last step; use {{name}} for one step')
    names = [segment.text for segment in segments if segment.part is Part.PARAM]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise RouteError(f'path "{path}" names {{{twice}}} twice; give each parameter its own name')
    return segments


def _segment(step: str, path: str) -> Segment:
    if step == "**":
        return Segment(Part.REST, "")
    if param := _PARAM.fullmatch(step):
        return Segment(Part.PARAM, param[1])
    if step.startswith(":") and step[1:].isidentifier():
        raise RouteError(f'path "{path}": parameters are written in braces; did you mean "{{{step[1:]}}}"?')
    if "{" in step or "}" in step:
        raise RouteError(f'path "{path}": a parameter is a whole step named by letters, digits and _, not "{step}"')
    if "*" in step:
        raise RouteError(f'path "{path}": "{step}" is no wildcard; use {{name}} for one step, ** for all that follows')
    literal = unquote(step)
    if literal in (".", ".."):
        raise RouteError(f'path "{path}" can never match: requests with "{literal}" steps are not routed')
    return Segment(Part.LITERAL, literal)


def _method_problem(method: str) -> str:
    if method == "DELETE":
        return "a DELETE is never a read and cannot be shadowed; remove the route"
    if method.startswith("/"):
        return f'"{method}" is not a method; write the method first, as in GET {method}'
    near = difflib.get_close_matches(method.upper(), METHODS, 1, 0.5)
    hint = f'; did you mean "{near[0]}"?' if near else f"; methods are {', '.join(METHODS)}"
    return f'"{method}" is not a method that can be read{hint}'
