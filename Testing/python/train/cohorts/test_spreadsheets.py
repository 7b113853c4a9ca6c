"""Grades and patients are read from lists as common programs write them, completely or not at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.cohorts.base import Cohort
from REACTKDTrainLib.cohorts.clinical import read_hospital_sheet
from REACTKDTrainLib.cohorts.listed import reference_grades
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.cohorts.patient_cells import patient_columns
from support.case_files import write_case
from support.small_cases import small_case

WORKLIST = (
    "case,ct,segmentation,grade,patient\n"
    "one,cases/one/CT.nii.gz,cases/one/segmentation.seg.nrrd,poor,p1\n"
    "two,cases/two/CT.nii.gz,cases/two/segmentation.seg.nrrd,2.0,p1\n"
    "three,cases/three/CT.nii.gz,cases/three/segmentation.seg.nrrd, Well ,\n"
)
GRADES = "case,grade,patient\none,poor,p1\ntwo,2.0,p1\nthree, Well ,\n"
READ = [("one", "p1", 2), ("three", "three", 0), ("two", "p1", 2)]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("spreadsheets")
    write_case(small_case(), folder / "cases" / "one")
    for name in ("two", "three"):
        shutil.copytree(folder / "cases" / "one", folder / "cases" / name)
    return folder


def found(cohort: Cohort) -> list[tuple]:
    return sorted((case.id, case.patient, case.grade) for case in cohort.cases)


def with_grades(root: Path, data: bytes) -> Cohort:
    (root / "cases" / "grades.csv").write_bytes(data)
    try:
        return open_cohort(str(root / "cases"))
    finally:
        (root / "cases" / "grades.csv").unlink()


WRITTEN = {
    "commas": lambda text: text.encode(),
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "sep=": lambda text: ("sep=;\r\n" + text.replace(",", ";").replace("\n", "\r\n")).encode(),
    "mark": lambda text: text.encode("utf-8-sig"),
    "utf-16 with tabs": lambda text: text.replace(",", "\t").replace("\n", "\r\n").encode("utf-16"),
    "empty lines": lambda text: ("\r\n,,\r\n" + text.replace("\n", "\r\n\r\n")).encode(),
    "capitals": lambda text: text.replace("case,", "Case ,").replace("grade", "GRADE").encode(),
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_one_reader_for_worklists_and_grades(root, written):
    (root / "work.csv").write_bytes(written(WORKLIST))
    assert found(open_cohort(str(root / "work.csv"))) == READ
    assert found(with_grades(root, written(GRADES))) == READ


def test_patients_without_a_grade_stay_in_one_fold(root):
    lines = [line.rsplit(",", 2) for line in WORKLIST.splitlines()]
    (root / "work.csv").write_text("\n".join(f"{rest},{patient}" for rest, _, patient in lines))
    assert found(open_cohort(str(root / "work.csv"))) == [(case, patient, None) for case, patient, _ in READ]


def test_the_grade_of_a_row_without_a_name_counts(root):
    (root / "work.csv").write_text(WORKLIST.replace("\none,", "\n,"))
    assert ("case-1", "p1", 2) in found(open_cohort(str(root / "work.csv")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,grade\none,poor\n", "lacks the column 'case'"),
        ("case,Differentiation\none,poor\n", "lacks the column 'grade'"),
        ("", "is empty"),
        ("case,grade\none,poor\none,well\n", "says two things of 'one'"),
        ("case,grade,patient\none,poor,a\none,poor,b\n", "says two things of 'one'"),
        ("case,grade,patient_id\none,poor,a\n", "column 'patient_id'"),
        ("case,grade,Subject\none,poor,a\n", "column 'subject'"),
        ("case,grade,patient\none,poor,007\ntwo,poor,7\n", "'007', '7', which may be one"),
        ("case,grade,patient\none,poor,P1\ntwo,poor,p1\n", "'P1', 'p1', which may be one"),
        ("case,grade\n,poor\n", "without the name"),
        ("case,grade\nfour,poor\n", "no case"),
        ("case,grade\none,1.5\n", "has the grade '1.5'"),
        ("case,grade\none,poor,well\n", "more cells"),
    ],
)
def test_grades_that_can_be_read_in_two_ways_are_refused(root, text, words):
    with pytest.raises(UsageError, match=words):
        with_grades(root, text.encode())


@pytest.mark.parametrize(
    "column", ["subject", "subject id", "subj_no", "mrn", "person", "study_subject", "participant_id"]
)
def test_a_list_whose_patients_have_another_column_is_refused(root, column):
    """It was ignored, so that two scans of one patient were in different folds."""
    head, *rows = [line.rsplit(",", 1)[0] for line in WORKLIST.splitlines()]
    (root / "work.csv").write_text("\n".join([f"{head},{column}", *(f"{row},a" for row in rows)]))
    said = f"has the column '{column}', which is not read and names .*; call that of the patients 'patient'"
    with pytest.raises(UsageError, match=said):
        open_cohort(str(root / "work.csv"))
    with pytest.raises(UsageError, match=said):
        datalist(root, json.dumps({"training": [entry("one", **{column: "a"}), entry("two", **{column: "a"})]}))
    both = [entry("one", patient="a", **{column: "a"}), entry("two", patient="a", **{column: "a"})]
    assert found(datalist(root, json.dumps({"training": both}))) == [("one", "a", None), ("two", "a", None)]
    apart = [entry("one", **{column: "a"}), entry("two", **{column: "b"})]  # each is of a patient of its own, as read
    assert len(datalist(root, json.dumps({"training": apart}))) == 2


@pytest.mark.parametrize("nothing", ["NA", "nan", "None", "-", "unknown"])
def test_a_text_for_no_patient_does_not_join_cases(root, nothing):
    """R and pandas write it into empty cells: all such cases were one patient."""
    with pytest.raises(UsageError, match=f"'one', 'two' have the patient '{nothing}', which would join them"):
        with_grades(root, f"case,grade,patient\none,poor,{nothing}\ntwo,poor,{nothing}\n".encode())
    with pytest.raises(UsageError, match=f"'one', 'two' have the patient '{nothing}'"):
        datalist(root, json.dumps({"training": [entry("one", patient=nothing), entry("two", patient=nothing)]}))
    alone = with_grades(root, f"case,grade,patient\none,poor,{nothing}\ntwo,poor,p2\n".encode())
    assert found(alone)[0] == ("one", nothing, 2)


@pytest.mark.parametrize("nothing", ["NA", "nan", "-", "unknown"])
def test_a_text_for_no_patient_in_a_column_that_is_not_read_names_none(root, nothing):
    """As of a list whose numbers of patients were removed: it was refused for a patient of several cases."""
    head, *rows = [line.rsplit(",", 1)[0] for line in WORKLIST.splitlines()]
    (root / "work.csv").write_text("\n".join([f"{head},mrn", *(f"{row},{nothing}" for row in rows)]))
    assert len({case.patient for case in open_cohort(str(root / "work.csv")).cases}) == len(rows) > 1


def test_patients_of_a_reader_study_in_another_column_are_refused(tmp_path):
    """Also beside an empty column of patients, as in a list and a datalist."""
    (tmp_path / "truth.csv").write_text("case,grade,patient,mrn\none,poor,,7\ntwo,well,,7\n")
    with pytest.raises(UsageError, match="has the column 'mrn', which is not read and names a patient of several"):
        reference_grades(tmp_path / "truth.csv")


def test_a_text_for_no_patient_does_not_join_the_cases_of_a_reader_study(tmp_path):
    (tmp_path / "truth.csv").write_text("case,grade,patient\none,poor,NA\ntwo,well,NA\n")
    with pytest.raises(UsageError, match="'one', 'two' have the patient 'NA', which would join them"):
        reference_grades(tmp_path / "truth.csv")


@pytest.mark.parametrize("column", ["hepatitis", "pathology", "patient_age", "department", "compatible"])
def test_a_column_of_other_data_is_ignored(root, column):
    cohort = with_grades(root, f"case,{column},grade\none,61,2\ntwo,61,2\n".encode())
    assert found(cohort)[0] == ("one", "one", 2) and patient_columns([column]) == []


def test_a_repeated_row_and_other_columns_are_accepted(root):
    cohort = with_grades(root, b"case,age,grade\none,61,2\none,61,2.0\n")
    assert found(cohort)[0] == ("one", "one", 2)


def datalist(root: Path, text: str) -> Cohort:
    (root / "list.json").write_text(text)
    return open_cohort(str(root / "list.json"))


def entry(name: str, **more) -> dict:
    folder = f"cases/{name}"
    return {"id": name, "ct": f"{folder}/CT.nii.gz", "segmentation": f"{folder}/segmentation.seg.nrrd"} | more


@pytest.mark.parametrize("patient", [0, 7, "0"])
def test_a_patient_may_be_a_number(root, patient):
    entries = [entry("one", patient=patient, grade=1.0), entry("two", patient=patient)]
    cohort = datalist(root, json.dumps({"training": entries}))
    assert found(cohort) == [("one", str(patient), 1), ("two", str(patient), None)]


def test_a_case_may_be_the_number_zero(root):
    cohort = datalist(root, json.dumps({"training": [{**entry("one"), "id": 0, "grade": "Poor"}]}))
    assert found(cohort) == [("0", "0", 2)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"training": [{"id": "one", "ct": "a", "grade": "well", "grade": "poor"}]}', "'grade' twice"),
        ('{"training": [], "training": []}', "'training' twice"),
        (json.dumps({"training": [entry("one", patient="007"), entry("two", patient=7)]}), "'007', '7'"),
        (json.dumps({"training": [entry("one", patient=[1])]}), "patient"),
        (json.dumps({"training": [entry("one", patient=float("nan"))]}), "patient nan"),
        (json.dumps({"training": [{**entry("one"), "id": True}]}), "id True"),
        (json.dumps({"training": [entry("one", liver="l", tumor="t")]}), "leave one"),
        (json.dumps({"training": [entry("one", image="x")]}), "two images for 'ct'"),
        (json.dumps({"training": [entry("one", grade=True)]}), "grade True"),
        (json.dumps({"training": [entry("one", grade="x" * 9999)]}), r"grade 'x+\.\.\."),
        ("[" * 100_000, "not readable JSON"),
        ('{"training": [{"id": "one", "clinical": ' + "[" * 100_000 + "]" * 100_000 + "}]}", "not readable JSON"),
        ('{"training": [{"fold": 1' + "0" * 5000 + "}]}", "JSON|image"),
    ],
    ids=range(13),
)  # fmt: skip
def test_a_datalist_that_can_be_read_in_two_ways_is_refused(root, text, words):
    with pytest.raises(UsageError, match=words) as caught:
        datalist(root, text)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_datalist_in_another_encoding(root, encoding):
    (root / "list.json").write_bytes(json.dumps({"training": [entry("one", grade="WELL")]}).encode(encoding))
    assert found(open_cohort(str(root / "list.json"))) == [("one", "one", 0)]


def test_clinical_sheets_are_read_with_the_same_reader(tmp_path):
    path = tmp_path / "clinical.csv"
    path.write_bytes("sep=;\r\nID;Sex;Age;AFP;Hepatitis\r\nMüller;F;61;12,5;B\r\n7;m;95;1,234;\r\n".encode("cp1252"))
    rows = read_hospital_sheet(path)
    assert rows["Müller"].to_metadata() == {"sex": "F", "age": 61, "hepatitis": "B", "afp_ng_ml": 12.5}
    assert rows["7"].to_metadata() == {"sex": "M", "age": 90}, "1,234 may be 1.234 or 1234"
    path.write_text("ID,Sex\n7,F\n7,M\n")
    with pytest.raises(UsageError, match="two things of '7'"):
        read_hospital_sheet(path)


def test_names_print_on_a_windows_console(tmp_path):
    """Findings are printed in full, even if the console cannot encode the characters of a name."""
    write_case(small_case(), tmp_path / "cases" / "王")
    write_case(small_case(), tmp_path / "cases" / "b")
    (tmp_path / "cases" / "王" / "CT.nii.gz").write_text("no image")
    command = [sys.executable, "-m", "REACTKDTrainLib", "cohorts", "check", str(tmp_path / "cases"), "--open"]
    folders = [path for path in sys.path if path.rstrip("/").endswith(("REACTKD", "REACTKDTrain"))]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONPATH": os.pathsep.join(folders)}
    done = subprocess.run(command, capture_output=True, env=environment, timeout=120)
    assert (done.returncode, done.stderr) == (0, b"") and b"\\u738b: unreadable" in done.stdout
