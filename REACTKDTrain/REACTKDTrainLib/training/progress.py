"""Telling how far a run is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Now:
    """fraction: of the whole run, 0 to 1. stage: what is done. loss: the last one. seconds_left: None at first."""

    fraction: float
    stage: str
    loss: float | None = None
    seconds_left: float | None = None


Report = Callable[[Now], None]


def silent(_: Now) -> None:
    """Nobody watches."""


class Plan:
    """A run as parts with weights (their expected cost); turns progress inside a part into that of the whole.

    A part that was not announced counts nothing.
    """

    def __init__(self, parts: dict[str, float], report: Report = silent):
        total = sum(parts.values()) or 1.0
        self._share = {name: weight / total for name, weight in parts.items()}
        self._report = report
        self._done: dict[str, float] = {}
        self._highest = 0.0
        self._last: tuple[float, float] | None = None
        self._speed: float | None = None

    def tell(self, part: str, fraction: float, stage: str, loss: float | None = None) -> None:
        """Report `fraction` of a part; the whole never goes back."""
        self._done[part] = min(max(fraction, self._done.get(part, 0.0)), 1.0)
        whole = min(sum(self._share.get(p, 0.0) * f for p, f in self._done.items()), 1.0)
        now = time.monotonic()
        if self._last is not None and whole > self._last[1] and now > self._last[0]:
            speed = (whole - self._last[1]) / (now - self._last[0])
            self._speed = speed if self._speed is None else 0.9 * self._speed + 0.1 * speed
        if self._last is None or whole > self._last[1]:
            self._last = now, whole
        self._highest = max(self._highest, whole)
        left = (1 - whole) / self._speed if self._speed else None
        self._report(Now(self._highest, stage, loss, left))

    def skip(self, part: str) -> None:
        """A part that was finished by an earlier run."""
        self._done[part] = 1.0
