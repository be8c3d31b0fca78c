"""Log lines, as text or as one JSON object each, with the trace of the exchange that they are about.

No line of ours holds what a client sent or a side answered. What libraries and exceptions say goes through `scrubbed`,
and libraries speak from `info` on only: at `debug` drivers print statements with their values.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from textwrap import indent
from typing import IO, Literal

from proxy.telemetry.place import PLACE, Place

LogFormat = Literal["text", "json"]

OWN = "proxy"
MAX_LINE = 32 * 1024
_HIDDEN = "[redacted]"
_NAMES = r"token|secret|passw(?:or)?d|passwd|pwd|api[_-]?key|apikey|signature|sig|session|auth|credential|jwt|code"
_SURE = r"token|secret|passw(?:or)?d|pwd|api[_-]?key|credential|jwt"
_QUOTED = r"""(?:"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*')"""
_VALUE = rf"""(?:{_QUOTED}|[^\s'"&,;]+)"""
_SECRETS = (
    # user:password@ in a URL, up to the last @, for passwords hold all sorts of signs; schemes and users are short, so
    # that a long line takes no longer.
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://)[^\s'\"]{0,256}@", re.IGNORECASE), rf"\1{_HIDDEN}@"),
    (re.compile(r"\b(bearer|basic|digest)\s+(?=[^\s'\"]{0,64}[0-9=._-])[^\s'\",]{6,}", re.IGNORECASE),
     rf"\1 {_HIDDEN}"),
    (re.compile(r"\beyJ[\w-]{4,}\.[\w-]{2,}\.[\w-]*"), _HIDDEN),
    (re.compile(rf"([?&;][\w.\[\]%-]{{0,40}}(?:{_NAMES})[\w.\[\]%-]{{0,40}}=)[^&\s'\"]+", re.IGNORECASE),
     rf"\1{_HIDDEN}"),
    (re.compile(r"\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)(['\"]?\s*[:,]\s*)[^\r\n]+", re.IGNORECASE),
     rf"\1\2{_HIDDEN}"),
    # password='...' as in connection strings, "token": "..." as in JSON.
    (re.compile(rf"((?:{_SURE})[\w.\[\]-]{{0,40}}(?:=|%3d)){_VALUE}", re.IGNORECASE), rf"\1{_HIDDEN}"),
    (re.compile(rf"(['\"][\w.-]{{0,40}}(?:{_SURE})[\w.-]{{0,40}}['\"]\s{{0,8}}:\s{{0,8}}){_QUOTED}", re.IGNORECASE),
     rf"\1{_HIDDEN}"),
    (re.compile(r"\[parameters: [^\r\n]*"), f"[parameters: {_HIDDEN}]"),
)  # fmt: skip
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x09} | {
    code: f"\\u{code:04x}" for code in (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}


_BLOCK = {code: shown for code, shown in _CONTROLS.items() if code != 0x0A}


def scrubbed(text: str) -> str:
    """`text` without what looks like a credential, wherever it came from."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def path_shape(target: str) -> str:
    """A request target as a log line may have it: the first step of the path, and how many follow."""
    path = target.partition("?")[0].partition("#")[0]
    steps = [step for step in path.split("/") if step]
    if not steps:
        return "/"
    first = steps[0] if re.fullmatch(r"[a-z][a-z0-9_-]{0,15}", steps[0]) else "*"
    return "/".join(["", first, *["*"] * min(len(steps) - 1, 8)])


class TextFormatter(logging.Formatter):
    """`time LEVEL logger: message`, with ` trace=ID` where the line belongs to an exchange of a trace."""

    def format(self, record: logging.LogRecord) -> str:
        place = PLACE.get()
        at = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        message = _message(record).translate(_CONTROLS)
        trace = f" trace={place.trace_id}" if place and place.trace_id else ""
        line = f"{at},{int(record.msecs):03d} {record.levelname} {record.name}: {message}{trace}"
        told = _exception(self, record)
        # Indented, so that no line of it can pass for one of the log's own.
        return f"{line}\n{indent(told.translate(_BLOCK), '    ', bool)}" if told else line


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message, and where known domain, route, trace_id, span_id, exception."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            **_known(PLACE.get()),
        }
        if told := _exception(self, record):
            line["exception"] = told
        return json.dumps(line)


def start_logging(kind: LogFormat, *, verbose: bool, stream: IO[str]) -> None:
    """Log to `stream`. `verbose` is about the lines of the proxy alone: see above."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if kind == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # What the interpreter would print by itself is no JSON.
    logging.captureWarnings(capture=True)
    # It tells of each of its own plugins at every start; that a ledger is migrated stays told.
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    logging.getLogger(OWN).setLevel(logging.DEBUG if verbose else logging.INFO)


def _known(place: Place | None) -> dict[str, str]:
    if place is None:
        return {}
    known = {"domain": place.domain, "route": place.route, "trace_id": place.trace_id, "span_id": place.span_id}
    return {name: value for name, value in known.items() if value}


def _message(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except Exception as error:  # noqa: BLE001 - a line with the wrong arguments must not stop what it is about
        said = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        message = f"{said} (its arguments do not fit: {type(error).__name__})"
    return scrubbed(_short(message))


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    told = formatter.formatException(record.exc_info) if record.exc_info else record.exc_text or ""
    return scrubbed(_short(told))


def _short(text: str) -> str:
    # Of an exception the end says most.
    half = MAX_LINE // 2
    return text if len(text) <= MAX_LINE else f"{text[:half]} [...] {text[-half:]}"
