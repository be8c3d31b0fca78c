"""Every kind of page that the admin site has, with some rows of content on it."""

from __future__ import annotations

from tests.browser.market import Market

ERROR = "/domains/no-such-domain"
KINDS = (
    "domains",
    "domain",
    "unproven",
    "findings",
    "finding",
    "traces",
    "trace",
    "live",
    "decisions",
    "decision",
    "error",
)


async def place(demo: Market, kind: str) -> str:
    """The path of a page of that kind."""
    match kind:
        case "domains":
            return "/"
        case "domain":
            return "/domains/payments"
        case "unproven":
            return "/domains/release_holds"
        case "findings":
            return "/findings?domain=disputes"
        case "traces":
            return "/traces?domain=payments&limit=15"
        case "live":
            return "/live?domain=payments&verdict=diff"
        case "finding":
            return f"/findings/{(await demo.finding('quote_rate_as_string'))['id']}"
        case "trace":
            return f"/traces/{(await demo.finding('selected_offer_wrong_row'))['last_trace']}"
        case "decisions":
            await demo.told("/api/v1/gates/blog")
            return "/decisions"
        case "decision":
            return f"/decisions/{(await demo.told('/api/v1/gates/chat'))['log']['seq']}"
        case _:
            return ERROR
