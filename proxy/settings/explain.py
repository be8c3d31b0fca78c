"""Turns what pydantic found into problems for people: line, key, what is wrong, what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from comparators.rules import RuleProblem
from proxy.settings.document import Document, Found, Key
from proxy.settings.model import Settings
from proxy.settings.placed import PLACED_PROBLEMS
from proxy.settings.scalars import EnvText
from proxy.settings.types import RULES_PROBLEM

LATER = "not supported in this version"
_LATER_STAGES = re.compile(r"live|done|ramp(\b.*)?", re.DOTALL)
_SECRET = re.compile(r"token|dsn|password|secret", re.IGNORECASE)
_USERINFO = re.compile(r"(://)\S*@")
_KNOWN = re.compile(r"\b(?:known are|must be one of|must be) (.+?)(?:, not .*)?$")
_LONGEST_VALUE = 60

_WANTED = {
    "string_type": "text",
    "string_sub_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
    "finite_number": "a finite number",
    "is_instance_of": "text",
    "path_type": "a path",
}


def explain(error: ValidationError, document: Document) -> list[Found]:
    """Every problem of `error`, at the line of the key it is about."""
    found: list[Found] = []
    for item in error.errors():
        key = tuple(part for part in item["loc"] if not (isinstance(part, str) and part in _TAGS))
        if item["type"] == RULES_PROBLEM:
            found += rule_problems(item["ctx"]["problems"], key, document)
        elif item["type"] == PLACED_PROBLEMS:
            found += [_at(document, (*key, *placed.key), placed.text) for placed in item["ctx"]["problems"]]
        else:
            found.append(_one(item, key, document))
    return found


_TAGS = frozenset({"<file>", "<named>", "<column>", "[key]"})


def rule_problems(problems: Iterable[RuleProblem], block: Key, document: Document) -> list[Found]:
    """What `check_rules` says of the `compare:` block at `block`, at the lines of the file."""
    return [_at(document, (*block, *rule.key), with_nearest(rule.text, rule.key)) for rule in problems]


def _one(item: ErrorDetails, key: Key, document: Document) -> Found:
    kind = item["type"]
    if kind == "extra_forbidden":
        return _at(document, key, unknown_key(key))
    if kind == "missing":
        return Found(document.line(key[:-1]), key, "is required")
    return _at(document, key, _text(item, kind, key))


def _at(document: Document, key: Key, text: str) -> Found:
    return Found(document.line(key), document.existing(key), text)


def _text(item: ErrorDetails, kind: str, key: Key) -> str:
    value, context = item["input"], item.get("ctx", {})
    if kind == "literal_error":
        if key[-1] == "stage" and isinstance(value, str) and _LATER_STAGES.fullmatch(value):
            return f'"{value}" is {LATER}; stages are off and shadow'
        valid = re.findall(r"'([^']+)'", str(context["expected"]))
        return f"must be one of {', '.join(valid)}, not {shown(value, key)}{_did_you_mean(str(value), valid)}"
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {shown(value, key)}{_quote_hint(kind, value)}"
    if kind == "value_error":
        text = str(context["error"])
        if text.startswith("must be") and (not isinstance(value, str) or value not in text):
            return f"{text}, not {shown(value, key)}" if ";" not in text else f"{text} (here: {shown(value, key)})"
        return _USERINFO.sub(r"\1***@", text)
    if kind in ("too_long", "too_short", "string_too_long", "string_too_short"):
        return item["msg"][0].lower() + item["msg"][1:]
    bounds = {"greater_than": "above", "greater_than_equal": "at least", "less_than": "below"}
    bounds["less_than_equal"] = "at most"
    if kind in bounds:
        limit = next(context[name] for name in ("gt", "ge", "lt", "le") if name in context)
        return f"must be {bounds[kind]} {limit:g}, not {shown(value, key)}"
    return item["msg"]


def unknown_key(key: Key) -> str:
    """What to say of a key that no block has: not yet supported, or which one may have been meant."""
    name, parents = str(key[-1]), key[:-1]
    valid = sorted(valid_keys(parents))
    hint = _did_you_mean(name, valid)
    return f"unknown key{hint}" if hint else f"unknown key; valid here: {', '.join(valid)}"


def valid_keys(key: Key) -> set[str]:
    """The keys that the block at `key` may have."""
    here: list[Any] = [Settings]
    for part in key:
        here = [inner for kind in here for inner in _step(kind, part)]
    return {name for kind in here for model in _models(kind) for name in keys_of(model)}


def keys_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys of a block as they are written, with their fields: `from` and `min` are not names in Python."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def shown(value: Any, key: Key) -> str:
    """A value for a message: short, and masked where the key or the value may hold a secret."""
    if key == ("mongo", "url") or any(isinstance(part, str) and _SECRET.search(part) for part in key):
        return "the value given (masked)"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    text = text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "..."
    text = _USERINFO.sub(r"\1***@", text)
    if isinstance(value, str):
        source = " (from the environment)" if isinstance(value, EnvText) else ""
        return f'"{text}"{source}'
    return text


def _quote_hint(kind: str, value: Any) -> str:
    wants_text = kind.startswith("string")
    if wants_text and isinstance(value, bool | int | float):
        return "; put it in quotes"
    quoted_number = isinstance(value, str) and re.fullmatch(r"[-+]?[0-9.]+|true|false", value)
    return "; remove the quotes" if quoted_number and not isinstance(value, EnvText) else ""


def _did_you_mean(name: str, valid: list[str]) -> str:
    near = difflib.get_close_matches(name.lower(), valid, 1, 0.6)
    return f'; did you mean "{near[0]}"?' if near else ""


def with_nearest(text: str, key: Key) -> str:
    """A problem of the comparison's rules, with the nearest of the names that it lists."""
    listed = _KNOWN.search(text)
    if not listed or "did you mean" in text:
        return text
    names = re.findall(r"[A-Za-z_-]+", listed[1])
    quoted = re.search(r"'([^']*)'", text.partition("known are")[0]) or re.search(r"not '([^']*)'", text)
    written = quoted[1] if quoted else str(key[-1]) if key else ""
    return text + _did_you_mean(written, names)


def _step(kind: Any, part: str | int) -> Iterator[Any]:
    for bare in _alternatives(kind):
        if isinstance(bare, type) and issubclass(bare, BaseModel):
            if field := keys_of(bare).get(str(part)):
                yield field.annotation
        elif get_origin(bare) is list and isinstance(part, int):
            yield get_args(bare)[0]
        elif get_origin(bare) is dict and isinstance(part, str):
            yield get_args(bare)[1]


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    for bare in _alternatives(kind):
        if isinstance(bare, type) and issubclass(bare, BaseModel):
            yield bare


def _alternatives(kind: Any) -> Iterator[Any]:
    """The types a value may have, without `Annotated` and unions round them."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from _alternatives(get_args(kind)[0])
    elif origin in (Union, UnionType):
        for option in get_args(kind):
            yield from _alternatives(option)
    else:
        yield kind
