"""The secrets that the configuration itself bears: known, and so hidden wherever they turn up."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

from proxy.settings.model import Settings


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """The admin token, the passwords of every address, as written and decoded, and a user alone; each once."""
    found = [settings.admin.token.get_secret_value(), *passwords_of(settings.ledger.url)]
    if settings.postgres is not None:
        found += passwords_of(settings.postgres.dsn.get_secret_value())
    if settings.provenance.canary_dsn is not None:
        found += passwords_of(settings.provenance.canary_dsn.get_secret_value())
    if settings.mongo is not None:
        found += passwords_of(settings.mongo.url.get_secret_value())
    for url in (settings.primary.url, settings.shadow.url):
        found += passwords_of(url or "") or [unquote(urlsplit(url or "").username or "")]
    return tuple(text for text in dict.fromkeys(found) if text)


def passwords_of(url: str) -> list[str]:
    """The passwords of a connection string, as written and decoded. A slash in one ends the host part too early for
    `urlsplit`, an at sign after the host misleads the plain search; so both are asked."""
    parts = urlsplit(url)
    users = parts.netloc.rpartition("@")[0], url.partition("://")[2].rpartition("@")[0]
    passwords = [user.partition(":")[2] for user in users]
    named = [value for name, value in parse_qsl(parts.query) if "pass" in name.lower()]
    return [text for text in (*passwords, *map(unquote, passwords), *named) if text]
