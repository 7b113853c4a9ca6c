"""`python -m REACTKDTrainLib cohorts check`: its output, and that training reads its lists back as the same cases."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.images.volume import Volume
from REACTKDTrainLib.__main__ import main
from REACTKDTrainLib.cohorts.listed import datalist_cohort
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.cohorts.survey import Problem, Survey
from support.case_files import write_case
from support.dicom_files import write_seg, write_series
from support.small_cases import small_case

REPOSITORY = Path(__file__).resolve().parents[4]
SHAPE, SPACING = (30, 40, 44), (4.0, 4.0, 5.0)
D, H, W = np.indices(SHAPE)
LIVER = ((D - 15) / 11) ** 2 + ((H - 20) / 15) ** 2 + ((W - 20) / 15) ** 2 < 1
MASS = (D - 14) ** 2 + (H - 20) ** 2 + (W - 18) ** 2 < 16


def ct(seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(30, 10, SHAPE)
    values[:, :4] = -1000
    values[LIVER] += 60
    return np.rint(values).astype(np.int16)


def matrix(x: float = 40.0) -> np.ndarray:
    place = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    place[:3, 3] = x, 70, -80
    return place


@pytest.fixture(scope="module")
def hospital(tmp_path_factory) -> Path:
    """Twelve patients, four of each grade, with one or two tracers."""
    root = tmp_path_factory.mktemp("hospital")
    for n in range(12):
        grade, name = ("well", "moderate", "poor")[n % 3], f"p{n}"
        for tracer in ("FDG", "ACT")[: 1 + n % 2]:
            images, masks = (root / top / grade / name / tracer for top in ("Dataset", "Dataset_seg"))
            write_volume(Volume(ct(n), matrix()), images / "CT.nii.gz")
            write_volume(Volume(np.abs(ct(n)).astype(np.float32) / 10, matrix()), images / "PET.nii.gz")
            write_volume(Volume(LIVER.astype(np.uint8), matrix()), masks / "CT_liver.nii.gz")
            write_volume(Volume(MASS.astype(np.uint8), matrix()), masks / "CT_tumor.nii.gz")
    return root


@pytest.fixture(scope="module")
def lits(tmp_path_factory) -> Path:
    """A valid case, one whose label has lost its geometry, one without labels."""
    root = tmp_path_factory.mktemp("lits")
    labels = LIVER.astype(np.uint8) + (LIVER & MASS)
    for number, place in ((3, matrix()), (48, matrix(240.0))):
        write_volume(Volume(ct(number), matrix()), root / f"volume-{number}.nii")
        write_volume(Volume(labels, place), root / f"segmentation-{number}.nii")
    write_volume(Volume(ct(), matrix()), root / "volume-9.nii")
    return root


@pytest.fixture(scope="module")
def tace(tmp_path_factory) -> Path:
    """Two patients with two phases in one series, and one without a segmentation."""
    root = tmp_path_factory.mktemp("tace")
    portal, aorta = (abs(H - 30) < 2) & (abs(W - 38) < 2), (abs(H - 36) < 2) & (abs(W - 40) < 2)
    for patient in ("HCC_001", "HCC_002", "HCC_003"):
        for n, (in_portal, in_aorta) in enumerate(((100, 300), (170, 160))):
            values = ct(n)
            values[portal], values[aorta] = in_portal, in_aorta

            def own(dataset, k, n=n):
                dataset.AcquisitionNumber = n + 1
                dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID[:-2]}.{n}"
                dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID

            paths = write_series(
                root / patient / "s" / "ct", values, spacing=SPACING, patient=patient, edit=own, first_file=n * SHAPE[0]
            )
        if patient != "HCC_003":
            segments = {"Liver": LIVER, "Mass": MASS, "Portal vein": portal, "Abdominal aorta": aorta}
            write_seg(root / patient / "s" / "seg" / "1-1.dcm", paths, segments)
    return root


def listed(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["training"]


def test_a_hospital_folder_is_checked_and_listed(hospital, tmp_path, capsys):
    assert main(["cohorts", "check", str(hospital), "--datalist", str(tmp_path / "h.json"), "--folds", "2"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "hospital PET/CT, two tracers: 18 cases of 12 patients"
    assert out[1:3] == ["grades: 6 well, 6 moderate, 6 poor", "images: 6 ct+acetate, 12 ct+fdg"]
    assert out[-1] == "Wrote h.json with 18 cases."
    entries = listed(tmp_path / "h.json")
    assert {e["fold"] for e in entries} == {0, 1} and not any(Path(e["ct"]).is_absolute() for e in entries)
    assert len({(e["patient"], e["fold"]) for e in entries}) == 12, "a patient's cases share a fold"
    cohort = datalist_cohort(tmp_path / "h.json")
    assert sorted(c.modalities for c in cohort.cases) == [("ct", "acetate")] * 6 + [("ct", "fdg")] * 12
    case = cohort.cases[0].load()
    assert np.array_equal(case.tumor, MASS) and np.array_equal(case.liver, LIVER | MASS)


def test_a_lits_folder_is_checked_and_listed(lits, tmp_path, capsys):
    assert main(["cohorts", "check", str(lits), "--datalist", str(tmp_path / "l.json")]) == 0
    out = capsys.readouterr().out
    assert "LiTS17: 2 cases of 2 patients" in out and "lits-009: no-labels" in out
    assert "lits-048: geometry-overruled" in out
    cohort = datalist_cohort(tmp_path / "l.json")
    assert [c.grade for c in cohort.cases] == [None, None]
    for case in cohort.cases:  # 48 too: its mask was rewritten on the image's grid
        opened = case.load()
        assert np.array_equal(opened.tumor, LIVER & MASS) and np.array_equal(opened.liver, LIVER)
    assert [p.name for p in (tmp_path / "l-masks").iterdir()] == ["lits-048.nii.gz"]


def test_an_hcc_tace_folder_is_checked_and_listed(tace, tmp_path, capsys):
    out = tmp_path / "lists" / "t.json"
    assert main(["cohorts", "check", str(tace), "--datalist", str(out), "--open"]) == 0
    found = capsys.readouterr().out
    assert "HCC-TACE-Seg: 2 cases of 2 patients" in found and "folder: no-sheet" in found
    assert "HCC_003: no-segmentation" in found and "number 2 was taken for its phase" in found
    shutil.copytree(tace, tmp_path / "moved" / "tace")  # the list and its files move together
    entries = listed(out)
    for entry in entries:
        for key in ("ct", "segmentation"):
            entry[key] = "../tace/" + Path(os.path.relpath(out.parent / entry[key], tace)).as_posix()
    moved = tmp_path / "moved" / "lists" / "t.json"
    moved.parent.mkdir()
    moved.write_text(json.dumps({"training": entries}))
    for path in (out, moved):
        case = datalist_cohort(path).cases[0].load()
        assert np.array_equal(case.tumor, MASS) and np.array_equal(case.liver, LIVER | MASS)
        assert case.reference.array[15, 30, 38] == 170, "the venous phase"


def test_the_clinical_values_are_in_the_list_and_nowhere_else(tace, tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    book.active.title = "data table"
    book.active.append(["TCIA_ID", "Pathology", "Sex", "age", "hepatitis", "AFP", "OS"])
    book.active.append(["HCC_001", "Poorly differentiated", 2, 93, "HCV only", 12.5, 40])
    book.save(tmp_path / "sheet.xlsx")
    command = ["check", str(tace), "--sheet", str(tmp_path / "sheet.xlsx"), "--datalist", str(tmp_path / "t.json")]
    assert main(["cohorts", *command]) == 0
    first, second = listed(tmp_path / "t.json")
    assert first["grade"] == "poor" and "clinical" not in second
    assert first["clinical"] == {
        "grade": 2, "grade_text": "Poorly differentiated", "sex": "F", "age": 90, "hepatitis": "HCV only",
        "afp_ng_ml": 12.5,
    }  # fmt: skip
    case = datalist_cohort(tmp_path / "t.json").cases[0]
    assert case.clinical == first["clinical"]


def test_monai_reads_the_list(hospital, tmp_path):
    from monai.data import load_decathlon_datalist

    assert main(["cohorts", "check", str(hospital), "--datalist", str(tmp_path / "h.json"), "--folds", "2"]) == 0
    read = load_decathlon_datalist(str(tmp_path / "h.json"), False, "training", base_dir=str(tmp_path))
    assert len(read) == 18 and all(Path(entry["ct"]).is_file() and "fold" in entry for entry in read)


def test_case_folders_of_dicom_are_cases_with_all_their_images(tmp_path, capsys):
    """As `phantom --dicom` writes them: not recognized as HCC-TACE-Seg, although also DICOM."""
    from REACTKDLib.__main__ import main as command_line

    for n, grade in enumerate(("well", "poor")):
        options = ["--grade", grade, "--seed", str(n), "--size", "small", "--dicom"]
        assert command_line(["phantom", *options, "--output", str(tmp_path / "cases" / f"p{n}")]) == 0
    (tmp_path / "cases" / "grades.csv").write_text("case,grade\np0,well\np1,poor\n")
    capsys.readouterr()
    assert main(["cohorts", "check", str(tmp_path / "cases"), "--open"]) == 0
    found = capsys.readouterr().out
    assert "2 cases of 2 patients" in found and "grades: 1 well, 1 poor" in found
    assert "images: 2 ct+fdg+acetate" in found


@pytest.mark.parametrize("what", ["an empty folder", "files of no cohort", "folders without images"])
def test_an_unknown_folder_is_refused_and_the_known_layouts_are_named(what, tmp_path, capsys):
    if what == "files of no cohort":
        (tmp_path / "notes.txt").write_text("x")
    if what == "folders without images":
        (tmp_path / "a" / "b").mkdir(parents=True)
    assert main(["cohorts", "check", str(tmp_path)]) == 2
    found = capsys.readouterr().err
    assert "is no cohort that is known" in found and "Dataset_seg" in found and found.count("\n") == 1


def test_training_opens_the_folder_directly(tace):
    cohort = open_cohort(str(tace))
    assert [c.id for c in cohort.cases] == ["HCC_001", "HCC_002"] and cohort.skipped[0][0] == "HCC_003"


def test_hcc_tace_without_the_requested_phase_is_reported(tace, tmp_path, capsys):
    assert main(["cohorts", "check", str(tace), "--phase", "pre-contrast", "--datalist", str(tmp_path / "t.json")]) == 2
    found = capsys.readouterr()
    assert "HCC_001: ambiguous: None of 2 scans" in found.out
    assert found.err == "There is no case that training could use; the lines above say why.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lost", ["CT.nii.gz", "segmentation.seg.nrrd"])
def test_a_listed_case_whose_file_is_missing_is_left_out_with_the_reason(lost, tmp_path, capsys):
    """Without --open too: paths of a list that has moved are the fault that a check is asked for."""
    for name in ("one", "two"):
        write_case(small_case(), tmp_path / "cases" / name)
    entries = [{"id": n, "ct": f"{n}/CT.nii.gz", "segmentation": f"{n}/segmentation.seg.nrrd"} for n in ("one", "two")]
    (tmp_path / "cases" / "list.json").write_text(json.dumps({"training": entries}))
    command = ["cohorts", "check", str(tmp_path / "cases" / "list.json")]
    (tmp_path / "cases" / "two" / lost).unlink()
    assert main(command) == 0
    found = capsys.readouterr().out
    assert "list (listed): 1 case of 1 patient\n" in found and "\n1 case left out, 0 remarks:\n" in found
    assert "two: unreadable: There is no file at the path given for the " in found
    (tmp_path / "cases" / "one" / lost).unlink()
    assert main(command) == 2
    assert capsys.readouterr().err == "There is no case that training could use; the lines above say why.\n"


def test_a_graded_case_without_a_lesion_is_left_out_with_the_reason(tmp_path, capsys):
    """A training refuses it; the check reported nothing, and wrote it into the list."""
    case = small_case()
    for name, tumor in (("marked", case.tumor), ("empty", np.zeros_like(case.tumor)), ("ungraded", case.tumor & False)):
        write_case(replace(case, tumor=tumor), tmp_path / "cases" / name)
    (tmp_path / "cases" / "grades.csv").write_text("case,grade\nmarked,well\nempty,poor\n")
    assert main(["cohorts", "check", str(tmp_path / "cases"), "--open"]) == 0
    found = capsys.readouterr().out
    assert "cases (listed): 2 cases of 2 patients\n" in found and "\n1 case left out, " in found
    assert "empty: grade-without-lesion: It has a grade, but its masks mark no lesion" in found


def test_cases_that_are_left_out_stand_before_the_remarks():
    """Of 200 opened cases, 24 reasons stood among 367 remarks on slices and pixels."""
    problems = [Problem("a", "thick-slices", "A."), Problem("b", "unreadable", "B."), Problem("", "not-matched", "C.")]
    problems += [Problem("c", "thick-slices", "D."), Problem("d", "no-image", "E.")]
    assert Survey("listed", (), tuple(problems)).lines()[1:] == [
        "2 cases left out, 3 remarks:",
        "b: unreadable: B.",
        "d: no-image: E.",
        "a: thick-slices: A.",
        "folder: not-matched: C.",
        "c: thick-slices: D.",
    ]


def test_a_folder_whose_files_have_other_names_points_to_the_command_that_lists_them(tmp_path, capsys):
    """A case was said to have no segmentation, while the file was there under another name."""
    for name in ("one", "two", "three"):
        write_case(small_case(), tmp_path / "cases" / name)
    for name in ("one", "two"):
        (tmp_path / "cases" / name / "segmentation.seg.nrrd").rename(tmp_path / "cases" / name / "masks.seg.nrrd")
    assert main(["cohorts", "check", str(tmp_path / "cases")]) == 2
    assert capsys.readouterr().err == (
        "Case 'one' has no image (CT, FDG or ACETATE) or nothing called segmentation; complete it, take it out, or "
        "list files of other names with 'reactkd-train cohorts open'. The same holds for 'two'.\n"
    )


def test_case_folders_need_no_list(tmp_path, capsys):
    write_case(small_case(), tmp_path / "cases" / "one")
    assert main(["cohorts", "check", str(tmp_path / "cases"), "--open"]) == 0
    assert "cases (listed): 1 case of 1 patient" in capsys.readouterr().out
    assert main(["cohorts", "check", str(tmp_path / "cases"), "--datalist", str(tmp_path / "c.json")]) == 2
    assert "These cases (the first: one) need no new list: " in capsys.readouterr().err
    assert not (tmp_path / "c.json").exists()


BAD = {
    "nothing there": (["nowhere-at-all"], "There is nothing at the path given"),
    "folds without a list": ([".", "--folds", "3"], "--datalist"),
    "a wrong phase": ([".", "--phase", "late"], "invalid choice"),
    "a wrong pair": (["{hospital}", "--grade", "well"], "NAME=VALUE"),
    "another suffix": (["{hospital}", "--datalist", "x.yaml"], "written as .json"),
    "no folds": (["{hospital}", "--datalist", "x.json", "--folds", "0"], "0 folds; give 1 or more"),
    "a single fold": (["{hospital}", "--datalist", "x.json", "--folds", "1"], "give 2 or more"),
    "a seed below 0": (
        ["{hospital}", "--datalist", "x.json", "--folds", "2", "--seed", "-1"],
        "seed of the folds is -1",
    ),
    "too many folds": (["{hospital}", "--datalist", "x.json", "--folds", "40"], "choose fewer folds"),
}


@pytest.mark.parametrize("name", BAD)
def test_each_fault_is_reported_in_one_sentence(name, hospital, capsys):
    arguments, words = BAD[name]
    assert main(["cohorts", "check", *(a.format(hospital=hospital) for a in arguments)]) == 2
    found = capsys.readouterr().err
    assert words in found and found.count("\n") == 1


#: options of the layouts, as typed on the command line
OPTIONS = {
    "pairs": ["--pairs", "joined"],
    "grade": ["--grade", "G2=moderate"],
    "mixed": ["--mixed", "lower"],
    "missing": ["--missing", "leave-out"],
    "phase": ["--phase", "arterial"],
    "sheet": ["--sheet", "x.xlsx"],
    "patient": ["--patient", "A=HCC_001"],
}
READ = {"hospital": {"pairs", "grade"}, "tace": OPTIONS.keys() - {"pairs", "grade"}, "lits": set(), "cases": set()}


@pytest.mark.parametrize(("kind", "option"), [(k, o) for k in READ for o in OPTIONS if o not in READ[k]])
def test_an_option_of_another_layout_is_refused(kind, option, request, tmp_path, capsys):
    if kind == "cases":
        write_case(small_case(), tmp_path / "one")
    folder = tmp_path if kind == "cases" else request.getfixturevalue(kind)
    assert main(["cohorts", "check", str(folder), *OPTIONS[option]]) == 2
    found = capsys.readouterr()
    assert f"The option --{option} is for a folder that holds " in found.err and found.err.count("\n") == 1
    assert not found.out


def test_an_option_of_another_layout_is_refused_even_with_its_default_value(hospital, capsys):
    """Even with its default value, the option has no meaning there."""
    assert main(["cohorts", "check", str(hospital), "--mixed", "exclude"]) == 2
    assert "The option --mixed is for a folder that holds DICOM with segmentations" in capsys.readouterr().err


WITHOUT_EFFECT = {
    "a folder that is not there": (["{hospital}", "--grade", "wel=well"], "no folder 'wel' of a grade"),
    "one folder, two grades": (["{hospital}", "--grade", "well=well", "well=poor"], "says two things of 'well'"),
    "a patient who is not there": (["{tace}", "--patient", "X9=HCC_001"], "no patient 'X9'"),
    "a patient as no one is named": (["{tace}", "--patient", "HCC_001=HCC_48"], "HCC_ and three digits"),
    "a seed of no folds": (["{hospital}", "--datalist", "x.json", "--seed", "4"], "--seed"),
}


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_an_option_without_effect_is_refused(name, hospital, tace, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, words = WITHOUT_EFFECT[name]
    assert main(["cohorts", "check", *(a.format(hospital=hospital, tace=tace) for a in arguments)]) == 2
    found = capsys.readouterr().err
    assert words in found and found.count("\n") == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "given", [["--grade-column", "dx"], ["--case-column", "id"], ["--patient-column", "pid"], ["--keep", "age"]]
)
def test_an_option_about_a_sheet_is_refused_without_a_sheet(given, hospital, capsys):
    assert main(["cohorts", "open", str(hospital), "--pattern", "ct={case}/CT.nii.gz", *given]) == 2
    assert f"The option {given[0]} is about a sheet; give it with --sheet" in capsys.readouterr().err


def test_the_command_runs_in_a_shell(lits):
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'REACTKD'}:{REPOSITORY / 'REACTKDTrain'}"}
    done = subprocess.run(
        [sys.executable, "-m", "REACTKDTrainLib", "cohorts", "check", str(lits)],
        capture_output=True, text=True, env=environment, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("LiTS17: 2 cases")


def test_all_cases_without_files_are_named_at_once(tmp_path, capsys):
    """They were named one after the other, a run for each."""
    write_case(small_case(), tmp_path / "cases" / "whole")
    for name in ("empty", "empty too"):
        (tmp_path / "cases" / name).mkdir()
    assert main(["cohorts", "check", str(tmp_path / "cases")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Case 'empty' has no image") and said.endswith("The same holds for 'empty too'.\n")
