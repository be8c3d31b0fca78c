"""The effective configuration with secrets masked, and the JSON Schema of the file."""

from __future__ import annotations

import re
from typing import Any

from proxy.settings.model import Settings

MASK = "***"
# Up to the last "@": a password that was not percent-encoded must be hidden as well.
_PASSWORD = re.compile(r"(://[^/:@\s]*):\S*@")
_USERINFO = re.compile(r"(://)\S*@")
# `authMechanismProperties` of MongoDB may hold a session token.
_QUERY_SECRET = re.compile(r"([?&][^=&]*(?:pass|secret|token|key|mechanismprop)[^=&]*=)[^&]*", re.IGNORECASE)


def show(settings: Settings) -> dict[str, Any]:
    """Every key with its effective value, as plain JSON data with units. No secret is in it.

    A file of what is shown loads to the same settings again, but for what is masked.
    """
    shown: dict[str, Any] = settings.model_dump(mode="json", by_alias=True)
    shown["admin"]["token"] = MASK if settings.admin.token.get_secret_value() else ""
    for side, url in (("primary", settings.primary.url), ("shadow", settings.shadow.url)):
        shown[side]["url"] = _USERINFO.sub(rf"\1{MASK}@", url) if url else None
    shown["ledger"]["url"] = mask_dsn(settings.ledger.url)
    if settings.postgres:
        shown["postgres"]["dsn"] = mask_dsn(settings.postgres.dsn.get_secret_value())
    if settings.mongo:
        shown["mongo"]["url"] = mask_dsn(settings.mongo.url.get_secret_value())
    if settings.provenance.canary_dsn:
        shown["provenance"]["canary_dsn"] = mask_dsn(settings.provenance.canary_dsn.get_secret_value())
    return shown


def mask_dsn(dsn: str) -> str:
    """A connection string without its password (in the user part or in the query)."""
    return _QUERY_SECRET.sub(rf"\1{MASK}", _PASSWORD.sub(rf"\1:{MASK}@", dsn))


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the configuration file, for editors. Numbers may also be written as `${ENV}`."""
    schema: dict[str, Any] = Settings.model_json_schema(mode="validation")
    for block in schema["$defs"].values():
        for name in ("routes", "params"):
            if listed := block.get("properties", {}).get(name):
                listed["items"] = {"anyOf": [{"type": "string"}, listed["items"]]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "shadowread configuration",
    }
