"""The rows of an earlier batch in the table of an output folder, kept until they are replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.files.tables import as_read_back, read_table

_PROBABILITY = "p_"


class EarlierRows:
    """The earlier rows.

    classes: those of the present model, then those of earlier rows by models with other classes.
    """

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        """Read the table at `path`; it need not exist. Raises: UsageError if it is not a batch's table."""
        self.classes = tuple(classes)
        self._rows: list[dict[str, str]] = []
        if not path.exists():
            return
        try:
            table = read_table(path, path.name, ("case", "status"))
        except UsageError as error:
            raise UsageError(
                f"The file {path.name} in the output folder is not the table of a batch; move it away, or choose "
                "another folder."
            ) from error
        spelled = {f"{_PROBABILITY}{name}".lower(): f"{_PROBABILITY}{name}" for name in classes}
        self._rows = [{spelled.get(column, column): cell for column, cell in row.items()} for row in table.rows]
        others = [name for name in table.columns if name.startswith(_PROBABILITY) and name not in spelled]
        self.classes += tuple(name.removeprefix(_PROBABILITY) for name in others)

    def graded(self) -> dict[str, Mapping[str, str]]:
        """Case name, as read back -> its row, for rows with a fingerprint."""
        return {row["case"]: row for row in self._rows if row.get("fingerprint")}

    def with_rows(self, rows: Sequence[Mapping[str, Any]], order: Sequence[str] = ()) -> list[Mapping[str, Any]]:
        """Return the earlier rows, each replaced by that of the same case in `rows`, then the remaining `rows`.

        order: names of cases; used if it contains all rows.
        """
        new = {as_read_back(row["case"]): row for row in rows}
        table = [new.pop(row["case"], row) for row in self._rows] + list(new.values())
        place = {as_read_back(name): number for number, name in enumerate(order)}
        places = [place.get(as_read_back(row["case"])) for row in table]
        if None in places:
            return table
        return [row for _place, row in sorted(zip(places, table), key=lambda pair: pair[0])]
