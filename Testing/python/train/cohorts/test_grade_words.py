"""Grades in other words: one mapping for datalists, worklists, spreadsheets and reference tables, or a refusal."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from REACTKDLib.core.cases.case_list import open_case_list
from REACTKDLib.core.cases.worklist import read_worklist
from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.__main__ import main
from REACTKDTrainLib.cohorts.grade_words import OWN_WORDS, GradeWords
from REACTKDTrainLib.cohorts.listed import reference_grades
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from support.kidney_phantoms import KIDNEY, TASK_FILE

MAP = "G1=well,G2=moderate;g3 = poor"
ROWS = (("a", "G1"), ("b", "g2"), ("c", " G3 "), ("d", ""))
FILES = {"ct": "c.nii.gz", "segmentation": "s.nrrd"}


@pytest.fixture
def lists(tmp_path) -> dict[str, Path]:
    """The same four cases as a worklist, a workbook, a datalist that maps its own grades, and one that does not."""
    from openpyxl import Workbook

    found = {name: tmp_path / name for name in ("list.csv", "list.xlsx", "own.json", "list.json")}
    rows = [["case", *FILES, "grade"], *([name, *FILES.values(), grade] for name, grade in ROWS)]
    found["list.csv"].write_text("\n".join(map(",".join, rows)))
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.save(found["list.xlsx"])
    entries = [{"id": name, **FILES, "grade": grade} for name, grade in ROWS]
    found["list.json"].write_text(json.dumps({"training": entries}))
    own = {"G1": "well", "G2": "moderate", "G3": "poor"}
    found["own.json"].write_text(json.dumps({"grades": own, "training": entries}))
    for name in FILES.values():
        (tmp_path / name).touch()
    return found


@pytest.mark.parametrize("name", ["list.csv", "list.xlsx", "list.json", "own.json"])
def test_training_batch_and_the_panel_read_one_list(lists, name):
    path, given = lists[name], "" if name == "own.json" else MAP
    cohort = open_cohort(str(path), grades=given)
    assert [case.grade for case in cohort.cases] == [0, 1, 2, None]
    assert [job.case for job in read_worklist(path)] == ["a", "b", "c", "d"]
    assert [case.id for case in open_case_list(path).cases] == ["a", "b", "c", "d"]
    assert reference_grades(path, GradeWords.from_text(given)) == {"a": (0, "a"), "b": (1, "b"), "c": (2, "c")}


@pytest.mark.parametrize(
    ("first", "second"),
    [({"id": "a", "grade": "well"}, {"id": "a", "grade": "poor"}), ({"id": "\u00e9", "grade": 0}, {"id": "e\u0301"})],
)
def test_a_list_that_grades_one_case_twice_is_no_reference(first, second, tmp_path):
    """The entry in the later part of the datalist used to win."""
    path = tmp_path / "twice.json"
    path.write_text(json.dumps({"training": [first], "test": [second]}))
    with pytest.raises(UsageError, match="The list says two things of '.*'; correct it."):
        reference_grades(path)
    path.write_text(json.dumps({"training": [first], "test": [first]}))
    assert len(reference_grades(path)) == 1


@pytest.mark.parametrize("word", ["moderately differentiated (grade 2)", "#n/a", "?", "it's", "$HOME", "g*"])
def test_the_suggested_option_is_one_that_a_shell_passes_on(word):
    """Long words were cut off, and a comment or a pattern of the shell was suggested without quotes."""
    with pytest.raises(UsageError) as refused:
        GradeWords().check_grades([("a", word), ("b", word + " or another of the same kind, with many words")])
    option = str(refused.value).partition("such as --map ")[2].removesuffix(".")
    (given,) = shlex.split(option, comments=True)
    assert GradeWords.from_text(given).grade(word, "a") == 0
    with pytest.raises(UsageError, match=r"'well, or better'; give well, moderate or poor \(or 0, 1, 2\)\.$"):
        GradeWords().check_grades([("a", "well, or better")])  # a comma separates the pairs of the option


def test_commands_accept_the_map(lists, capsys):
    assert main(["cohorts", "check", str(lists["list.csv"]), "--map", "G1=well", "G2=moderate", "G3=poor"]) == 0
    assert "grades: 1 well, 1 moderate, 1 poor" in capsys.readouterr().out
    assert main(["cohorts", "check", str(lists["list.csv"])]) == 2
    said = capsys.readouterr().err
    assert "have the grades 'G1', 'g2', 'G3'; give well, moderate or poor" in said
    assert "or say what each means, such as --map g1=well." in said
    blank = lists["list.csv"].with_name("blank.csv")
    blank.write_text(lists["list.csv"].read_text().replace("G1", "G 1"))
    capsys.readouterr()
    assert main(["cohorts", "check", str(blank)]) == 2 and "such as --map 'g 1=well'." in capsys.readouterr().err
    command = ["train", "--cohort", str(lists["list.csv"]), "--output", str(lists["list.csv"].parent / "run")]
    assert main([*command, "--map", "G1=well", "G2=moderate,G3=bad", "--dry-run"]) != 0
    assert "'g3' is mapped to 'bad'; give well, moderate or poor" in capsys.readouterr().err


def test_a_list_of_another_task_is_checked_by_its_words(tmp_path, capsys):
    (tmp_path / "k.csv").write_text("case,ct,segmentation,grade\na,a.nii.gz,a.seg.nrrd,benign\n")
    for name in ("a.nii.gz", "a.seg.nrrd"):
        (tmp_path / name).touch()
    assert main(["cohorts", "check", str(tmp_path / "k.csv"), "--task", str(TASK_FILE)]) == 0
    assert "grades: 1 benign" in capsys.readouterr().out
    assert main(["cohorts", "check", str(tmp_path / "k.csv")]) == 2
    assert "has the grade 'benign'" in capsys.readouterr().err


def test_a_map_with_numbers_replaces_the_default_numbering():
    words = GradeWords.from_text("1=well,2=moderate,3=poor")
    assert [words.grade(value, "a") for value in (1, "2.0", 3.0, "well", None)] == [0, 1, 2, 0, None]
    with pytest.raises(UsageError, match=r"has the grade '0'; give well, moderate or poor\.$"):
        words.grade("0", "a")
    assert OWN_WORDS.grade("0", "a") == 0


def test_classes_of_another_task_are_mapped():
    assert GradeWords.from_text("RCC=malignant").grade("rcc", "a", KIDNEY) == 1
    with pytest.raises(UsageError, match="mapped to 'poor'; give benign or malignant"):
        GradeWords.from_text("RCC=poor").grade("rcc", "a", KIDNEY)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("G1", "not written as TEXT=CLASS"),
        ("G1=", "not written as TEXT=CLASS"),
        ("G1=well,g1=poor", "'g1' is mapped to two classes"),
        ("well=poor", "'well' is a class of its own"),
        ("G1=wel", "mapped to 'wel'; give well"),
    ],
)
def test_a_map_that_can_be_read_in_two_ways_is_refused(text, words):
    with pytest.raises(UsageError, match=words):
        GradeWords.from_text(text).grade("x", "a")


def test_a_map_that_contradicts_the_list_is_refused(lists):
    with pytest.raises(UsageError, match="'g1' is mapped to two classes"):
        open_cohort(str(lists["own.json"]), grades="G1=poor")
