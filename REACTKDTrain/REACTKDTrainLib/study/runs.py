"""Runs: each one file, named by what it is of, so that none is ever repeated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from REACTKDLib.core.writing.atomic import written_beside

FORMAT = "reactkd-study-run/1"
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Run:
    """part, row, fold, seed: where it stands in the tables; told: everything that its result depends on, as JSON;
    make: computes it. cost: relative to other runs, for telling the time left.
    """

    part: str
    row: str
    fold: int
    seed: int
    told: Mapping[str, Any]
    make: Callable[[], Arrays] = field(repr=False)
    cost: float = 1.0

    @property
    def key(self) -> str:
        """A hash of part, row, fold, seed and `told`."""
        text = json.dumps([FORMAT, self.part, self.row, self.fold, self.seed, self.told], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.part}: {self.row}, part {self.fold + 1}, seed {self.seed}"


class RunFiles:
    """`<folder>/<part>/<row>.<key>.npz`, each written whole."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def path(self, run: Run) -> Path:
        """Where a run is kept."""
        name = "".join(c if c.isalnum() or c in "-+" else "-" for c in run.row)[:60]
        return self.folder / run.part / f"{name}.{run.fold}.{run.seed}.{run.key}.npz"

    def get(self, run: Run) -> dict[str, np.ndarray] | None:
        """What the run gave, or None where it was not made yet."""
        try:
            with np.load(self.path(run), allow_pickle=False) as f:
                return {name: f[name] for name in f.files}
        except (OSError, ValueError, EOFError):  # not there, or half of it from another program: it is made again
            return None

    def done(self, run: Run) -> bool:
        """Whether it was made."""
        return self.path(run).exists()

    def put(self, run: Run, arrays: Arrays) -> None:
        """Keep it. Raises: OutputNotWritable."""
        with written_beside(self.path(run)) as beside:
            np.savez(beside, told=np.array(json.dumps(run.told, default=str)), **arrays)
