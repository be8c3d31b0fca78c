"""The effective configuration with secrets masked, and the JSON Schema of the file."""

from __future__ import annotations

import re
from typing import Any

from proxy.settings.model import Settings

MASK = "***"
# Up to the last "@": a password that was not percent-encoded must be hidden as well.
_PASSWORD = re.compile(r"(://[^/:@\s]*):\S*@")
_USERINFO = re.compile(r"(://)\S*@")
_QUERY_SECRET = re.compile(r"([?&][^=&]*(?:pass|secret|token|key)[^=&]*=)[^&]*", re.IGNORECASE)


def show(settings: Settings) -> dict[str, Any]:
    """Every key with its effective value, as plain JSON data with units. No secret is in it.

    A file of what is shown loads to the same settings again, but for what is masked.
    """
    shown: dict[str, Any] = settings.model_dump(mode="json")
    shown["admin"]["token"] = MASK if settings.admin.token.get_secret_value() else ""
    shown["primary"]["url"] = _USERINFO.sub(rf"\1{MASK}@", settings.primary.url)
    if settings.shadow.url:
        shown["shadow"]["url"] = _USERINFO.sub(rf"\1{MASK}@", settings.shadow.url)
    if settings.postgres:
        shown["postgres"]["dsn"] = mask_dsn(settings.postgres.dsn.get_secret_value())
    return shown


def mask_dsn(dsn: str) -> str:
    """A connection string without its password (in the user part or in the query)."""
    return _QUERY_SECRET.sub(rf"\1{MASK}", _PASSWORD.sub(rf"\1:{MASK}@", dsn))


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the configuration file, for editors. Numbers may also be written as `${ENV}`."""
    schema: dict[str, Any] = Settings.model_json_schema(mode="validation")
    routes = schema["$defs"]["DomainSettings"]["properties"]["routes"]
    routes["items"] = {"anyOf": [{"type": "string"}, routes["items"]]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "shadowread configuration",
    }
