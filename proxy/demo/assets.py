"""Where the shipped configuration files are: in the checkout, or where the wheel put them."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from proxy.errors import ShadowreadError

CHECKOUT = Path(__file__).resolve().parents[2]


def config_places() -> list[Path]:
    """The folders that may hold the shipped configuration, the nearest first.

    A wheel's data files go below the prefix of the environment, or below the user's base (`pip install --user`).
    """
    prefixes = [
        Path(sys.prefix),
        Path(sysconfig.get_path("data")),
        Path(sysconfig.get_path("data", "posix_user")),
    ]
    shipped = [prefix / "share" / "shadowread" / "config" for prefix in prefixes]
    checkout = [CHECKOUT / "config"] if (CHECKOUT / "pyproject.toml").is_file() else []
    return list(dict.fromkeys(checkout + shipped))


def config_file(name: str, places: Sequence[Path] | None = None) -> Path:
    """The shipped configuration file called `name`; raises ShadowreadError that names where it was looked for."""
    looked = list(config_places() if places is None else places)
    for place in looked:
        if (place / name).is_file():
            return place / name
    where = ", ".join(str(place) for place in looked)
    raise ShadowreadError(f"{name} was not found in {where}; install shadowread again, it belongs to the package")
