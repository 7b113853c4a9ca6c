"""What was computed of regions, kept by what they are: after an edit only regions that changed are computed again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Memo:
    """Results by key; beyond `size` of them, those that were asked for longest ago are forgotten.

    A key must hold everything that the result depends on, but for what the memo's owner keeps constant.
    """

    def __init__(self, size: int = 512):
        self._size = size
        self._known: OrderedDict[Hashable, Any] = OrderedDict()

    def of(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` returned for this key, calling it the first time."""
        if key not in self._known:
            self._known[key] = make()
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]
