"""Scripts and styles: read once at start, told apart by their hash, so that browsers may keep them for good."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType

TYPES = MappingProxyType({".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"})
HASH_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of `proxy/admin/static`."""

    body: bytes
    content_type: str
    digest: str


class Assets:
    """The files under `/static/`. Nothing that is not among them at start is ever served."""

    def __init__(self, found: Mapping[str, Asset]) -> None:
        self._found = dict(found)

    @classmethod
    def read(cls) -> Assets:
        """The files that are shipped. OSError when they cannot be read."""
        folder: Traversable = files("proxy.admin") / "static"
        found = {}
        for file in folder.iterdir():
            kind = TYPES.get(file.name[file.name.rfind(".") :])
            if kind is not None and file.is_file():
                body = file.read_bytes()
                found[file.name] = Asset(body, kind, hashlib.sha256(body).hexdigest()[:HASH_DIGITS])
        return cls(found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def get(self, name: str) -> Asset | None:
        return self._found.get(name)

    def url(self, name: str) -> str:
        """The address of a file, for templates: `{{ asset("base.css") }}`. KeyError when there is none."""
        return f"/static/{name}?v={self._found[name].digest}"
