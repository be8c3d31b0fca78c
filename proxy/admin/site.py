"""The admin port: health, figures, the pages, and the API that they are made of."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus

from aiohttp import web

from proxy.admin.answers import answer, problem
from proxy.admin.api import Api, Handler
from proxy.admin.assets import Assets
from proxy.admin.checks import Readiness
from proxy.admin.covering import Covering
from proxy.admin.desk import Desk, Ids, PageHandler, Replays
from proxy.admin.domain_gauges import DomainGauges
from proxy.admin.entry import BODY_BYTES, Entry, Who, once_more
from proxy.admin.events import Events
from proxy.admin.evidence import Evidence, UnknownNameError
from proxy.admin.forms import Forms
from proxy.admin.guard import DATA_POLICY, PAGE_POLICY, SECURITY_FIELDS, host_allowed
from proxy.admin.listener import BoundedSite
from proxy.admin.pages import PAGES, error_page
from proxy.admin.queries import BadQueryError
from proxy.admin.refusals import RefusedError
from proxy.admin.request_log import request_log
from proxy.admin.session import login_path
from proxy.admin.snapshot import Snapshot
from proxy.admin.trees import Trees
from proxy.errors import LedgerError
from proxy.settings.changes import InForce
from proxy.tail import Tail
from proxy.telemetry import Figures

log = logging.getLogger(__name__)

OPEN = frozenset({"/healthz", "/readyz"})
"""What programs may ask without the token; beside it are `/login` and what it needs from `/static/`."""
WHO = web.RequestKey("who", Who)
SCRAPE_SECONDS = 5.0
"""How long metrics wait for what they tell of the gates: Prometheus gives up after ten by default."""
NO_HEAD = ("/api/v1/gates/", "/api/v1/events")
"""A HEAD must not decide, and waits for nothing: aiohttp would answer it by running the handler."""


class AdminSite:
    """One listener of its own. `token` empty asks for none.

    `ids` and `replays` are what pages ask of the id map and of the verifier, None where there is none. `in_force` tells
    which configuration the process works under.
    """

    def __init__(
        self,
        evidence: Evidence,
        figures: Figures,
        readiness: Readiness,
        *,
        host: str,
        port: int,
        token: str = "",
        tail: Tail | None = None,
        ids: Ids | None = None,
        replays: Replays | None = None,
        in_force: Callable[[], InForce] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._figures = figures
        self._readiness = readiness
        self._host = host
        self._asked_port = port
        self._runner: web.AppRunner | None = None
        self._gauges = DomainGauges(evidence.settings, evidence.now)
        self._desk = Desk(
            settings=evidence.settings,
            evidence=evidence,
            snapshot=Snapshot(evidence, seen=self._gauges),
            tail=tail or Tail(),
            boot=secrets.token_hex(4),
            ids=ids,
            replays=replays,
            now=evidence.now,
            assets=Assets.read(),
            covering=Covering(evidence, ids, evidence.now),
            trees=Trees(evidence, ids, evidence.now),
            in_force=in_force,
        )
        self._entry = Entry(token, evidence.settings.admin.session, clock=clock, sleep=sleep)
        self._events = Events(self._desk)
        self._api = Api(self._desk)
        self._forms = Forms(self._desk, self._entry)

    async def start(self) -> None:
        """Listen. OSError when the address is taken."""
        app = web.Application(middlewares=[self._guard], client_max_size=BODY_BYTES)
        self._gauges.register(self._figures)
        app.on_response_prepare.append(_secure)
        app.on_shutdown.append(self._end)
        for path, handler in self.endpoints().items():
            app.router.add_get(path, handler, allow_head=not path.startswith(NO_HEAD))
        for path, handler in self.changes().items():
            app.router.add_post(path, handler)
        # Nobody packs a form of ours: what is packed is taken as it came, and refused.
        self._runner = web.AppRunner(
            app, access_log=None, logger=request_log(), auto_decompress=False, shutdown_timeout=1.0
        )
        await self._runner.setup()
        try:
            await BoundedSite(self._runner, self._host, self._asked_port).start()
        except BaseException:
            await self.stop()
            raise

    def serve_with(
        self, evidence: Evidence, readiness: Readiness, *, ids: Ids | None = None, replays: Replays | None = None
    ) -> None:
        """Answer under another configuration from now on. Who is signed in stays so, and who listens hears of it."""
        self._readiness = readiness
        self._gauges.tell_of(evidence.settings)
        self._desk.trees.look_with(evidence, ids)
        self._desk = replace(
            self._desk,
            settings=evidence.settings,
            evidence=evidence,
            snapshot=Snapshot(evidence, seen=self._gauges),
            ids=ids,
            replays=replays,
            covering=Covering(evidence, ids, evidence.now),
        )
        self._api.desk = self._forms.desk = self._events.desk = self._desk

    async def stop(self) -> None:
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()
        await self._desk.trees.close()

    async def refresh(self) -> None:
        """Look at the domains anew, for figures that are exported without anybody asking. Raises LedgerError."""
        await self._desk.snapshot.overview()

    async def _end(self, _app: web.Application) -> None:
        await self._events.stop()

    @property
    def port(self) -> int:
        """The port it listens on; LookupError while it does not."""
        if self._runner is None or not self._runner.addresses:
            raise LookupError("the admin site is not started")
        return int(self._runner.addresses[0][1])

    @property
    def events(self) -> Events:
        """Those who listen."""
        return self._events

    def endpoints(self) -> dict[str, Handler]:
        """Every path that is read. Only those in `OPEN`, the login page and static files answer without the token."""
        return {
            **{path: self._page(page) for path, page in PAGES.items()},
            "/login": self._login_page,
            "/static/{name}": self._static,
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            **self._api.reads,
            "/api/v1/events": self._listen,
        }

    def changes(self) -> dict[str, Handler]:
        """Every path that takes a POST."""
        return {
            **{path: self._form(handler) for path, handler in self._forms.handlers.items()},
            "/login": self._login,
            **{path: self._change(handler) for path, handler in self._api.changes.items()},
        }

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not host_allowed(request.headers.get("Host"), self._host):
            return problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "this port listens on loopback and answers to localhost and 127.0.0.1 only",
            )
        who: Who | None = None
        try:
            if request.path.startswith("/api/"):
                # Reading, too, is for programs and our own pages: a page of another site must not even make us work.
                self._entry.check_origin(request)
            if not _for_all(request.path):
                who = await self._entry.who(request)
                if who is None and request.path not in OPEN:
                    return self._turn_away(request)
                if who is not None:
                    request[WHO] = who
            return await handler(request)
        except (UnknownNameError, LedgerError, BadQueryError, RefusedError) as error:
            return self._fault(request, who, _status(error), str(error))
        except web.HTTPException as error:
            allow = {name: value for name, value in error.headers.items() if name == "Allow"}
            return self._fault(request, who, HTTPStatus(error.status), f"{request.method} {request.path}", allow)
        except Exception:
            # Its template: what stands in a path may be of anybody.
            resource = request.match_info.route.resource
            log.exception("admin: %s %s failed", request.method, resource.canonical if resource else "")
            return self._fault(request, who, HTTPStatus.INTERNAL_SERVER_ERROR, "see the log of the process")

    def _turn_away(self, request: web.Request) -> web.Response:
        """A browser is asked for the token, a program told that it is missing."""
        if _is_page(request) and "Authorization" not in request.headers:
            reading = request.method in ("GET", "HEAD")
            if reading and request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
                return once_more(request.path_qs)
            wanted = request.path_qs if reading else "/"
            return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": login_path(wanted)})
        return problem(
            HTTPStatus.UNAUTHORIZED,
            "the admin token is needed: Authorization: Bearer TOKEN",
            {"WWW-Authenticate": 'Bearer realm="shadowread"'},
        )

    def _fault(
        self,
        request: web.Request,
        who: Who | None,
        status: HTTPStatus,
        detail: str,
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        if not _is_page(request):
            return problem(status, detail, dict(headers or {}))
        viewer = None if who is None else self._entry.viewer(who, request)
        desk = self._desk
        return error_page(desk.assets, viewer, status, detail, now=desk.now(), headers=headers)

    def _page(self, page: PageHandler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await page(self._desk, request, self._entry.viewer(request[WHO], request))

        return handle

    def _form(self, handler: Callable[[web.Request, Who], Awaitable[web.StreamResponse]]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await handler(request, request[WHO])

        return handle

    def _change(self, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            self._entry.check(request[WHO], request, None)
            return await handler(request)

        return handle

    async def _login_page(self, request: web.Request) -> web.Response:
        return await self._entry.login_page(self._desk.assets, request)

    async def _login(self, request: web.Request) -> web.Response:
        return await self._entry.login(self._desk.assets, request)

    async def _static(self, request: web.Request) -> web.Response:
        found = self._desk.assets.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        # An address that names the content stays true for ever; any other may be of another release.
        kept = request.query.get("v") == found.digest
        return web.Response(
            body=found.body,
            content_type=found.content_type,
            charset="utf-8",
            headers={"Cache-Control": "public, max-age=31536000, immutable" if kept else "no-cache"},
        )

    async def _healthz(self, _request: web.Request) -> web.Response:
        return answer({"alive": True})

    async def _readyz(self, request: web.Request) -> web.Response:
        readiness = self._readiness  # the same for both: a reload may come in between
        problems = await readiness.problems()
        ready = readiness.ready(problems)
        # A reason may name inner hosts; without the token only the fact is told.
        told = request.get(WHO) is not None
        checks = {
            name: {
                "ok": reason is None,
                "reason": reason if reason is None or told else "cannot be used; ask with the token for the reason",
            }
            for name, reason in problems.items()
        }
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        content = {"ready": ready, "checks": checks}
        if self._desk.in_force is not None:
            force = self._desk.in_force()
            content["configuration"] = force.as_json() if told else force.in_short()
        return answer(content, status)

    async def _metrics(self, request: web.Request) -> web.Response:
        try:
            await self._desk.snapshot.show_within(SCRAPE_SECONDS)
        except LedgerError as error:
            # All gates count as closed then; whether the ledger can be read is a figure of its own.
            log.warning("metrics: the gates could not be decided: %s", error)
        accept = request.headers.get("Accept", "")
        # Some milliseconds for twenty domains, in which clients would wait.
        body, content_type = await asyncio.to_thread(self._figures.prometheus_text, accept)
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        who = request[WHO]
        return await self._events.handle(request, lambda: self._entry.lasts(who))


def _status(error: Exception) -> HTTPStatus:
    match error:
        case RefusedError():
            return error.status
        case UnknownNameError():
            return HTTPStatus.NOT_FOUND
        case LedgerError():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case _:
            return HTTPStatus.BAD_REQUEST


def _for_all(path: str) -> bool:
    """What is the same for everybody, so that nobody has to be known."""
    return path in ("/healthz", "/login") or path.startswith("/static/")


def _is_page(request: web.Request) -> bool:
    """Whether a person is to read the answer."""
    if request.path.startswith("/api/") or request.path in OPEN or request.path == "/metrics":
        return False
    return "text/html" in request.headers.get("Accept", "")


async def _secure(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_FIELDS)
    response.headers.setdefault("Cache-Control", "no-store")
    page = response.content_type == "text/html"
    response.headers["Content-Security-Policy"] = PAGE_POLICY if page else DATA_POLICY
