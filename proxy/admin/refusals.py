"""What can be wrong with a request that changes something."""

from __future__ import annotations

from http import HTTPStatus

from proxy.admin.desk import Refused


class RefusedError(Exception):
    """A change that was asked for and is not made. `refused` says why, for the form it came from."""

    def __init__(self, refused: Refused, status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY) -> None:
        super().__init__(refused.text)
        self.refused = refused
        self.status = status
