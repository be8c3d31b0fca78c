"""Letting people in: who a request comes from, and the session that begins once the token is given."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from typing import Literal

from aiohttp import hdrs, web

from proxy.admin.assets import Assets
from proxy.admin.csrf import FIELD, HEADER, Csrf, from_here
from proxy.admin.desk import Refused, Viewer
from proxy.admin.guard import authorized, same
from proxy.admin.notices import Notices
from proxy.admin.pages import login_page
from proxy.admin.refusals import RefusedError
from proxy.admin.session import COOKIE, Attempts, Sessions, local_path

log = logging.getLogger(__name__)

BODY_BYTES = 64 * 1024
"""Largest body of any request."""
FORM_FIELDS = 50
LOGIN_FORM = "login"
"""What the token against cross-site requests is made for where there is no session yet."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks. `bearer`: a program that bears the token; `session`: a browser that gave it once; `open`: nobody needs
    one. `session` names the session, empty where there is none."""

    how: Literal["bearer", "session", "open"]
    session: str = ""


class Entry:
    """The token, the sessions, and the tokens against cross-site requests of one site."""

    def __init__(
        self,
        token: str,
        seconds: float,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._token = token
        self._sessions = Sessions(seconds, clock)
        self._attempts = Attempts(sleep)
        self._csrf = Csrf(secrets.token_bytes(32))
        self._notices = Notices()

    async def who(self, request: web.Request) -> Who | None:
        """Who asks, None for somebody who may not; a wrong token is told so late.

        Raises RefusedError when too many wrong ones came from there.
        """
        if not self._token:
            return Who("open")
        session = self._sessions.find(request.cookies.get(COOKIE))
        given = request.headers.get(hdrs.AUTHORIZATION)
        if given is not None:
            self._check_pace(request)
            if authorized(given, self._token):
                return Who("bearer")
            await self._attempts.wrong(request.remote)
            return None
        return None if session is None else Who("session", session)

    def lasts(self, who: Who) -> bool:
        """Whether one who was let in still may ask; for answers that go on for long."""
        return who.how != "session" or self._sessions.lasts(who.session)

    def viewer(self, who: Who | None, request: web.Request) -> Viewer:
        """What a page is made for."""
        session = LOGIN_FORM if who is None else who.session
        notice = None if who is None else self._notices.take(request)
        return Viewer(self._csrf.token(session), who is not None and who.how == "session", who is not None, notice)

    @property
    def notices(self) -> Notices:
        return self._notices

    def check_origin(self, request: web.Request) -> None:
        """Raises RefusedError for what another site made the browser send."""
        if not from_here(request.headers):
            raise RefusedError(
                Refused("this was sent from a page of another site; open this site and send it from there"),
                HTTPStatus.FORBIDDEN,
            )

    def check(self, who: Who, request: web.Request, given: str | None) -> None:
        """Raises RefusedError for a change that its sender did not ask for. `given` is the field of a form, None for
        JSON, which no page of another site can send without being asked first.

        A program that bears the token shows by that alone that it means it.
        """
        if who.how == "bearer":
            return
        self.check_origin(request)
        if given is None and who.how == "session":
            given = request.headers.get(HEADER, "")
        if given is not None and not self._csrf.fits(given, who.session):
            raise RefusedError(
                Refused("this form is of an earlier session, or of another one; nothing was changed: send it again"),
                HTTPStatus.FORBIDDEN,
            )

    async def login_page(self, assets: Assets, request: web.Request) -> web.Response:
        """The form that asks for the token; who needs none is sent on."""
        wanted = local_path(request.query.get("next"))
        if await self.who(request) is not None:
            return _see(wanted)
        return login_page(assets, csrf=self._csrf.token(LOGIN_FORM), following=wanted)

    async def login(self, assets: Assets, request: web.Request) -> web.Response:
        """Begin a session for who gives the token; show the form again to who does not."""
        self.check_origin(request)
        fields = await form(request)
        wanted = local_path(fields.get("next"))
        if not self._token:
            return _see(wanted)
        self._check_pace(request)
        if not self._csrf.fits(fields.get(FIELD, ""), LOGIN_FORM):
            text, status = "This form is of an earlier run of the proxy; give the token again.", HTTPStatus.FORBIDDEN
        elif not same(fields.get("token", "").strip(), self._token):
            log.warning("admin: a wrong token was given from %s", request.remote)
            await self._attempts.wrong(request.remote)
            text, status = "This is not the token.", HTTPStatus.UNAUTHORIZED
        else:
            return self._begin(request, wanted)
        csrf = self._csrf.token(LOGIN_FORM)
        return login_page(assets, csrf=csrf, following=wanted, error=text, status=status)

    def _begin(self, request: web.Request, wanted: str) -> web.Response:
        response = _see(wanted)
        response.set_cookie(
            COOKIE,
            self._sessions.begin(request.cookies.get(COOKIE)),
            max_age=int(self._sessions.seconds),
            path="/",
            httponly=True,
            samesite="Strict",
            secure=_by_tls(request),
        )
        return response

    async def logout(self, who: Who, request: web.Request) -> web.StreamResponse:
        """End the session."""
        self.check(who, request, (await form(request)).get(FIELD, ""))
        self._sessions.end(request.cookies.get(COOKIE))
        response = _see("/login" if self._token else "/")
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return response

    def _check_pace(self, request: web.Request) -> None:
        if self._attempts.full(request.remote):
            raise RefusedError(
                Refused("too many wrong tokens came from your address; wait some seconds"), HTTPStatus.TOO_MANY_REQUESTS
            )


async def form(request: web.Request) -> dict[str, str]:
    """The fields of a form, each once, in UTF-8. Raises RefusedError for anything else."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise RefusedError(
            Refused("a form is sent as application/x-www-form-urlencoded"), HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        )
    try:
        sent = await request.post()
    except (ValueError, LookupError, web.RequestPayloadError) as error:
        raise RefusedError(Refused(f"the form cannot be read: {error}"), HTTPStatus.BAD_REQUEST) from error
    fields = {name: value for name, value in sent.items() if isinstance(value, str)}
    if len(fields) != len(sent) or len(sent) > FORM_FIELDS:
        raise RefusedError(Refused("the form has a field twice, or too many fields"), HTTPStatus.BAD_REQUEST)
    return fields


def once_more(path_qs: str) -> web.Response:
    """Have the browser ask again by itself.

    Who follows a link from a chat or a ticket is signed in, but the browser keeps a strict cookie back from a request
    that another site began; the one that this page begins bears it.
    """
    address = escape(local_path(path_qs))
    text = (
        f'<!doctype html><html lang="en"><meta http-equiv="refresh" content="0;url={address}"><title>shadowread</title>'
    )
    return web.Response(text=text, content_type="text/html")


def _see(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path})


def _by_tls(request: web.Request) -> bool:
    """Whether the browser speaks TLS, with us or with what stands before us: its own `Origin` tells, as does a proxy.

    A cookie that is not bound to TLS where there is none would else never come back, and nobody could sign in.
    """
    return (
        request.secure
        or request.headers.get(hdrs.ORIGIN, "").lower().startswith("https:")
        or request.headers.get("X-Forwarded-Proto", "").lower() == "https"
    )
