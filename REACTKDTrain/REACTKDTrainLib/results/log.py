"""The log of a stage: a CSV file with a row for each step; a resumed run continues it without duplicate rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from REACTKDLib.core.writing.atomic import written_beside


class CsvLog:
    """Rows with the columns of the first one. step: rows from this step on are removed, as these steps are repeated."""

    def __init__(self, path: Path, step: int = 0):
        self._path = Path(path)
        self._columns: list[str] | None = None
        if self._path.exists():
            rows = read_log(self._path)
            self._columns = list(rows[0]) if rows else None
            self._write_all([r for r in rows if int(r["step"]) < step])  # also drops an incomplete last row

    def _write_all(self, rows: list[dict[str, str]]) -> None:
        if not rows:
            self._path.unlink()
            self._columns = None
            return
        with written_beside(self._path) as beside, open(beside, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, self._columns)
            writer.writeheader()
            writer.writerows(rows)

    def add(self, row: Mapping[str, object]) -> None:
        """Append one row; columns that the first row lacks are dropped."""
        new = self._columns is None
        self._columns = self._columns or list(row)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, self._columns, extrasaction="ignore", restval="")
            if new:
                writer.writeheader()
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def read_log(path: Path) -> list[dict[str, str]]:
    """Return the rows of a log without an incomplete last line (still being written), whose last number may lack
    digits.
    """
    with open(path, newline="", encoding="utf-8") as stream:
        whole, end, _ = stream.read().rpartition("\n")
    reader = csv.DictReader(io.StringIO(whole + end, newline=""))
    return [row for row in reader if row.get("step", "").isdigit() and None not in row.values()]
