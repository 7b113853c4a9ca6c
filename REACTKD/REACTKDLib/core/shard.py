"""One of N parts of some work, as for the tasks of a job array."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.text import tr as _

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 1) of `of` parts.

    Example:
        >>> Shard.from_text("2/3").part(["a", "b", "c", "d", "e"])
        ['b', 'e']
    """

    number: int = 1
    of: int = 1

    @classmethod
    def from_text(cls, text: str) -> Shard:
        """Parse text such as '2/8'. Raises: UsageError."""
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise UsageError(
                _("The shard {text} does not exist; write I/N with I from 1 to N, such as 2/8."),
                text=repr(text),
            )
        return cls(int(found[1]), int(found[2]))

    def part(self, items: Sequence[Item]) -> list[Item]:
        """Return every N-th item; each item is in exactly one of the N parts."""
        return list(items[self.number - 1 :: self.of])

    def first(self, items: Sequence[Item]) -> list[Item]:
        """Return all items, those of this part first and then the other parts in turn, for work in which a process that
        has finished its part helps with the others.
        """
        turns = [(self.number - 1 + n) % self.of for n in range(self.of)]
        return [item for turn in turns for item in items[turn :: self.of]]


WHOLE = Shard()
