"""How long work says how far it is, and how it is stopped: the two callbacks that every long function takes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

#: on_progress(fraction, text): 0 to 1 of the work is done; what is done next, in a few words
OnProgress = Callable[[float, str], None]
#: is_canceled(): asked between steps; True stops the work with `Canceled`
IsCanceled = Callable[[], bool]


def no_progress(fraction: float, text: str) -> None:
    """Show nothing."""


def never_canceled() -> bool:
    """Go on."""
    return False


#: before this many seconds of work were measured, what would take no more than `AT_ONCE_S` in all was there already
BEGINNING_S, AT_ONCE_S = 2.0, 5.0


class TimeLeft:
    """Seconds until all is done, from a running mean of the speed; None until there is one.

    The mean is over time, not over steps: two cases that end at once after a minute are two in a minute. What an
    earlier run has left is passed over at the beginning and says nothing of the speed.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._last: tuple[float, float] | None = None
        self._done = self._took = 0.0

    def __call__(self, fraction: float) -> float | None:
        now = self._clock()
        if self._last is not None and fraction > self._last[1] and now > self._last[0]:
            took, done = now - self._last[0], fraction - self._last[1]
            if self._took >= BEGINNING_S or took >= AT_ONCE_S * done:
                self._done = 0.9 * self._done + done
                self._took = 0.9 * self._took + took
        if self._last is None or fraction > self._last[1]:
            self._last = now, fraction
        seconds = (1 - fraction) * self._took / self._done if self._done else math.inf
        return seconds if math.isfinite(seconds) else None


def duration(seconds: float) -> str:
    """'40 s', '12 min', '3.5 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
