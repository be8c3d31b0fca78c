"""Parameters as a configuration writes them, without its checks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

from proxy.direct.parameters import Parameter, Source


def parameter_of(spec: Any) -> Parameter:
    """The parameter that `path.id` or `{from: query.limit, type: int, ...}` describes."""
    if isinstance(spec, str):
        spec = {"from": spec}
    source, _, name = spec["from"].partition(".")
    return Parameter(
        source=cast(Source, source),
        name=name.lower() if source == "header" else name,
        type=spec.get("type", "auto"),
        default=spec.get("default"),
        minimum=Decimal(str(spec["min"])) if "min" in spec else None,
        maximum=Decimal(str(spec["max"])) if "max" in spec else None,
        choices=tuple(spec.get("choices", ())),
        is_list=spec.get("list", False),
        entity=spec.get("entity"),
        has_default="default" in spec,
    )
