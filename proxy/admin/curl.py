"""A stored request as a command for a shell, without the secrets: those come from variables of the shell. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

LEFT_OUT = frozenset({
    "host", "content-length", "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding",
    "upgrade", "accept-encoding", "expect",
})  # fmt: skip
"""Fields that curl makes by itself, or that speak of the connection alone."""

_TAG = re.compile(r"\[redacted [0-9a-f]{1,64}\]|%5[Bb]redacted(?:%20|\+)[0-9a-fA-F]{1,64}%5[Dd]")
_TAKEN = re.compile(
    r"(?:PATH|HOME|PWD|OLDPWD|IFS|ENV|SHELL|USER|UID|EUID|PPID|TERM|LANG|TMPDIR|LC_.*|RANDOM|SECONDS|LINENO|GROUPS|OPTIND|LD_.*|BASH.*|[0-9].*)"
)
"""Names that mean something to the shell, or that it takes for no name."""


@dataclass(frozen=True, slots=True)
class Curl:
    """The command, and the variables that it reads in the order in which they come; `notes` say what is not in it."""

    command: str
    variables: tuple[str, ...]
    notes: tuple[str, ...] = ()


def curl(
    base: str, method: str, target: str, headers: Sequence[tuple[str, str]], *, extra: Iterable[tuple[str, str]] = ()
) -> Curl:
    """The command that sends a request to `base` (a URL without a path).

    `target` is the path and query as they came. Whatever redaction has put a tag for is read from a variable named
    for its field or parameter; one tag is one variable. `extra` fields are added. The body of a request is not kept.
    """
    names = _Variables()
    parts = ["curl --globoff --path-as-is --compressed --include"]
    notes = []
    if method == "HEAD":
        parts[0] = "curl --globoff --path-as-is --compressed --head"
    elif method != "GET":
        parts.append(f"--request {shlex.quote(method)}")
        parts.append("--data-binary @body.json")
        notes.append("The body of the request is not kept: put it into body.json.")
    parts.append(_target(base, target, names))
    for name, value in (*headers, *extra):
        if name.lower() in LEFT_OUT:
            continue
        if not (name + value).isprintable():
            notes.append(f"The field {name[:100]} has characters that cannot be typed and is left out.")
        else:
            # A field without a value has to end with a semicolon.
            text = f"{name}: {value}" if value else f"{name};"
            parts.append(f"--header {_quoted(text, name, names)}")
    return Curl(" \\\n  ".join(parts), names.all(), tuple(notes))


class _Variables:
    """Names for what is hidden: the same for the same tag, and no name twice."""

    def __init__(self) -> None:
        self._by_tag: dict[str, str] = {}

    def name(self, tag: str, of: str) -> str:
        plain = unquote(tag.replace("+", " "))
        if plain not in self._by_tag:
            base = re.sub(r"[^A-Z0-9]+", "_", unquote(of).upper()).strip("_")[:40] or "SECRET"
            base = f"HIDDEN_{base}" if _TAKEN.fullmatch(base) else base
            taken, name, number = set(self._by_tag.values()), base, 2
            while name in taken:
                name, number = f"{base}_{number}", number + 1
            self._by_tag[plain] = name
        return self._by_tag[plain]

    def all(self) -> tuple[str, ...]:
        return tuple(self._by_tag.values())


def _target(base: str, target: str, names: _Variables) -> str:
    target = "".join(char if char.isprintable() and char != "#" else quote(char, errors="replace") for char in target)
    path, mark, query = target.partition("?")
    words = [_quoted(f"{base.rstrip('/')}{path}{mark}", "path", names)]
    for number, pair in enumerate(query.split("&") if mark else ()):
        words.append(_quoted(f"{'&' if number else ''}{pair}", pair.partition("=")[0], names))
    return _joined(words)


def _joined(words: Iterable[str]) -> str:
    """Quoted words as one, with as few quotes as read well."""
    return "".join(words).replace("''", "")


def _quoted(text: str, of: str, names: _Variables) -> str:
    """`text` as one word of a shell, tags in it as variables."""
    made, at = [], 0
    for found in _TAG.finditer(text):
        if found.start() > at:
            made.append(_single(text[at : found.start()]))
        made.append(f'"${{{names.name(found[0], of)}}}"')
        at = found.end()
    if at < len(text) or not made:
        made.append(_single(text[at:]))
    return "".join(made)


def _single(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"
