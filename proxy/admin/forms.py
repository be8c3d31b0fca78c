"""The forms of the pages: each does one thing and leads back to its page, or shows it again with what is wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import quote

from aiohttp import web

from proxy.admin import actions
from proxy.admin.csrf import FIELD
from proxy.admin.desk import Desk, Notice
from proxy.admin.entry import Entry, Who, form
from proxy.admin.pages import PAGES
from proxy.admin.refusals import RefusedError

FormHandler = Callable[[web.Request, Who], Awaitable[web.StreamResponse]]


class Forms:
    """The handlers of `POST`, by their address."""

    def __init__(self, desk: Desk, entry: Entry) -> None:
        self.desk = desk
        self._entry = entry

    @property
    def handlers(self) -> dict[str, FormHandler]:
        return {
            "/findings/{id}/accept": self._accept,
            "/findings/{id}/revoke": self._revoke,
            "/traces/{id}/replay": self._replay,
            "/logout": self._logout,
        }

    async def _accept(self, request: web.Request, who: Who) -> web.StreamResponse:
        fields = await self._fields(request, who)
        try:
            found = await actions.accept(self.desk, request.match_info["id"], fields)
        except RefusedError as error:
            return await self._again("/findings/{id}", request, who, error)
        given = found.acceptance
        until = "" if given is None else f" through {given.until}"
        notice = Notice("good", f"Accepted{until}. Its differences are still counted, and the gate decides as before.")
        return self._entry.notices.redirect(_path("findings", found.id), notice)

    async def _revoke(self, request: web.Request, who: Who) -> web.StreamResponse:
        await self._fields(request, who)
        found = await actions.revoke(self.desk, request.match_info["id"])
        notice = Notice("good", f"No longer accepted: it is {found.state.value}.")
        return self._entry.notices.redirect(_path("findings", found.id), notice)

    async def _replay(self, request: web.Request, who: Who) -> web.StreamResponse:
        await self._fields(request, who)
        id_ = request.match_info["id"]
        notice = actions.notice_of(await actions.replay(self.desk, id_))
        return self._entry.notices.redirect(_path("traces", id_), notice)

    async def _logout(self, request: web.Request, who: Who) -> web.StreamResponse:
        return await self._entry.logout(who, request)

    async def _fields(self, request: web.Request, who: Who) -> dict[str, str]:
        """What was typed, once it is known that its sender typed it. Raises RefusedError."""
        fields = await form(request)
        self._entry.check(who, request, fields.pop(FIELD, ""))
        return fields

    async def _again(self, page: str, request: web.Request, who: Who, error: RefusedError) -> web.StreamResponse:
        viewer = replace(self._entry.viewer(who, request), refused=error.refused)
        response = await PAGES[page](self.desk, request, viewer)
        response.set_status(error.status)
        return response


def _path(kind: str, id_: str) -> str:
    return f"/{kind}/{quote(id_, safe='')}"
