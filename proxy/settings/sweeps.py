"""What a route says of sweeping it, and the tables that tell of writes which reached one store only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, field_validator

from proxy.settings.blocks import Block
from proxy.settings.patterns import Part, Pattern
from proxy.settings.placed import Placed
from proxy.settings.provenance import Place
from proxy.settings.types import Count, Identifier, Table

EntityName = Annotated[str, Field(min_length=1, max_length=200)]


class PagesSettings(Block):
    """How the pages of a list are walked."""

    parameter: Annotated[str, Field(min_length=1, max_length=200)]
    """The query parameter that names the page."""
    first: Annotated[Count, Field(ge=0, le=10**9)] = 1
    """Its value for the first page."""
    step: Annotated[Count, Field(ge=1, le=10**6)] = 1
    """What is added for the next page; the page size where the parameter is an offset."""
    items: Place = "$.data"
    """Where the list stands in the answer; a page with none in it is the last one."""
    query: Annotated[str, Field(max_length=2_000)] = ""
    """Further query parameters as they stand in a URL, `limit=50`."""
    next: Place | None = None
    """Where the answer bears the next page's value (a cursor), absent or null on the last page. Instead of `step`."""

    @field_validator("query")
    @classmethod
    def _query(cls, text: str) -> str:
        if text.startswith(("?", "&")) or any(sign in text for sign in "# \t\r\n"):
            raise ValueError('must be query parameters such as "limit=50&sort=name", without "?", "#" and blanks')
        return text


class SweepSettings(Block):
    """What `shadowread sweep` reads of a route."""

    entities: Annotated[dict[str, EntityName], Field(max_length=8)] = Field(default_factory=dict)
    """Steps of the path with the entity of the id map that stands there: `{id: user}`. A route with one such step and
    no other `{name}` is read once for each entity. Distinct ones that were verified are counted by this name."""
    pages: PagesSettings | None = None
    """The route is a list that is read page by page."""

    def problems(self, pattern: Pattern) -> Iterator[Placed]:
        """What does not fit the route, seen from the route's block."""
        steps = {segment.text for segment in pattern.segments if segment.part is Part.PARAM}
        for name in self.entities:
            if name not in steps:
                listed = ", ".join(sorted(steps)) or "no {name} in it"
                yield Placed(("sweep", "entities", name), f'is not a step of "{pattern.text}", which has {listed}')
        if self.pages is not None and pattern.method != "GET":
            yield Placed(("sweep", "pages"), f"pages are read by GET, and this is a {pattern.method} route")


class GapSource(Block):
    """A table in which the application notes writes that reached one of the two stores only."""

    table: Table
    """The table, with its schema where it needs one."""
    id: Identifier
    """The column with the id of what was written, in either form."""
    entity: Identifier | None = None
    """The column that names the entity; without one a gap is of whatever bears the id."""
    resolved: Identifier | None = None
    """A column that is null for as long as the gap is open; without one every row is an open gap."""
