"""A list with several bad cells in a column is refused once, with all of them: one at a time takes a try for each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.cohorts.grade_words import GradeWords
from REACTKDTrainLib.cohorts.listed import reference_grades
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.cohorts.own_sheet import OwnSheet
from REACTKDTrainLib.study.readers import ReaderTable

WORDS = ["G1", "well", "G2", "g1", "G3", "G4", "", "G5", "G6", "G7"]
TOLD = (
    r"^8 cases \(the first: 'a0'\) have the grades 'G1', 'G2', 'G3', 'G4', 'G5' and 2 more; "
    r"give well, moderate or poor \(or 0, 1, 2\), or say what each means, such as --map g1=well\.$"
)


def write_list(folder: Path, kind: str, column: str, values: list) -> Path:
    path, files = folder / f"list.{kind}", {"ct": "c.nii.gz", "segmentation": "s.nrrd"}
    entries = [{"case" if kind == "csv" else "id": f"a{n}", **files, column: value} for n, value in enumerate(values)]
    if kind == "csv":
        path.write_text(
            "\n".join(",".join(map(str, row)) for row in [entries[0].keys(), *(e.values() for e in entries)])
        )
    else:
        path.write_text(json.dumps({"training": entries}))
    return path


@pytest.mark.parametrize("kind", ["csv", "json"])
@pytest.mark.parametrize("read", [lambda path: open_cohort(str(path)), reference_grades])
def test_all_unknown_grades_of_a_list_are_named(tmp_path, kind, read):
    with pytest.raises(UsageError, match=TOLD):
        read(write_list(tmp_path, kind, "grade", WORDS))


def test_all_unknown_grades_of_a_table_beside_case_folders_are_named(tmp_path):
    for name in ("a0", "a1"):
        (tmp_path / name).mkdir()
        for file in ("CT.nii.gz", "segmentation.seg.nrrd"):
            (tmp_path / name / file).touch()
    (tmp_path / "grades.csv").write_text("case,grade\na0,G1\na1,G2\n")
    with pytest.raises(UsageError, match=r"^2 cases \(the first: 'a0'\) have the grades 'G1', 'G2'; give well"):
        open_cohort(str(tmp_path))


def test_all_unknown_grades_of_a_sheet_are_named_but_those_of_others(tmp_path):
    (tmp_path / "s.csv").write_text("case,dx\na,G1\nother,G9\nb,G2\n")
    with pytest.raises(UsageError, match=r"^2 cases \(the first: 'a'\) have the grades 'G1', 'G2'; give"):
        OwnSheet(tmp_path / "s.csv", "dx").rows(["a", "b"])


def test_one_unknown_grade_of_many_cases_is_named_once():
    with pytest.raises(UsageError, match=r"^3 cases \(the first: 'a'\) have the grade 'benign'; give well"):
        GradeWords().check_grades([("a", "benign"), ("b", "benign"), ("c", "Benign "), ("d", "well")])
    with pytest.raises(UsageError, match=r"^Case 'a' has the grades 'x', 'y'; give well"):
        GradeWords().check_grades([("a", "x"), ("a", "y")])
    with pytest.raises(UsageError, match=r"^2 cases .* have the grades 7, 'x'; give .* such as --map x=well\.$"):
        GradeWords().check_grades([("a", 7), ("b", "x")])
    GradeWords.from_text("x=well").check_grades([("a", "x"), ("b", None), ("c", 2)])


def test_all_bad_grades_and_times_of_a_table_of_readers_are_named(tmp_path):
    head = "case,reader,unaided_grade,aided_grade,unaided_seconds,aided_seconds\n"
    (tmp_path / "r.csv").write_text(head + "a,x,well,nice,1,1\nb,x,bad,well,1,1\n")
    with pytest.raises(UsageError, match=r"^2 cases \(the first: 'a'\) have the grades 'nice', 'bad'; give"):
        ReaderTable(tmp_path / "r.csv").readings()
    (tmp_path / "r.csv").write_text(head + "a,x,well,well,soon,1\nb,x,well,well,1,-1\n")
    with pytest.raises(UsageError, match=r"^2 cases \(the first: 'a'\) have the seconds 'soon', '-1'; give numbers"):
        ReaderTable(tmp_path / "r.csv").readings()


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_all_bad_folds_of_a_list_are_named(tmp_path, kind):
    with pytest.raises(UsageError, match=r"^2 cases \(the first: 'a1'\) have the folds 'x', '-1'; give whole numbers"):
        open_cohort(str(write_list(tmp_path, kind, "fold", ["0", "x", "1", "-1"])))


@pytest.mark.parametrize("read", [lambda path: open_cohort(str(path)), reference_grades])
def test_all_cases_with_two_grades_are_named(tmp_path, read):
    path = tmp_path / "grades.csv"
    path.write_text("case,grade\na,well\nb,poor\na,poor\nb,well\nc,well\nc,well\n")
    for name in "abc":
        (tmp_path / name).mkdir()
        for file in ("CT.nii.gz", "segmentation.seg.nrrd"):
            (tmp_path / name / file).touch()
    with pytest.raises(UsageError, match="says two things of 'a', 'b'; correct it"):
        read(tmp_path)
