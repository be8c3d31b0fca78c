"""One YAML file as plain data that knows the line of each of its keys.

Built from ruamel's event stream instead of its ready data: depth, size and alias expansion are capped while reading,
duplicate keys are all reported, and an environment value can only ever be a scalar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from proxy.errors import SettingsError
from proxy.settings.scalars import substitute, typed

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 50_000

Key = tuple[str | int, ...]

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class Node:
    """A value with its line (from 1). Children of a mapping are in `value` by key, their keys' lines in `lines`."""

    line: int
    value: Any
    lines: dict[str, int] = field(default_factory=dict)
    size: int = 1

    def plain(self) -> Any:
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(frozen=True, slots=True)
class Found:
    """One problem of a file, to be shown as `file:line: key: text`."""

    line: int
    key: Key
    text: str

    def render(self, name: str) -> str:
        where = f"{name}:{self.line}: "
        return f"{where}{dotted(self.key)}: {self.text}" if self.key else where + self.text


@dataclass(frozen=True, slots=True)
class Document:
    """The data of one file (`root`), and what is wrong with it so far (`problems`)."""

    name: str
    root: Node
    problems: tuple[Found, ...]

    def data(self) -> Any:
        return self.root.plain()

    def existing(self, key: Key) -> Key:
        """The longest part of `key` that is in the file."""
        node = self.root
        for depth, part in enumerate(key):
            child = _child(node, part)
            if child is None:
                return key[:depth]
            node = child
        return key

    def line(self, key: Key) -> int:
        """The line of the key at `key`, or of the nearest thing above it that is in the file."""
        node, line = self.root, self.root.line
        for part in key:
            child = _child(node, part)
            if child is None:
                break
            line = node.lines.get(part, child.line) if isinstance(part, str) else child.line
            node = child
        return line


def dotted(key: Key) -> str:
    """`("domains", "users", "routes", 1)` as `domains.users.routes[1]`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_document(path: Path, env: Mapping[str, str]) -> Document:
    """Read a YAML (or JSON) file and put the environment in.

    Problems that leave the rest readable (unset variables, duplicate keys) are in the result; raises SettingsError
    where nothing can be read: no such file, not UTF-8, broken YAML, past the caps.
    """
    name = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError([f"{name}: cannot be read: {reason}; check the path given by --config"]) from error
    if len(raw) > MAX_BYTES:
        raise SettingsError([f"{name}: larger than {MAX_BYTES // 1024} KiB; is this the configuration?"])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SettingsError([f"{name}:{line}: not UTF-8; save the file as UTF-8"]) from error
    reader = _Reader(env)
    try:
        root = reader.read(text)
    except _RefusedError as refused:
        raise SettingsError([f.render(name) for f in (*reader.problems, refused.found)]) from refused
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise SettingsError([f"{name}:{line}: not valid YAML: {error.problem or error.context}"]) from error
    except YAMLError as error:
        what = getattr(error, "reason", None) or type(error).__name__
        raise SettingsError([f"{name}: not valid YAML: {what}"]) from error
    return Document(name, root, tuple(reader.problems))


class _RefusedError(Exception):
    """Reading cannot go on."""

    def __init__(self, line: int, key: Key, text: str) -> None:
        super().__init__(text)
        self.found = Found(line, key, text)


class _Reader:
    """Builds the nodes of one text. Recursion is bounded by MAX_DEPTH, memory by MAX_NODES."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.problems: list[Found] = []
        self._anchors: dict[str, Node] = {}
        self._open: set[str] = set()
        self._nodes = 0

    def read(self, text: str) -> Node:
        root: Node | None = None
        events: Iterator[Event] = iter(YAML(typ="rt", pure=True).parse(text))
        for event in events:
            if isinstance(event, DocumentStartEvent):
                if root is not None:
                    raise _RefusedError(
                        _line(event), (), 'a second document starts here; "---" may stand only at the top'
                    )
                root = self._node(next(events), events, ())
        return root or Node(1, None)

    def _node(self, event: Event, events: Iterator[Event], key: Key) -> Node:
        line = _line(event)
        if isinstance(event, AliasEvent):
            return self._alias(event, key)
        self._count(1, line, key)
        if len(key) > MAX_DEPTH:
            raise _RefusedError(line, key, f"nested deeper than {MAX_DEPTH} levels")
        if tag := getattr(event, "tag", None):
            raise _RefusedError(line, key, f"YAML tags ({tag}) are not supported; remove it")
        anchor: str | None = getattr(event, "anchor", None)
        if anchor:
            self._open.add(anchor)
        if isinstance(event, ScalarEvent):
            node = Node(line, self._scalar(event, line, key))
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(events, line, key)
        else:
            node = self._mapping(events, line, key)
        if anchor:
            self._open.discard(anchor)
            self._anchors[anchor] = node
        return node

    def _alias(self, event: AliasEvent, key: Key) -> Node:
        line, name = _line(event), str(event.anchor)
        if name in self._open:
            raise _RefusedError(line, key, f"*{name} stands inside the value it names")
        if name not in self._anchors:
            raise _RefusedError(
                line, key, f"*{name} names no anchor above; write &{name} before the value to be repeated"
            )
        target = self._anchors[name]
        self._count(target.size, line, key)
        return target

    def _scalar(self, event: ScalarEvent, line: int, key: Key) -> Any:
        text = substitute(event.value, self.env, lambda what: self.problems.append(Found(line, key, what)))
        if _SURROGATE.search(text):
            text = self._joined(text, line, key)
        plain = event.implicit[0] and text == event.value
        return typed(text) if plain else text

    def _sequence(self, events: Iterator[Event], line: int, key: Key) -> Node:
        items: list[Node] = []
        while not isinstance(event := next(events), SequenceEndEvent):
            items.append(self._node(event, events, (*key, len(items))))
        return Node(line, items, size=1 + sum(item.size for item in items))

    def _mapping(self, events: Iterator[Event], line: int, key: Key) -> Node:
        items: dict[str, Node] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            at = _line(event)
            if not isinstance(event, ScalarEvent):
                raise _RefusedError(at, key, "a key must be a plain name")
            name = str(event.value)
            if _SURROGATE.search(name):
                name = self._joined(name, at, key)
            child = (*key, name)
            if name == "<<" and event.implicit[0]:
                raise _RefusedError(at, key, "merge keys (<<) are not supported; write the keys out")
            if name in items:
                self.problems.append(Found(at, child, f"given twice; first on line {lines[name]}"))
            if "${" in name:
                self.problems.append(Found(at, child, "${...} is put into values, not into keys"))
            lines.setdefault(name, at)
            node = self._node(next(events), events, child)
            items.setdefault(name, node)
        return Node(line, items, lines, size=1 + sum(item.size for item in items.values()))

    def _joined(self, text: str, line: int, key: Key) -> str:
        """JSON writes characters past U+FFFF as two halves, which YAML leaves apart. A half alone is no text."""
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            self.problems.append(Found(line, key, "holds bytes or half a character that are not text"))
            return ""

    def _count(self, more: int, line: int, key: Key) -> None:
        self._nodes += more
        if self._nodes > MAX_NODES:
            raise _RefusedError(line, key[:4], f"more than {MAX_NODES} values (aliases count each time they are used)")


def _child(node: Node, part: str | int) -> Node | None:
    value = node.value
    if isinstance(part, str):
        return value.get(part) if isinstance(value, dict) else None
    return value[part] if isinstance(value, list) and part < len(value) else None


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1
