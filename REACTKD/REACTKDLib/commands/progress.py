"""Progress bar: one line that is redrawn on a terminal; in a pipe or a file nothing, or a line every minute."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from REACTKDLib.core.console import writable

WIDTH = 30
REDRAW_S = 0.1
#: seconds between two lines in a pipe or a file, such as the log of a job; shorter work is silent there
LINE_S = 60.0


class Progress:
    """Called with a fraction 0..1 and a text; leaves an empty line.

    Quiet unless `stream` is a terminal. logged: work on many cases, which writes a line every minute elsewhere too.
    """

    def __init__(self, stream: TextIO | None = None, logged: bool = False) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._shown = bool(getattr(self._stream, "isatty", lambda: False)())
        self._logged = logged and not self._shown
        self._last = time.monotonic() if self._logged else 0.0
        self.prefix = ""

    def __call__(self, fraction: float, text: str = "") -> None:
        """Draw the bar, at most ten times a second, or write a line, at most every minute."""
        now = time.monotonic()
        if self._logged and now - self._last >= LINE_S:
            self._last = now
            line = f"{100 * min(max(fraction, 0.0), 1.0):.0f} % {self.prefix}{text}".rstrip()
            self._stream.write(writable(line, self._stream) + "\n")
            self._stream.flush()
        if not self._shown or (fraction < 1 and now - self._last < REDRAW_S):
            return
        self._last = now
        done = round(WIDTH * min(max(fraction, 0.0), 1.0))
        line = f"[{'#' * done}{'.' * (WIDTH - done)}] {self.prefix}{text}"
        self._stream.write("\r\x1b[K" + writable(line[:110].rstrip(), self._stream))
        self._stream.flush()

    def say(self, text: str) -> None:
        """Write a permanent line; only on a terminal."""
        if self._shown:
            self._stream.write(f"\r\x1b[K{writable(text.rstrip(), self._stream)}\n")
            self._stream.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
