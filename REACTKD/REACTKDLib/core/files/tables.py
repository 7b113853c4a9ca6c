"""Tables as text: reads lists that people made with a spreadsheet, and writes tables that are safe to open in one.

Spreadsheets write commas, semicolons (where the comma is the decimal sign) or tabs, a line "sep=;" before the header,
UTF-8 with or without a byte order mark, UTF-16 or Windows code page 1252. Workbooks (.xlsx) are read too. Cells that
begin like a formula are executed when a table is opened (https://owasp.org/www-community/attacks/CSV_Injection), so an
apostrophe is prepended, which reading removes.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from REACTKDLib.core.errors import FileMissing, UsageError
from REACTKDLib.core.files.workbooks import MARK, MOST_CELLS, rows_of_workbook, too_large_table
from REACTKDLib.core.text import quoted, sentence
from REACTKDLib.core.text import tr as _

SEPARATORS = (",", ";", "\t", "|")
MOST_BYTES = 64 << 20
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
_SEP_LINE = re.compile(r"\s*\"?sep=(.)\"?[,;|\t ]*(\r\n|\r|\n|\Z)", re.IGNORECASE)
_FORMULA = re.compile(r"'*[ \xa0]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INVISIBLE = "\ufeff\u200b\u2060"


@dataclass(frozen=True)
class Table:
    """A table. columns: names in lower case, without unnamed ones. rows: cells by column, without empty rows."""

    columns: tuple[str, ...] = ()
    rows: tuple[dict[str, str], ...] = ()
    separator: str = ","


def read_table(path: Path, role: str, needed: Collection[str]) -> Table:
    """Read a table whose first non-empty line names the columns. An empty file is a table without columns.

    role: the name of the file in messages ("the worklist"). needed: required columns, in lower case; the separator is
    the one that yields them. Cells are stripped of whitespace.

    Raises: FileMissing; UsageError for a file that is not such a table, lacks a column, has one twice, has a row
    with more cells, or is too large; and for a workbook what `workbooks.rows_of_workbook` raises.
    """
    data = _bytes_of(path, role)
    if data.startswith(MARK):
        rows = rows_of_workbook(data, role, needed)
        return _table(((number, [_cell(cell) for cell in row]) for number, row in rows), ",", role, needed)
    text = _text_of(data, role)
    marked = _SEP_LINE.match(text)
    if marked is not None and marked[1] not in SEPARATORS:
        raise UsageError(
            _("The first line of {role} states a separator that is not known; use commas or semicolons."), role=role
        )
    if marked is not None:
        text = text[marked.end() :]
    separator = marked[1] if marked is not None else _separator(text, needed)
    return _table(_records(text, separator, role, 1 if marked is not None else 0), separator, role, needed)


def _table(records: Iterator[tuple[int, list[str]]], separator: str, role: str, needed: Collection[str]) -> Table:
    """Return the table of (line number, cells); the first record that is not empty names the columns."""
    header = next((cells for _line, cells in records if any(cells)), None)
    if header is None:
        return Table(separator=separator)
    while not header[-1]:  # trailing empty names
        header.pop()
    columns = _columns(header, role, needed)
    rows: list[dict[str, str]] = []
    for line, cells in records:
        if any(cells):
            if len(columns) * (len(rows) + 1) > MOST_CELLS:
                raise too_large_table(role)
            rows.append(_row(columns, cells, line, role))
    return Table(tuple(filter(None, columns)), tuple(rows), separator)


def table_text(rows: Iterable[Iterable[Any]]) -> str:
    """Return rows as CSV with line feeds, safe for spreadsheets; `read_table` restores the texts. None becomes empty.

    Texts with another country's separator or a line break are quoted too, which the csv module does not do.
    """
    return "".join(",".join(_written(cell) for cell in row) + "\n" for row in rows)


def harmless(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula and every file can contain. Plain numbers are unchanged."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def as_it_was(cell: str) -> str:
    """Return the text from which `harmless` made a cell."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def as_read_back(text: str) -> str:
    """Return the text that `read_table` returns for a cell written by `table_text`; characters that no file can contain
    differ.
    """
    return as_it_was(_trimmed(harmless(text)))


def _written(cell: Any) -> str:
    text = "" if cell is None else harmless(str(cell))
    return '"' + text.replace('"', '""') + '"' if re.search(r"[,;|\t\r\n\"]", text) else text


def _bytes_of(path: Path, role: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise FileMissing(_("There is no file at the path given for {role}; check the path."), role=role) from error
    except OSError as error:
        raise UsageError(_("{role} cannot be read; check its permissions."), role=sentence(role)) from error
    if data.startswith(_OLD_WORKBOOK):
        raise UsageError(
            _("{role} is a workbook of an old form; save it from the spreadsheet as 'CSV UTF-8'."), role=sentence(role)
        )
    if len(data) > MOST_BYTES:
        raise too_large_table(role)
    return data


def _text_of(data: bytes, role: str) -> str:
    for encoding in _encodings(data):
        try:
            return data.decode(encoding).replace("\0", "\ufffd")  # csv in Python 3.10 stops at NUL
        except UnicodeDecodeError:
            continue
    raise UsageError(
        _("{role} is no table of text; give another file, or save it from the spreadsheet as 'CSV UTF-8'."),
        role=sentence(role),
    )


def _encodings(data: bytes) -> tuple[str, ...]:
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if marked is not None:
        return (marked,)
    start = data[:400]
    if start and len(start) % 2 == 0 and start.count(0) >= len(start) // 3:  # UTF-16 without byte order mark
        return ("utf-16-le",) if start[1::2].count(0) > start[::2].count(0) else ("utf-16-be",)
    return ("utf-8", "cp1252")


def _separator(text: str, needed: Collection[str]) -> str:
    """Return the separator that yields the needed columns, else the one that yields the most columns."""
    headers = {separator: _header_with(text, separator) for separator in SEPARATORS}
    fitting = [separator for separator, header in headers.items() if set(needed) <= set(header)]
    return fitting[0] if fitting else max(headers, key=lambda separator: len(headers[separator]))


def _header_with(text: str, separator: str) -> list[str]:
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        return next(([_name(cell) for cell in cells] for cells in rows if any(map(_trimmed, cells))), [])
    except csv.Error:
        return []


def _records(text: str, separator: str, role: str, before: int) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of each row. Line breaks inside quotes belong to the cell."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for cells in reader:
            yield reader.line_num + before, [_cell(cell) for cell in cells]
    except csv.Error as error:
        raise UsageError(
            _("Line {line} of {role} has quotes that do not match, or a cell that is too long; correct it."),
            line=reader.line_num + before,
            role=role,
        ) from error


def _columns(header: list[str], role: str, needed: Collection[str]) -> list[str]:
    columns = [_name(cell) for cell in header]
    twice = sorted(name for name, count in Counter(columns).items() if name and count > 1)
    if twice:
        raise UsageError(
            _("{role} has two columns {column}; leave one."), role=sentence(role), column=quoted(twice[:1])
        )
    lacking = [name for name in needed if name not in columns]
    if lacking:
        text = _(
            "{role} lacks the column {column}; its first line must name the columns, with commas, "
            "semicolons or tabs between them."
        )
        if len(lacking) > 1:
            text = _(
                "{role} lacks the columns {column}; its first line must name the columns, with commas, "
                "semicolons or tabs between them."
            )
        raise UsageError(text, role=sentence(role), column=quoted(lacking))
    return columns


def _row(columns: list[str], cells: list[str], line: int, role: str) -> dict[str, str]:
    if any(cells[len(columns) :]):
        text = _(
            "Line {line} of {role} has more cells than there are named columns; quote cells that hold a separator, or "
            "name the last column."
        )
        raise UsageError(text, line=line, role=role)
    filled = [*cells, *[""] * (len(columns) - len(cells))]
    return {name: cell for name, cell in zip(columns, filled) if name}


def _cell(text: str) -> str:
    return as_it_was(_trimmed(text))


def _name(cell: str) -> str:
    return _trimmed(cell).lower()


def _trimmed(cell: str) -> str:
    return cell.strip().strip(_INVISIBLE).strip()
