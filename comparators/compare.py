"""The way to a verdict, cheap first: bytes equal; equal once parsed and ids translated; equal under the walk."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from comparators.decode import Unparseable, decode, needs_exact
from comparators.ids import TOKEN_BYTES, IdTable, Pairings, canonical
from comparators.model import Comparison, Difference, Kind, Response
from comparators.rules import Rules
from comparators.scalars import Cause, Context_, causes
from comparators.walk import MAX_DEPTH, MAX_DIFFERENCES, TooDeepError, Walk

EQUAL = Comparison()


def compare_bodies(
    primary: bytes,
    shadow: bytes,
    rules: Rules,
    ids: IdTable,
    *,
    pairings: Pairings | None = None,
    max_depth: int = MAX_DEPTH,
    max_differences: int = MAX_DIFFERENCES,
) -> Comparison:
    """Compare two JSON bodies (no content coding). Never raises for what stands in them.

    `pairings` carries what `ids: inferred` has believed so far; without it every call starts from nothing.
    """
    if primary == shadow and not _counts_even_when_equal(rules):
        return EQUAL
    if _same_after_translation(primary, shadow, rules, ids):
        return EQUAL
    exact = needs_exact(primary) or needs_exact(shadow)
    left, right = decode(primary, exact=exact), decode(shadow, exact=exact)
    if isinstance(left, Unparseable) or isinstance(right, Unparseable):
        if primary == shadow:
            return EQUAL
        return _one(_unparseable(left, right))
    if rules.ids == "inferred" and pairings is None:
        pairings = Pairings()
    context = Context_(ids, rules.ids, pairings if rules.ids == "inferred" else None, rules.fuzzy)
    walk = Walk(context, max_depth=max_depth, max_differences=max_differences)
    try:
        walk.run(left, right, rules.root)
    except TooDeepError:
        return _one(Difference("$", Kind.UNPARSEABLE, f"nested deeper than {max_depth} levels", None))
    return walk.result()


def compare_responses(
    primary: Response,
    shadow: Response,
    rules: Rules,
    ids: IdTable,
    *,
    head_only: bool = False,
    pairings: Pairings | None = None,
    max_depth: int = MAX_DEPTH,
    max_differences: int = MAX_DIFFERENCES,
) -> Comparison:
    """Compare two whole responses: status, the headers that the rules name, then the bodies by their media type.

    `head_only` is for answers to HEAD, which have no body to compare.
    """
    outside = [*_status(primary, shadow, rules), *_headers(primary, shadow, rules, ids)]
    if head_only:
        return Comparison(tuple(outside), (), len(outside))
    if is_json(primary) and is_json(shadow):
        inside = compare_bodies(
            primary.body, shadow.body, rules, ids,
            pairings=pairings, max_depth=max_depth, max_differences=max_differences,
        )  # fmt: skip
    else:
        inside = _opaque(primary, shadow, rules, ids)
    both = (*outside, *inside.differences)
    return Comparison(both[:max_differences], inside.tolerated, len(outside) + inside.total)


def is_json(response: Response) -> bool:
    """Whether the response says that its body is JSON (RFC 8259, and the `+json` suffix of RFC 6839)."""
    kind = _field(response, "content-type").partition(";")[0].strip().lower()
    return kind in ("application/json", "text/json") or kind.endswith("+json")


def _counts_even_when_equal(rules: Rules) -> bool:
    # An ignored subtree is not verified even where it happens to be equal, so it has to be walked to be counted.
    return rules.ignores


def _same_after_translation(primary: bytes, shadow: bytes, rules: Rules, ids: IdTable) -> bool:
    """Whether the bodies are equal once known ids have one spelling. False only means: look closer."""
    if rules.ids != "mapped" or rules.ignores or rules.entities:
        return False
    if needs_exact(primary) or needs_exact(shadow):
        return False

    def spelled(found: Any) -> bytes:
        return canonical(found[0].decode().lower(), ids).encode()

    try:
        left = orjson.loads(TOKEN_BYTES.sub(spelled, primary))
        right = orjson.loads(TOKEN_BYTES.sub(spelled, shadow))
    except (orjson.JSONDecodeError, RecursionError):
        return False
    if left != right:
        return False
    # Python holds True == 1; the sorted dumps do not.
    try:
        return orjson.dumps(left, option=orjson.OPT_SORT_KEYS) == orjson.dumps(right, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONEncodeError, RecursionError):
        return False


def _unparseable(left: Any, right: Any) -> Difference:
    texts = [value.as_text() if isinstance(value, Unparseable) else None for value in (left, right)]
    return Difference("$", Kind.UNPARSEABLE, *texts)


def _one(difference: Difference) -> Comparison:
    return Comparison((difference,), (), 1)


def _status(primary: Response, shadow: Response, rules: Rules) -> list[Difference]:
    if primary.status == shadow.status:
        return []
    if rules.status == "class" and primary.status // 100 == shadow.status // 100:
        return []
    return [Difference("status", Kind.STATUS, primary.status, shadow.status)]


def _headers(primary: Response, shadow: Response, rules: Rules, ids: IdTable) -> list[Difference]:
    found: list[Difference] = []
    for name in rules.headers:
        left, right = _fields(primary, name), _fields(shadow, name)
        if left == right:
            continue
        kind = Kind.HEADER
        if name == "content-type":
            if [_media_type(value) for value in left] == [_media_type(value) for value in right]:
                continue
            kind = Kind.CONTENT_TYPE
        elif len(left) == len(right) and not any(
            causes(a, b, {}, Context_(ids, "exact" if rules.ids == "exact" else "mapped"))
            for a, b in zip(left, right, strict=True)
        ):
            continue
        found.append(Difference(f"headers.{name}", kind, _shown(left), _shown(right)))
    return found


def _media_type(value: str) -> tuple[str, tuple[str, ...]]:
    """Type and parameters without what RFC 9110 section 8.3.1 calls equivalent: case, spaces, quotes and order."""
    kind, *parameters = value.split(";")
    return kind.strip().lower(), tuple(sorted(p.strip().lower().replace('"', "") for p in parameters if p.strip()))


def _fields(response: Response, name: str) -> list[str]:
    return [value for key, value in response.headers if key == name]


def _field(response: Response, name: str) -> str:
    return next((value for key, value in response.headers if key == name), "")


def _shown(values: list[str]) -> str | list[str] | None:
    return None if not values else values[0] if len(values) == 1 else values


def _opaque(primary: Response, shadow: Response, rules: Rules, ids: IdTable) -> Comparison:
    """Bodies that are not both JSON: text is one string in which ids may differ, all else must be the same bytes."""
    if primary.body == shadow.body:
        return EQUAL
    if is_json(primary) != is_json(shadow):
        # The content type already says it; the bodies are named so that nobody takes them for compared.
        return _one(Difference("$", Kind.TYPE_CHANGED, _digest(primary), _digest(shadow)))
    try:
        left, right = primary.body.decode("utf-8"), shadow.body.decode("utf-8")
    except UnicodeDecodeError:
        return _one(Difference("$", Kind.VALUE_CHANGED, _digest(primary), _digest(shadow)))
    found: tuple[Cause, ...] = causes(
        left, right, rules.root.rules, Context_(ids, "exact" if rules.ids == "exact" else "mapped")
    )
    differences = tuple(Difference("$", cause.kind, _digest(primary), _digest(shadow)) for cause in found)
    return Comparison(differences, (), len(differences))


def _digest(response: Response) -> str:
    return f"{len(response.body)} bytes, sha256 {hashlib.sha256(response.body).hexdigest()}"
