"""`config/shadowread.yaml` is the reference: every key stands there, explained, with the default it really has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel, TypeAdapter
from ruamel.yaml import YAML

from comparators.rules import compile_rules
from proxy.settings import load_settings
from proxy.settings.document import Key, read_document
from proxy.settings.explain import LATER, _alternatives, valid_keys
from proxy.settings.explain import keys_of as written_keys
from proxy.settings.model import Settings
from proxy.settings.readers import ReaderSettings

REFERENCE = Path(__file__).parents[2] / "config/shadowread.yaml"
TABLE_SOURCES = {"file", "entity_name"}
"""Keys of the other shapes of an id source: the reference shows them in a comment beside the first shape."""


def keys_of(annotation: Any, at: Key) -> Iterator[tuple[Key, Any, BaseModel | None]]:
    """Every key below `at`: where it stands in the reference, its field, and its model.

    The readers of a route are left out: not all of their keys can stand in one place.
    """
    if annotation is ReaderSettings:
        return
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield (*at, name), field, None
            yield from keys_of(field.annotation, (*at, name))
        return
    origin = get_origin(annotation)
    for argument in get_args(annotation):
        step: Key = ((0,) if at[-1] != "routes" else (2,)) if origin is list else ("users",) if origin is dict else ()
        yield from keys_of(argument, (*at, *step))


ALL = [(key, field) for key, field, _ in keys_of(Settings, ()) if key[-1] not in TABLE_SOURCES]


def comment_above(key: Key) -> str:
    document = read_document(REFERENCE, {})
    lines = REFERENCE.read_text().splitlines()
    assert document.existing(key) == key, f"{key} is not in the reference"
    at = document.line(key) - 2
    found: list[str] = []
    while re.match(r"\s*(- )?#", lines[at]):
        found.insert(0, re.sub(r"^\s*(- )?# ?", "", lines[at]))
        at -= 1
    return "\n".join(found)


@pytest.mark.parametrize(("key", "field"), ALL, ids=[".".join(map(str, key)) for key, _ in ALL])
def test_a_key_is_explained_with_its_default(key: Key, field: Any) -> None:
    explained(key, field)


def reader_blocks(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every block that a reader of a route is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from reader_blocks(field.annotation)
    for argument in get_args(annotation):
        yield from reader_blocks(argument)


def standing(annotation: Any, value: Any, at: Key) -> Iterator[tuple[type[BaseModel], str, Key]]:
    """Every key of a block below `value` in the reference: the block's kind, the key, and where it stands."""
    for kind in _alternatives(annotation):
        if get_origin(kind) is list and isinstance(value, list):
            for number, item in enumerate(value):
                yield from standing(get_args(kind)[0], item, (*at, number))
        elif get_origin(kind) is dict and isinstance(value, dict):
            for name, item in value.items():
                yield from standing(get_args(kind)[1], item, (*at, name))
        elif isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(value, dict):
            for name, item in value.items():
                if field := written_keys(kind).get(name):
                    yield kind, name, (*at, name)
                    yield from standing(field.annotation, item, (*at, name))


READER_KEYS = sorted(
    {(block, name) for block in reader_blocks(ReaderSettings) for name in written_keys(block)},
    key=lambda pair: (pair[0].__name__, pair[1]),
)


@pytest.mark.parametrize(
    ("block", "name"), READER_KEYS, ids=[f"{block.__name__}.{name}" for block, name in READER_KEYS]
)
def test_a_key_of_a_reader_is_explained_with_its_default(block: type[BaseModel], name: str) -> None:
    document, lines = read_document(REFERENCE, {}), REFERENCE.read_text().splitlines()
    places = [key for kind, found, key in standing(Settings, document.data(), ()) if (kind, found) == (block, name)]
    own_lines = [key for key in places if re.match(rf"\s*(- )?{name}:", lines[document.line(key) - 1])]
    told = [key for key in own_lines if comment_above(key)]
    assert told, f"{block.__name__}.{name} is not explained in the reference"
    for key in told:
        explained(key, written_keys(block)[name])


def explained(key: Key, field: Any) -> None:
    comment = comment_above(key) if key[-1] != "table" else "Required."
    models = list(keys_of(field.annotation, key))
    if field.is_required():
        assert "Required." in comment or models, f"{key} does not say that it is required"
        return
    default = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        assert comment, f"{key} is not explained"
        return
    found = re.search(r"^Default: (.*)$", comment, re.MULTILINE)
    assert found, f"{key} does not name its default"
    documented = YAML(typ="safe", pure=True).load(found[1])
    if key[-1] == "compare":
        assert (documented, default) == ({}, {})
        return
    adapter: TypeAdapter[Any] = TypeAdapter(rebuilt(field))
    assert adapter.validate_python(documented) == default, f"{key}: documented {found[1]}, real {default!r}"


def rebuilt(field: Any) -> Any:
    """The type of a field with its validators, which pydantic keeps beside the bare annotation."""
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def test_the_reference_has_what_it_documents_as_defaults() -> None:
    """The values themselves are the defaults too, so that copying the file changes nothing."""
    reference = load_settings(REFERENCE, {})
    plain = Settings.model_validate({"primary": {"url": "http://127.0.0.1:5001"}})
    for name in ("listen", "admin", "primary", "ledger", "sampling", "settle", "limits", "gate", "provenance", "drain"):
        assert getattr(reference, name) == getattr(plain, name), name
    assert reference.shadow.model_copy(update={"url": None}) == plain.shadow
    assert reference.ids.cache == plain.ids.cache


def test_the_rules_of_the_reference_are_those_without_any_rules() -> None:
    reference, none = (compile_rules([block]) for block in (load_settings(REFERENCE, {}).compare, {}))
    assert (reference.status, reference.headers, reference.ids) == (none.status, none.headers, none.ids)


def test_the_other_shapes_of_an_id_source_are_shown() -> None:
    text = REFERENCE.read_text()
    assert "# - {table: users, entity_name: user, legacy: legacy_object_id, uuid: id}" in text
    assert "# - {file: ids.json}" in text


def test_keys_of_later_versions_are_not_keys_now() -> None:
    assert LATER == "not supported in this version"
    assert valid_keys(("domains", "users", "provenance")) == {"primary", "shadow", "scans", "canary"}
    route: Key = ("domains", "users", "routes", 0)
    assert valid_keys(route) == {"route", "safe", "compare", "sampling", "primary", "shadow", "sweep"}
    assert valid_keys((*route, "shadow")) == {"http", "postgres", "mongo"}
    parameter = {"from", "type", "default", "min", "max", "choices", "list", "entity"}
    assert valid_keys((*route, "shadow", "postgres", "statements", "x", "params", 0)) == parameter
    assert valid_keys(("ids", "sources", 0)) == {"table", "entity", "entity_name", "legacy", "uuid", "file"}
