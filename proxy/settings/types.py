"""The typed scalars of the configuration: what may be written for each, and how the mistakes are told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from comparators.paths import PathError, compile_path
from comparators.rules import RuleProblem, check_rules
from proxy.settings import units
from proxy.settings.scalars import EnvText, retyped

RULES_PROBLEM = "rules"
"""Type of the pydantic error that carries several `RuleProblem`s in its context."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Validation context of settings that come from a file. Without it (made in code) bare numbers are taken as
    seconds and bytes, and relative paths stay as they are."""

    folder: Path


@dataclass(frozen=True, slots=True)
class HostPort:
    """An address to listen on. Port 0 lets the system choose."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> HostPort:
        """From `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`; ValueError says what is wrong."""
        found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%a-z]+)\]|([^:\[\]\s/@]+)):([0-9]{1,5})", text)
        if not found:
            bare = re.fullmatch(r"[0-9]{1,5}", text)
            hint = f'; did you mean "127.0.0.1:{text}"?' if bare else ", as in 127.0.0.1:8080 or [::1]:8080"
            raise ValueError(f"must be host:port{hint}")
        port = int(found[3])
        if port > 65535:
            raise ValueError(f"port {port} is out of range; ports end at 65535")
        return cls(found[1] or found[2], port)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _from_file(info: ValidationInfo) -> Origin | None:
    return info.context if isinstance(info.context, Origin) else None


def _quantity(value: Any, info: ValidationInfo, what: str) -> Any:
    value = retyped(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"must be {what}")
    if isinstance(value, str):
        return units.parse_duration(value) if what.startswith("a duration") else units.parse_size(value)
    if value == 0 or not _from_file(info):
        return value
    unit = "s" if what.startswith("a duration") else "B"
    raise ValueError(f'needs a unit: {what}; did you mean "{value}{unit}"?')


def _duration(value: Any, info: ValidationInfo) -> Any:
    number = _quantity(value, info, "a duration such as 500ms, 5s or 2h")
    return float(number)


def _size(value: Any, info: ValidationInfo) -> Any:
    return _quantity(value, info, "a size such as 64KiB or 8MiB")


def _host_port(value: Any) -> HostPort:
    if isinstance(value, HostPort):
        return value
    if isinstance(value, str | int) and not isinstance(value, bool):
        return HostPort.parse(str(value))
    raise ValueError("must be host:port")


def _origin_url(text: str) -> str:
    """A backend's address: scheme, host and port alone. What else might be written there would not be used."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("must be a URL such as http://127.0.0.1:5001")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or password: the caller's own credentials are passed on")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        name = f"[{host}]" if ":" in host else host
        bare = f"{parts.scheme}://{name}" + (f":{port}" if port else "")
        raise ValueError(f'must end after the host and port, paths are passed on as they come; did you mean "{bare}"?')
    if re.search(r"[\s\\]", text) or port == 0:
        raise ValueError("must be a URL such as http://127.0.0.1:5001")
    return text.rstrip("/")


def _trace_link(text: str) -> str:
    """The address of a trace: a web address, since a browser follows it, with one place for the trace's id."""
    if text.count("{trace_id}") != 1 or "{" in text.replace("{trace_id}", ""):
        raise ValueError("must have {trace_id} in it once, such as https://tempo.example/trace/{trace_id}")
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ValueError(f"is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\s\\\"'<>]", text):
        raise ValueError("must be a URL such as https://tempo.example/trace/{trace_id}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or password: it is shown")
    return text


def _ledger_url(text: str) -> str:
    if re.match(r"postgres(ql)?://", text):
        return _plain_dsn(text)
    if not text.startswith("sqlite:///") or text == "sqlite:///":
        raise ValueError(
            "must be an SQLite file such as sqlite:///shadowread.db (relative) or sqlite:////var/lib/shadowread.db, "
            "or a Postgres database such as postgresql://shadowread@127.0.0.1:5432/shadowread"
        )
    return text


_HOST = r"(?:\[[^\[\]@/?#]*\]|[^:@,/?#\[\]]*)(?::[0-9]*)?"
_DSN = re.compile(
    r"postgres(?:ql)?://(?:[^@/?#]*@)?"  # user and password
    rf"{_HOST}(?:,{_HOST})*"
    r"(?:/[^@?#]*)?(?:\?(?:[^=&#]+=[^&#]*(?:&|$))*)?"  # database and parameters
)


def _dsn(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if text and not re.match(r"postgres(ql)?://", text):
        raise ValueError("must be a DSN such as postgresql://user:password@127.0.0.1:5432/marketplace")
    if text:
        _plain_dsn(text)
    return secret


def _plain_dsn(text: str) -> str:
    # What does not fit would be read as a host or a port, and quoted in errors that are stored and shown.
    if not _DSN.fullmatch(text):
        raise ValueError(
            "cannot be told apart into user, password, host and port; "
            "write @ / ? # % in a password as %40 %2F %3F %23 %25"
        )
    return text


def _mongo_url(secret: SecretStr) -> SecretStr:
    if not re.match(r"mongodb(\+srv)?://[^\s/]", secret.get_secret_value()):
        raise ValueError("must be a connection string such as mongodb://127.0.0.1:27017")
    return secret


def _database(text: str) -> str:
    if not re.fullmatch(r'[^/\\. "$*<>:|?\x00]{1,63}', text):
        raise ValueError("must be the name of a database: at most 63 signs, without blanks, dots, slashes and $")
    return text


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


def _json_path(text: str) -> str:
    try:
        compile_path(text)
    except PathError as error:
        hint = f'; did you mean "$..{text.lstrip(".")}"?' if text and not text.startswith("$") else ""
        raise ValueError(f"{error}{hint}") from None
    return text


def _rules(value: Any) -> Any:
    """A `compare:` block, checked by the comparators themselves."""
    block = retyped({} if value is None else value)
    if not isinstance(block, Mapping):
        raise PydanticCustomError("dict_type", "must be a mapping")
    problems: list[RuleProblem] = check_rules(block)
    if problems:
        raise PydanticCustomError(RULES_PROBLEM, "rules cannot be used", {"problems": problems})
    return dict(block)


def _path(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str | Path):
        return value
    if not str(value):
        raise ValueError("must name a file")
    origin = _from_file(info)
    return origin.folder / value if origin else Path(value)


def _identifier(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]{0,62}", text):
        raise ValueError("must be a plain SQL name: letters, digits and _, not starting with a digit")
    return text


def _table(text: str) -> str:
    schema, dot, table = text.rpartition(".")
    if dot:
        _identifier(schema)
    _identifier(table)
    return text


def _flag_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", text):
        raise ValueError("must be the name of an environment variable, as in REPO_USER")
    return text


def _domain_name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,63}", text):
        raise ValueError("must be a domain name: small letters, digits, _ and -, starting with a letter")
    return text


_ENV = {"type": "string", "pattern": r"^\$\{.+\}$"}


def _or_env(schema: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [schema, _ENV]})


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(units.format_duration, when_used="json"),
    _or_env({"type": ["string", "integer"], "pattern": units.DURATION_PATTERN, "maximum": 0, "minimum": 0}),
]
"""Seconds."""
Size = Annotated[
    int,
    BeforeValidator(_size),
    PlainSerializer(units.format_size, when_used="json"),
    _or_env({"type": ["string", "integer"], "pattern": units.SIZE_PATTERN, "maximum": 0, "minimum": 0}),
]
"""Bytes."""


def _number(value: Any) -> Any:
    return retyped(value) if isinstance(value, EnvText) else value


Count = Annotated[int, BeforeValidator(_number), _or_env({"type": "integer"})]
Fraction = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1), _or_env({"type": "number"})]
Factor = Annotated[float, BeforeValidator(_number), Field(ge=1, le=100), _or_env({"type": "number"})]
Switch = Annotated[bool, BeforeValidator(_number), _or_env({"type": "boolean"})]
Address = Annotated[
    HostPort,
    BeforeValidator(_host_port),
    PlainSerializer(str, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["127.0.0.1:8080"]}),
]
OriginUrl = Annotated[str, AfterValidator(_origin_url)]
OptionalUrl = Annotated[OriginUrl | None, BeforeValidator(_empty_is_none)]
_LinkText = Annotated[str, Field(max_length=2_000), AfterValidator(_trace_link)]
OptionalTraceLink = Annotated[_LinkText | None, BeforeValidator(_empty_is_none)]
LedgerUrl = Annotated[str, AfterValidator(_ledger_url)]
Dsn = Annotated[SecretStr, AfterValidator(_dsn)]
MongoUrl = Annotated[SecretStr, AfterValidator(_mongo_url)]
MongoDatabase = Annotated[str, AfterValidator(_database)]
JsonPath = Annotated[str, AfterValidator(_json_path)]
RuleBlock = Annotated[
    dict[str, Any],
    BeforeValidator(_rules),
    WithJsonSchema({"type": "object", "title": "Rules of the comparison"}),
]
FilePath = Annotated[Path, BeforeValidator(_path), PlainSerializer(str, when_used="json")]
Identifier = Annotated[str, AfterValidator(_identifier)]
Table = Annotated[str, AfterValidator(_table)]
FlagName = Annotated[str, AfterValidator(_flag_name)]
DomainName = Annotated[str, AfterValidator(_domain_name)]
Line = Annotated[str, Field(min_length=1, max_length=1000)]
"""A non-empty text for people."""
