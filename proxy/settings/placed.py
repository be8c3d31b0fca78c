"""Problems that a check finds at places below the value it looks at, carried to the reader through pydantic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic_core import PydanticCustomError

from proxy.settings.document import Key

PLACED_PROBLEMS = "placed"
"""Type of the pydantic error that carries several `Placed` in its context."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One problem. `key` starts from the value that was looked at."""

    key: Key
    text: str

    def below(self, *key: str | int) -> Placed:
        """The same problem, seen from further up."""
        return Placed((*key, *self.key), self.text)


def refuse(problems: Iterable[Placed]) -> None:
    """Raise what pydantic passes on to `explain`, if there is any problem."""
    if found := list(problems):
        text = "; ".join(problem.text for problem in found).replace("{", "{{").replace("}", "}}")
        raise PydanticCustomError(PLACED_PROBLEMS, text, {"problems": found})
