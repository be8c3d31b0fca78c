"""The typed configuration as a whole.

Every key of a file is a field here or in `blocks` and nothing else is accepted: a key that did nothing would be a lie.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from proxy.model import Side
from proxy.settings.blocks import (
    AdminSettings,
    Block,
    BreakerSettings,
    ColumnSource,
    ExamineSettings,
    FileSource,
    FindingsSettings,
    GateOverride,
    GateSettings,
    IdSource,
    IdsSettings,
    LedgerSettings,
    LimitsSettings,
    MongoSettings,
    NamedSource,
    PostgresSettings,
    PrimarySettings,
    SettleSettings,
    ShadowSettings,
)
from proxy.settings.patterns import READS, Part, parse_route
from proxy.settings.placed import Placed, refuse
from proxy.settings.provenance import DomainProvenanceSettings, ProvenanceSettings
from proxy.settings.readers import MongoReaderSettings, PostgresReaderSettings, ReaderSettings
from proxy.settings.routes import Claim, Router
from proxy.settings.sweeps import GapSource, SweepSettings
from proxy.settings.types import (
    Address,
    DomainName,
    Duration,
    FilePath,
    FlagName,
    Fraction,
    HostPort,
    JsonPath,
    Line,
    Origin,
    RuleBlock,
    Switch,
    Table,
)

__all__ = [
    "AdminSettings",
    "BreakerSettings",
    "ColumnSource",
    "DomainSettings",
    "ExamineSettings",
    "FileSource",
    "FindingsSettings",
    "GapSource",
    "GateOverride",
    "GateSettings",
    "HostPort",
    "IdSource",
    "IdsSettings",
    "LedgerSettings",
    "LimitsSettings",
    "MongoSettings",
    "NamedSource",
    "PostgresSettings",
    "PrimarySettings",
    "ReaderSettings",
    "RouteSettings",
    "Settings",
    "SettleSettings",
    "ShadowSettings",
    "SweepSettings",
]

MAX_ROUTES = 2_000
DIRECT = READS | {"POST", "QUERY"}
"""Methods of requests that a store can be asked instead of the backend."""


class RouteSettings(Block):
    """A route of a domain. A plain text stands for a mapping with `route` alone."""

    route: str
    """A method and a path: `{name}` is one step, `**` at the end is one or more."""
    safe: Switch = False
    """Says that a route that is neither GET nor HEAD only reads and may be repeated."""
    compare: RuleBlock = Field(default_factory=dict)
    """Rules of this route alone; they win over the domain's."""
    sampling: Fraction | None = None
    """Share of exchanges that is shadowed; the domain's where not given."""
    primary: ReaderSettings | None = None
    """Who answers the client; the backend at `primary.url` where not given."""
    shadow: ReaderSettings | None = None
    """Who is verified; the backend at `shadow.url` where not given."""
    sweep: SweepSettings = SweepSettings()

    @field_validator("route")
    @classmethod
    def _routable(cls, text: str) -> str:
        return parse_route(text).text

    @model_validator(mode="after")
    def _reads_only(self) -> RouteSettings:
        method = self.route.partition(" ")[0]
        if method not in READS and not self.safe:
            raise ValueError(
                f'"{self.route}" may write, and a shadow read would repeat it; write '
                f'{{route: "{self.route}", safe: true}} if it only reads, or remove it'
            )
        return self

    @model_validator(mode="after")
    def _answerable(self) -> RouteSettings:
        refuse(self._problems())
        return self

    def reader(self, side: Side) -> PostgresReaderSettings | MongoReaderSettings | None:
        """The store that is read for `side`; None where its backend is asked."""
        reader = self.primary if side is Side.PRIMARY else self.shadow
        return reader.direct if reader else None

    def _problems(self) -> Iterator[Placed]:
        pattern = parse_route(self.route)
        yield from self.sweep.problems(pattern)
        names = {"**" if each.part is Part.REST else each.text for each in pattern.segments if each.part}
        for side in Side:
            reader = self.reader(side)
            if reader is None:
                continue
            if pattern.method not in DIRECT:
                text = f"a store answers GET and HEAD, and POST and QUERY when safe, but not {pattern.method}"
                yield Placed((side.value,), text)
            for key, parameter in reader.parameters():
                source, _, name = parameter.source.partition(".")
                if source == "path" and name not in names:
                    listed = ", ".join(f"path.{each}" for each in sorted(names)) or "no {name} in it"
                    text = f'{parameter.source} is not a step of "{self.route}", which has {listed}'
                    yield Placed((side.value, reader.kind, *key), text)
        if self.reader(Side.PRIMARY) is not None and self.reader(Side.PRIMARY) == self.reader(Side.SHADOW):
            yield Placed(("shadow",), "reads the same as primary, so a zero would prove nothing")


def _route_mapping(value: Any) -> Any:
    return {"route": value} if isinstance(value, str) else value


class DomainSettings(Block):
    """A set of routes whose reads flip together."""

    stage: Literal["off", "shadow"] = "shadow"
    """`shadow` verifies the domain; `off` passes its requests through unverified."""
    flags: dict[FlagName, str] = Field(default_factory=dict)
    """The backend's flags that flip the domain's reads, with the values that do so; shown when its gate opens."""
    tables: list[Table] = Field(default_factory=list)
    """The Postgres tables that hold the domain."""
    provenance: DomainProvenanceSettings = DomainProvenanceSettings()
    """What proves that the two sides read different stores."""
    blockers: list[Line] = Field(default_factory=list)
    """Reasons why the domain must not flip whatever the figures say; each keeps the gate closed."""
    rollback_plan: FilePath | None = None
    """File with the way back, relative to the configuration's folder; without one the gate stays closed."""
    sampling: Fraction | None = None
    """Share of exchanges that is shadowed; the global one where not given."""
    translate_ids: Literal["uuid", "legacy"] = "uuid"
    """Which ids the shadow is asked with under `shadow.translate_ids`; `legacy` where the primary is Postgres."""
    compare: RuleBlock = Field(default_factory=dict)
    """Rules of this domain; they win over the global ones."""
    gate: GateOverride = GateOverride()
    """Limits of this domain's gate; the global ones where not given."""
    routes: list[Annotated[RouteSettings, BeforeValidator(_route_mapping)]] = Field(default_factory=list)
    """The domain's reads."""


class Settings(Block):
    """The whole configuration."""

    listen: Address = HostPort("127.0.0.1", 8080)
    """Address that clients talk to."""
    admin: AdminSettings = AdminSettings()
    primary: PrimarySettings = PrimarySettings()
    shadow: ShadowSettings = ShadowSettings()
    postgres: PostgresSettings | None = None
    mongo: MongoSettings | None = None
    ids: IdsSettings = IdsSettings()
    ledger: LedgerSettings = LedgerSettings()
    sampling: Fraction = 1.0
    """Share of exchanges that is shadowed, 0 to 1; the rest counts as `skipped:not_sampled`."""
    settle: SettleSettings = SettleSettings()
    limits: LimitsSettings = LimitsSettings()
    findings: FindingsSettings = FindingsSettings()
    redact: Annotated[list[JsonPath], Field(max_length=1_000)] = Field(default_factory=list)
    """JSON paths whose values are hidden in everything that is stored or shown, beside what is hidden by itself."""
    redact_keep: Annotated[list[JsonPath], Field(max_length=1_000)] = Field(default_factory=list)
    """JSON paths whose values are shown although their names are those of secrets."""
    gaps: Annotated[list[GapSource], Field(max_length=100)] = Field(default_factory=list)
    """Tables that tell of writes which reached one store only; a diff that they explain is marked, and still a diff."""
    compare: RuleBlock = Field(default_factory=dict)
    """Rules of the comparison for every domain."""
    gate: GateSettings = GateSettings()
    provenance: ProvenanceSettings = ProvenanceSettings()
    examine: ExamineSettings = ExamineSettings()
    drain: Annotated[Duration, Field(ge=0, le=3600)] = 10.0
    """How long exchanges under way may take to end when the proxy stops."""
    domains: dict[DomainName, DomainSettings] = Field(default_factory=dict)
    """The domains by name."""

    _config_dir: Path = PrivateAttr(default=Path())

    @field_validator("postgres", "mongo", mode="before")
    @classmethod
    def _empty_address(cls, value: Any, info: ValidationInfo) -> Any:
        """An empty address (an unset variable) is no server at all."""
        key, block = ("dsn", PostgresSettings) if info.field_name == "postgres" else ("url", MongoSettings)
        known = isinstance(value, dict) and value.keys() <= block.model_fields.keys()
        return None if known and value.get(key) == "" else value

    def model_post_init(self, context: Any) -> None:
        if isinstance(context, Origin):
            self._config_dir = context.folder

    @property
    def config_dir(self) -> Path:
        """The folder that relative paths of the configuration start from."""
        return self._config_dir

    def claims(self) -> list[Claim]:
        """Every route of every domain, whatever its stage."""
        return [
            Claim.of(name, route.route, f"route {number + 1}")
            for name, domain in self.domains.items()
            for number, route in enumerate(domain.routes)
        ]

    def router(self) -> Router:
        """The router over all domains. Raises RouteError where two routes claim the same request."""
        return Router(self.claims())

    def route_of(self, domain: str, route: str) -> RouteSettings:
        """The route written as `route` in `domain`; KeyError when there is none."""
        for candidate in self.domains[domain].routes:
            if candidate.route == route:
                return candidate
        raise KeyError(f"{domain}: {route}")

    def compare_layers(self, domain: str, route: str) -> list[dict[str, Any]]:
        """The `compare:` blocks of a route, farthest first: for all, per domain, per route."""
        return [self.compare, self.domains[domain].compare, self.route_of(domain, route).compare]

    def sampling_of(self, domain: str, route: str) -> float:
        """The share of a route's exchanges to be shadowed: the nearest one given."""
        for value in (self.route_of(domain, route).sampling, self.domains[domain].sampling):
            if value is not None:
                return value
        return self.sampling

    def gate_of(self, domain: str) -> GateSettings:
        """The limits of a domain's gate: its own over the global ones."""
        return self.gate.model_copy(update=self.domains[domain].gate.model_dump(exclude_none=True))
