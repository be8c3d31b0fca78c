"""The parameters of direct reads as they are written: `path.id`, or a mapping with a type, a default and bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from proxy.direct.parameters import Parameter, ParameterError, ParameterType, Source, convert, spelled
from proxy.settings.blocks import Block
from proxy.settings.placed import Placed, refuse
from proxy.settings.scalars import retyped
from proxy.settings.types import Switch

SOURCES = ("path", "query", "header", "claim")
MAX_PARAMETERS = 100

_BOUNDED = frozenset({"auto", "int", "number"})
_HAS_ENTITY = frozenset({"auto", "text", "uuid", "object_id"})


def json_value(value: Any) -> Any:
    """A JSON value out of a file. Environment text in it is typed as if it had stood there; NaN is refused."""
    value = retyped(value)
    if not all(not isinstance(leaf, float) or math.isfinite(leaf) for leaf in _leaves(value)):
        raise ValueError("must hold finite numbers, as JSON does")
    return value


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _source(text: str) -> str:
    kind, dot, name = text.partition(".")
    if kind not in SOURCES or not dot or not name:
        hint = f'; did you mean "path.{text}"?' if text.isidentifier() else ""
        raise ValueError(f"must be path.NAME, query.NAME, header.NAME or claim.NAME{hint}")
    if len(name) > 200 or not name.isprintable():
        raise ValueError("must name something of at most 200 printable signs")
    if kind == "header" and not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        raise ValueError(f'"{name}" is not the name of a header')
    return text


def _decimal(value: Any) -> Any:
    value = retyped(value)
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be a number")
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        raise ValueError("must be a number") from None
    if not exact.is_finite():
        raise ValueError("must be a finite number")
    return exact


def _written(exact: Decimal) -> int | float | str:
    if exact == exact.to_integral_value() and exact.adjusted() < 30:
        return int(exact)
    return float(exact) if Decimal(repr(float(exact))) == exact else str(exact)


def _scalar_or_list(value: Any) -> Any:
    value = json_value(value)
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict | list):
            raise ValueError("must be a text, a number, true or false, or a list of these")
    return value


Json = Annotated[Any, BeforeValidator(json_value)]
Limit = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    PlainSerializer(_written, when_used="json"),
    WithJsonSchema({"type": ["number", "string"]}),
]


class ParameterSettings(Block):
    """One parameter, taken from the request. A plain text stands for a mapping with `from` alone."""

    source: Annotated[str, AfterValidator(_source)] = Field(alias="from")
    """Where it comes from: `path.NAME`, `query.NAME`, `header.NAME`, or `claim.NAME` of the caller's bearer token."""
    type: ParameterType = "auto"
    """What it must be; `auto` is what the prepared statement says for Postgres, text for MongoDB."""
    default: Annotated[Any, BeforeValidator(_scalar_or_list)] = None
    """The value of a parameter that the request does not bear; null is SQL's NULL."""
    minimum: Limit | None = Field(None, alias="min")
    """The smallest value of an `int` or `number`."""
    maximum: Limit | None = Field(None, alias="max")
    """The largest value of an `int` or `number`."""
    choices: Annotated[tuple[Any, ...], Field(max_length=1_000), BeforeValidator(lambda value: _choices(value))] = ()
    """The values that are allowed; any where empty."""
    is_list: Switch = Field(False, alias="list")
    """Takes repeated query fields, and the parts between commas, as a list."""
    entity: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The entity of the id map that an id belongs to; any where not given."""

    @model_validator(mode="after")
    def _consistent(self) -> ParameterSettings:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[Placed]:
        for key, limit in (("min", self.minimum), ("max", self.maximum)):
            if limit is not None and self.type not in _BOUNDED:
                yield Placed((key,), f"bounds a number, and the type is {self.type}; write type: int or type: number")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            yield Placed(("max",), f"is below min ({_written(self.minimum)})")
        if self.entity is not None and self.type not in _HAS_ENTITY:
            yield Placed(("entity",), f"is for ids, and the type is {self.type}; write type: uuid or type: object_id")
        bare = replace(self.parameter(), choices=(), is_list=False)
        for number, choice in enumerate(self.choices):
            if text := self._unfit(choice, bare):
                yield Placed(("choices", number), text)
        if self.default is None:
            return
        if isinstance(self.default, list) is not self.is_list:
            yield Placed(
                ("default",), "must be a list, as list is true" if self.is_list else "is a list; write list: true"
            )
            return
        for item in self.default if isinstance(self.default, list) else [self.default]:
            text = self._unfit(item, bare)
            if not text and self.choices and item not in self.choices:
                text = "is not one of choices"
            if text:
                yield Placed(("default",), text)

    def _unfit(self, value: Any, bare: Parameter) -> str | None:
        """Why a value of the file cannot be one of this parameter; where the type is `auto` only the server knows."""
        try:
            text = spelled(value)
            if self.type != "auto":
                convert(bare, [text], self.type)
        except ParameterError as error:
            return str(error).removeprefix(f"{bare.label}: ")
        return None

    def parameter(self) -> Parameter:
        """What the readers take. A default of null is the same as none."""
        kind, _, name = self.source.partition(".")
        return Parameter(
            source=cast(Source, kind),
            name=name.lower() if kind == "header" else name,
            type=self.type,
            default=self.default,
            minimum=self.minimum,
            maximum=self.maximum,
            choices=self.choices,
            is_list=self.is_list,
            entity=self.entity,
            has_default=self.default is not None,
        )


def _choices(value: Any) -> Any:
    value = _scalar_or_list(value)
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list")
    return tuple(value)


def _parameter_mapping(value: Any) -> Any:
    return {"from": value} if isinstance(value, str) else value


Params = Annotated[
    list[Annotated[ParameterSettings, BeforeValidator(_parameter_mapping)]], Field(max_length=MAX_PARAMETERS)
]


def unmatched(
    used: frozenset[int], params: Sequence[ParameterSettings], at: str, what: str, shown: frozenset[int] = frozenset()
) -> Iterator[Placed]:
    """Parameters and the numbers that stand for them, held against each other. `at` is the key with the numbers.

    `shown` are numbers that need not be used, as the answer shows them.
    """
    for number in sorted(number for number in used if number > len(params)):
        yield Placed((at,), f"${number} has no parameter; params holds {len(params)}")
    for number, parameter in enumerate(params, 1):
        if number not in used and number not in shown:
            text = f"{parameter.source} is not used: there is no ${number} in the {what}; remove it"
            yield Placed(("params", number - 1), text)
