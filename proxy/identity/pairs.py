"""Joined pairs as they are written in an ids file: a JSON list of `{"entity", "legacy", "uuid"}`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from comparators.ids import IdPair
from proxy.identity.errors import IdentityError

LEGACY = re.compile(r"[0-9a-f]{24}")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FILE_BYTES = 256 * 1024 * 1024
ENTITY_CHARACTERS = 200
_KEYS = {"entity", "legacy", "uuid"}


def read_pairs(path: Path) -> list[IdPair]:
    """The pairs of an ids file. IdentityError names the file and the first entry that cannot be used."""
    try:
        if path.stat().st_size > FILE_BYTES:
            raise IdentityError(f"{path}: larger than {FILE_BYTES} bytes; put the pairs into a table instead")
        content = orjson.loads(path.read_bytes())
    except OSError as error:
        raise IdentityError(f"{path}: cannot be read: {error.strerror or error}") from error
    except orjson.JSONDecodeError as error:
        raise IdentityError(f"{path}: not JSON: {error}") from error
    return parse_pairs(content, where=str(path))


def parse_pairs(content: Any, *, where: str) -> list[IdPair]:
    """The pairs of a parsed ids list, lower-cased. IdentityError names `where` and the first bad entry."""
    if not isinstance(content, Sequence) or isinstance(content, str | bytes):
        raise IdentityError(f'{where}: expected a list of {{"entity", "legacy", "uuid"}}')
    return [_pair(entry, f"{where}[{index}]") for index, entry in enumerate(content)]


def _pair(entry: Any, where: str) -> IdPair:
    if not isinstance(entry, dict):
        raise IdentityError(f'{where}: expected an object with "entity", "legacy" and "uuid"')
    if missing := sorted(_KEYS - entry.keys()):
        raise IdentityError(f"{where}: lacks {', '.join(missing)}")
    if unknown := sorted(str(key) for key in entry.keys() - _KEYS):
        raise IdentityError(f"{where}: unknown {', '.join(unknown)}; known are entity, legacy, uuid")
    entity = entry["entity"]
    if not isinstance(entity, str) or not 0 < len(entity) <= ENTITY_CHARACTERS:
        raise IdentityError(f"{where}.entity: expected a name of 1 to {ENTITY_CHARACTERS} characters")
    legacy = str(entry["legacy"]).lower()
    if not LEGACY.fullmatch(legacy):
        raise IdentityError(f"{where}.legacy: expected 24 hex digits, got {_short(entry['legacy'])}")
    uuid = str(entry["uuid"]).lower()
    if not UUID.fullmatch(uuid):
        raise IdentityError(f"{where}.uuid: expected a uuid with hyphens, got {_short(entry['uuid'])}")
    return IdPair(entity, legacy, uuid)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
