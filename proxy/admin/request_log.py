"""What the HTTP server itself logs of the admin port: of requests that it cannot read, never what stood in them."""

from __future__ import annotations

import logging

from aiohttp import http_exceptions

NAME = "proxy.admin.http"


class _Unread(logging.Filter):
    """The server quotes the line that it could not read, which may be the one that bears the token."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, http_exceptions.HttpProcessingError):
            record.exc_info = record.exc_text = None
            record.msg = f"{record.getMessage()}: {type(error).__name__}"
            record.args = ()
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


_UNREAD = _Unread()


def request_log() -> logging.Logger:
    """The logger for the server of the admin port."""
    log = logging.getLogger(NAME)
    log.addFilter(_UNREAD)
    return log
