"""Mixed content under one SeriesInstanceUID, graded as by a user: the phantom's own grade, or a sentence."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import generate_uid

from REACTKDLib.__main__ import main

pytestmark = pytest.mark.filterwarnings("ignore")
MODERATE = {"well": 0.229918, "moderate": 0.668316, "poor": 0.101767}  # by student 2.2.0


@pytest.fixture(scope="module")
def patient(tmp_path_factory) -> Path:
    """The digital patient of seed 11 as DICOM."""
    folder = tmp_path_factory.mktemp("patient") / "d"
    arguments = ["--grade", "moderate", "--seed", "11", "--size", "small", "--dicom", "--output", str(folder)]
    arguments += ["--biology", "independent"]  # the edition for the numbers above
    assert main(["phantom", *arguments]) == 0
    return folder


@pytest.fixture
def case(patient, tmp_path) -> Path:
    """A copy whose files a test may change."""
    return Path(shutil.copytree(patient, tmp_path / "case"))


def graded(case: Path, output: Path) -> dict:
    files = ["--ct", case / "CT", "--fdg", case / "FDG", "--segmentation", case / "segmentation.dcm"]
    assert main(["grade", *map(str, files), "--device", "cpu", "--output", str(output)]) == 0
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    assert report["grade"] == "moderate"
    assert report["probabilities"] == pytest.approx(MODERATE, abs=2e-6)
    assert [r["volume_ml"] for r in report["regions"][:2]] == pytest.approx([1942.852986, 1.201403], abs=1e-5)
    return report


def codes(report: dict) -> list[str]:
    return [finding["code"] for finding in report["findings"]]


def change(path: Path, edit) -> None:
    dataset = pydicom.dcmread(path)
    edit(dataset)
    dataset.save_as(path)


def test_an_undamaged_series_has_no_finding_about_its_files(case, tmp_path):
    assert not {"images-left-out", "files-unreadable", "slices-maybe-lacking"} & set(
        codes(graded(case, tmp_path / "o"))
    )


def test_with_scout_and_dose_page_and_without_preamble(case, tmp_path):
    first = pydicom.dcmread(case / "CT" / "0001.dcm")
    for name, placed in (("0000.dcm", True), ("9999.dcm", False)):
        image = copy.deepcopy(first)
        image.ImageType, image.ImageOrientationPatient = ["ORIGINAL", "PRIMARY", "LOCALIZER"], [1, 0, 0, 0, 0, -1]
        image.Rows = image.Columns = 64
        image.PixelData, image.SOPInstanceUID = bytes(64 * 64 * 2), generate_uid()
        if not placed:
            del image.ImagePositionPatient, image.ImageOrientationPatient
        image.save_as(case / "CT" / name)
    for path in (case / "FDG").iterdir():
        path.write_bytes(path.read_bytes()[132:])
    report = graded(case, tmp_path / "o")
    assert codes(report).count("images-left-out") == 1
    told = next(f for f in report["findings"] if f["code"] == "images-left-out")
    assert told["severity"] == "info" and "2 images that are localizers" in told["message"]


def test_files_that_cannot_be_read_at_an_end_are_in_the_report(case, tmp_path):
    last = sorted((case / "CT").iterdir())[-1]
    (case / "CT" / "0100.dcm").write_bytes(last.read_bytes()[:400])
    report = graded(case, tmp_path / "o")
    (told,) = (f for f in report["findings"] if f["code"] == "files-unreadable")
    assert told["severity"] == "warning" and told["message"].startswith("1 file beside the slices of the CT")


REFUSED = {
    "no intercept": ("CT/0020.dcm", lambda d: delattr(d, "RescaleIntercept"), "does not state the rescale intercept"),
    "no slope": ("FDG/0012.dcm", lambda d: delattr(d, "RescaleSlope"), "does not state the rescale slope"),
    "slope 1": ("FDG/0012.dcm", lambda d: setattr(d, "RescaleSlope", "1"), "cannot be true for slice 12"),
    "units": ("FDG/0012.dcm", lambda d: setattr(d, "Units", "BQML"), "different units"),
    "patient": ("CT/0003.dcm", lambda d: setattr(d, "PatientID", "PHANTOM-OTHER"), "different patients"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_one_sentence_and_no_grade(case, tmp_path, capsys, name):
    file, edit, words = REFUSED[name]
    change(case / file, edit)
    files = ["--ct", case / "CT", "--fdg", case / "FDG", "--segmentation", case / "segmentation.dcm"]
    assert main(["grade", *map(str, files), "--device", "cpu", "--output", str(tmp_path / "o")]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and words in told and not (tmp_path / "o" / "report.json").exists()
