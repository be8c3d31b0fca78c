"""The OpenAPI document of `/api/v1`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from comparators.model import Kind
from proxy import __version__
from proxy.admin.actions import MOST_DAYS, OWNER_CHARACTERS, WHY_CHARACTERS
from proxy.admin.openapi_schemas import DAY, TEXT, WHOLE, Schema, many, maybe, obj, one_of, ref, schemas
from proxy.admin.queries import GATE_STATES, LIMIT, MAX_LIMIT, Q_CHARACTERS, SORTS
from proxy.ledger import FindingState
from proxy.model import Verdict

Parameters = Mapping[str, tuple[str, Schema]]
"""Each with what it means and its schema."""

_DOMAIN = ("The name of a domain.", TEXT)
_ROUTE = ("Routes that hold this text.", TEXT)
_LIMIT = ("How many at most.", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": LIMIT})
_Q = {"type": "string", "maxLength": Q_CHARACTERS}
_VERDICT = ("How they ended.", one_of(*(one.value for one in Verdict)))
_SINCE = ("`next` of an earlier answer.", TEXT)
_LIVE: Parameters = {"domain": _DOMAIN, "verdict": _VERDICT, "route": _ROUTE, "since": _SINCE}
_OWNER = {"type": "string", "minLength": 1, "maxLength": OWNER_CHARACTERS}
_WHY = {"type": "string", "minLength": 1, "maxLength": WHY_CHARACTERS}
_EVENTS = """Server-sent events. `changed`, at most once a second, has `{"version", "domains": [...]}`: what is shown of
these domains is another than before. With `tail=1`, `verdicts`, at most four times a second, has
`{"ended": [...], "missed"}`: what ended, as `/api/v1/live` tells it, and how many more there were. `Last-Event-ID` goes
on where the line broke."""


def document() -> dict[str, Any]:
    """OpenAPI 3.1, with every path, parameter and answer of the API."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "shadowread",
            "version": __version__,
            "description": "What a move between two stores is known to be worth. Without a token nothing is asked for "
            "on loopback; with one, every request bears it. A browser that is signed in sends the token of its form "
            "as X-CSRF-Token along with every change.",
        },
        "security": [{"token": []}, {"session": []}, {}],
        "paths": {path: _with_names(path, of) for path, of in {**_reads(), **_details(), **_changes()}.items()},
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "shadowread_session"},
            },
            "schemas": schemas(),
        },
    }


def _reads() -> dict[str, Any]:
    return {
        "/api/v1/domains": _get("Every domain.", obj(domains=many(ref("Domain")))),
        "/api/v1/findings": _get(
            "What differs. `total` is how many there are, whatever `limit` is.",
            obj(findings=many(ref("Finding")), total=WHOLE),
            {
                "domain": _DOMAIN,
                "state": ("What became of them.", one_of(*(one.value for one in FindingState))),
                "kind": ("The kind of difference.", one_of(*(one.value for one in Kind))),
                "route": _ROUTE,
                "q": ("Text in id, path, route, kind or acceptance.", _Q),
                "sort": ("A minus before it turns it round.", one_of(*SORTS, *(f"-{one}" for one in SORTS))),
                "limit": _LIMIT,
            },
        ),
        "/api/v1/traces": _get(
            "Exchanges that are kept, newest first. A page with filters may hold fewer than `limit`; `next` goes on.",
            obj(traces=many(ref("TraceSummary")), next=maybe(TEXT)),
            {
                "domain": _DOMAIN,
                "finding": ("The id of a finding.", TEXT),
                "route": _ROUTE,
                "verdict": _VERDICT,
                "q": ("Text in id, target or route.", _Q),
                "before": ("`next` of the page before.", TEXT),
                "limit": _LIMIT,
            },
        ),
        "/api/v1/decisions": _get(
            "The gate log, newest first, and the head of its chain.",
            obj(decisions=many(ref("Decision")), next=maybe(TEXT), head=obj(hash=TEXT, entries=WHOLE)),
            {
                "domain": _DOMAIN,
                "state": ("What was decided.", one_of(*GATE_STATES)),
                "before": ("`next` of the page before.", WHOLE),
                "limit": _LIMIT,
            },
        ),
        "/api/v1/live": _get(
            "What ended lately, oldest first. `missed` more are no longer known.",
            obj(ended=many(ref("Ended")), missed=WHOLE, next=TEXT),
            _LIVE,
        ),
        "/api/v1/events": _get(
            _EVENTS,
            TEXT,
            {**_LIVE, "tail": ("Whether to tell what ends.", one_of("0", "1"))},
            content="text/event-stream",
        ),
        "/api/v1/openapi.json": _get("This document.", {"type": "object"}),
    }


def _details() -> dict[str, Any]:
    place: Parameters = {
        "path": ("The JSONPath of a place.", TEXT),
        "at": ("The address of a place, as rows tell it.", TEXT),
        "offset": ("The child to begin at.", WHOLE),
        "end": ("The child to end before.", WHOLE),
        "limit": ("How many at most.", {"type": "integer", "minimum": 1, "maximum": 200}),
        "focus": ("The number of a difference that is shown whatever else is.", WHOLE),
        "open": ("Places that are open, as in `0.5:200,0.7`.", TEXT),
    }
    return {
        "/api/v1/domains/{name}": _get("One domain in full.", ref("DomainInFull")),
        "/api/v1/findings/{id}": _get("One finding in full.", ref("FindingInFull")),
        "/api/v1/traces/{id}": _get("One exchange in full.", ref("Trace")),
        "/api/v1/traces/{id}/tree": _get(
            "Both bodies of an exchange aligned: the outline, or the children of one place.",
            {"oneOf": [ref("Outline"), ref("Children")]},
            place,
        ),
        "/api/v1/gates/{domain}": _get("Decides on a domain and stores the decision.", ref("Gate")),
        "/api/v1/decisions/{seq}": _get("One entry of the gate log in full.", ref("DecisionInFull")),
    }


def _changes() -> dict[str, Any]:
    acceptance = obj(owner=_OWNER, why=_WHY, until=DAY)
    return {
        "/api/v1/findings/{id}/accept": _post(
            f"Accept a finding through a day (UTC), at most {MOST_DAYS} days from today. It is still counted.",
            ref("Finding"),
            acceptance,
        ),
        "/api/v1/findings/{id}/revoke": _post("Take an acceptance back.", ref("Finding")),
        "/api/v1/traces/{id}/replay": _post(
            "Read both sides again. When the difference is gone, its findings are read again too, and closed when none "
            "of their exchanges shows them any more.",
            ref("Replayed"),
        ),
    }


def _get(
    text: str, answer: Schema, parameters: Parameters | None = None, *, content: str = "application/json"
) -> dict[str, Any]:
    asked = [
        {"name": name, "in": "query", "description": means, "schema": schema}
        for name, (means, schema) in (parameters or {}).items()
    ]
    return {"get": {"summary": text, "parameters": asked, "responses": _answers(answer, content)}}


def _post(text: str, answer: Schema, sent: Schema | None = None) -> dict[str, Any]:
    body = {"required": sent is not None, "content": {"application/json": {"schema": sent or obj()}}}
    return {"post": {"summary": text, "requestBody": body, "responses": _answers(answer)}}


def _answers(schema: Schema, content: str = "application/json") -> dict[str, Any]:
    wrong = {"application/problem+json": {"schema": ref("Problem")}}
    return {
        "200": {"description": "What was asked for.", "content": {content: {"schema": schema}}},
        "default": {"description": "What is wrong.", "content": wrong},
    }


def _with_names(path: str, operations: dict[str, Any]) -> dict[str, Any]:
    """The operations of a path with the parameters that stand in it."""
    named = [
        {"name": name, "in": "path", "required": True, "schema": WHOLE if name == "seq" else TEXT}
        for name in re.findall(r"{(\w+)}", path)
    ]
    return {"parameters": named, **operations} if named else operations
