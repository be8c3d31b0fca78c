"""`/api/v1`: what the pages are made of, as JSON, and the same changes."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from proxy.admin import actions, content
from proxy.admin.answers import answer
from proxy.admin.desk import Desk, Refused
from proxy.admin.openapi import document
from proxy.admin.queries import DecisionQuery, FindingQuery, LiveQuery, TraceQuery, number_of, parameters
from proxy.admin.refusals import RefusedError
from proxy.admin.shapes import finding_json
from proxy.admin.tree_content import TreeQuery, tree_content

BASE = "/api/v1"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """The handlers, by their address. All raise BadQueryError, UnknownNameError and LedgerError."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    @property
    def reads(self) -> dict[str, Handler]:
        """What is answered to GET."""
        return {
            f"{BASE}/domains": self._domains,
            f"{BASE}/domains/{{name}}": self._domain,
            f"{BASE}/findings": self._findings,
            f"{BASE}/findings/{{id}}": self._finding,
            f"{BASE}/traces": self._traces,
            f"{BASE}/traces/{{id}}": self._trace,
            f"{BASE}/traces/{{id}}/tree": self._tree,
            f"{BASE}/gates/{{domain}}": self._gate,
            f"{BASE}/decisions": self._decisions,
            f"{BASE}/decisions/{{seq}}": self._decision,
            f"{BASE}/live": self._live,
            f"{BASE}/openapi.json": self._openapi,
        }

    @property
    def changes(self) -> dict[str, Handler]:
        """What is answered to POST; who may was asked before."""
        return {
            f"{BASE}/findings/{{id}}/accept": self._accept,
            f"{BASE}/findings/{{id}}/revoke": self._revoke,
            f"{BASE}/traces/{{id}}/replay": self._replay,
        }

    async def _domains(self, request: web.Request) -> web.Response:
        parameters(request.query)
        return answer(await content.domains_content(self.desk))

    async def _domain(self, request: web.Request) -> web.Response:
        parameters(request.query)
        return answer(await content.domain_content(self.desk, request.match_info["name"]))

    async def _findings(self, request: web.Request) -> web.Response:
        return answer(await content.findings_content(self.desk, FindingQuery.of(request.query)))

    async def _finding(self, request: web.Request) -> web.Response:
        parameters(request.query)
        return answer(await content.finding_content(self.desk, request.match_info["id"]))

    async def _traces(self, request: web.Request) -> web.Response:
        return answer(await content.traces_content(self.desk, TraceQuery.of(request.query)))

    async def _trace(self, request: web.Request) -> web.Response:
        parameters(request.query)
        return answer(await content.trace_content(self.desk, request.match_info["id"]))

    async def _tree(self, request: web.Request) -> web.Response:
        return answer(await tree_content(self.desk, request.match_info["id"], TreeQuery.of(request.query)))

    async def _gate(self, request: web.Request) -> web.Response:
        parameters(request.query)
        (result,) = await self.desk.evidence.gates([request.match_info["domain"]])
        entry = await self.desk.evidence.ledger.store_decision(result)
        return answer({**result.as_json(), "log": {"seq": entry.seq, "hash": entry.hash}})

    async def _decisions(self, request: web.Request) -> web.Response:
        return answer(await content.decisions_content(self.desk, DecisionQuery.of(request.query)))

    async def _decision(self, request: web.Request) -> web.Response:
        parameters(request.query)
        number = number_of(request.match_info["seq"], "the number of a decision")
        return answer(await content.decision_content(self.desk, number))

    async def _live(self, request: web.Request) -> web.Response:
        return answer(content.live_content(self.desk, LiveQuery.of(request.query)))

    async def _openapi(self, request: web.Request) -> web.Response:
        parameters(request.query)
        return answer(document())

    async def _accept(self, request: web.Request) -> web.Response:
        given = await _strings(request, "owner", "why", "until")
        return answer(finding_json(await actions.accept(self.desk, request.match_info["id"], given)))

    async def _revoke(self, request: web.Request) -> web.Response:
        await _strings(request)
        return answer(finding_json(await actions.revoke(self.desk, request.match_info["id"])))

    async def _replay(self, request: web.Request) -> web.Response:
        await _strings(request)
        found = await actions.replay(self.desk, request.match_info["id"])
        return answer({"answer": found.answer, "text": found.text, "again": found.again})


async def _strings(request: web.Request, *known: str) -> dict[str, str]:
    """The members of the JSON object that was sent, `known` ones and strings alone. Raises RefusedError.

    The type is asked for since a page of another site can send any other without being asked first.
    """
    if request.content_type != "application/json":
        raise RefusedError(Refused("send JSON, as application/json"), HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    try:
        found = json.loads(await request.read() or b"{}")
    except (ValueError, RecursionError, web.RequestPayloadError) as error:
        raise RefusedError(Refused(f"this is no JSON: {error}"), HTTPStatus.BAD_REQUEST) from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise RefusedError(Refused("send an object of strings"), HTTPStatus.BAD_REQUEST)
    for name in found:
        if name not in known:
            hint = f"known are {', '.join(known)}" if known else "none is needed"
            raise RefusedError(Refused(f"unknown member {name[:100]!r}; {hint}"), HTTPStatus.BAD_REQUEST)
    return found
