"""Progress bar: one line that is redrawn on a terminal; nothing in a pipe."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from REACTKDLib.core.console import writable

WIDTH = 30
REDRAW_S = 0.1


class Progress:
    """Called with a fraction 0..1 and a text; leaves an empty line. Quiet unless `stream` is a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._shown = bool(getattr(self._stream, "isatty", lambda: False)())
        self._last = 0.0
        self.prefix = ""

    def __call__(self, fraction: float, text: str = "") -> None:
        """Draw the bar, at most ten times a second."""
        now = time.monotonic()
        if not self._shown or (fraction < 1 and now - self._last < REDRAW_S):
            return
        self._last = now
        done = round(WIDTH * min(max(fraction, 0.0), 1.0))
        line = f"[{'#' * done}{'.' * (WIDTH - done)}] {self.prefix}{text}".rstrip()
        self._stream.write("\r\x1b[K" + writable(line[:110], self._stream))
        self._stream.flush()

    def say(self, text: str) -> None:
        """Write a permanent line; only on a terminal."""
        if self._shown:
            self._stream.write(f"\r\x1b[K{writable(text, self._stream)}\n")
            self._stream.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
