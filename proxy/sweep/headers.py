"""Header fields from a file: the credentials that reads on purpose are made with."""

from __future__ import annotations

import re
from pathlib import Path

from proxy.errors import ShadowreadError
from proxy.model import Headers

MAX_BYTES = 64 * 1024
MAX_FIELDS = 100
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_OF_THE_CONNECTION = frozenset(
    {"connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "expect"}
)


class HeaderFileError(ShadowreadError):
    """A header file that cannot be used; names the file and the line, never what stands there."""


def read_headers(path: Path) -> Headers:
    """The fields of a file with lines `Name: value`; empty lines and lines that begin with `#` are passed over.

    Raises HeaderFileError.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise HeaderFileError(f"{path}: larger than {MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise HeaderFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise HeaderFileError(f"{path}: is not UTF-8 text") from error
    fields: list[tuple[bytes, bytes]] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise HeaderFileError(f"{path}:{number}: write a header as Name: value")
        if name.lower() in _OF_THE_CONNECTION:
            raise HeaderFileError(f"{path}:{number}: {name} belongs to the connection and is set for each read")
        try:
            fields.append((name.encode("ascii"), value.strip().encode("latin-1")))
        except UnicodeEncodeError as error:
            raise HeaderFileError(f"{path}:{number}: a header holds Latin-1 only") from error
        if len(fields) > MAX_FIELDS:
            raise HeaderFileError(f"{path}: more than {MAX_FIELDS} fields")
    return tuple(fields)
