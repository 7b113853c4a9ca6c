"""Spreadsheet tables are read in one way, whatever wrote them; ours contain no active formulas and round-trip."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.cases.names import confusable, file_name_of, is_file_name, on_disk
from REACTKDLib.core.errors import FileMissing, UsageError
from REACTKDLib.core.files.tables import SEPARATORS, as_it_was, harmless, read_table, table_text
from REACTKDLib.core.text import quoted

ROWS = [{"case": "Müller", "grade": "poor"}, {"case": "b", "grade": ""}, {"case": 'two "b", or\nnot', "grade": "well"}]


def spreadsheet(separator: str, end: str) -> str:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, ["case", "grade"], delimiter=separator, lineterminator=end)
    writer.writeheader()
    writer.writerows(ROWS)
    return stream.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("before", ["", "sep=", "\n", ";;\n\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", SEPARATORS)
def test_tables_of_every_common_spreadsheet_are_read(tmp_path, separator, end, before, encoding):
    first = f"sep={separator}{end}" if before == "sep=" else before.replace(";", separator).replace("\n", end)
    (tmp_path / "t.csv").write_bytes((first + spreadsheet(separator, end)).encode(encoding))
    table = read_table(tmp_path / "t.csv", "the table", ("case", "grade"))
    assert table.columns == ("case", "grade") and list(table.rows) == ROWS and table.separator == separator


def test_a_table_of_pandas_with_index_is_read(tmp_path):
    (tmp_path / "t.csv").write_text(",case,grade\n0,a,2.0\n1,b,\n")
    rows = read_table(tmp_path / "t.csv", "the table", ("case", "grade")).rows
    assert rows == ({"case": "a", "grade": "2.0"}, {"case": "b", "grade": ""})


def test_columns_that_a_row_does_not_reach_are_empty(tmp_path):
    (tmp_path / "t.csv").write_text(" Case ;GRADE;patient;\na; well \n;;;;\n")
    table = read_table(tmp_path / "t.csv", "the table", ("case", "grade"))
    assert table.rows == ({"case": "a", "grade": "well", "patient": ""},)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"id,grade\na,poor\n", "lacks the column 'case'"),
        (b"a,poor\nb,well\n", "lacks the columns 'case', 'grade'"),
        (b"sep=;\ncase,grade\na,poor\n", "lacks the column"),
        (b"sep=x\ncase,grade\n", "states a separator"),
        (b"case,grade,Grade\na,poor,well\n", "two columns 'grade'"),
        (b"case,grade\na,b,poor\n", "Line 2 of the table has more cells"),
        (b"case,grade,\na,b,poor\n", "Line 2 of the table has more cells"),
        (b"case;grade;;\n\na;b;;poor\n", "Line 3 of the table has more cells .* or name the last column"),
        (b",case,grade,\n0,a,b,poor\n", "Line 2 of the table has more cells"),
        (b'case,grade\n"a,poor\nb,well\n', "quotes that do not match"),
        (b'case,grade\n"a"x,poor\n', "Line 2 of the table has quotes"),
        (b"case,grade\n" + b"x" * 200_000 + b",poor\n", "too long"),
        (b"PK\x03\x04\x14\x00", "is a workbook"),
        (bytes(range(128, 256)), "UTF-8"),
        (b"\xff\xfea", "UTF-8"),
    ],
)
def test_a_file_that_is_not_such_a_table_is_refused(tmp_path, data, words):
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(UsageError, match=words):
        read_table(tmp_path / "t.csv", "the table", ("case", "grade"))


def test_a_small_file_cannot_fill_the_memory_with_empty_cells(tmp_path):
    """60 kB: each row would be filled up to the last column, 400 million cells in all."""
    (tmp_path / "t.csv").write_bytes(b"case" + b"," * 20_000 + b"x\n" + b"a\n" * 20_000)
    with pytest.raises(UsageError, match="The table is too large for a list of cases"):
        read_table(tmp_path / "t.csv", "the table", ("case",))


def test_a_table_of_very_many_columns_is_read(tmp_path):
    """Each name was once compared with all others: minutes for this table."""
    names = ["case", *(f"feature-{n}" for n in range(60_000))]
    (tmp_path / "t.csv").write_text(",".join(names) + "\na\n")
    table = read_table(tmp_path / "t.csv", "the table", ("case",))
    assert table.columns == tuple(names) and table.rows[0]["case"] == "a" and len(table.rows[0]) == len(names)
    (tmp_path / "t.csv").write_text(",".join([*names, names[-1]]) + "\na\n")
    with pytest.raises(UsageError, match="two columns 'feature-59999'"):
        read_table(tmp_path / "t.csv", "the table", ("case",))


def test_a_missing_table_is_reported_as_missing(tmp_path):
    with pytest.raises(FileMissing, match="There is no file at the path given for the table of readers"):
        read_table(tmp_path / "readers.csv", "the table of readers", ("case",))


CELLS = st.text(max_size=12) | st.sampled_from(["=1+1", "'=1+1", "+x", "-2", "-2,5", "@a", "\t=1", "\r=1", "＝1", "''"])


@settings(max_examples=200)
@given(st.lists(CELLS.map(str.strip), min_size=1, max_size=4))
def test_written_cells_are_read_back_and_are_never_formulas(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(table_text([["case", "n"], *([name, 1] for name in names)]).encode())
    rows = read_table(path, "the table", ("case",)).rows
    assert [row["case"] for row in rows] == [
        n.replace("\0", "\\x00").strip("\ufeff\u200b\u2060").strip() for n in names
    ]
    raw = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline=""), strict=True))
    assert len(raw) == 1 + len(names)
    for cell, _ in raw[1:]:
        assert not cell.startswith(tuple("=+@\t\r\n-＝＋－＠")) or re.fullmatch(r"[+-][0-9.eE+-]+", cell)


@given(st.text(max_size=12))
def test_escaping_a_cell_is_reversible(text):
    text = text.replace("\0", "")
    assert as_it_was(harmless(text)) == text
    assert harmless(text)[:1] not in tuple("=@\t\r\n＝＋－＠")


def test_numbers_stay_and_what_no_file_holds_is_escaped():
    assert table_text([[-0.25, "-0.2500", "+3", "-1e-05", None, "", "-x"]]) == "-0.25,-0.2500,+3,-1e-05,,,'-x\n"
    assert table_text([["a\ud800", "b\0"]]) == "a\\ud800,b\\x00\n"
    assert table_text([["a\rb", "a;=1"]]) == '"a\rb","a;=1"\n'


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("007", "7"),
        ("7", "7.0"),
        ("P007", "p7"),
        ("AB-1", "ab_01"),
        ("Mu\u0308ller", "Müller"),
        ("a  b", "A B"),
        ("7", "７"),
    ],
)
def test_two_spellings_of_one_name_are_confusable(a, b):
    assert confusable([a, "x", b, a]) == (a, b)


def test_different_names_are_not_confusable():
    assert confusable(["P1-02", "P10-2", "P1", "P2", "a1", "a 1", "1.10", "1.1", "Müller", "Mueller", "", "-"]) is None


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", ".a", "a.", "a ", " a", "a/b", "a\\b", "a:b", "CON", "con.txt", "Lpt1", "aux .x", "COM\u00b9",
        "a\0b", "a\nb", "a\x7fb", "a\x85b", "a\ud800", "a\u202eb", "x" * 201, "王" * 100, "a?", "a\u2028b",
    ],
)  # fmt: skip
def test_names_that_are_invalid_file_names_are_converted(name):
    assert not is_file_name(name)
    safe = file_name_of(name)
    assert is_file_name(safe) and "~" in safe


@settings(max_examples=300)
@given(
    st.lists(st.text(max_size=8) | st.sampled_from(["a/b", "a_b", "con"]), min_size=2, max_size=5, unique_by=on_disk)
)
def test_different_cases_have_different_file_names(names):
    files = [file_name_of(name) for name in names]
    assert all(map(is_file_name, files)) and len(set(map(on_disk, files))) == len(names)
    assert all(file == name for file, name in zip(files, names) if name in ("a_b",))


@pytest.mark.parametrize(
    ("a", "b"), [("a", "A"), ("a", "a."), ("a", " a"), ("é", "e\u0301"), ("ß", "SS"), ("a", "a\u200b")]
)
def test_names_that_collide_on_some_file_system_are_detected(a, b):
    assert on_disk(a) == on_disk(b)


def test_messages_quote_at_most_a_short_line():
    told = quoted(["x" * 10_000, "a\nb\x1b[2J\ud800"])
    assert len(told) < 120 and told.isprintable() and "\\n" in told
