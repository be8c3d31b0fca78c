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
from proxy.settings.explain import LATER, valid_keys
from proxy.settings.model import Settings

REFERENCE = Path(__file__).parents[2] / "config/shadowread.yaml"
TABLE_SOURCES = {"file", "entity_name"}
"""Keys of the other shapes of an id source: the reference shows them in a comment beside the first shape."""


def keys_of(annotation: Any, at: Key) -> Iterator[tuple[Key, Any, BaseModel | None]]:
    """Every key below `at`: where it stands in the reference, its field, and its model."""
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
    for name in ("listen", "admin", "primary", "ledger", "sampling", "settle", "limits", "gate", "drain"):
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
    assert "mongo" not in valid_keys(())
    assert "translate_ids" not in valid_keys(("shadow",))
    assert "provenance" not in valid_keys(("domains", "users"))
    assert valid_keys(("domains", "users", "routes", 0)) == {"route", "safe", "compare", "sampling"}
    assert valid_keys(("ids", "sources", 0)) == {"table", "entity", "entity_name", "legacy", "uuid", "file"}
