"""The admin port: health, figures and evidence as JSON. Read-only but for the gate decisions that it stores."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from comparators.encode import dumps
from proxy.admin.checks import Readiness
from proxy.admin.evidence import Evidence, UnknownNameError
from proxy.admin.guard import SECURITY_FIELDS, authorized, host_allowed
from proxy.admin.shapes import finding_json, summary_json, trace_json
from proxy.errors import LedgerError
from proxy.ledger.traces import parse_cursor
from proxy.telemetry import Figures, Gauge

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OPEN = frozenset({"/healthz", "/readyz"})
LIMIT = 100
MAX_LIMIT = 1_000
PAGE = """shadowread

/healthz                    the process is alive
/readyz                     primary, ledger and id map can be used
/metrics                    Prometheus
/api/v1/domains             every domain: verdicts, diff rate, provenance, gate
/api/v1/domains/NAME        one domain: routes, coverage, sensitivity, windows, holes, tolerances, conditions
/api/v1/findings            what differs            ?domain= &limit=
/api/v1/traces              exchanges that differed ?domain= &finding= &before= &limit=
/api/v1/traces/ID           one of them in full
/api/v1/gates/DOMAIN        decide on a domain, and store the decision
"""


class AdminSite:
    """One listener of its own. `token` empty asks for none."""

    def __init__(
        self,
        evidence: Evidence,
        figures: Figures,
        readiness: Readiness,
        *,
        host: str,
        port: int,
        token: str = "",
    ) -> None:
        self._evidence = evidence
        self._figures = figures
        self._readiness = readiness
        self._host = host
        self._token = token
        self._asked_port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. OSError when the address is taken."""
        app = web.Application(middlewares=[self._guard], client_max_size=1024)
        gates = "1 for each domain whose gate is open, otherwise 0."
        open_gates = Gauge("shadowread.gate.open", gates, lambda: self._evidence.open_gates, ("domain",))
        self._figures.gauge(open_gates)
        app.on_response_prepare.append(_secure)
        for path, handler in self.endpoints().items():
            # A HEAD must not decide: aiohttp would answer it by running the handler.
            app.router.add_get(path, handler, allow_head=not path.startswith("/api/v1/gates/"))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._asked_port).start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    @property
    def port(self) -> int:
        """The port it listens on; LookupError while it does not."""
        if self._runner is None or not self._runner.addresses:
            raise LookupError("the admin site is not started")
        return int(self._runner.addresses[0][1])

    def endpoints(self) -> dict[str, Handler]:
        """Every path that is served. Only those in `OPEN` answer without the token."""
        return {
            "/": self._page,
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            "/api/v1/domains": self._domains,
            "/api/v1/domains/{name}": self._domain,
            "/api/v1/findings": self._findings,
            "/api/v1/traces": self._traces,
            "/api/v1/traces/{id}": self._trace,
            "/api/v1/gates/{domain}": self._gate,
        }

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not host_allowed(request.headers.get("Host"), self._host):
            return problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "this port listens on loopback and answers to localhost and 127.0.0.1 only",
            )
        if request.path not in OPEN and not self._may(request):
            return problem(
                HTTPStatus.UNAUTHORIZED,
                "the admin token is needed: Authorization: Bearer TOKEN",
                {"WWW-Authenticate": 'Bearer realm="shadowread"'},
            )
        try:
            return await handler(request)
        except UnknownNameError as error:
            return problem(HTTPStatus.NOT_FOUND, str(error))
        except LedgerError as error:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        except _BadQueryError as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        except web.HTTPException as error:
            allow = {name: value for name, value in error.headers.items() if name == "Allow"}
            return problem(HTTPStatus(error.status), f"{request.method} {request.path}", allow)
        except Exception:
            log.exception("admin: %s %s failed", request.method, request.path)
            return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "see the log of the process")

    def _may(self, request: web.Request) -> bool:
        return authorized(request.headers.get("Authorization"), self._token)

    async def _page(self, _request: web.Request) -> web.Response:
        return web.Response(text=PAGE)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return answer({"alive": True})

    async def _readyz(self, request: web.Request) -> web.Response:
        problems = await self._readiness.problems()
        ready = self._readiness.ready(problems)
        # A reason may name inner hosts; without the token only the fact is told.
        told = self._may(request)
        checks = {
            name: {
                "ok": reason is None,
                "reason": reason if reason is None or told else "cannot be used; ask with the token for the reason",
            }
            for name, reason in problems.items()
        }
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return answer({"ready": ready, "checks": checks}, status)

    async def _metrics(self, request: web.Request) -> web.Response:
        try:
            await self._evidence.gates()
        except LedgerError as error:
            # All gates count as closed then; whether the ledger can be read is a figure of its own.
            log.warning("metrics: the gates could not be decided: %s", error)
        body, content_type = self._figures.prometheus_text(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _domains(self, request: web.Request) -> web.Response:
        _query(request)
        return answer(await self._evidence.domains())

    async def _domain(self, request: web.Request) -> web.Response:
        _query(request)
        return answer(await self._evidence.domain(request.match_info["name"]))

    async def _findings(self, request: web.Request) -> web.Response:
        query = _query(request, "domain", "limit")
        found = await self._evidence.findings(query.get("domain"), limit=_limit(query))
        return answer({"findings": [finding_json(finding) for finding in found]})

    async def _traces(self, request: web.Request) -> web.Response:
        query = _query(request, "domain", "finding", "before", "limit")
        limit = _limit(query)
        before = query.get("before")
        try:
            if before is not None:
                parse_cursor(before)
        except LedgerError as error:
            raise _BadQueryError(f"before: {error}") from error
        found = await self._evidence.traces(
            query.get("domain"), finding=query.get("finding"), before=before, limit=limit
        )
        following = found[-1].cursor if len(found) == limit else None
        return answer({"traces": [summary_json(trace) for trace in found], "next": following})

    async def _trace(self, request: web.Request) -> web.Response:
        _query(request)
        return answer(trace_json(await self._evidence.trace(request.match_info["id"])))

    async def _gate(self, request: web.Request) -> web.Response:
        _query(request)
        (result,) = await self._evidence.gates([request.match_info["domain"]])
        entry = await self._evidence.ledger.store_decision(result)
        return answer({**result.as_json(), "log": {"seq": entry.seq, "hash": entry.hash}})


class _BadQueryError(Exception):
    pass


def _query(request: web.Request, *known: str) -> dict[str, str]:
    """The query's parameters; one that is not known or comes twice is refused, since it would do nothing."""
    for name in request.query:
        if name not in known:
            hint = f"known are {', '.join(known)}" if known else "this address takes none"
            raise _BadQueryError(f"unknown parameter {name[:100]!r}; {hint}")
        if len(request.query.getall(name)) > 1:
            raise _BadQueryError(f"{name} is given more than once")
    return dict(request.query)


def _limit(query: dict[str, str]) -> int:
    text = query.get("limit", str(LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_LIMIT):
        raise _BadQueryError(f"limit must be a number from 1 to {MAX_LIMIT}")
    return int(text)


def answer(content: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(body=_encoded(content), status=status, content_type="application/json")


def problem(status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    """The one shape of an error (RFC 9457)."""
    content = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    body = _encoded(content)
    return web.Response(body=body, status=status, content_type="application/problem+json", headers=headers)


def _encoded(content: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError:
        # A backend's value: an integer past 64 bits, a decimal, half of a surrogate pair.
        return dumps(content).encode()


async def _secure(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_FIELDS)
