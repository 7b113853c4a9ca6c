"""How far a study is, and how long it will still take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from REACTKDLib.core.progress import OnProgress
from REACTKDTrainLib.progress import duration
from REACTKDTrainLib.study.runs import Run


class RunProgress:
    """Logs a line for each run. Seconds per unit of cost are measured for each part apart, and until then borrowed.

    at_once: how many runs are made at the same time.
    """

    def __init__(self, runs: Sequence[Run], log: Callable[[str], None], at_once: int = 1):
        self._at_once = at_once
        self._waiting: dict[str, float] = defaultdict(float)
        for run in runs:
            self._waiting[run.part] += run.cost
        self._spent: dict[str, float] = defaultdict(float)
        self._paid: dict[str, float] = defaultdict(float)
        self._count, self._of, self._log = 0, len(runs), log

    def end(self, run: Run, seconds: float) -> None:
        """A run is done; it took so long."""
        self._count += 1
        self._waiting[run.part] -= run.cost
        self._spent[run.part] += seconds
        self._paid[run.part] += run.cost
        self._log(f"[{self._count}/{self._of}] {run.title}: {seconds:.0f} s; about {duration(self.left())} left")

    def left(self) -> float:
        """Seconds."""
        every = sum(self._spent.values()) / max(sum(self._paid.values()), 1e-9)
        rates = {part: self._spent[part] / self._paid[part] if self._paid[part] else every for part in self._waiting}
        return sum(max(cost, 0) * rates[part] for part, cost in self._waiting.items()) / self._at_once


def every(count: int, log: Callable[[str], None], what: str) -> OnProgress:
    """A progress callback that logs 'WHAT: 25 of 60' at every so many of a list, and at its end."""

    def on_progress(fraction: float, text: str) -> None:
        if fraction >= 1 or int(text.split()[0]) % count == 0:
            log(f"{what}: {text}")

    return on_progress
