"""The typed configuration: read, checked and explained. `load_settings` is the way in."""

from __future__ import annotations

from proxy.settings.blocks import (
    AdminSettings,
    BreakerSettings,
    ColumnSource,
    ExamineSettings,
    FileSource,
    FindingsSettings,
    GateOverride,
    GateSettings,
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
from proxy.settings.load import load_rules, load_settings
from proxy.settings.model import DomainSettings, RouteSettings, Settings
from proxy.settings.plans import reader_plan, reader_plans
from proxy.settings.provenance import (
    CanarySettings,
    DomainProvenanceSettings,
    ProvenanceSettings,
    ReportSettings,
)
from proxy.settings.readers import MongoReaderSettings, PostgresReaderSettings, ReaderSettings
from proxy.settings.routes import Claim, RouteMatch, Router
from proxy.settings.show import json_schema, show
from proxy.settings.types import HostPort

__all__ = [
    "AdminSettings",
    "BreakerSettings",
    "CanarySettings",
    "Claim",
    "ColumnSource",
    "DomainProvenanceSettings",
    "DomainSettings",
    "ExamineSettings",
    "FileSource",
    "FindingsSettings",
    "GateOverride",
    "GateSettings",
    "HostPort",
    "IdsSettings",
    "LedgerSettings",
    "LimitsSettings",
    "MongoReaderSettings",
    "MongoSettings",
    "NamedSource",
    "PostgresReaderSettings",
    "PostgresSettings",
    "PrimarySettings",
    "ProvenanceSettings",
    "ReaderSettings",
    "ReportSettings",
    "RouteMatch",
    "RouteSettings",
    "Router",
    "Settings",
    "SettleSettings",
    "ShadowSettings",
    "json_schema",
    "load_rules",
    "load_settings",
    "reader_plan",
    "reader_plans",
    "show",
]
