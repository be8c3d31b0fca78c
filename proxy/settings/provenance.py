"""Provenance: what proves that each side reads the store it is said to read."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from comparators.paths import compile_path
from proxy.settings.blocks import Block
from proxy.settings.types import Count, Dsn, Duration, Identifier, JsonPath, Switch, Table

LONGEST_EXPECTED = 200


def _one_place(text: str) -> str:
    """A path that names one place: a value that is looked up there has to be the only one."""
    if any(step.sort not in ("name", "index") for step in compile_path(text).steps):
        raise ValueError("must name one place; *, [*] and .. may stand for several")
    return text


def _request_path(text: str) -> str:
    if not text.startswith("/") or text.startswith("//") or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be a path such as /api/health")
    return text


def _scalar(value: Any) -> Any:
    if not isinstance(value, str | bool | int | float):
        raise ValueError("must be one text, number or flag")
    if isinstance(value, str) and len(value) > LONGEST_EXPECTED:
        raise ValueError(f"must be {LONGEST_EXPECTED} characters at most")
    return value


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


Place: TypeAlias = Annotated[JsonPath, AfterValidator(_one_place)]
HealthPath: TypeAlias = Annotated[str, Field(max_length=2_000), AfterValidator(_request_path)]
Expected: TypeAlias = Annotated[str | bool | int | float, BeforeValidator(_scalar)]


class ProvenanceSettings(Block):
    """How it is proved that the sides read different stores; which checks a gate asks for is `gate.provenance`."""

    health: HealthPath = "/api/health"
    """Path of the document in which a backend says what it is and which stores it reads."""
    version: Place = "$.version"
    """Where the document names the backend's version; when it changes, evidence begins anew."""
    every: Annotated[Duration, Field(ge=0.05, le=3600)] = 10.0
    """How often the documents are read."""
    rescan: Annotated[Duration, Field(ge=1, le=86400)] = 600.0
    """How often Postgres' scan counters are held against shadow reads."""
    reads: Annotated[Count, Field(ge=4, le=10_000)] = 40
    """Shadow reads that are made for one look at the counters."""
    control: Annotated[Duration, Field(ge=0.05, le=60)] = 2.0
    """How long the counters are watched without shadow reads first, 1.25 s at least; nothing is verified meanwhile."""
    canary_dsn: Annotated[Dsn | None, BeforeValidator(_empty_is_none)] = None
    """Connection string of an account that may update the columns of canaries; `postgres.dsn` is never used."""


class ReportSettings(Block):
    """What a backend's health document says of one domain."""

    path: Place
    """Where the document names the store that the domain is read from."""
    expect: Expected
    """The value that has to stand there."""
    health: HealthPath | None = None
    """The document of this domain; the one of all domains where not given."""


class CanarySettings(Block):
    """A field that `prove --canary` may change in Postgres for a moment."""

    table: Table
    """The table, with its schema where it needs one."""
    key: Identifier
    """The column that names a row: the uuid, or the legacy id."""
    column: Identifier
    """A harmless column that a response shows; text, number, boolean, date or timestamp."""
    entity: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The entity of the rows in the id map; any where not given."""


class DomainProvenanceSettings(Block):
    """What proves that one domain's sides read different stores."""

    primary: ReportSettings | None = None
    """What the primary has to say."""
    shadow: ReportSettings | None = None
    """What the shadow has to say."""
    scans: Switch = True
    """Whether Postgres is asked if it saw the shadow's reads (needs `tables` and `postgres.dsn`)."""
    canary: CanarySettings | None = None
    """What may be changed for the strongest proof."""

    @field_validator("canary")
    @classmethod
    def _no_key(cls, canary: CanarySettings | None) -> CanarySettings | None:
        if canary is not None and canary.key == canary.column:
            raise ValueError("column is the key itself; name a harmless column")
        return canary
