"""A request as the parameters of a direct read see it."""

from __future__ import annotations

from proxy.direct.parameters import Asked, query_of
from proxy.model import ReadRequest
from proxy.settings.patterns import Part, Pattern, path_segments


def asked_of(request: ReadRequest, pattern: Pattern) -> Asked:
    """The values that `request` gives to the names of `pattern`, its query and header fields. Raises ParameterError."""
    segments = path_segments(request.target) or []
    path = {
        segment.text: value
        for segment, value in zip(pattern.segments, segments, strict=False)
        if segment.part is Part.PARAM
    }
    return Asked(path, query_of(request.target), request.headers)
