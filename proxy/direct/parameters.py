"""Parameters of direct reads: taken from the request, checked, and made into values that are only ever bound.

A value is a scalar or a list of scalars, whatever the client wrote: `{"$gt": ""}` is a text of twelve characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl
from uuid import UUID

from bson import ObjectId

from comparators.ids import IdTable, whole
from proxy.direct.claims import claim
from proxy.model import Headers, header

ParameterType: TypeAlias = Literal["auto", "text", "int", "number", "bool", "date", "timestamp", "uuid", "object_id"]
Source: TypeAlias = Literal["path", "query", "header", "claim"]

MAX_CHARACTERS = 8_192
MAX_DIGITS = 200
MAX_VALUES = 1_000
"""Values of one list, and fields of one query."""

_INT = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_BOOLS = {"true": True, "1": True, "false": False, "0": False}
_LEGACY_LENGTH = 24
_NO_IDS = IdTable()


class ParameterError(ValueError):
    """A value that does not fit its parameter, sent or configured; the text says why.

    The value itself is never repeated: a header or a claim may be a secret, and the text is kept.
    """


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as configured. `minimum` and `maximum` bound int and number, both included.

    `name` of a header is lower case. `choices` and `default` are values as they stand in the configuration.
    """

    source: Source
    name: str
    type: ParameterType = "auto"
    default: Any = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    choices: tuple[Any, ...] = ()
    is_list: bool = False
    entity: str | None = None
    has_default: bool = False

    @property
    def label(self) -> str:
        return f"{self.source}.{self.name}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says, split and decoded: the steps that the route names, the query's fields, the header's."""

    path: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    headers: Headers


def query_of(target: str) -> list[tuple[str, str]]:
    """The decoded fields of a request target's query, `+` as a blank. ParameterError for more than a thousand."""
    query = target.partition("?")[2].partition("#")[0]
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_VALUES)
    except ValueError as error:
        raise ParameterError(f"the query has more than {MAX_VALUES} fields") from error


def raw_values(parameter: Parameter, asked: Asked) -> list[str] | None:
    """The texts that the request gives for a parameter, None when it gives none.

    A list collects repeated fields (also written `name[]`) and splits each at commas; otherwise the first counts.
    """
    found = _given(parameter, asked)
    if not found:
        return None
    if not parameter.is_list:
        return [found[0]]
    return [part.strip() for text in found for part in text.split(",") if part.strip()]


def convert(parameter: Parameter, raw: Sequence[str] | None, kind: ParameterType) -> Any:
    """The value of the texts `raw` as `kind`, or of the default where there are none; None for neither.

    Gives str, int, Decimal, bool, date, datetime (aware), UUID, ObjectId, or a list of one of them. A kind `auto` is
    text. Raises ParameterError. Ids are taken as they stand: `value_of` puts them as their partners first.
    """
    texts = [text for text in raw or () if text or kind in ("auto", "text")]
    if not texts:
        return _default(parameter, kind)
    if parameter.is_list:
        if len(texts) > MAX_VALUES:
            raise ParameterError(f"{parameter.label}: more than {MAX_VALUES} values")
        return [_one(parameter, text, kind) for text in texts]
    return _one(parameter, texts[0], kind)


def ids_wanted(parameters: Iterable[Parameter], asked: Asked, kinds: Iterable[ParameterType] | None = None) -> set[str]:
    """The ids, lower case, that have to be put as their partners: legacy ones for a uuid, uuids for an object_id.

    `kinds` are the types in effect, one for each parameter, where `auto` has been settled.
    """
    parameters = list(parameters)
    wanted: set[str] = set()
    for parameter, kind in zip(parameters, kinds or [each.type for each in parameters], strict=True):
        if kind in ("uuid", "object_id"):
            wanted.update(token for text in _texts(parameter, asked) if (token := _foreign(text, kind)))
    return wanted


def value_of(
    parameter: Parameter,
    asked: Asked,
    kind: ParameterType,
    table: IdTable = _NO_IDS,
    note: Callable[[str], None] = lambda _: None,
) -> Any:
    """The value to bind. Raises ParameterError.

    An id of the other store is put as its partner in `table`. One that the map does not know, or that it joins to
    several, is None (in a list: left out), and `note` is told.
    """
    raw = raw_values(parameter, asked)
    if kind not in ("uuid", "object_id") or raw is None:
        return convert(parameter, raw, kind)
    known = []
    for text in raw:
        token = _foreign(text, kind)
        if token is None:
            known.append(text)
            continue
        partners = _partners(token, parameter.entity, table)
        if len(partners) == 1:
            known.append(partners.pop())
        else:
            note(f"id {token} is {'joined to several ids' if partners else 'not'} in the id map")
    if not known and any(raw):
        return [] if parameter.is_list else None
    return convert(parameter, known, kind)


def _given(parameter: Parameter, asked: Asked) -> list[str]:
    name = parameter.name
    if parameter.source == "path":
        return [asked.path[name]] if name in asked.path else []
    if parameter.source == "query":
        names = (name, f"{name}[]") if parameter.is_list else (name,)
        return [value for key, value in asked.query if key in names]
    if parameter.source == "header":
        return [
            value.decode("latin-1").strip() for key, value in asked.headers if key.decode("latin-1").lower() == name
        ]
    return claim(header(asked.headers, b"authorization"), name)


def _texts(parameter: Parameter, asked: Asked) -> list[str]:
    return raw_values(parameter, asked) or []


def _default(parameter: Parameter, kind: ParameterType) -> Any:
    default = parameter.default
    if default is None:
        return None
    if parameter.is_list:
        if not isinstance(default, list | tuple):
            raise ParameterError(f"{parameter.label}: the default of a list is a list")
        return [_typed(parameter, spelled(each), kind) for each in default]
    return _typed(parameter, spelled(default), kind)


def spelled(value: Any) -> str:
    """A value of the configuration as a client would write it. ParameterError for what is no scalar."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str | int | float | Decimal):
        return str(value)
    raise ParameterError(f"{value!r:.60} is no text, number, boolean or date")


def _one(parameter: Parameter, text: str, kind: ParameterType) -> Any:
    value = _typed(parameter, text, kind)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        if parameter.minimum is not None and value < parameter.minimum:
            raise ParameterError(f"{parameter.label}: under {parameter.minimum}")
        if parameter.maximum is not None and value > parameter.maximum:
            raise ParameterError(f"{parameter.label}: over {parameter.maximum}")
    if parameter.choices and value not in [_typed(parameter, spelled(each), kind) for each in parameter.choices]:
        raise ParameterError(f"{parameter.label}: not one of {', '.join(map(spelled, parameter.choices))}")
    return value


def _typed(parameter: Parameter, text: str, kind: ParameterType) -> Any:
    if len(text) > MAX_CHARACTERS:
        raise ParameterError(f"{parameter.label}: longer than {MAX_CHARACTERS} characters")
    if "\0" in text:
        raise ParameterError(f"{parameter.label}: holds a NUL character")
    try:
        text.encode()
        value = _READ[kind](text)
    except (ValueError, ArithmeticError):
        value = None
    if value is None:
        raise ParameterError(f"{parameter.label}: not {_CALLED[kind]}")
    return value


def _int(text: str) -> int | None:
    if not _INT.fullmatch(text):
        return None
    value = int(text)
    return value if -(2**63) <= value < 2**63 else None


def _number(text: str) -> Decimal | None:
    return Decimal(text) if len(text) <= MAX_DIGITS and _NUMBER.fullmatch(text) else None


def _date(text: str) -> date | None:
    return date.fromisoformat(text) if _DATE.fullmatch(text) else None


def _timestamp(text: str) -> datetime | None:
    """ISO 8601; without an offset it is UTC, and digits after the microseconds are cut off."""
    found = _TIMESTAMP.fullmatch(text)
    if not found:
        return None
    day, minute, second, fraction, offset = found.groups()
    if fraction and not second:
        return None
    whole_text = f"{day}T{minute or '00:00'}{second or ':00'}.{(fraction or '')[:6]:0<6}{offset or 'Z'}"
    return datetime.fromisoformat(whole_text).astimezone(UTC)


def _uuid(text: str) -> UUID | None:
    token = whole(text)
    return UUID(token) if token and "-" in token else None


def _object_id(text: str) -> ObjectId | None:
    token = whole(text)
    return ObjectId(token) if token and len(token) == _LEGACY_LENGTH else None


_READ: Mapping[ParameterType, Callable[[str], Any]] = {
    "auto": str,
    "text": str,
    "int": _int,
    "number": _number,
    "bool": lambda text: _BOOLS.get(text.lower()),
    "date": _date,
    "timestamp": _timestamp,
    "uuid": _uuid,
    "object_id": _object_id,
}
_CALLED: Mapping[ParameterType, str] = {
    "auto": "a text",
    "text": "a text",
    "int": "an integer of 64 bits",
    "number": "a number",
    "bool": "true, false, 1 or 0",
    "date": "a date such as 2024-02-29",
    "timestamp": "a time such as 2024-02-29T12:00:00Z",
    "uuid": "a uuid",
    "object_id": "an id of 24 hex digits",
}


def _foreign(text: str, kind: ParameterType) -> str | None:
    """The id that `text` spells, when it is one of the other store than `kind` wants."""
    token = whole(text)
    if token is None:
        return None
    return token if (len(token) == _LEGACY_LENGTH) is (kind == "uuid") else None


def _partners(token: str, entity: str | None, table: IdTable) -> set[str]:
    pairs = table.by_uuid.get(token, ()) if "-" in token else table.by_legacy.get(token, ())
    return {
        pair.legacy if "-" in token else pair.uuid for pair in pairs if entity in (None, pair.entity)
    }  # fmt: skip
