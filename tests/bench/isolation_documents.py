"""The documents of the isolation benchmark: marketplace listings, made as they are asked for; no two share an id.

A target is `/api/KIND/NUMBER?serial=SERIAL`. NUMBER (8 hex digits) is part of every id of the document, 24 hex digits
at the primary and a uuid at the twin; SERIAL (10 digits) is the request's own and stands in the answer of both sides,
so that no two requests have the same answer and none can be served, or passed as equal, from memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from tests.bench.documents import page_of

LISTINGS, DIFFERING, PAGES = "listings", "differing", "pages"
"""10 KB; 10 KB of which the twin gets one in a hundred wrong; 1 MB."""
SIZES = {LISTINGS: 10_240, PAGES: 1_048_576}
WARM = {LISTINGS: range(250), DIFFERING: range(250), PAGES: range(0x10000000, 0x10000008)}
"""The documents that are asked for again and again: what the id map knows of them has been learned in a second."""
COLD = {LISTINGS: range(0x20000000, 0x20000000 + 5_000)}
COLD_EVERY = 25
"""One request in so many is for a document that was not asked for in the last minutes: its ids are looked up anew."""
WRONG_EVERY = 100

_NUMBER = "########"
_OPENING = b'{"serial":"'


@dataclass(frozen=True, slots=True)
class Document:
    """What a side answers for one kind: `parts` are joined by the number."""

    parts: tuple[bytes, ...]
    wrong: tuple[bytes, ...]

    def body(self, number: bytes, serial: bytes, *, right: bool = True) -> bytes:
        return _OPENING + serial + b'",' + number.join(self.parts if right else self.wrong)


@dataclass(frozen=True, slots=True)
class Template:
    """Both sides of one kind, and the pairs of ids in it with the number still open."""

    primary: Document
    twin: Document
    pairs: tuple[tuple[str, str, str], ...]


def opening(serial: bytes) -> bytes:
    """What the answer to a request begins with."""
    return _OPENING + serial + b'"'


def targets(kind: str, first: int) -> Iterator[tuple[bytes, bytes]]:
    """Target and serial of one request after the other, the serials from `first` on."""
    warm, cold, path = WARM[kind], COLD.get(kind), f"/api/{kind}/".encode()
    for serial in itertools.count(first):
        if cold and serial % COLD_EVERY == 0:
            number = cold[serial // COLD_EVERY % len(cold)]
        else:
            number = warm[serial % len(warm)]
        text = b"%010d" % serial
        yield b"%s%08x?serial=%s" % (path, number, text), text


def template(kind: str) -> Template:
    """The documents of a kind. Takes a second for those of 1 MB."""
    page = page_of(SIZES[LISTINGS if kind == DIFFERING else kind])
    primary, shadow = orjson.dumps(page.primary), orjson.dumps(page.shadow)
    open_number = _NUMBER.encode()
    pairs = []
    for pair in (one for some in page.ids.by_legacy.values() for one in some):
        primary = primary.replace(pair.legacy.encode(), open_number + pair.legacy[8:].encode())
        shadow = shadow.replace(pair.uuid.encode(), open_number + pair.uuid[8:].encode())
        pairs.append((pair.entity, pair.legacy[8:], pair.uuid[8:]))
    wrong = shadow.replace(b'"currency":"USDT"', b'"currency":"USDC"', 1)
    if wrong == shadow:
        raise RuntimeError("the wrong document is not wrong: the listings bear no currency any more")
    return Template(_document(primary, primary), _document(shadow, wrong), tuple(pairs))


def id_map() -> Iterator[tuple[str, str, str]]:
    """Entity, legacy id and uuid of every id of every document."""
    for kind in SIZES:
        pairs = template(kind).pairs
        for number in (*WARM[kind], *COLD.get(kind, ())):
            yield from ((entity, f"{number:08x}{legacy}", f"{number:08x}{uuid}") for entity, legacy, uuid in pairs)


def _document(right: bytes, wrong: bytes) -> Document:
    # The opening brace is written by `body`, before the serial.
    number = _NUMBER.encode()
    return Document(tuple(right[1:].split(number)), tuple(wrong[1:].split(number)))
