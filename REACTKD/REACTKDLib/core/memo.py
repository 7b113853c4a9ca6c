"""A cache of values computed from regions, so that after an edit only those of changed regions are computed again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Memo:
    """Results by key. Beyond `size` entries, the least recently used are dropped.

    A key must contain everything that the result depends on, except what is constant for the owner of the cache.
    """

    def __init__(self, size: int = 512):
        self._size = size
        self._known: OrderedDict[Hashable, Any] = OrderedDict()

    def of(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the cached result for this key, or call `make` to compute it."""
        if key not in self._known:
            self._known[key] = make()
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]
