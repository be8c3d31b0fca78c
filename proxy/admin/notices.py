"""What came of a form, told once on the page that follows it."""

from __future__ import annotations

import secrets
from collections import OrderedDict

from aiohttp import web

from proxy.admin.desk import Notice

COOKIE = "shadowread_notice"
KEPT = 200
SECONDS = 60


class Notices:
    """Kept here, as a text in the address could be written by anybody; the browser holds an id, for one page alone."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Notice] = OrderedDict()

    def redirect(self, path: str, notice: Notice) -> web.Response:
        """Go to `path` (a path of this site) and tell it there."""
        made = secrets.token_urlsafe(16)
        self._kept[made] = notice
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        response = web.Response(status=303, headers={"Location": path})
        response.set_cookie(COOKIE, made, path=path, max_age=SECONDS, httponly=True, samesite="Strict")
        return response

    def take(self, request: web.Request) -> Notice | None:
        """What this page has to tell; never again."""
        return self._kept.pop(request.cookies.get(COOKIE, ""), None)
