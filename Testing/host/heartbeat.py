"""Measures how long the main thread was blocked, by a timer that should fire every few milliseconds.

with Heartbeat() as heart:
    user.click("gradeButton")
    user.wait_until(...)
assert heart.longest_s < 0.1
"""

from __future__ import annotations

import time
from typing import Any

from PySide6.QtCore import QTimer

BEAT_MS = 5


class Heartbeat:
    """longest_s: the longest time between two beats. silences: all gaps above 50 ms, in seconds, in order."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.beats = 0
        self.silences: list[float] = []
        self._last = 0.0
        self._timer = QTimer()
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self._beat)

    def _beat(self) -> None:
        now = time.monotonic()
        gap, self._last = now - self._last, now
        self.beats += 1
        self.longest_s = max(self.longest_s, gap)
        if gap > 0.05:
            self.silences.append(gap)

    def __enter__(self) -> Heartbeat:
        self._last = time.monotonic()
        self._timer.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._beat()  # ends the current gap
        self._timer.stop()
