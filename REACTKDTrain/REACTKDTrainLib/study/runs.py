"""Runs of a study: each is one file, named by everything that it depends on, so that none is repeated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from REACTKDLib.core.writing.file_lock import Locked, locked
from REACTKDTrainLib.content_store import ContentStore, content_key

FORMAT = "reactkd-study-run/1"
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Run:
    """part, row, fold, seed: position in the tables; recipe: everything that the result depends on, as JSON; make:
    computes the result. cost: relative to other runs, for the estimated time.
    """

    part: str
    row: str
    fold: int
    seed: int
    recipe: Mapping[str, Any]
    make: Callable[[], Arrays] = field(repr=False)
    cost: float = 1.0

    @property
    def key(self) -> str:
        """Return a hash of part, row, fold, seed and `recipe`."""
        depends = [FORMAT, self.part, self.row, self.fold, self.seed, self.recipe]
        return content_key(json.dumps(depends, sort_keys=True, default=str))[:16]

    @property
    def title(self) -> str:
        """Return a title for display, within its part of the study."""
        return f"{self.row}, part {self.fold + 1}, seed {self.seed}"


class RunFiles:
    """`<folder>/<part>/<row>.<fold>.<seed>.<key>.npz`, each written atomically."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def path(self, run: Run) -> Path:
        """Return the path of a run's file."""
        return self._store(run).path(run.key, _label(run))

    def get(self, run: Run) -> dict[str, np.ndarray] | None:
        """Return the result of a run, or None if there is none yet or its file is damaged."""
        return self._store(run).get(run.key, label=_label(run))

    def done(self, run: Run) -> bool:
        """Return True if the run is finished."""
        return self._store(run).has(run.key, _label(run))

    def put(self, run: Run, arrays: Arrays) -> None:
        """Store the result. Raises: OutputNotWritable."""
        self._store(run).put(run.key, {"recipe": np.array(json.dumps(run.recipe, default=str)), **arrays}, _label(run))

    @contextmanager
    def claimed(self, run: Run) -> Iterator[bool]:
        """Claim a run for this process; yields False if another process has it. The claim ends with the process."""
        path = self.path(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(path))
            except Locked:
                yield False
                return
            yield True

    def _store(self, run: Run) -> ContentStore:
        return ContentStore(self.folder / run.part)


def _label(run: Run) -> str:
    row = "".join(c if c.isalnum() or c in "-+" else "-" for c in run.row)[:60]
    return f"{row}.{run.fold}.{run.seed}"
