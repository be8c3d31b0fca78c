"""What is hidden before anything is stored. Equal values get equal tags, so that one still sees whether they differ."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from comparators.automaton import Automaton, Place
from comparators.decode import Unparseable, decode
from comparators.encode import dumps
from comparators.model import Difference
from comparators.paths import PathError, compile_path
from proxy.model import Headers

_SECRET_NAME = re.compile(
    r"authorization|cookie|token|secret|passw|api[-_]?key|credential|signature|session|otp|csrf", re.IGNORECASE
)
MAX_KEPT = 64 * 1024
"""Bytes of a body that a trace keeps; a larger one is not kept, its differences are."""
MAX_VALUE = 2_000
"""Characters of one value in a difference."""


_TAG = re.compile(r"\[redacted [0-9a-f]{8}\]")


def is_tag(text: str) -> bool:
    """Whether a tag stands in `text` in the place of what was hidden."""
    return _TAG.search(text) is not None


class Redactor:
    """Hides the values at the configured paths, and fields and parameters whose names say that they are secret.

    `key` makes the tags: keep it for as long as tags are to be compared, and store it nowhere.
    """

    def __init__(self, paths: Sequence[str], key: bytes) -> None:
        automaton = Automaton()
        compiled = [compile_path(text) for text in paths]
        for path in compiled:
            automaton.add(path, 0, "redact", True)
        self._root = automaton.start()
        self._names = frozenset(
            path.steps[-1].key.lower() for path in compiled if path.steps and isinstance(path.steps[-1].key, str)
        )
        self._key = key

    def tag(self, value: Any) -> str:
        """The text that stands for a hidden value."""
        text = value if isinstance(value, str) else str(value)
        return f"[redacted {hashlib.blake2b(text.encode(errors='replace'), key=self._key, digest_size=4).hexdigest()}]"

    def body(self, body: bytes | None) -> tuple[str | None, str]:
        """A body as it may be stored, and why it is not when it is not. Only JSON is kept: in anything else nobody
        can tell where the secrets are."""
        if not body:
            return (None if body is None else ""), ""
        if len(body) > MAX_KEPT:
            return None, f"{len(body)} bytes: larger than what a trace keeps"
        value = decode(body)
        if isinstance(value, Unparseable):
            return None, f"{len(body)} bytes that are not JSON: not kept"
        try:
            return dumps(self._value(value, self._root)), ""
        except RecursionError:
            return None, f"{len(body)} bytes nested too deeply: not kept"

    def differences(self, found: Iterable[Difference]) -> tuple[Difference, ...]:
        return tuple(Difference(d.path, d.kind, self._at(d.path, d.primary), self._at(d.path, d.shadow)) for d in found)

    def headers(self, headers: Headers) -> tuple[tuple[str, str], ...]:
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        return tuple((name, self.tag(value) if self._secret(name) else value) for name, value in fields)

    def target(self, target: str) -> str:
        """A request target with the values of secret query parameters hidden."""
        path, mark, query = target.partition("?")
        if not mark:
            return path
        pairs = parse_qsl(query, keep_blank_values=True)
        return f"{path}?{urlencode([(n, self.tag(v) if self._secret(n) else v) for n, v in pairs], quote_via=quote)}"

    def _secret(self, name: str) -> bool:
        return name.lower() in self._names or _SECRET_NAME.search(name) is not None

    def _at(self, path: str, value: Any) -> Any:
        if not path.startswith("$"):
            return self.tag(value) if value is not None and self._secret(path) else _short(value)
        try:
            steps = compile_path(path).steps
        except PathError:
            return self.tag(value)
        place = self._root
        for step in steps:
            if "redact" in place.rules:
                break
            place = place.name(step.key) if isinstance(step.key, str) else place.index(step.key or 0)
        return _short(self._value(value, place))

    def _value(self, value: Any, place: Place) -> Any:
        if place.rules and value is not None:
            return self.tag(value)
        if isinstance(value, dict):
            return {key: self._value(item, place.name(key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(item, place.index(number)) for number, item in enumerate(value)]
        return value


def _short(value: Any) -> Any:
    """`value` when it is small, else its beginning as text: one difference must not fill the ledger."""
    if isinstance(value, str):
        return value if len(value) <= MAX_VALUE else f"{value[:MAX_VALUE]}… ({len(value)} characters)"
    try:
        text = dumps(value)
    except RecursionError:
        return "(nested too deeply)"
    return value if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}… ({len(text)} characters)"
