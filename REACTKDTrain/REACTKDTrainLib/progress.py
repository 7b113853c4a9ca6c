"""Progress of work that consists of weighted parts, and its display in Slicer, on a terminal or in a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Literal, TextIO

from tqdm import tqdm

from REACTKDLib.core.console import writable
from REACTKDLib.core.progress import OnProgress, TimeLeft, duration, no_progress

Style = Literal["slicer", "terminal", "lines", "minutes", "none"]
#: style -> seconds between two reports, at the start and after hours
PACE = {"slicer": (0.5, 30.0), "terminal": (0.1, 0.1), "lines": (2.0, 60.0), "minutes": (60.0, 60.0)}
#: seconds of work measured before the total duration is estimated, and the duration below which none is printed
MEASURED_S, SHORT_S = 2.0, 10.0
#: no estimate before this share of the work, unless it took this long: the first cases also load packages
MEASURED_SHARE, LONG_S = 0.02, 600.0
_BAR = "{percentage:5.1f} %|{bar:20}|{desc}"


class WeightedProgress:
    """A run as parts with weights (their expected cost); `part` returns for each an OnProgress that advances the total.

    A part that was not announced has weight 0. The total never decreases.
    """

    def __init__(self, parts: Mapping[str, float], on_progress: OnProgress = no_progress):
        total = sum(parts.values()) or 1.0
        self._share = {name: weight / total for name, weight in parts.items()}
        self._done: dict[str, float] = {}
        self._on_progress = on_progress

    def part(self, name: str) -> OnProgress:
        """Return the OnProgress of one part, from 0 to 1."""
        return partial(self._report, name)

    def _report(self, part: str, fraction: float, text: str) -> None:
        self._done[part] = min(max(fraction, self._done.get(part, 0.0)), 1.0)
        self._on_progress(min(sum(self._share.get(p, 0.0) * f for p, f in self._done.items()), 1.0), text)


class ProgressDisplay:
    """An OnProgress that prints progress to a stream; used as a context manager around the work.

    On a terminal, the estimated total duration is printed once, on a line of its own, after the first part of the work
    has been measured.

    style: 'slicer' prints the tags that Slicer's runner reads, 'terminal' draws a bar, 'lines' prints lines, 'minutes'
    at most one a minute and none for shorter work, 'none' prints nothing. Slicer keeps everything that a module prints
    and removes its tags one by one when it ends, in time quadratic in their number. The interval between reports
    therefore grows with the duration of the run (a day gives about 4,000 reports). The end, and a text that differs
    from the last one before its first comma, are shown at once.
    """

    def __init__(self, stream: TextIO, style: Style, name: str = "", clock: Callable[[], float] = time.monotonic):
        self._stream, self._style, self._name, self._clock = stream, style, name, clock
        self._shown = ("", 0.0)
        self._left = TimeLeft(clock)
        self._bar: tqdm | None = None
        self._estimated = False

    def __enter__(self) -> ProgressDisplay:
        self._started = self._last = self._clock()
        if self._style == "slicer":
            self._print(f"<filter-start><filter-name>{self._name}</filter-name></filter-start>")
        if self._style == "terminal":
            self._bar = tqdm(total=100, file=self._stream, bar_format=_BAR, leave=False, dynamic_ncols=True)
        return self

    def __call__(self, fraction: float, text: str = "") -> None:
        """Show the progress, unless the last report was a moment ago."""
        if self._style == "none":
            return
        text, seconds = text.rstrip(), self._left(fraction)
        if self._style == "minutes" and self._clock() - self._last < self._pace():
            return
        if fraction < MEASURED_SHARE and self._clock() - self._started < LONG_S:
            seconds = None
        self._estimate(seconds)
        stage, ends = text.split(",")[0], fraction >= 1 > self._shown[1]
        if stage == self._shown[0] and not ends and self._clock() - self._last < self._pace():
            return
        self._last, self._shown = self._clock(), (stage, fraction)
        if seconds is not None and fraction < 1:
            text = f"{text}, {duration(seconds)} left"
        if self._style == "slicer":
            self._print(f"<filter-progress>{fraction:.4f}</filter-progress>\n<filter-comment>{text}</filter-comment>")
        elif self._bar is None:
            self._print(f"{100 * fraction:5.1f} %  {text}".rstrip())
        else:
            self._bar.n = 100 * min(max(fraction, 0.0), 1.0)
            self._bar.set_description_str(f" {writable(text, self._stream)}" if text else "")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._style == "slicer":
            seconds = self._clock() - self._started
            self._print(
                f"<filter-end><filter-name>{self._name}</filter-name><filter-time>{seconds:.1f}</filter-time></filter-end>"
            )

    def _estimate(self, seconds: float | None) -> None:
        """Print the estimated total duration once; later estimates are shown in the bar."""
        passed = self._clock() - self._started
        if self._estimated or self._bar is None or seconds is None or passed < MEASURED_S:
            return
        self._estimated = True
        if passed + seconds > SHORT_S:
            self._bar.write(f"This takes about {duration(passed + seconds)}.", file=self._stream)

    def _pace(self) -> float:
        least, most = PACE[self._style]
        return min(max(least, (self._clock() - self._started) / 600), most)

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


def display_for(stream: TextIO, piped: Style = "minutes") -> ProgressDisplay:
    """Return a bar if `stream` is a terminal, otherwise the style `piped`."""
    return ProgressDisplay(stream, "terminal" if stream.isatty() else piped)
