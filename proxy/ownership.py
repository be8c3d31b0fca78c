"""Refuses to run in an environment where another distribution has a top-level `proxy` or `comparators` of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import packages_distributions

from proxy.errors import ShadowreadError

DISTRIBUTION = "shadowread"
PACKAGES = ("proxy", "comparators")


def check_ownership(owners: Mapping[str, Iterable[str]] | None = None) -> None:
    """Raise ShadowreadError when another installed distribution ships one of our top-level packages.

    Installers overwrite files of the same name in silence, so the code that runs could be a mixture of the two.
    `owners` maps a top-level package to its distributions; by default what is installed is asked.
    """
    installed = packages_distributions() if owners is None else owners
    for package in PACKAGES:
        others = sorted({name for name in installed.get(package, ()) if name.lower() != DISTRIBUTION})
        if others:
            raise ShadowreadError(
                f"the package `{package}` of this environment also belongs to {', '.join(others)}, and one may have "
                f"overwritten the other; install shadowread into a virtual environment of its own"
            )
