"""A workbook is read as the table that it shows, and refused where it is ambiguous."""

from __future__ import annotations

import sys
import zipfile
from datetime import date, datetime

import pytest
from openpyxl import Workbook

from REACTKDLib.core.errors import PackagesMissing, UsageError
from REACTKDLib.core.files.tables import read_table


def write(path, **sheets):
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        sheet.sheet_state = "hidden" if name.startswith("hidden") else "visible"
    book.save(path)
    return path


def test_cells_are_read_as_displayed(tmp_path):
    rows = [[], ["Case", "grade", "Age", None, "seen", "ok"], ["a", 2.0, 61, None, datetime(2026, 11, 28), True]]
    rows += [[], [" b ", 2.5, None, None, date(2026, 1, 2), False], ["'=x", "G1"]]
    table = read_table(write(tmp_path / "t.xlsx", one=rows), "the table", ("case",))
    assert table.columns == ("case", "grade", "age", "seen", "ok")
    assert [tuple(row.values()) for row in table.rows] == [
        ("a", "2", "61", "2026-11-28", "yes"),
        ("b", "2.5", "", "2026-01-02", "no"),
        ("=x", "G1", "", "", ""),
    ]


def test_a_cell_beyond_the_last_column_name_is_refused(tmp_path):
    """As in a CSV (decision 0049); the line number is the one that the spreadsheet shows."""
    rows = [["case", "ct", "segmentation"], ["a", "a.nii", "a.nrrd"], [], ["b", None, "b.nii", "b.nrrd"]]
    with pytest.raises(UsageError, match="Line 4 of the worklist has more cells than there are named columns"):
        read_table(write(tmp_path / "t.xlsx", one=rows), "the worklist", ("case",))
    rows[0].append("note")
    assert read_table(write(tmp_path / "t.xlsx", one=rows), "the worklist", ("case",)).rows[1]["note"] == "b.nrrd"


def test_the_sheet_with_the_wanted_columns_is_read(tmp_path):
    notes, cases = [["read me"]], [["case"], ["a"]]
    path = write(tmp_path / "t.xlsx", notes=notes, cases=cases, hidden=[["case"], ["b"]])
    assert [row["case"] for row in read_table(path, "the table", ("case",)).rows] == ["a"]
    path = write(tmp_path / "two.xlsx", first=cases, second=cases)
    with pytest.raises(UsageError, match="sheets 'first', 'second', of which 2 have the columns 'case'"):
        read_table(path, "the table", ("case",))
    path = write(tmp_path / "none.xlsx", first=notes)
    with pytest.raises(UsageError, match="lacks the column 'case'"):
        read_table(path, "the table", ("case",))
    assert read_table(write(tmp_path / "empty.xlsx", first=[]), "the table", ("case",)).columns == ()


def test_without_the_package_the_sentence_names_it(tmp_path, monkeypatch):
    path = write(tmp_path / "t.xlsx", one=[["case"]])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(PackagesMissing, match="install it with: pip install openpyxl, or save it"):
        read_table(path, "the list", ("case",))


def test_a_workbook_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "t.xlsx", one=[["case"]])
    monkeypatch.setattr("REACTKDLib.core.files.workbooks.MOST_UNPACKED", 100)
    with pytest.raises(UsageError, match="too large"):
        read_table(path, "the list", ("case",))


def changed(path, *changes):
    """The workbook with the text of its first sheet changed."""
    out = path.with_name("changed.xlsx")
    with zipfile.ZipFile(path) as parts, zipfile.ZipFile(out, "w") as target:
        for name in parts.namelist():
            data = parts.read(name)
            for old, new in changes if name.endswith("sheet1.xml") else ():
                assert old in data
                data = data.replace(old, new)
            target.writestr(name, data)
    return out


def test_an_impossible_row_number_is_refused_at_once(tmp_path):
    path = write(tmp_path / "t.xlsx", one=[["case"], ["a"]])
    far = changed(path, (b'r="2"', b'r="1000000000000"'), (b'"A2"', b'"A1000000000000"'))
    with pytest.raises(UsageError, match="cannot be opened"):
        read_table(far, "the list", ("case",))


def test_a_small_workbook_cannot_fill_the_memory_with_empty_cells(tmp_path):
    """80 kB with one cell in the last column: each row would be filled up to it, 200 million cells in all."""
    path = write(tmp_path / "t.xlsx", one=[["case", "far"], *[["a"] for _ in range(12_000)]])
    with pytest.raises(UsageError, match="The list is too large for a list of cases"):
        read_table(changed(path, (b'"B1"', b'"XFD1"')), "the list", ("case",))


@pytest.mark.parametrize("stated", [b"A1", b"A1:A2", b"A1:XFD1048576"])
def test_a_wrong_stated_sheet_size_loses_no_cell(tmp_path, stated):
    path = write(tmp_path / "t.xlsx", one=[["case", "grade"], ["a", "G1"], [None, "G2"], ["b"]])
    table = read_table(changed(path, (b'"A1:B4"', b'"' + stated + b'"')), "the list", ("case",))
    assert [tuple(row.values()) for row in table.rows] == [("a", "G1"), ("", "G2"), ("b", "")]
