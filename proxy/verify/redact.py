"""What is hidden before anything is stored or shown. The comparison itself never sees any of this.

Hidden is, in every body, header, target, difference and message of an exchange:

- what stands at the configured paths;
- what a name says is secret (`redact_names`): members of JSON at any depth, header fields, cookies, parameters;
- what its shape shows (`redact_shapes`): signed tokens, private keys, passwords in addresses, also within strings that
  bear JSON, base64 of JSON or percent-encoding;
- wherever it turns up again, what was found in one of these ways or came as a credential (`redact_echoes`).

Equal values get equal tags, so that one still sees whether they differ; and what differed still does, hidden or not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_plus

from comparators.automaton import Automaton
from comparators.decode import Unparseable, decode
from comparators.encode import dumps
from comparators.model import Difference
from comparators.paths import PathError, compile_path
from proxy.model import Headers
from proxy.verify.redact_credentials import Credentials, cookies, credentials, parameters, path_secrets
from proxy.verify.redact_echoes import Echoes
from proxy.verify.redact_names import CHOSEN, NONE, below_index, below_member, secrecy_of
from proxy.verify.redact_paths import as_step, is_minted_name, without_names
from proxy.verify.redact_shapes import HIDDEN
from proxy.verify.redact_show import bounded, shown_apart
from proxy.verify.redact_values import HIDE, KEEP, MOST_NAMES, Walk, bears_shapes, without_echoes

LARGEST = 8 * 1024 * 1024
"""Bytes of a body that is kept, where nobody says otherwise."""
LARGEST_REQUEST = 64 * 1024
"""Bytes of a request's body in which credentials are looked for."""

_TAG = re.compile(re.escape(HIDDEN) + r"[0-9a-f]{8}\]")
_NOTHING = Echoes()
_NO_CREDENTIALS = Credentials((), all=True)
_SCHEMED = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,20}(?= )")


def is_tag(text: str) -> bool:
    """Whether a tag stands in `text` in the place of what was hidden."""
    return _TAG.search(text) is not None


class Hiding(NamedTuple):
    """What to hide beside the defaults: plain data, so that it can be sent to the worker.

    `paths` are hidden and `keep` are shown whatever their names say; `known` are secrets of the configuration, hidden
    wherever they turn up; bodies of more than `largest` bytes are not kept.
    """

    paths: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    largest: int = LARGEST


class Kept(NamedTuple):
    """A body as it may be stored, or None and why it is not."""

    text: str | None
    why: str


class Redactor:
    """Hides what is secret. `key` makes the tags: keep it for as long as tags are to be compared, and store it nowhere.

    `credentials` gathers what is secret in one exchange; the other methods take it as `also`.
    """

    def __init__(self, hiding: Hiding | Sequence[str], key: bytes) -> None:
        hiding = hiding if isinstance(hiding, Hiding) else Hiding(tuple(hiding))
        automaton = Automaton()
        compiled = [compile_path(text) for text in hiding.paths]
        for path in compiled:
            automaton.add(path, 0, HIDE, rule=True)
        for text in hiding.keep:
            automaton.add(compile_path(text), 0, KEEP, rule=True)
        self._root = automaton.start()
        self._configured = {
            path.steps[-1].key.lower() for path in compiled if path.steps and isinstance(path.steps[-1].key, str)
        }
        self._hiding = hiding
        self._key = key
        self._names: dict[str, int] = {}

    # --- pieces ---

    def tag(self, value: Any) -> str:
        """The text that stands for a hidden value. Numbers that are equal have equal tags, and 1 and "1" have not."""
        text = value if isinstance(value, str) else f"\0{_canonical(value)}"
        digest = hashlib.blake2b(text.encode(errors="replace"), key=self._key, digest_size=4).hexdigest()
        return f"{HIDDEN}{digest}]"

    def credentials(
        self, *, target: str, route: str = "", fields: Iterable[Headers] = (), body: bytes = b""
    ) -> Credentials:
        """What one exchange is made with. `fields` are the headers of the request and of both answers, `body` is that
        of the request."""
        fields = tuple(fields)
        shown: dict[str, None] = {}
        walk = Walk(self._root, self._named, self.tag, found=shown)
        for text in (unquote(target), *(value.decode("latin-1") for some in fields for _, value in some)):
            walk.text(text)
        more = (*self._of_body(body), *shown)
        return credentials(target=target, route=route, fields=fields, more=more, named=self._outside)

    def text(self, text: str, also: Credentials = _NO_CREDENTIALS) -> str:
        """A message, without what its shape or the exchange's credentials show to be secret."""
        return self._text(text, self._echoes(also))

    def headers(self, headers: Headers, also: Credentials = _NO_CREDENTIALS) -> tuple[tuple[str, str], ...]:
        echoes = self._echoes(also)
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        return tuple((name, self._field(name, value, echoes)) for name, value in fields)

    def target(self, target: str, route: str = "", also: Credentials = _NO_CREDENTIALS) -> str:
        """A request target without the secrets in its query, and in those steps of its path that `route` (a method
        and a template) names so. What is not hidden stays as it was written."""
        echoes = self._echoes(also)
        path, rest = parameters(target)
        steps = path.split("/")
        for number, step in path_secrets(path, route):
            steps[number] = self.tag(step)
        parts = [self._text("/".join(steps), echoes)]
        for one in rest:
            if self._outside(one.plain_name) and one.value:
                value = self.tag(unquote_plus(one.value))
            else:
                value = self._text(one.value, echoes)
            parts += [one.before, self._text(one.name, echoes), one.mark, value]
        return "".join(parts)

    # --- bodies and what differs in them ---

    def body(self, body: bytes | None) -> Kept:
        """A body as it may be stored. Only JSON is kept: in anything else nobody can tell where the secrets are."""
        return self.bodies((body,), _NO_CREDENTIALS)[0][0]

    def bodies(self, bodies: Sequence[bytes | None], also: Credentials) -> tuple[tuple[Kept, ...], Credentials]:
        """Bodies of one exchange as they may be stored; a secret found in one of them is hidden in all.

        Returns the credentials with what was found in them. Takes about as long as comparing them: not for the loop
        where they are large.
        """
        found: dict[str, None] = {}
        kept = [self._named_hidden(body, found) for body in bodies]
        if not also.all:
            return tuple(Kept(None, "more credentials than can be looked for: not kept") for _ in bodies), also
        also = also._replace(found=tuple(found))
        echoes = self._echoes(also)
        return tuple(self._without(one, echoes) for one in kept), also

    def differences(self, found: Iterable[Difference], also: Credentials = _NO_CREDENTIALS) -> tuple[Difference, ...]:
        """Differences with hidden values, cut to what is stored; each that was visible still is."""
        echoes = self._echoes(also)
        return tuple(self._difference(one, echoes, also) for one in found)

    def _difference(self, one: Difference, echoes: Echoes, also: Credentials) -> Difference:
        path = self._path(one.path, echoes)
        if not also.all:
            return Difference(path, one.kind, *(v if v is None else self.tag(v) for v in (one.primary, one.shadow)))
        primary, shadow = (self._at(one.path, value, echoes) for value in (one.primary, one.shadow))
        primary, shadow = shown_apart((one.primary, one.shadow), (primary, shadow), self.tag)
        return Difference(path, one.kind, primary, shadow)

    def _path(self, path: str, echoes: Echoes) -> str:
        """A path without the secrets that are names of members."""
        if not path.startswith("$"):
            return self._text(path, echoes)

        def hide(name: str, under: int) -> str | None:
            shown = self.tag(name) if is_minted_name(name, under) else self._text(name, echoes)
            return None if shown == name else as_step(shown)

        return without_names(path, hide)

    def _at(self, path: str, value: Any, echoes: Echoes) -> Any:
        if value is None:
            return None
        if not path.startswith("$"):
            name = path.rpartition(".")[2]
            values = value if isinstance(value, list) else [value]
            shown = [self._field(name, one, echoes) if isinstance(one, str) else one for one in values]
            return shown if isinstance(value, list) else shown[0]
        place, under = self._root, NONE
        try:
            for step in compile_path(path).steps:
                if HIDE in place.rules:
                    break
                if isinstance(step.key, str):
                    under = self._named(step.key) or (below_member(under, step.key) if under else NONE)
                    place = place.name(step.key)
                else:
                    under, place = below_index(under), place.index(step.key or 0)
                under = NONE if KEEP in place.rules else under
            made = Walk(self._root, self._named, self.tag).value(bounded(value), place, under)
            return without_echoes(made, echoes, self.tag) if echoes else made
        except (PathError, RecursionError):
            return self.tag(value)

    # --- steps of these ---

    def _named_hidden(self, body: bytes | None, found: dict[str, None]) -> Kept:
        if not body:
            return Kept(None if body is None else "", "")
        if len(body) > self._hiding.largest:
            return Kept(None, f"{len(body)} bytes: larger than what a trace keeps")
        value = decode(body)
        if isinstance(value, Unparseable):
            return Kept(None, f"{len(body)} bytes that are not JSON: not kept")
        walk = Walk(self._root, self._named, self.tag, looking=bears_shapes(body), found=found)
        try:
            return Kept(dumps(walk.value(value, self._root)), "")
        except RecursionError:
            return Kept(None, f"{len(body)} bytes nested too deeply: not kept")

    def _without(self, kept: Kept, echoes: Echoes) -> Kept:
        if not kept.text or not (hits := echoes.within(kept.text)):
            return kept
        value = decode(kept.text.encode(errors="surrogatepass"))
        try:
            return Kept(dumps(without_echoes(value, hits, self.tag)), "")
        except RecursionError:
            return Kept(None, "nested too deeply: not kept")

    def _of_body(self, body: bytes) -> Iterable[str]:
        """The secrets in a request's body, JSON or a form."""
        if not body or len(body) > LARGEST_REQUEST:
            return ()
        found: dict[str, None] = {}
        value = decode(body)
        if isinstance(value, Unparseable):
            form = f"?{body.decode('latin-1')}"
            return credentials(target=form, route="", fields=(), more=()).texts
        try:
            Walk(self._root, self._named, self.tag, found=found).value(value, self._root)
        except RecursionError:
            return ()
        return found

    def _field(self, name: str, value: str, echoes: Echoes) -> str:
        lower = name.lower()
        if lower == "cookie":
            pairs = [f"{self._text(one, echoes)}={self.tag(text)}" if one else self.tag(text)
                     for one, text in cookies(value)]  # fmt: skip
            return "; ".join(pairs)
        if lower == "set-cookie":
            pair, mark, attributes = value.partition(";")
            one, equals, text = pair.partition("=")
            hidden = f"{self._text(one, echoes)}={self.tag(text)}" if equals else self.tag(pair)
            return f"{hidden}{mark}{self._text(attributes, echoes)}"
        if not self._outside(lower):
            return self._text(value, echoes)
        scheme = _SCHEMED.match(value) if lower.endswith("authorization") else None
        return f"{scheme[0]} {self.tag(value[scheme.end() + 1 :])}" if scheme else self.tag(value)

    def _text(self, text: str, echoes: Echoes) -> str:
        shown = Walk(self._root, self._named, self.tag).text(text)
        return echoes.hide(shown, self.tag) if echoes else shown

    def _echoes(self, also: Credentials) -> Echoes:
        texts = (*self._hiding.known, *also.texts)
        return Echoes(texts, also.found) if texts or also.found else _NOTHING

    def _named(self, name: str) -> int:
        found = self._names.get(name)
        if found is None:
            if len(self._names) >= MOST_NAMES:
                self._names.clear()
            found = self._names[name] = secrecy_of(name)
        return found

    def _outside(self, name: str) -> int:
        """The secrecy of a name outside of bodies, where a configured path counts by its last name."""
        return CHOSEN if unquote(name).lower() in self._configured else self._named(name)


def _canonical(value: Any) -> str:
    """A text that equal values share: in JSON 1, 1.0 and 1e0 are one number, and members have no order."""
    try:
        return dumps(_normal(value))
    except RecursionError:
        return "nested too deeply"


def _normal(value: Any) -> Any:
    if isinstance(value, dict):
        return [[name, _normal(value[name])] for name in sorted(value)]
    if isinstance(value, list):
        return ["", *map(_normal, value)]
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        sign, digits, exponent = Decimal(value).as_tuple()
        written = "".join(map(str, digits))
        whole = written.rstrip("0")
        return [sign, whole, int(exponent) + len(written) - len(whole)] if whole else 0
    return value
