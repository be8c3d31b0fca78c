"""The pages. Each is made of the same plain data that its address under `/api/v1` answers with."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from proxy.admin.desk import PageHandler
from proxy.admin.pages.decisions import decision, decisions
from proxy.admin.pages.domain import domain
from proxy.admin.pages.domains import domains
from proxy.admin.pages.findings import finding, findings
from proxy.admin.pages.live import live
from proxy.admin.pages.render import error_page, login_page
from proxy.admin.pages.trace import rows, trace
from proxy.admin.pages.traces import traces

__all__ = ["PAGES", "error_page", "login_page"]

PAGES: Mapping[str, PageHandler] = MappingProxyType({
    "/": domains,
    "/domains/{name}": domain,
    "/findings": findings,
    "/findings/{id}": finding,
    "/traces": traces,
    "/traces/{id}": trace,
    "/traces/{id}/rows": rows,
    "/live": live,
    "/decisions": decisions,
    "/decisions/{seq}": decision,
})  # fmt: skip
"""What is shown at each address."""
