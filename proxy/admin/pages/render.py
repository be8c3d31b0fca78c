"""From plain data to HTML: one environment for all templates, in which nothing is trusted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from proxy import __version__
from proxy.admin.assets import Assets
from proxy.admin.desk import Desk, Viewer
from proxy.admin.pages import words

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
FILTERS = (
    "shown", "prose", "number", "rate", "share", "ratio", "seconds", "millis", "json", "figure", "absolute", "clock",
    "age",
)  # fmt: skip
NAVIGATION = (
    ("domains", "/", "Domains"),
    ("findings", "/findings", "Findings"),
    ("traces", "/traces", "Traces"),
    ("live", "/live", "Live"),
    ("decisions", "/decisions", "Decisions"),
)


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update({name: getattr(words, name) for name in FILTERS})
    made.filters["segment"] = lambda text: quote(str(text).encode(errors="replace"), safe="")
    made.globals["address"] = words.address
    return made


ENVIRONMENT = _environment()
"""Compiled templates are the same for all sites of a process, and hold nothing of any."""


async def page(
    desk: Desk,
    viewer: Viewer,
    template: str,
    *,
    title: str,
    active: str = "",
    query: Mapping[str, str] | None = None,
    **content: Any,
) -> web.Response:
    """`template` over `content`. `active` names the entry of the navigation, `query` is the one of the request.

    A long table takes tens of milliseconds: it is laid out in a thread, so that clients are served meanwhile.
    """
    text = await asyncio.to_thread(
        html,
        template,
        assets=desk.assets,
        now=desk.now(),
        viewer=viewer,
        title=title,
        active=active,
        query=tuple((query or {}).items()),
        given=dict(query or {}),
        configured=frozenset(desk.settings.domains),
        in_force=None if desk.in_force is None else desk.in_force(),
        **content,
    )
    return web.Response(text=text, content_type="text/html")


def html(template: str, *, assets: Assets, now: datetime | None, viewer: Viewer | None, **content: Any) -> str:
    """The text of a page. Without a `viewer` it is one for strangers: it has no navigation."""
    text = ENVIRONMENT.get_template(template).render(
        asset=assets.url,
        now=now,
        viewer=viewer,
        version=__version__,
        navigation=NAVIGATION,
        **content,
    )
    return _encodable(text)


async def fragment(template: str, **content: Any) -> web.Response:
    """A part of a page, for a script of that page to put in its place; laid out in a thread as pages are."""
    text = await asyncio.to_thread(ENVIRONMENT.get_template(template).render, **content)
    return web.Response(text=_encodable(text), content_type="text/html")


def _encodable(text: str) -> str:
    """A name that the templates write without the filter `shown` may hold half of a surrogate pair."""
    return text.encode(errors="replace").decode()


def login_page(
    assets: Assets, *, csrf: str, following: str, error: str = "", status: HTTPStatus = HTTPStatus.OK
) -> web.Response:
    """Asks for the token. `following` is the local address to go on to."""
    text = html(
        "login.html", assets=assets, now=None, viewer=None, title="Sign in", csrf=csrf, following=following, error=error
    )
    return web.Response(text=text, status=status, content_type="text/html")


def error_page(
    assets: Assets,
    viewer: Viewer | None,
    status: HTTPStatus,
    detail: str,
    *,
    now: datetime | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """What went wrong, in the frame of the other pages."""
    text = html(
        "error.html",
        assets=assets,
        now=now,
        viewer=viewer,
        title=f"{status.value} {status.phrase}",
        active="",
        query=(),
        status=status,
        detail=detail,
    )
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)
