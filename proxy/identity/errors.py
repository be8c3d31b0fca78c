"""What goes wrong with the id map."""

from __future__ import annotations

from proxy.errors import ShadowreadError


class IdentityError(ShadowreadError):
    """The id map could not be asked, so it is not known whether two ids are joined."""
