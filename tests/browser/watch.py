"""What a page must never do, noticed while a test looks at it: complain, break its policy, or call out."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Request, WebError

ALWAYS_LOCAL = ("data", "blob", "about")
MOST = 50


class Watch:
    """Notes what pages of a context do wrong. `origins` are the hosts (with port) that may be asked.

    A violation of the content security policy, a script or style that fails to load and an answer with an error status
    all reach the console as errors; `expected` are parts of such messages that a test provokes on purpose.
    """

    def __init__(self, context: BrowserContext, *origins: str) -> None:
        self.hosts = {urlsplit(origin).netloc for origin in origins}
        self.expected: list[str] = []
        self._noticed: list[str] = []
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)

    @property
    def faults(self) -> list[str]:
        """What was noticed and not expected."""
        return [text for text in self._noticed if not any(part in text for part in self.expected)]

    def _note(self, text: str) -> None:
        if len(self._noticed) < MOST:
            self._noticed.append(text)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self._note(f"console {message.type} at {message.location.get('url', '')}: {message.text}")

    def _error(self, error: WebError) -> None:
        self._note(f"uncaught: {error.error}")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ALWAYS_LOCAL and address.netloc not in self.hosts:
            self._note(f"left the host: {request.url}")
