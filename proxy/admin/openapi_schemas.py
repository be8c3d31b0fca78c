"""What `/api/v1` answers, as JSON Schema. Pure.

Each object names all of its members and says that there are no others, so that a test finds what is not told here.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from comparators.model import Kind
from proxy.ledger import FindingState
from proxy.model import Side, Stage, Verdict

Schema: TypeAlias = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
DAY: Schema = {"type": "string", "format": "date"}
ANY: Schema = {}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def many(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def maybe(of: Schema) -> Schema:
    """That, or null."""
    return {"anyOf": [of, {"type": "null"}]}


def one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def per(of: Schema) -> Schema:
    """An object whose members are not known beforehand."""
    return {"type": "object", "additionalProperties": of}


def obj(text: str = "", /, **members: Schema) -> Schema:
    """An object with exactly these members."""
    made: Schema = {
        "type": "object",
        "required": list(members),
        "properties": members,
        "additionalProperties": False,
    }
    return {"description": text, **made} if text else made


def schemas() -> dict[str, Schema]:
    """All of them by name."""
    return {**_domains(), **_findings(), **_traces(), **_decisions(), **_trees(), "Problem": _problem()}


def _problem() -> Schema:
    return obj("What is wrong (RFC 9457).", type=TEXT, title=TEXT, status=WHOLE, detail=TEXT)


def _domains() -> dict[str, Schema]:
    verdicts = {"type": "object", "properties": {one.value: WHOLE for one in Verdict}, "additionalProperties": False}
    entity: Schema = obj(
        entity=TEXT,
        verified=WHOLE,
        exact=FLAG,
        known=maybe(WHOLE),
        known_exact=maybe(FLAG),
        known_at=maybe(MOMENT),
        share=maybe(NUMBER),
    )
    coverage = {
        "routes_known": WHOLE,
        "routes_compared": WHOLE,
        "entities": many(entity),
        "entities_known": maybe(WHOLE),
        "entities_verified": maybe(WHOLE),
        "entities_share": maybe(NUMBER),
        "fields_known": WHOLE,
        "fields_not_verified": WHOLE,
    }
    routes = obj(known=WHOLE, compared=WHOLE, never_compared=many(TEXT))
    field = obj(
        route=TEXT, path=TEXT, looked=WHOLE, present=WHOLE, null=WHOLE, empty=WHOLE, valued=WHOLE
    )  # fmt: skip
    fields = obj(known=WHOLE, not_verified=WHOLE, paths=many(field))
    summary = {
        "name": TEXT,
        "stage": one_of(*(one.value for one in Stage)),
        "observed": WHOLE,
        "comparisons": WHOLE,
        "verdicts": {**verdicts, "required": [one.value for one in Verdict]},
        "diff_rate": maybe(NUMBER),
        "upper_bound": maybe(NUMBER),
        "entities": WHOLE,
        "last_diff_at": maybe(MOMENT),
        "gate": one_of("open", "closed"),
        "reasons": many(TEXT),
        "provenance": one_of("proven", "unproven", "not_asked"),
        "window": maybe(ref("Window")),
        "observed_seconds": maybe(NUMBER),
        "latency_ratio": maybe(NUMBER),
        "coverage": obj(**coverage),
        "history": many(ref("Bucket")),
    }
    share = {"tried": WHOLE, "seen": WHOLE, "share": maybe(NUMBER)}
    tolerated = many(obj(route=TEXT, kind=TEXT, path=TEXT, rule=TEXT, count=WHOLE))
    latency = obj("Seconds.", reads=WHOLE, p50=maybe(NUMBER), p95=maybe(NUMBER), p99=maybe(NUMBER))
    route = obj(
        route=TEXT, observed=WHOLE, under_way=WHOLE, comparisons=WHOLE, verdicts=verdicts, last_diff_at=maybe(MOMENT)
    )
    sensitivity = obj(
        **share,
        routes=many(obj(route=TEXT, **share)),
        known=WHOLE,
        paths=many(obj(route=TEXT, path=TEXT, **share, damages=per(many(WHOLE)))),
        hidden_by=many(obj(rule=TEXT, count=WHOLE)),
        blind_spots=many(obj(route=TEXT, path=TEXT, damage=TEXT, tried=WHOLE, rule=TEXT, accepted=FLAG)),
    )
    details = {
        "under_way": WHOLE,
        "first_at": maybe(MOMENT),
        "last_at": maybe(MOMENT),
        "last_comparison_at": maybe(MOMENT),
        "entities_exact": FLAG,
        "findings_overflow": WHOLE,
        "routes": many(route),
        "tolerated": tolerated,
        "not_verified": tolerated,
        "lifetime": obj(observed=WHOLE, verdicts=verdicts),
        "conditions": many(ref("Condition")),
        "notes": many(ref("Note")),
        "coverage": obj(**coverage, routes=routes, fields=fields),
        "sensitivity": sensitivity,
        "holes": many(obj(began=MOMENT, ended=MOMENT, seconds=NUMBER, why=TEXT)),
        "standings": many(obj(check=TEXT, proof=TEXT, text=TEXT, at=MOMENT)),
        "latency": obj(**{side.value: latency for side in Side}),
        "known_gaps": WHOLE,
        "windows": many(ref("Window")),
    }
    return {
        "Domain": obj("A domain in its current window.", **summary),
        "DomainInFull": obj("A domain with everything its gate looks at.", **{**summary, **details}),
        "Window": obj("Evidence belongs to one.", id=TEXT, started_at=MOMENT, why=TEXT, parts=per(TEXT)),
        "Bucket": obj("What ended in ten minutes.", at=MOMENT, comparisons=WHOLE, diffs=WHOLE, failed=WHOLE),
        "Condition": obj(
            "What a gate asks for; `ok` is null where it cannot be told.",
            name=TEXT,
            ok=maybe(FLAG),
            figure=maybe(NUMBER),
            limit=maybe(NUMBER),
            text=TEXT,
            remedy=TEXT,
        ),
        "Note": obj("What is told beside the conditions.", name=TEXT, figure=NUMBER, text=TEXT),
    }


def _findings() -> dict[str, Schema]:
    finding = {
        "id": TEXT,
        "domain": TEXT,
        "route": TEXT,
        "path": TEXT,
        "kind": ref("Kind"),
        "exchanges": WHOLE,
        "differences": WHOLE,
        "first_at": MOMENT,
        "last_at": MOMENT,
        "first_trace": maybe(TEXT),
        "last_trace": maybe(TEXT),
        "sample": obj("JSON text, cut.", primary=maybe(TEXT), shadow=maybe(TEXT)),
        "state": one_of(*(one.value for one in FindingState)),
        "gone_at": maybe(MOMENT),
        "gone_why": maybe(TEXT),
        "returned_at": maybe(MOMENT),
        "acceptance": maybe(obj(owner=TEXT, why=TEXT, until=DAY, at=MOMENT)),
        "known_gap": WHOLE,
    }
    other = obj(id=TEXT, route=TEXT, path=TEXT, kind=ref("Kind"), exchanges=WHOLE, same_route=FLAG)
    rule = obj(
        "The narrowest rule that was proved to cover it, and what else it would hide.",
        yaml=TEXT,
        section=TEXT,
        at=TEXT,
        under=TEXT,
        hides=WHOLE,
        left=WHOLE,
        beside=many(obj(path=TEXT, kind=TEXT)),
        beside_total=WHOLE,
        findings=many(other),
        findings_total=WHOLE,
    )
    suggestion = obj("`why` says why there is no rule.", trace=maybe(TEXT), why=TEXT, rule=maybe(rule))
    return {
        "Finding": obj("All differences of one domain, route, path pattern and kind.", **finding),
        "FindingInFull": obj(
            "A finding with the rule that would cover it, and its newest traces.",
            **finding,
            suggestion=suggestion,
            traces=many(ref("TraceSummary")),
        ),
        "Kind": one_of(*(one.value for one in Kind)),
    }


def _traces() -> dict[str, Schema]:
    pairs = many({"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2})
    side = obj(status=maybe(WHOLE), headers=pairs, body=maybe(TEXT), seconds=NUMBER)
    joined = many(obj(entity=TEXT, other=TEXT))
    explanation = obj(
        path=TEXT,
        kind=ref("Kind"),
        meaning=TEXT,
        primary=ANY,
        shadow=ANY,
        ids=many(obj(side=TEXT, id=TEXT, form=one_of("uuid", "legacy"), joined=joined)),
        changes=many(obj(path=TEXT, what=TEXT, primary=ANY, shadow=ANY, to=maybe(TEXT))),
        left_out=many(TEXT),
        rule=maybe({"type": "object"}),
    )
    return {
        "Verdict": one_of(*(one.value for one in Verdict)),
        "TraceSummary": obj(
            id=TEXT,
            at=MOMENT,
            domain=TEXT,
            route=TEXT,
            verdict=ref("Verdict"),
            method=TEXT,
            target=TEXT,
            primary_status=maybe(WHOLE),
            shadow_status=maybe(WHOLE),
            differences_total=WHOLE,
        ),
        "Trace": obj(
            "What is kept of one exchange, redacted.",
            id=TEXT,
            at=MOMENT,
            domain=TEXT,
            route=TEXT,
            verdict=ref("Verdict"),
            request=obj(method=TEXT, target=TEXT, headers=pairs),
            primary=side,
            shadow=side,
            differences=many(obj(path=TEXT, kind=ref("Kind"), primary=ANY, shadow=ANY)),
            differences_total=WHOLE,
            explanations=many(explanation),
            settling=many(TEXT),
            detail=TEXT,
            known_gap=FLAG,
            trace_id=TEXT,
        ),
        "Ended": obj(
            "How one exchange ended; `trace` is the trace that is kept of it, `trace_id` the distributed one.",
            at=MOMENT,
            domain=TEXT,
            route=TEXT,
            verdict=ref("Verdict"),
            trace=maybe(TEXT),
            differences=WHOLE,
            primary_seconds=maybe(NUMBER),
            shadow_seconds=maybe(NUMBER),
            trace_id=TEXT,
        ),
        "Replayed": obj(
            "What reading a stored exchange again told; `again` is the trace of the new reading.",
            answer=one_of("gone", "differs", "unknown"),
            text=TEXT,
            again=maybe(TEXT),
        ),
    }


def _decisions() -> dict[str, Schema]:
    entry = {
        "seq": WHOLE,
        "at": MOMENT,
        "domain": TEXT,
        "state": one_of("open", "closed", "unknown"),
        "reasons": maybe(many(TEXT)),
        "hash": TEXT,
        "prev": TEXT,
        "damage": TEXT,
    }
    result = {
        "domain": TEXT,
        "state": one_of("open", "closed", "unknown"),
        "conditions": many(ref("Condition")),
        "reasons": many(TEXT),
        "diff_rate": maybe(NUMBER),
        "upper_bound": maybe(NUMBER),
        "decided_at": MOMENT,
        "flags_to_change": many(TEXT),
        "rollback_plan": maybe(TEXT),
        "rollback_digest": maybe(TEXT),
        "notes": many(ref("Note")),
        "provenance": one_of("proven", "unproven", "not_asked"),
        "inputs": {"type": "object"},
    }
    return {
        "Gate": obj("A decision that was just made and stored.", **result, log=obj(seq=WHOLE, hash=TEXT)),
        "Decision": obj("One entry of the log; `damage` says why its figures cannot be read.", **entry),
        # What earlier releases decided may have other members.
        "DecisionInFull": obj("One entry with its figures.", **entry, result=maybe({"type": "object"})),
    }


def _trees() -> dict[str, Schema]:
    name = {"anyOf": [TEXT, WHOLE, {"type": "null"}]}
    row = obj(
        "One row of two aligned trees; `at` is the address of its place.",
        at=TEXT,
        level=WHOLE,
        sort=TEXT,
        state=TEXT,
        path=TEXT,
        primary_name=name,
        shadow_name=name,
        primary=maybe({"type": "object"}),
        shadow=maybe({"type": "object"}),
        differences=many(WHOLE),
        kinds=many(TEXT),
        forgiven=many(many(TEXT)),
        ids=many(obj(entity=TEXT, legacy=TEXT, uuid=TEXT)),
        count=WHOLE,
        offset=WHOLE,
        open=FLAG,
        noun=TEXT,
    )
    return {
        "Row": row,
        "Outline": obj(trace=TEXT, why=TEXT, remarks=many(TEXT), rows=many(ref("Row")), hidden=many(WHOLE)),
        "Children": obj(trace=TEXT, at=TEXT, path=TEXT, rows=many(ref("Row")), total=WHOLE, next=maybe(WHOLE)),
    }
