"""The table of a batch: a row for each case, always complete, in the order of the list whatever is done first."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from REACTKDLib.commands.earlier_rows import EarlierRows
from REACTKDLib.core.cases.case_list import RESULTS
from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.files.tables import table_text
from REACTKDLib.core.shard import WHOLE, Shard
from REACTKDLib.core.writing.atomic import write_text
from REACTKDLib.core.writing.file_lock import Locked, locked
from REACTKDLib.core.writing.run_lock import running_alone

HEADER = (
    "case",
    "status",
    "grade",
    "uncertain",
    "grades",
    "inputs",
    "lesions",
    "tumor_ml",
    "findings",
    "error",
    "reason",
    "fingerprint",
)
#: writing a table of thousands of rows takes a moment: limit it to a twentieth of the time
_PAUSES = 20.0
_START_S = 10.0
_MERGE_S = 300.0  # timeout for the other parts of a job array, each of which merges for a moment


class ResultTable:
    """The table. order: names of all cases of the list, as in rows. shard: the part that this process does.

    A part has a separate table, in a hidden file, which is merged into that of the folder at the end.
    """

    def __init__(self, output: Path, classes: Sequence[str], order: Sequence[str], shard: Shard = WHOLE) -> None:
        """Raises: UsageError if the existing table is not a batch's."""
        self._output, self._classes, self._order = output, classes, order
        self._path = path_of(output, shard)
        self._rows: dict[int, Mapping[str, Any]] = {}
        self._earlier = EarlierRows(self._path, classes)
        self._next_write = 0.0

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """The rows of this process, in the order of the list."""
        return [self._rows[place] for place in sorted(self._rows)]

    def graded_before(self) -> dict[str, Mapping[str, str]]:
        """Case name, as read back -> its row of an earlier batch, in the part or the whole."""
        return EarlierRows(self._output / RESULTS, self._classes).graded() | self._earlier.graded()

    def add(self, place: int, row: Mapping[str, Any]) -> None:
        """Add the row of the case at `place` of the list. Raises: OutputNotWritable."""
        self._rows[place] = row
        if time.monotonic() >= self._next_write:
            self._write()

    @contextmanager
    def kept(self) -> Iterator[ResultTable]:
        """Write the rows at the end, however the block ends: a stopped run keeps its finished cases."""
        try:
            yield self
        finally:
            if self._rows:
                self._write()
                if self._path.name != RESULTS:
                    self._merge()

    def _write(self) -> None:
        started = time.monotonic()
        _write(self._path, self._earlier, self.rows, self._order)
        ended = time.monotonic()
        self._next_write = ended + _PAUSES * (ended - started)

    def _merge(self) -> None:
        whole = self._output / RESULTS
        try:
            with locked(whole, _MERGE_S):
                _write(whole, EarlierRows(whole, self._classes), self.rows, self._order)
        except Locked as error:
            raise OutputNotWritable(
                f"A batch of the whole list runs in the output folder, so this part's rows stay in {self._path.name}; "
                "run the part again when it has ended."
            ) from error
        with suppress(OSError):
            self._path.unlink()


def path_of(output: Path, shard: Shard) -> Path:
    """Return the path of the rows of a part: results.csv for the whole."""
    return output / (RESULTS if shard == WHOLE else f".results.{shard.number}-of-{shard.of}.csv")


@contextmanager
def alone_in(output: Path, shard: Shard) -> Iterator[None]:
    """Hold the lock of this part, while no process does the whole list. Raises: FolderInUse, OutputNotWritable."""
    with running_alone(path_of(output, shard), "a batch"):
        if shard != WHOLE:
            try:
                with locked(output / RESULTS, _START_S):
                    pass
            except Locked:
                with running_alone(output / RESULTS, "a batch"):  # identifies the owner
                    pass
        yield


def _write(path: Path, earlier: EarlierRows, rows: Sequence[Mapping[str, Any]], order: Sequence[str]) -> None:
    columns = [*HEADER[:3], *(f"p_{name}" for name in earlier.classes), *HEADER[3:]]
    rows = earlier.with_rows(rows, order)
    write_text(path, table_text([columns, *([row.get(name) for name in columns] for row in rows)]))
