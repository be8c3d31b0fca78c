"""Bodies with ids in one spelling: every known ObjectId put as its uuid, in the bytes, before anything is parsed.

One backend with two stores writes both bodies with the same code, so most pairs are then the same bytes, and all that
is equal but for ids is equal as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from comparators.ids import TOKEN

_CLASSES = bytes(
    ord("h") if byte in b"0123456789abcdef" else ord("H") if byte in b"ABCDEF" else ord(".") for byte in range(256)
)
"""Every byte's class: `h` for a hex digit as ids have it, `H` for an upper-case one, `.` for all others."""
_LEGACY_LENGTH = 24
UUID_LENGTH = 36
_LEGACY = b".%b." % (b"h" * _LEGACY_LENGTH)
"""An ObjectId between two bytes that are no hex digits: a part of a longer run of those is no id."""
_UUID = b".hhhhhhhh.hhhh.hhhh.hhhh.hhhhhhhhhhhh."
_ANY_CASE = _CLASSES.replace(b"H", b"h")
_BORDERS = 2
_MISLEADING = re.compile(rb"\\(?:[bf][0-9a-f]{23}|u[0-9a-f]{24}|u00(?:3[0-9]|2[dD]|4[1-6]|6[1-6]))")
"""An escape whose end looks like the beginning of an id, or one that spells a part of a uuid."""
_HEX_ESCAPE = re.compile(rb"\\[ubf]")
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_RARE = 16


class Spelled(NamedTuple):
    """A body with uuids for ObjectIds. `back` leads from each uuid that was put in to the ObjectId that stood there."""

    body: bytes
    back: dict[str, str]


def with_uuids(body: bytes, uuid_of: Callable[[str], str | None]) -> Spelled:
    """`body` with every ObjectId that `uuid_of` knows put as its uuid, in values and names and inside texts.

    `uuid_of` must be one to one. The body comes back as it is when the change could not be undone: when a uuid that
    would be put in stands there already (two names of one object could become the same) or may stand there spelled with
    escapes, or when what looks like an id begins in an escape.
    """
    text = body.decode("latin-1")
    # The blanks let an id begin or end the body, and make a position in `classes` that of the byte after it.
    classes = (b" %b " % body).translate(_CLASSES)
    gaps = classes.split(_LEGACY)
    if len(gaps) == 1:
        return Spelled(body, {})
    back: dict[str, str] = {}
    parts: list[str] = []
    append = parts.append
    at = done = 0
    for gap in gaps[:-1]:
        start = at + len(gap)
        end = start + _LEGACY_LENGTH
        legacy = text[start:end]
        uuid = uuid_of(legacy)
        if uuid is not None:
            append(text[done:start])
            append(uuid)
            back[uuid] = legacy
            done = end
        at = end + _BORDERS
    if not back or _holds(text, classes, back) or ("\\" in text and _MISLEADING.search(body)):
        return Spelled(body, {})
    append(text[done:])
    return Spelled("".join(parts).encode("latin-1"), back)


def tokens(body: bytes) -> set[str]:
    """Every id-like token of a JSON body, lower case: what to ask the id map for."""
    if _HEX_ESCAPE.search(body):
        # Hex digits of an escape are no part of the id behind it, and an escape may spell a part of an id.
        body = _ESCAPE.sub(_unescaped, body)
    text = body.decode("latin-1")
    classes = (b" %b " % body).translate(_ANY_CASE)
    ids = (_LEGACY, _LEGACY_LENGTH), (_UUID, UUID_LENGTH)
    found = {text[at : at + length].lower() for needle, length in ids for at in _places(classes, needle, length)}
    # What looks like a uuid may have other characters than hyphens between its parts.
    return {token for token in found if len(token) == _LEGACY_LENGTH or TOKEN.fullmatch(token)}


def _unescaped(found: re.Match[bytes]) -> bytes:
    code = int(found[1], 16) if found[1] else 0
    return bytes((code,)) if 0x20 < code < 0x7F else b" "


def _places(classes: bytes, needle: bytes, length: int) -> Iterator[int]:
    """Where the text of each id begins whose class text is `needle`."""
    at = classes.find(needle)
    while at >= 0:
        yield at
        # The byte after an id may be the one before the next.
        at = classes.find(needle, at + length + 1)


def _holds(text: str, classes: bytes, back: dict[str, str]) -> bool:
    """Whether some uuid that is to be put in stands in the text already."""
    return any(text[at : at + UUID_LENGTH] in back for at in _places(classes, _UUID, UUID_LENGTH))


def has_code_escape(body: bytes) -> bool:
    """Whether some character may be written as `\\uXXXX`."""
    at = body.find(b"\\")
    # Looking for one byte is many times as fast as for two, as long as it is rare.
    for _ in range(_RARE):
        if at < 0:
            return False
        if body[at + 1 : at + 2] == b"u":
            return True
        at = body.find(b"\\", at + 2)
    return b"\\u" in body


def restored(value: Any, back: dict[str, str]) -> Any:
    """A decoded value of a `Spelled` body as it stood in the body that was given."""
    if not back:
        return value
    if type(value) is str:
        if len(value) < UUID_LENGTH:
            return value
        whole = back.get(value)
        return whole if whole is not None else TOKEN.sub(lambda found: back.get(found[0], found[0]), value)
    if type(value) is dict:
        return {restored(name, back): restored(inner, back) for name, inner in value.items()}
    return [restored(inner, back) for inner in value] if type(value) is list else value
