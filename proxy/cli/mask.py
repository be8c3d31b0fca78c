"""The last wall in front of what a command prints: known secrets are masked wherever they turn up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from proxy.model import Headers
from proxy.settings import Settings
from proxy.settings.secrets import secrets_of
from proxy.verify.redact import Redactor

MASK = "***"
SHORTEST = 4
"""Characters of a secret that is looked for: a shorter one would be found in the middle of every word."""


class Mask:
    """Masks given texts in anything printable. They are the passwords of the configuration, and a caller's headers.

    Texts of servers are printed by a check, and what a server or a driver puts into an error is its own affair.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first: one secret may be a part of another.
        self._secrets = sorted({text for text in secrets if len(text) >= SHORTEST}, key=len, reverse=True)

    @classmethod
    def of(cls, settings: Settings, headers: Headers = ()) -> Mask:
        secrets = [*secrets_of(settings)]
        for text in _secret_values(headers):
            secrets += [text, text.rpartition(" ")[2]]
        return cls(secrets)

    def hide(self, value: Any) -> Any:
        """`value` (JSON) without the secrets, names of members included."""
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, MASK)
            return value
        if isinstance(value, dict):
            return {self.hide(name): self.hide(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.hide(item) for item in value]
        return value


def _secret_values(headers: Headers) -> list[str]:
    """The values of the fields whose names say that they are secret."""
    shown = Redactor((), b"").headers(headers)
    plain = [value.decode("latin-1") for _, value in headers]
    return [value for value, (_, other) in zip(plain, shown, strict=True) if value != other]
