"""Which domain claims a request: a trie over the steps of the path, one for each method."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from proxy.settings.patterns import Part, Pattern, parse_route, path_segments, undecided


@dataclass(frozen=True, slots=True)
class Claim:
    """A route of a domain. `where` says where it is written, for messages."""

    domain: str
    pattern: Pattern
    where: str = ""

    @classmethod
    def of(cls, domain: str, route: str, where: str = "") -> Claim:
        return cls(domain, parse_route(route), where)


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """The route that claims a request; `route` is its text, `params` the decoded `{name}` steps (and `**`)."""

    domain: str
    route: str
    params: dict[str, str]


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    param: _Node | None = None
    rest: Claim | None = None
    end: Claim | None = None


class Router:
    """Finds the most specific route: step by step from the left a literal beats `{param}` beats `**`.

    A HEAD request is first held against HEAD routes, then against GET routes. Whether a pattern is the more specific
    is settled for every pair when the configuration is loaded (`conflicts`), so at most one route claims a request.
    The cost of a match grows with the steps of the path; other branches are only walked where routes share steps.
    """

    def __init__(self, claims: Iterable[Claim]) -> None:
        self.claims = tuple(claims)
        if found := conflicts(self.claims):
            raise ValueError(found[0].text())
        self._tries: dict[str, _Node] = {}
        for claim in self.claims:
            _insert(self._tries.setdefault(claim.pattern.method, _Node()), claim)

    def match(self, method: str, path: str) -> RouteMatch | None:
        """The route that claims `method` on `path` (as on the wire, a query is ignored); None when none does."""
        tries = [self._tries.get(method)]
        if method == "HEAD":
            tries.append(self._tries.get("GET"))
        segments: list[str] | None = None
        for trie in tries:
            if trie is None:
                continue
            if segments is None and (segments := path_segments(path)) is None:
                return None
            if claim := _find(trie, segments, 0):
                return RouteMatch(claim.domain, claim.pattern.text, _params(claim.pattern, segments))
        return None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two routes that claim the same request where neither is more specific."""

    first: Claim
    second: Claim

    def text(self) -> str:
        """What is wrong, told at the second of the two places."""
        first, second = self.first.pattern.text, self.second.pattern.text
        place = f"domains.{self.first.domain}" + (f", {self.first.where}" if self.first.where else "")
        same = "the same requests as" if first == second else "requests that are also claimed by"
        return f'"{second}" claims {same} "{first}" ({place}) and neither is more specific; keep one of them'


def conflicts(claims: Iterable[Claim]) -> list[Conflict]:
    """Every pair of claims that cannot be told apart, in the order written."""
    earlier: dict[tuple[str, int], list[Claim]] = {}
    found = []
    for claim in claims:
        method, length = claim.pattern.method, len(claim.pattern.segments)
        rest = bool(claim.pattern.segments) and claim.pattern.segments[-1].part is Part.REST
        for (other_method, other_length), group in earlier.items():
            # Paths of different length share requests only through `**`; `**` patterns are kept under their own sign.
            if other_method == method and (rest or other_length in (length, -1)):
                found += [Conflict(other, claim) for other in group if undecided(other.pattern, claim.pattern)]
        earlier.setdefault((method, -1 if rest else length), []).append(claim)
    return found


def _insert(node: _Node, claim: Claim) -> None:
    for segment in claim.pattern.segments:
        if segment.part is Part.REST:
            node.rest = claim
            return
        if segment.part is Part.PARAM:
            node.param = node.param or _Node()
            node = node.param
        else:
            node = node.literals.setdefault(segment.text, _Node())
    node.end = claim


def _find(node: _Node, segments: list[str], index: int) -> Claim | None:
    if index == len(segments):
        return node.end
    literal = node.literals.get(segments[index])
    if literal is not None and (claim := _find(literal, segments, index + 1)):
        return claim
    if node.param is not None and (claim := _find(node.param, segments, index + 1)):
        return claim
    return node.rest


def _params(pattern: Pattern, segments: list[str]) -> dict[str, str]:
    params: dict[str, str] = {}
    for index, segment in enumerate(pattern.segments):
        if segment.part is Part.PARAM:
            params[segment.text] = segments[index]
        elif segment.part is Part.REST:
            params["**"] = "/".join(segments[index:])
    return params
