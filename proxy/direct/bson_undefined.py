"""The deprecated BSON type `undefined`, which PyMongo reads as null and JavaScript does not print."""

from __future__ import annotations

_UNDEFINED = 0x06
_NULL = b"\x0a"
_DOCUMENT, _ARRAY, _SCOPED = 0x03, 0x04, 0x0F
_FIXED = {0x01: 8, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16, 0x7F: 0, 0xFF: 0}
"""Bytes of the values of a type, where all have the same (bsonspec.org)."""
_TEXTS = frozenset({0x02, 0x0D, 0x0E})
_BINARY, _REGEX, _POINTER = 0x05, 0x0B, 0x0C
_MAX_DEPTH = 200


def without_undefined(raw: bytes) -> bytes:
    """A BSON document without its undefined members; in arrays they are null, as JSON.stringify has it.

    Raises ValueError for what is no BSON, or nested deeper than 200 levels.
    """
    if _UNDEFINED not in raw:  # one scan in C: most documents end here
        return raw
    try:
        return _copied(raw, 0, False, 1)
    except IndexError:
        raise ValueError("the document breaks off") from None


def _copied(raw: bytes, start: int, is_array: bool, depth: int) -> bytes:
    if depth > _MAX_DEPTH:
        raise ValueError(f"the document is nested deeper than {_MAX_DEPTH} levels")
    end = start + _int32(raw, start) - 1
    at = start + 4
    parts = []
    while at < end:
        kind = raw[at]
        name_end = raw.index(0, at + 1)
        value = name_end + 1
        after = value + _size(raw, kind, value)
        if kind == _UNDEFINED:
            if is_array:
                parts.append(_NULL + raw[at + 1 : value])
        elif kind in (_DOCUMENT, _ARRAY):
            parts.append(raw[at:value] + _copied(raw, value, kind == _ARRAY, depth + 1))
        else:
            parts.append(raw[at:after])
        at = after
    body = b"".join(parts)
    return (len(body) + 5).to_bytes(4, "little") + body + b"\x00"


def _size(raw: bytes, kind: int, at: int) -> int:
    if kind == _UNDEFINED:
        return 0
    if (fixed := _FIXED.get(kind)) is not None:
        return fixed
    if kind in (_DOCUMENT, _ARRAY, _SCOPED):
        return _int32(raw, at)
    if kind in _TEXTS:
        return 4 + _int32(raw, at)
    if kind == _BINARY:
        return 5 + _int32(raw, at)
    if kind == _POINTER:
        return 4 + _int32(raw, at) + 12
    if kind == _REGEX:
        return raw.index(0, raw.index(0, at) + 1) + 1 - at
    raise ValueError(f"there is no BSON type {kind:#04x}")


def _int32(raw: bytes, at: int) -> int:
    value = int.from_bytes(raw[at : at + 4], "little", signed=True)
    if value < 0 or at + value > len(raw):
        raise ValueError("a length in the document is out of its bounds")
    return value
