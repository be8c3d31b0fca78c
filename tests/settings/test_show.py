from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from proxy.settings import json_schema, load_settings, show
from proxy.settings.blocks import Block
from proxy.settings.show import mask_dsn

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("dsn", "masked"),
    [
        ("postgresql://u:pw@h:5/d", "postgresql://u:***@h:5/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://h/d?password=pw&x=1", "postgresql://h/d?password=***&x=1"),
        ("postgresql://u:p%40:x@h/d?sslpassword=pw", "postgresql://u:***@h/d?sslpassword=***"),
        ("postgresql://u:a/b@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:a@b@h/d", "postgresql://u:***@h/d"),
    ],
)
def test_a_dsn_without_its_password(dsn: str, masked: str) -> None:
    assert mask_dsn(dsn) == masked


def test_no_secret_is_shown() -> None:
    env = {"SHADOWREAD_ADMIN_TOKEN": "hunter2", "PG_URL": "postgresql://u:hunter2@h/d"}
    settings = load_settings(ROOT / "config/marketplace.yaml", env)
    shown = show(settings)
    assert shown["admin"]["token"] == "***"
    assert shown["postgres"]["dsn"] == "postgresql://u:***@h/d"
    assert "hunter2" not in json.dumps(shown)
    assert "hunter2" not in repr(settings)


def test_the_password_of_mongodb_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "primary: {url: http://h:1}\n"
        "mongo:\n"
        "  url: mongodb://u:hunter2@a:1,b:2/d?x=1&authMechanismProperties=AWS_SESSION_TOKEN:hunter2\n"
        "  database: d\n"
    )
    settings = load_settings(path, {})
    shown = show(settings)
    assert shown["mongo"]["url"] == "mongodb://u:***@a:1,b:2/d?x=1&authMechanismProperties=***"
    assert "hunter2" not in json.dumps(shown) + repr(settings)


def test_what_is_shown_loads_to_the_same_settings(tmp_path: Path) -> None:
    for name in ("shadowread.yaml", "marketplace.yaml"):
        settings = load_settings(ROOT / "config" / name, {})
        path = tmp_path / name
        path.write_text(json.dumps(show(settings)))
        assert load_settings(path, {}).model_dump() == settings.model_dump()
    assert isinstance(settings.admin.token, SecretStr)


def blocks(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {"": schema, **schema["$defs"]}


def test_the_schema_knows_every_key_and_refuses_others() -> None:
    schema = json_schema()
    json.dumps(schema)
    for name, block in blocks(schema).items():
        if block.get("type") == "object":
            assert block["additionalProperties"] is False, name
            for key, value in block["properties"].items():
                own = value.get("description") or value.get("$ref") or value.get("anyOf") or name == "GateOverride"
                assert own, f"{name}.{key} has no description"
    assert "required" not in schema
    parameters = schema["$defs"]["PostgresReaderSettings"]["properties"]["params"]["items"]["anyOf"]
    assert {"type": "string"} in parameters
    assert set(schema["$defs"]["ParameterSettings"]["properties"]) >= {"from", "min", "max", "list"}
    kinds = schema["$defs"]["DomainSettings"]["properties"]["routes"]["items"]["anyOf"]
    assert {"type": "string"} in kinds
    timeout = schema["$defs"]["ShadowSettings"]["properties"]["timeout"]
    patterns = [option["pattern"] for option in timeout["anyOf"]]
    assert any(re.search(pattern, "500ms") for pattern in patterns)
    assert any(re.search(pattern, "${T:-5s}") for pattern in patterns)
    assert not any(re.search(pattern, "5") for pattern in patterns)


def test_every_model_refuses_unknown_keys_and_changes() -> None:
    def all_of(kind: type[BaseModel]) -> list[type[BaseModel]]:
        return [kind, *(deeper for sub in kind.__subclasses__() for deeper in all_of(sub))]

    for kind in all_of(Block):
        assert kind.model_config["extra"] == "forbid"
        assert kind.model_config["frozen"] is True
        assert kind.model_config["strict"] is True
