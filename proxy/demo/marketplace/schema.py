"""The Postgres tables and the MongoDB indexes, derived from the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from proxy.demo.marketplace.catalog import ENTITIES
from proxy.demo.marketplace.entities import Entity, Field, column_type

_SHARED = (
    "CREATE TABLE id_map (entity text NOT NULL, legacy_id text NOT NULL, new_id uuid NOT NULL,"
    " PRIMARY KEY (entity, legacy_id), UNIQUE (entity, new_id))",
    "CREATE TABLE pg_dualwrite_gaps (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, entity text NOT NULL,"
    " legacy_id text NOT NULL, operation text NOT NULL, error text NOT NULL,"
    " recorded_at timestamptz NOT NULL DEFAULT now(), resolved_at timestamptz)",
)
_RULES = (
    "CREATE UNIQUE INDEX addresses_one_primary_uq ON addresses (user_id) WHERE is_primary",
    "CREATE UNIQUE INDEX categories_active_name_norm_uq ON categories (lower(btrim(name))) WHERE is_active",
    "CREATE UNIQUE INDEX shop_settings_seller_uq ON shop_settings (seller_id)",
    "CREATE UNIQUE INDEX users_email_uq ON users (email)",
    "CREATE FUNCTION funds_ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION 'funds_ledger_entries is append-only'; END $$",
    "CREATE TRIGGER funds_ledger_append_only BEFORE UPDATE OR DELETE ON funds_ledger_entries"
    " FOR EACH ROW EXECUTE FUNCTION funds_ledger_is_append_only()",
)


def postgres_statements() -> Iterator[str]:
    """Every statement that makes an empty database the marketplace's, in order."""
    yield from _SHARED
    for entity in ENTITIES.values():
        groups = (entity.fields, *(child.fields for child in entity.children))
        for field in (field for fields in groups for field in fields if field.type == "enum"):
            choices = ", ".join(f"'{choice}'" for choice in field.choices)
            yield f"CREATE TYPE {field.target} AS ENUM ({choices})"
        columns = ", ".join(_column(field) for field in entity.fields)
        yield f"CREATE TABLE {entity.table} (id uuid PRIMARY KEY, legacy_object_id text UNIQUE, {columns})"
        for child in entity.children:
            columns = ", ".join(_column(field) for field in child.fields)
            yield (
                f"CREATE TABLE {child.table} (parent_id uuid NOT NULL REFERENCES {entity.table} ON DELETE CASCADE"
                f" DEFERRABLE INITIALLY DEFERRED, position int NOT NULL, {columns}, PRIMARY KEY (parent_id, position))"
            )
        yield from _indexes(entity)
    for entity in ENTITIES.values():
        yield from _references(entity.table, entity.fields)
        for child in entity.children:
            yield from _references(child.table, child.fields)
    yield from _RULES


def _column(field: Field) -> str:
    return f"{field.column} {column_type(field)}{'' if field.nullable else ' NOT NULL'}"


def _indexes(entity: Entity) -> Iterator[str]:
    for keys in entity.indexes:
        if keys == ("participants.userId",):
            yield f"CREATE INDEX ON {entity.table} USING gin (participants jsonb_path_ops)"
        else:
            yield f"CREATE INDEX ON {entity.table} ({', '.join(entity.field(key).column for key in keys)})"


def _references(table: str, fields: tuple[Field, ...]) -> Iterator[str]:
    for field in fields:
        if field.type == "ref":
            yield (
                f"ALTER TABLE {table} ADD FOREIGN KEY ({field.column}) REFERENCES"
                f" {ENTITIES[field.target].table} DEFERRABLE INITIALLY DEFERRED"
            )


async def create_mongo_indexes(database: Any) -> None:
    for entity in ENTITIES.values():
        for keys in entity.indexes:
            await database[entity.collection].create_index([(key, 1) for key in keys])
