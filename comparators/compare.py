"""The way to a verdict, cheap first: bytes equal; equal once parsed, ids aside; equal under the walk with the rules."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from comparators.automaton import Place
from comparators.decode import Unparseable, decode
from comparators.ids import IdTable, Pairings
from comparators.model import Comparison, Difference, Kind, Response, Tolerated
from comparators.normal import TooDeepError
from comparators.report import Report
from comparators.rules import Rules
from comparators.scalars import Context_, causes
from comparators.spelling import Spelled, has_code_escape, with_uuids
from comparators.walk import MAX_DEPTH, MAX_DIFFERENCES, Walk

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

    `pairings` carries what `ids: inferred` has believed so far, and takes on what this comparison believes when it ends
    equal; without it every call starts from nothing.
    """
    if primary == shadow and _unmarked(primary, rules.root):
        return EQUAL
    believed = None
    if rules.ids == "inferred":
        believed = Pairings() if pairings is None else pairings
    mark = 0 if believed is None else len(believed)
    left, right = spelled_alike(primary, shadow, rules, ids, believed)
    if left.body == right.body and _unmarked(primary, rules.root):
        return EQUAL
    context = Context_(ids, rules.ids, believed, rules.fuzzy)
    try:
        result = _compare(left, right, rules.root, context, max_depth, max_differences)
    except (TooDeepError, RecursionError):
        text = f"nested too deeply to be compared (at most {max_depth} levels)"
        result = _one(Difference("$", Kind.UNPARSEABLE, text, None))
    if believed is None:
        return result
    inferred = believed.since(mark)
    if result.differences:
        # Rows that differ may have been paired wrongly, and such pairs must not speak against right ones later.
        believed.undo(mark)
    return result._replace(inferred=inferred)


def _unmarked(body: bytes, root: Place) -> bool:
    """Whether equality is all that the rules can ask of a body."""
    if not root.marks:
        return root.marks is not None
    for mark in root.marks:
        if mark in body:
            return False
    # A name may be spelled with escapes.
    return not has_code_escape(body)


def spelled_alike(
    primary: bytes, shadow: bytes, rules: Rules, ids: IdTable, pairings: Pairings | None
) -> tuple[Spelled, Spelled]:
    """Both bodies with known ids in one spelling."""
    # What was believed of ids without an entity holds only where the rules name none.
    believed = None if pairings is None or rules.entities else pairings.plain
    if rules.ids == "exact" or rules.names_ids or not (ids.plain or believed):
        return Spelled(primary, {}), Spelled(shadow, {})
    uuid_of = partial(_uuid_of, ids, believed) if believed else ids.plain.get
    left = with_uuids(primary, uuid_of)
    # A shadow that has ObjectIds where the primary has them too is shorter than the primary with uuids.
    return left, with_uuids(shadow, uuid_of) if len(shadow) < len(left.body) else Spelled(shadow, {})


def _uuid_of(ids: IdTable, believed: Mapping[str, str], legacy: str) -> str | None:
    if legacy in ids.by_legacy:
        return ids.plain.get(legacy)
    uuid = believed.get(legacy)
    # What the map says of an id, perhaps since the pair was believed, is the truth.
    return None if uuid is None or uuid in ids.by_uuid else uuid


def _compare(
    left: Spelled, right: Spelled, root: Place, context: Context_, max_depth: int, max_differences: int
) -> Comparison:
    one = decode(left.body)
    two = one if left.body == right.body else decode(right.body)
    if isinstance(one, Unparseable) or isinstance(two, Unparseable):
        # Even a body that cannot be read is the same to a client when its bytes are.
        return EQUAL if left.body == right.body else _one(_unparseable(one, two))
    report = Report(left.back, right.back, max_depth, max_differences)
    Walk(context, report, max_depth).run(one, two, root)
    return report.result()


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
    forgiven = () if outside[:1] and outside[0].kind is Kind.STATUS else _status_class(primary, shadow)
    if head_only:
        return Comparison(tuple(outside), forgiven, len(outside))
    if is_json(primary) and is_json(shadow):
        inside = compare_bodies(
            primary.body, shadow.body, rules, ids,
            pairings=pairings, max_depth=max_depth, max_differences=max_differences,
        )  # fmt: skip
    else:
        inside = _opaque(primary, shadow, rules, ids)
    both = (*outside, *inside.differences)
    tolerated = (*forgiven, *inside.tolerated)
    return Comparison(both[:max_differences], tolerated, len(outside) + inside.total, inside.inferred, inside.remarks)


def is_json(response: Response) -> bool:
    """Whether the response says that its body is JSON (RFC 8259, and the `+json` suffix of RFC 6839)."""
    kind = _field(response, "content-type").partition(";")[0].strip().lower()
    return kind in ("application/json", "text/json") or kind.endswith("+json")


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


def _status_class(primary: Response, shadow: Response) -> tuple[Tolerated, ...]:
    """What `status: class` forgave, once the status is known to be no difference."""
    return () if primary.status == shadow.status else (Tolerated("status", "status", 1),)


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
    found = causes(left, right, {}, Context_(ids, "exact" if rules.ids == "exact" else "mapped"))
    if not found:
        return EQUAL
    kind = found[0].kind if len(found) == 1 else Kind.VALUE_CHANGED
    return _one(Difference("$", kind, _digest(primary), _digest(shadow)))


def _digest(response: Response) -> str:
    return f"{len(response.body)} bytes, sha256 {hashlib.sha256(response.body).hexdigest()}"
