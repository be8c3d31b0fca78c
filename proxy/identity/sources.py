"""Where joined pairs are read from, and the SQL that reads them. Pure: text in, text out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from proxy.settings import ColumnSource, NamedSource, Settings


@dataclass(frozen=True, slots=True)
class TableSource:
    """A table that bears both ids of a row.

    `table` may name its schema (`app.users`). Exactly one of `entity` (a column) and `entity_name` (the same
    entity for every row) is set.
    """

    table: str
    legacy: str
    uuid: str
    entity: str | None = None
    entity_name: str | None = None

    def __post_init__(self) -> None:
        if (self.entity is None) == (self.entity_name is None):
            raise ValueError(f"id source {self.table}: set one of entity (a column) and entity_name")

    @property
    def label(self) -> str:
        return f"table {self.table}"

    @property
    def columns(self) -> tuple[str, ...]:
        own = (self.legacy, self.uuid)
        return own if self.entity is None else (*own, self.entity)


@dataclass(frozen=True, slots=True)
class FileSource:
    """A JSON list of pairs, read once at start."""

    path: Path

    @property
    def label(self) -> str:
        return f"file {self.path}"


Source = TableSource | FileSource


def sources_of(settings: Settings) -> list[Source]:
    """The configured sources in their order."""
    sources: list[Source] = []
    for source in settings.ids.sources:
        if isinstance(source, ColumnSource):
            sources.append(TableSource(source.table, source.legacy, source.uuid, entity=source.entity))
        elif isinstance(source, NamedSource):
            sources.append(TableSource(source.table, source.legacy, source.uuid, entity_name=source.entity_name))
        else:
            sources.append(FileSource(source.file))
    return sources


COLUMN_TYPES = """
SELECT attname::text AS name, format_type(atttypid, -1) AS type
FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attname = ANY($2::text[]) AND attnum > 0 AND NOT attisdropped
"""
"""`format_type` with -1, since without a modifier it prints `character`, which would cut ids to one letter."""


@dataclass(frozen=True, slots=True)
class Statements:
    """One source's statements. `$1` is a text array of ids; `both` takes uuids as `$2`."""

    by_legacy: str
    by_uuid: str
    both: str


def quoted(name: str) -> str:
    """An SQL identifier; a name with dots is a path (`schema.table`), each part quoted for itself."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def _column(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def statements(source: TableSource, types: dict[str, str]) -> Statements:
    """The statements of a source whose columns have these types (as `format_type` spells them).

    The ids asked for are cast to the column's type and not the column to text, so that its index serves.
    """
    legacy, uuid = _column(source.legacy), _column(source.uuid)
    entity = "NULL::text" if source.entity is None else f"{_column(source.entity)}::text"
    # Every name is quoted and the types come from the server's own catalogue: nothing here is free text.
    head = (
        f"SELECT {entity}, {legacy}::text, {uuid}::text FROM {quoted(source.table)} "  # noqa: S608 - see above
        f"WHERE {legacy} IS NOT NULL AND {uuid} IS NOT NULL AND "
    )
    legacy_type, uuid_type = types[source.legacy], types[source.uuid]
    return Statements(
        by_legacy=f"{head}{legacy} = ANY($1::text[]::{legacy_type}[])",
        by_uuid=f"{head}{uuid} = ANY($1::text[]::{uuid_type}[])",
        both=f"{head}({legacy} = ANY($1::text[]::{legacy_type}[]) OR {uuid} = ANY($2::text[]::{uuid_type}[]))",
    )
