"""Telling how far a run is on standard output: to Slicer, to a person at a terminal, or to a file."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from typing import TextIO

from REACTKDTrainLib.training.progress import Now

#: style -> seconds between two reports, at first and after hours
PACE = {"slicer": (0.5, 30.0), "terminal": (0.2, 0.2), "file": (2.0, 60.0)}


class Teller:
    """A Report (see `engine.progress`).

    style: 'slicer' prints the tags that Slicer's runner reads, 'terminal' writes over one line, 'file' prints lines.
    Slicer keeps all that a module prints and takes its tags out one by one when it ends, in time that grows with the
    square of their number: so the longer a run takes, the more seldom it reports (a day makes about 4,000 reports). A
    new stage and the end are always told.
    """

    def __init__(self, stream: TextIO, style: str, clock: Callable[[], float] = time.monotonic):
        self._stream, self._style, self._clock = stream, style, clock
        self._started = self._last = clock()
        self._stage: str | None = None
        self._fraction = 0.0
        self._width = 0

    def start(self) -> None:
        """The program runs; loading its libraries takes seconds."""
        if self._style == "slicer":
            self._print("<filter-start><filter-name>REACTKDTrain</filter-name></filter-start>")

    def __call__(self, now: Now) -> None:
        """Tell, unless the last time was a moment ago."""
        due = self._clock() - self._last >= self._pace()
        ends = now.fraction >= 1 > self._fraction
        if now.stage == self._stage and not ends and not due:
            return
        self._last, self._stage, self._fraction = self._clock(), now.stage, now.fraction
        if self._style == "slicer":
            self._print(f"<filter-progress>{now.fraction:.4f}</filter-progress>\n"
                        f"<filter-comment>{in_words(now)}</filter-comment>")  # fmt: skip
        elif self._style == "terminal":
            self._write_over(f"{100 * now.fraction:5.1f} %  {in_words(now)}")
        else:
            self._print(f"{100 * now.fraction:5.1f} %  {in_words(now)}")

    def end(self, text: str = "") -> None:
        """The last words of a run; without any, the line is only closed, before an error is told elsewhere."""
        if self._style == "slicer":
            seconds = self._clock() - self._started
            self._print("<filter-end><filter-name>REACTKDTrain</filter-name>"
                        f"<filter-time>{seconds:.1f}</filter-time></filter-end>")  # fmt: skip
        elif self._width:
            self._stream.write("\n")
            self._stream.flush()
            self._width = 0
        if text:
            self._print(text)

    def _pace(self) -> float:
        least, most = PACE[self._style]
        return min(max(least, (self._clock() - self._started) / 600), most)

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def _write_over(self, line: str) -> None:
        line = line[: shutil.get_terminal_size().columns - 1]  # a line that wraps cannot be written over
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)


def in_words(now: Now) -> str:
    """'fold 1 of 3: student, loss 0.531, 12 min left'."""
    parts = [now.stage]
    if now.loss is not None:
        parts.append(f"loss {now.loss:.3f}")
    if now.seconds_left is not None and now.fraction < 1 and math.isfinite(now.seconds_left):
        parts.append(f"{duration(now.seconds_left)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """'40 s', '12 min', '3.5 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
