"""Custom folders become a list that training, batch and the panel read; ambiguous cases are left out."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from REACTKDLib.core.cases.case_list import open_case_list
from REACTKDLib.core.cases.worklist import read_worklist
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.modality import Modality
from REACTKDTrainLib.__main__ import main
from REACTKDTrainLib.cohorts.file_patterns import FilePattern, find_files
from REACTKDTrainLib.cohorts.listed import listed_cohort
from REACTKDTrainLib.cohorts.own_sheet import OwnSheet
from support.case_files import NAMES, SEGMENTATION, write_case
from support.small_cases import small_case


@pytest.fixture
def study(tmp_path) -> Path:
    """Flat files of four patients; the third has two CTs, the fourth no masks; also a note and a spreadsheet."""
    write_case(small_case(), tmp_path / "source")
    folder = tmp_path / "study"
    (folder / "masks").mkdir(parents=True)
    source = {m: (tmp_path / "source" / NAMES[m]).read_bytes() for m in (Modality.CT, Modality.FDG)}
    for name in ("P01", "P02", "P03", "P04"):
        (folder / f"{name}_ct_venous.nii.gz").write_bytes(source[Modality.CT])
        if name != "P04":
            (folder / "masks" / f"{name}.seg.nrrd").write_bytes((tmp_path / "source" / SEGMENTATION).read_bytes())
    (folder / "P01_fdg_1.nii.gz").write_bytes(source[Modality.FDG])
    (folder / "P03_ct_arterial.nii.gz").write_bytes(source[Modality.CT])
    (folder / "notes.txt").write_text("-")
    (tmp_path / "clinical.csv").write_text("subject;dx;age;seen\np01;G1;61;x\nP02;G3;58;y\nP09;G2;40;z\n")
    return folder


PATTERNS = ("{case}_ct_*.nii.gz", "{case}_fdg_*.nii.gz", "segmentation=masks/{case}.seg.nrrd")


def opened(folder: Path, *more: str) -> int:
    return main(["cohorts", "open", str(folder), "--pattern", *PATTERNS, *more])


def test_custom_folders_become_a_list_that_every_program_reads(study, tmp_path, capsys):
    sheet = [
        "--sheet",
        str(tmp_path / "clinical.csv"),
        "--grade-column",
        "dx",
        "--map",
        "G1=well",
        "G2=moderate",
        "G3=poor",
    ]
    written = tmp_path / "cases.json"
    assert opened(study, *sheet, "--keep", "age", "--datalist", str(written)) == 0
    said = capsys.readouterr().out
    assert "own folders: 2 cases of 2 patients" in said and "grades: 1 well, 1 poor" in said
    assert "P03: ambiguous: There are 2 files for ct; make the pattern more exact." in said
    assert "P04: no-segmentation:" in said and "1 file fit no pattern: 'notes.txt'" in said
    assert "The sheet has 2 rows of the 4 cases that were found." in said
    entries = json.loads(written.read_text())["training"]
    assert entries[0]["clinical"] == {"age": "61"} and "seen" not in written.read_text()
    cohort = listed_cohort(written)
    assert [(case.id, case.grade, case.modalities) for case in cohort.cases] == [
        ("P01", 0, ("ct", "fdg")),
        ("P02", 2, ("ct",)),
    ]
    assert cohort.cases[0].load().liver.any()
    assert [job.case for job in read_worklist(written)] == ["P01", "P02"]
    assert [case.problems for case in open_case_list(written).cases] == [(), ()]


def test_a_text_for_no_patient_in_the_sheet_does_not_join_cases(study, tmp_path, capsys):
    """The list was written, and refused when it was used."""
    (tmp_path / "clinical.csv").write_text("scan;subject;grade\nP01;NA;well\nP02;NA;well\nP03;berta;poor\n")
    sheet = ["--sheet", str(tmp_path / "clinical.csv"), "--patient-column", "subject"]
    assert opened(study, *sheet, "--datalist", str(tmp_path / "cases.json")) == 2
    assert "The cases 'P01', 'P02' have the patient 'NA', which would join them" in capsys.readouterr().err
    assert not (tmp_path / "cases.json").exists()


def test_patients_in_a_column_that_was_not_named_are_refused(study, tmp_path, capsys):
    """The sheet's column was left aside, and two scans of one patient could be in different folds."""
    (tmp_path / "clinical.csv").write_text("scan;subject;grade\nP01;anna;well\nP02;anna;well\nP03;berta;poor\n")
    sheet = ["--sheet", str(tmp_path / "clinical.csv"), "--datalist", str(tmp_path / "cases.json")]
    assert opened(study, *sheet) == 2
    assert "The sheet has the column 'subject', which names a patient of several cases" in capsys.readouterr().err
    assert not (tmp_path / "cases.json").exists()
    assert opened(study, *sheet, "--patient-column", "subject") == 0
    entries = json.loads((tmp_path / "cases.json").read_text())["training"]
    assert [one["patient"] for one in entries] == ["anna", "anna"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_match_in_either_unicode_form(form, tmp_path):
    """macOS stores an accent in a file name as a separate character; spreadsheets store one composed character."""
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    (tmp_path / "sheet.csv").write_text(unicodedata.normalize(other, "case,grade\nMüller,well\nROSE,poor\n"))
    cases = [unicodedata.normalize(form, "Müller"), "rose", "other"]
    assert OwnSheet(tmp_path / "sheet.csv", "grade").rows(cases) == {cases[0]: (0, "", {}), "rose": (2, "", {})}


def test_cases_that_differ_only_in_capitals_have_separate_rows(tmp_path):
    """The last of them used to get the rows of both."""
    path = tmp_path / "sheet.csv"
    path.write_text("case,grade\np1,well\nP1,poor\n")
    assert OwnSheet(path, "grade").rows(["P1", "p1"]) == {"p1": (0, "", {}), "P1": (2, "", {})}
    path.write_text("case,grade\npa,well\n")
    with pytest.raises(UsageError, match="'pa', which may be 'PA', 'Pa'"):
        OwnSheet(path, "grade").rows(["PA", "Pa"])


def test_values_of_a_case_are_not_copied_to_another_case_of_its_patient(study, tmp_path):
    """Two scans of one patient, at two ages; the second has no other values."""
    (tmp_path / "visits.csv").write_text("scan,who,grade,age,weight\nP01,a,well,61,70\nP02,a,well,63,\n")
    sheet = ["--sheet", str(tmp_path / "visits.csv"), "--patient-column", "who", "--keep", "age", "weight"]
    written = tmp_path / "cases.json"
    assert opened(study, *sheet, "--datalist", str(written)) == 0
    entries = json.loads(written.read_text())["training"]
    assert [(entry["id"], entry["patient"], entry["clinical"]) for entry in entries] == [
        ("P01", "a", {"age": "61", "weight": "70"}),
        ("P02", "a", {"age": "63"}),
    ]


def test_a_path_and_a_sheet_that_name_two_patients_leave_the_case_out(tmp_path, capsys):
    """Folds separate patients; the sheet's patient used to be taken, whatever the path said."""
    write_case(small_case(), tmp_path / "source")
    for patient, case in (("007", "a"), ("B", "b")):
        (tmp_path / "study" / patient).mkdir(parents=True)
        for name, suffix in ((NAMES[Modality.CT], "ct.nii.gz"), (SEGMENTATION, "seg.seg.nrrd")):
            data = (tmp_path / "source" / name).read_bytes()
            (tmp_path / "study" / patient / f"{case}_{suffix}").write_bytes(data)
    (tmp_path / "who.csv").write_text("scan,who,grade\na,007,well\nb,C,poor\n")
    patterns = ["{patient}/{case}_ct.nii.gz", "{patient}/{case}_seg.seg.nrrd"]
    sheet = ["--sheet", str(tmp_path / "who.csv"), "--case-column", "scan", "--patient-column", "who"]
    assert main(["cohorts", "open", str(tmp_path / "study"), "--pattern", *patterns, *sheet]) == 0
    said = capsys.readouterr().out
    assert "1 case of 1 patient" in said
    assert "b: ambiguous: Its path is of the patient 'B' and its row of 'C'; correct one." in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "The sheet is empty"),
        ("nr,dx\n1,G1\n2,G2\n", "No column of the sheet ('nr', 'dx') names a case as its files do, such as 'P01"),
    ],
)
def test_a_sheet_without_the_cases_is_refused_and_its_content_named(study, tmp_path, capsys, text, words):
    """An empty file was said to lack a column of cases, and naming a column without them could not help."""
    (tmp_path / "other.csv").write_text(text)
    assert opened(study, "--sheet", str(tmp_path / "other.csv"), "--grade-column", "dx") == 2
    said = capsys.readouterr().err
    assert said.startswith(words) and said.count("\n") == 1


def test_a_grade_missing_in_the_map_is_refused(study, tmp_path, capsys):
    given = ["--sheet", str(tmp_path / "clinical.csv"), "--grade-column", "dx", "--map", "G1=well"]
    assert opened(study, *given) == 2
    assert "or say what it means too, such as" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--grade-column", "dx"], "have the grades 'G1', 'G3'; give well, moderate or poor"),
        (["--grade-column", "grade"], "lacks the column 'grade'"),
        (["--grade-column", "dx", "--case-column", "who"], "lacks the column 'who'"),
        (["--grade-column", "dx", "--map", "G1"], "not written as TEXT=CLASS"),
    ],
)
def test_a_sheet_without_the_needed_columns_is_refused_in_one_sentence(study, tmp_path, capsys, more, words):
    assert opened(study, "--sheet", str(tmp_path / "clinical.csv"), *more) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        (["{case}.nii.gz"], "does not say what its files are"),
        (["ct=scan.nii.gz"], "does not say which part is the case"),
        (["mri={case}.nii.gz"], "'mri' is no kind of file"),
        (["ct={case}_*.nii.gz"], "one file is of case"),
        (["ct={case}_ct_*.nii.gz", "fdg={case}_ct_venous.nii.gz"], "Two patterns fit one file: as ct and as fdg"),
        (["ct={case}_ct_*.nii.gz", "ct={case}_venous.nii.gz"], "Two patterns fit one file: as ct of 'P01"),
        (["ct=none/{case}.nii.gz"], "No file fits the patterns"),
    ],
)
def test_ambiguous_or_unmatched_patterns_are_refused(study, capsys, patterns, words):
    assert main(["cohorts", "open", str(study), "--pattern", *patterns]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_patterns_match_folders_and_series(tmp_path):
    for name in ("a/CT/1.dcm", "a/CT/2.dcm", "deep/er/b/PET fdg.nii"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_files(tmp_path, [FilePattern.from_text("{case}/CT"), FilePattern.from_text("**/{case}/PET?fdg.nii")])
    assert {case: list(roles) for case, roles in found.files.items()} == {"a": ["ct"], "b": ["fdg"]}
    assert found.other == []
    same = FilePattern.from_text("ct={patient}/{case}/{patient}_{case}.nii")
    assert same.match("p/x/p_x.nii") == ("x", "p") and same.match("p/x/q_x.nii") is None


def test_other_columns_are_ignored_unless_they_resemble_known_ones(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("case,ct,segmentation,grade,age,referring ward\na,x.nii.gz,y.nrrd,well,61,W3\n")
    assert [job.case for job in read_worklist(path)] == ["a"]
    for column, cell in (("acetat", ""), ("second ct", ""), ("extra", "z.nii.gz"), ("segmentaton", "s"), ("mr", "12")):
        path.write_text(f"case,ct,segmentation,{column}\na,x.nii.gz,y.nrrd,{cell}\n")
        with pytest.raises(UsageError, match="unknown columns"):
            read_worklist(path)


@pytest.mark.parametrize(
    ("column", "cell"),
    [("scan_date", "01.03.2024"), ("scan date", "2024-03-01 09:30"), ("ct date", "3/1/2024"), ("tumor_size_mm", "31,5"),
     ("lesion count", "3"), ("liver volume", "1.5e3")],
)  # fmt: skip
def test_dates_and_numbers_are_no_images_whatever_the_column_is_called(tmp_path, column, cell):
    """A list with the date of the scan was refused."""
    path = tmp_path / "list.csv"
    path.write_text(f"case;ct;segmentation;{column}\na;x.nii.gz;y.nrrd;{cell}\nb;x.nii.gz;y.nrrd;\n")
    assert [job.case for job in read_worklist(path)] == ["a", "b"]
    entry = {"id": "a", "ct": "x.nii.gz", "segmentation": "y.nrrd", column: cell}
    (tmp_path / "list.json").write_text(json.dumps({"training": [entry, entry | {"id": "b", column: 3.5}]}))
    assert [job.case for job in read_worklist(tmp_path / "list.json")] == ["a", "b"]
    path.write_text(f"case;ct;segmentation;{column}\na;x.nii.gz;y.nrrd;{cell}\nb;x.nii.gz;y.nrrd;scans/b\n")
    with pytest.raises(UsageError, match="unknown columns"):
        read_worklist(path)


def test_a_datalist_may_define_its_grades(tmp_path):
    entry = {"id": "a", "ct": "c.nii.gz", "segmentation": "s.nrrd", "grade": "G2", "ward": "W3"}
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"grades": {"g2": "moderate"}, "training": [entry]}))
    assert listed_cohort(path).cases[0].grade == 1
    assert [job.case for job in read_worklist(path)] == ["a"]
    path.write_text(json.dumps({"grades": ["G2"], "training": [entry]}))
    with pytest.raises(UsageError, match="is no object"):
        listed_cohort(path)
