"""The error tree. Everything the product raises on purpose is a ShadowreadError with a text made for its reader."""

from __future__ import annotations


class ShadowreadError(Exception):
    """Base of all errors raised on purpose; `str(error)` says what is wrong, where, and what to do."""


class SettingsError(ShadowreadError):
    """The configuration cannot be used. Carries every problem found, not only the first.

    Each problem is one line: `file:line: key: what is wrong; what would be right`.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UpstreamError(ShadowreadError):
    """A side could not be read.

    `code` is one of: refused, dns, tls, timeout, reset, protocol, too_large, unreachable, statement, no_backend.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class LedgerError(ShadowreadError):
    """The ledger cannot be opened, read or written."""
