"""Hiding within JSON values: by path, by name, by shape, and in the JSON that strings bear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comparators.automaton import Place
from comparators.decode import Unparseable, decode
from comparators.encode import dumps
from proxy.verify.redact_echoes import SHORTEST, Echoes
from proxy.verify.redact_names import NONE, below_index, below_member, is_plain, is_secret
from proxy.verify.redact_paths import is_minted_name
from proxy.verify.redact_shapes import hide_shapes

MOST_FOUND = 100
"""Secrets found in bodies that are looked for in the rest of the exchange."""
MOST_NAMES = 10_000
DEEPEST = 3
"""How many levels of JSON within strings, and of base64, are looked into."""
_LABELS = ("name", "key", "header", "field")
_VALUES = frozenset({"value", "values", "val", "content"})
_LONGEST_LABEL = 60
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "k")
"""Members of a private or symmetric JSON Web Key (RFC 7518 section 6) that are the key."""
HIDE, KEEP = "redact", "keep"
"""The slots of the automaton's places."""

_MARKS = (b"eyJ", b"eyA", b"ewo", b"ew0", b"ewk", b"W3s", b"WyJ", b"WyB", b"W1s", b"Wwo", b"://", b"-----BEGIN", b"=",
          b"%", b'\\"', b"\\u", b"\\/", b"_live_", b"_test_", b"gh", b"glpat-", b"xox", b"AKIA", b"ASIA", b"AIza",
          b"whsec_", b"SG.", b"ya29.", b"npm_", b"hooks.slack", b": ", b"':", b":&", b"</", b"kty", b"earer ",
          b"EARER ", b"asic ", b"ASIC ", b"oken ", b"OKEN ", b"ikey ", b"iKey ", b"egotiate ")  # fmt: skip


def bears_shapes(body: bytes) -> bool:
    """Whether a string of this JSON text may bear a secret that only its shape shows. Cheap, and errs to true."""
    return any(mark in body for mark in _MARKS)


class Walk:
    """One pass over the values of an exchange. `tag` makes what stands for a hidden value.

    `looking` false leaves the strings alone that no name and no path makes secret. `found` gathers the texts that were
    hidden and may recur.
    """

    def __init__(
        self,
        root: Place,
        named: Callable[[str], int],
        tag: Callable[[Any], str],
        *,
        looking: bool = True,
        level: int = 0,
        found: dict[str, None] | None = None,
    ) -> None:
        self._root = root
        self._named = named
        self._tag = tag
        self._looking = looking
        self._level = level
        self._shown_names: dict[str, str] = {}
        self.hidden = 0
        self.found: dict[str, None] = {} if found is None else found

    def value(self, value: Any, place: Place, under: int = NONE) -> Any:
        """`value`, which stands at `place` under a name of secrecy `under`, with what is secret replaced by tags.

        Raises RecursionError for what is nested too deeply.
        """
        if place.rules and value is not None:
            if HIDE in place.rules:
                return self._hide(value)
            if KEEP in place.rules:
                under = NONE
        kind = type(value)
        if kind is str:
            if under and is_secret(under, value):
                return self._hide(value)
            return self.text(value) if self._looking else value
        if kind is dict:
            return self._object(value, place, under)
        if kind is list:
            return self._list(value, place, under)
        return self._hide(value) if under and is_secret(under, value) else value

    def text(self, text: str) -> str:
        """A string, or the name of a member, without what its shape shows to be secret."""
        if len(text) < SHORTEST:
            return text
        if self._level < DEEPEST and text[:1] in "{[ \n\t\r" and '"' in text and (told := self._json(text)) is not None:
            return told
        return hide_shapes(text, self._shown, self._bears)

    def _object(self, value: dict[str, Any], place: Place, under: int) -> dict[str, Any]:
        named, looking = self._named, self._looking
        made: dict[str, Any] = {}
        for name, item in value.items():
            secrecy = named(name) or (below_member(under, name) if under else NONE)
            shown = self._hide(name) if under and is_minted_name(name, under) else self._name(name) if looking else name
            made[shown] = self.value(item, place.name(name), secrecy)
        if not value.keys().isdisjoint(_VALUES):
            # {"name": "token", "value": ...}: a list of headers, of parameters, of variables.
            label = next((value[key] for key in _LABELS if key in value), None)
            if type(label) is str and (secrecy := self._labelled(label)):
                for name in _VALUES:
                    if name in made and name in value and made[name] == value[name]:
                        made[name] = self.value(value[name], place.name(name), secrecy)
        elif "kty" in value:
            for name in _PRIVATE:
                if type(value.get(name)) is str:
                    made[name] = self._hide(value[name])
        return made

    def _name(self, name: str) -> str:
        """The name of a member as it may be shown. Most stand in every element of a list, so they are remembered."""
        shown = self._shown_names.get(name)
        if shown is None:
            shown = self.text(name)
            if len(self._shown_names) < MOST_NAMES:
                self._shown_names[name] = shown
        return shown

    def _list(self, value: list[Any], place: Place, under: int) -> list[Any]:
        below = below_index(under) if under else NONE
        if below or len(value) < 2 or type(value[0]) is not str or type(value[1]) is not str:
            return [self.value(item, place.index(number), below) for number, item in enumerate(value)]
        # ["Authorization", "..."]: header fields as a pair, or all of them in one list.
        made, before = [], NONE
        for number, item in enumerate(value):
            made.append(self.value(item, place.index(number), before))
            before = self._labelled(item) if type(item) is str and not before else NONE
        return made

    def _labelled(self, label: str) -> int:
        """The secrecy of what stands beside a text that may be its name; the title of a book is none."""
        return self._named(label) if len(label) <= _LONGEST_LABEL and " " not in label else NONE

    def _hide(self, value: Any) -> str:
        tag = self._tag(value)
        self.hidden += 1
        self._remember(value)
        return tag

    def _shown(self, text: str) -> str:
        return self._hide(text)

    def _remember(self, value: Any) -> None:
        if type(value) is str:
            if len(value) >= SHORTEST and len(self.found) < MOST_FOUND and not is_plain(value):
                self.found[value] = None
        elif type(value) in (dict, list):
            for item in value.values() if type(value) is dict else value:
                if len(self.found) >= MOST_FOUND:
                    return
                self._remember(item)

    def _inner(self) -> Walk:
        return Walk(self._root, self._named, self._tag, level=self._level + 1, found=self.found)

    def _json(self, text: str) -> str | None:
        """JSON in a string with its secrets hidden; None when it is none. Without a secret it stays as written."""
        inner = decode(text.encode(errors="surrogatepass"))
        if isinstance(inner, Unparseable) or type(inner) not in (dict, list):
            return None
        walk = self._inner()
        made = walk.value(inner, self._root)
        self.hidden += walk.hidden
        return dumps(made) if walk.hidden else text

    def _bears(self, raw: bytes) -> bool:
        """Whether bytes from base64 are JSON that bears a secret."""
        if self._level >= DEEPEST:
            return False
        inner = decode(raw)
        if isinstance(inner, Unparseable) or type(inner) not in (dict, list):
            return False
        walk = self._inner()
        walk.value(inner, self._root)
        return walk.hidden > 0


def without_echoes(value: Any, echoes: Echoes, tag: Callable[[str], str]) -> Any:
    """`value` with each of `echoes` hidden in its strings, its names and its numbers. Raises RecursionError."""
    kind = type(value)
    if kind is str:
        return echoes.hide(value, tag)
    if kind is dict:
        return {echoes.hide(name, tag): without_echoes(item, echoes, tag) for name, item in value.items()}
    if kind is list:
        return [without_echoes(item, echoes, tag) for item in value]
    if value is None or kind is bool:
        return value
    text = str(value)
    hidden = echoes.hide(text, tag)
    return value if hidden == text else tag(text)
