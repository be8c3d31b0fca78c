"""Which parameters a find filter or a pipeline uses. What may stand in one is `proxy.direct.mongo_query`'s to say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from proxy.settings.document import Key

_PARAMETER = re.compile(r"\$([1-9][0-9]{0,3})")


def parameter_number(value: Any) -> int | None:
    """The 2 of `$2`; None for every other value."""
    found = _PARAMETER.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) if found else None


def numbers(document: Any) -> Iterator[int]:
    """The numbers of the parameters in a document. Its depth is that of the file, so bounded."""
    if isinstance(document, dict | list):
        for item in document.values() if isinstance(document, dict) else document:
            yield from numbers(item)
    elif (number := parameter_number(document)) is not None:
        yield number


def counts(pipeline: Any) -> Iterator[int]:
    """The numbers of the parameters that say how many documents a pipeline takes or passes over."""
    if isinstance(pipeline, dict):
        for name, item in pipeline.items():
            if name in ("$limit", "$skip") and (number := parameter_number(item)) is not None:
                yield number
            yield from counts(item)
    elif isinstance(pipeline, list):
        for item in pipeline:
            yield from counts(item)


def key_of(document: Any, at: Sequence[str]) -> Key:
    """A place in a document, in which list positions are written as text, as a key."""
    key: list[str | int] = []
    for part in at:
        step: str | int = int(part) if isinstance(document, list) and part.isdecimal() else part
        key.append(step)
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and isinstance(step, int) and step < len(document):
            document = document[step]
    return tuple(key)
