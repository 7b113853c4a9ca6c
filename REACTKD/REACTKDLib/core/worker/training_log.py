"""Reads the log of one training stage while it grows; each call reads only new rows."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HEAD = ("epoch", "step", "loss", "validation")


@dataclass(frozen=True)
class Curve:
    """The logged values of one stage of one fold.

    steps: count from 1. loss: of each of them. validation: (step, mean log likelihood of the inner cases). epoch: of
    the last row, from 0. epochs: planned, 0 if the stage is counted in steps. fraction: done of the stage, 0 to 1; 0
    until an epoch's length is known.
    """

    fold: int
    stage: str
    steps: tuple[int, ...]
    loss: tuple[float, ...]
    validation: tuple[tuple[int, float], ...]
    epoch: int
    epochs: int
    fraction: float


@dataclass
class LogReader:
    """Reads `path` repeatedly. settings: the stage's, from run.json; its `epochs` and `steps` are used.

    An incomplete last line is left for the next call. A file that was replaced (a resumed run drops the rows that it
    will repeat) is read from the start.
    """

    path: Path
    fold: int
    stage: str
    settings: dict[str, Any]
    _file: tuple[int, int] = (0, 0)  # which file, and how far it was read
    _names: list[str] = field(default_factory=list)
    _rows: list[tuple[int, int, float, str]] = field(default_factory=list)
    _curve: Curve | None = None

    def read(self) -> Curve | None:
        """Return the curve, None before the first whole row. Raises: OSError, ValueError for an invalid log."""
        with open(self.path, "rb") as stream:
            status = os.fstat(stream.fileno())
            inode, done = self._file
            if status.st_ino != inode or status.st_size < done:
                self._names, self._rows, done = [], [], 0
            stream.seek(done)
            new = stream.read()
        new = new[: new.rfind(b"\n") + 1]
        self._file = status.st_ino, done + len(new)
        if new:
            self._take(new.decode("utf-8").splitlines())
            self._curve = self._summary() if self._rows else None
        return self._curve

    def _take(self, lines: list[str]) -> None:
        for cells in csv.reader(lines):
            if not self._names:
                if not set(_HEAD) <= set(cells):
                    raise ValueError(f"the table {self.path.name} lacks the columns of a log")
                self._names = cells
                continue
            if len(cells) != len(self._names):
                raise ValueError(f"a row of {self.path.name} has {len(cells)} cells")
            epoch, step, loss, validation = (cells[self._names.index(name)] for name in _HEAD)
            self._rows.append((int(epoch), int(step), float(loss), validation))

    def _summary(self) -> Curve:
        steps = tuple(step + 1 for _, step, _, _ in self._rows)
        seen = tuple((step + 1, float(value)) for _, step, _, value in self._rows if value)
        total, last = self._total(), self._rows[-1]
        fraction = min(steps[-1] / total, 1.0) if total else 0.0
        epochs = 0 if self.settings.get("steps") else int(self.settings.get("epochs") or 0)
        return Curve(self.fold, self.stage, steps, tuple(r[2] for r in self._rows), seen, last[0], epochs, fraction)

    def _total(self) -> int:
        """Steps of the whole stage, 0 while unknown."""
        steps, epochs = int(self.settings.get("steps") or 0), int(self.settings.get("epochs") or 0)
        if steps:
            return steps
        second = next((step for epoch, step, _, _ in self._rows if epoch > 0), 0)
        if second:
            return second * epochs
        return self._rows[-1][1] + 1 if epochs == 1 and self._rows[-1][3] else 0  # the last step is validated
