"""Spreadsheet workbooks (.xlsx) as rows of text, read with openpyxl (of the extra `cohorts`)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from REACTKDLib.core.errors import PackagesMissing, UsageError
from REACTKDLib.core.text import quoted, sentence
from REACTKDLib.core.text import tr as _

MARK = b"PK\x03\x04"
#: limit of the unpacked size, bytes: a list of cases is far smaller, a file made to exhaust memory is larger
MOST_UNPACKED = 256 << 20
MOST_ROWS = 1 << 20  # the last row of a spreadsheet; a file may state any row, and all rows before it would be created
#: limit of rows times columns of a table: short rows are filled with empty cells, so a small file could exhaust memory
MOST_CELLS = 1 << 24


class _TooManyCells(Exception):
    """A sheet has more cells than `MOST_CELLS`."""


def sheets_of(data: bytes, role: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return {name: rows of cells} of the visible non-empty sheets, with the stored results of formulas.

    data: content of the file. role: its name in messages ("the worklist").
    """
    return {name: [row for _number, row in rows] for name, rows in _numbered_sheets(data, role).items()}


def _numbered_sheets(data: bytes, role: str) -> dict[str, list[tuple[int, tuple[Any, ...]]]]:
    """Return what `sheets_of` returns, each row with its number in the sheet."""
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        text = _(
            "{role} is a workbook, which needs the package openpyxl; install it with: pip install openpyxl, or save it "
            "from the spreadsheet as 'CSV UTF-8'."
        )
        raise PackagesMissing(text, role=sentence(role)) from error
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            too_large = sum(part.file_size for part in parts.infolist()) > MOST_UNPACKED
        if not too_large:
            book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            shown = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
            return {sheet.title: rows for sheet in shown if (rows := _filled_rows(sheet))}
    except _TooManyCells:
        pass
    except Exception as error:  # errors of zipfile, of XML and of openpyxl alike
        text = _("{role} is a workbook that cannot be opened; save it from the spreadsheet as 'CSV UTF-8'.")
        raise UsageError(text, role=sentence(role)) from error
    raise too_large_table(role)


def too_large_table(role: str) -> UsageError:
    """Return the error for a table that is larger than any list of cases. role: its name in messages."""
    return UsageError(_("{role} is too large for a list of cases; check which file it is."), role=sentence(role))


def rows_of_workbook(data: bytes, role: str, needed: Collection[str]) -> list[tuple[int, list[str]]]:
    """Return the rows of the sheet that has the `needed` columns, or of the only sheet, as (number in the sheet,
    texts).

    Integers are written without a decimal point, dates as 2026-11-28. Raises: what `sheets_of` raises; UsageError if
    several sheets, or none of several, have the columns.
    """
    sheets = {
        name: [(number, [_text_of(cell) for cell in row]) for number, row in rows]
        for name, rows in _numbered_sheets(data, role).items()
    }
    fitting = [name for name, rows in sheets.items() if set(needed) <= {cell.strip().lower() for cell in rows[0][1]}]
    names = fitting if len(sheets) > 1 else list(sheets)
    if len(names) == 1 or not sheets:
        return sheets[names[0]] if names else []
    text = _("{role} has the sheets {names}, of which {count} have the columns {needed}; leave one that has.")
    raise UsageError(text, role=sentence(role), names=quoted(sheets), count=len(fitting), needed=quoted(needed))


def _filled_rows(sheet: Any) -> list[tuple[int, tuple[Any, ...]]]:
    """Return the non-empty rows, all of one length, by number.

    Raises: ValueError for an invalid row number; _TooManyCells.
    """
    sheet.reset_dimensions()  # the stated dimensions may be wrong, and cells outside them would be lost
    found = []
    widest = 0
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        if number > MOST_ROWS:
            raise ValueError(number)
        if row.count(None) < len(row):
            found.append((number, row))
            widest = max(widest, len(row))
            if widest * len(found) > MOST_CELLS:
                raise _TooManyCells
    return [(number, (*row, *[None] * (widest - len(row)))) for number, row in found]


def _text_of(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime) and (cell.hour, cell.minute, cell.second) == (0, 0, 0):
        return cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, date) else str(cell)
