"""Progress and cancellation: the two callbacks of every long-running function, and the estimated time left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

#: on_progress(fraction, text): the fraction of the work done, 0 to 1, and a short text on what is done next
OnProgress = Callable[[float, str], None]
#: is_canceled(): checked between steps; True stops the work with `Canceled`
IsCanceled = Callable[[], bool]


def no_progress(fraction: float, text: str) -> None:
    """Ignore the progress."""


def never_canceled() -> bool:
    """Return False: continue."""
    return False


#: until `BEGINNING_S` seconds of work were measured, steps so fast that the whole would take at most `AT_ONCE_S` are
#: skipped as results of an earlier run
BEGINNING_S, AT_ONCE_S = 2.0, 5.0


class TimeLeft:
    """Estimates the remaining seconds from a running mean of the speed; None until there is one.

    The mean is over time, not over steps: two cases that finish together after a minute count as two per minute.
    Results of an earlier run are skipped at the beginning and do not count toward the speed.
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
    """Format seconds, such as '40 s', '12 min', '3.5 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
