"""DICOM files of one case, checked by their headers, from command line to table: right grade, warning or refusal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

from REACTKDLib.__main__ import main
from REACTKDLib.commands.summary import summary_lines
from REACTKDLib.core.console import SOME_FAILED
from REACTKDLib.core.reports.report import GradeReport
from support.dicom_files import uid_of
from support.result_rows import rows_of

# the moderate phantom of seed 11 in size small, CT and FDG, graded by the shipped model
GRADE, SHARE = "moderate", 0.6683  # by student 2.2.0


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    """The phantom as DICOM: CT, FDG, segmentation.dcm."""
    folder = tmp_path_factory.mktemp("phantom") / "d"
    asked = ["--grade", "moderate", "--seed", "11", "--size", "small", "--biology", "independent"]
    assert main(["phantom", *asked, "--dicom", "--output", str(folder)]) == 0
    return folder


def segs(phantom: Path, folder: Path, *parts: tuple[str, ...], moved: int = 0) -> Path:
    """A folder with one SEG per entry of `parts`, all in one series; the last tumor is shifted by `moved` columns."""
    ct = [pydicom.dcmread(path) for path in sorted((phantom / "CT").glob("*.dcm"))]
    whole = hd.seg.segread(phantom / "segmentation.dcm")
    uids = [dataset.SOPInstanceUID for dataset in ct]
    pixels = whole.get_pixels_by_source_instance(uids, ignore_spatial_locations=True).astype(np.uint8)
    masks = {"Liver": pixels[..., 0], "Tumor": pixels[..., 1]}
    kinds = {"Liver": (codes.SCT.AnatomicalStructure, codes.SCT.Liver),
             "Tumor": (codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Mass)}  # fmt: skip
    folder.mkdir(parents=True)
    for number, names in enumerate(parts, start=1):
        last = moved if number == len(parts) else 0
        stack = [np.roll(masks[n], last, 2) if n == "Tumor" else masks[n] for n in names]
        told = [hd.seg.SegmentDescription(k, n, *kinds[n], "MANUAL") for k, n in enumerate(names, start=1)]
        hd.seg.Segmentation(
            ct, np.stack(stack, -1), "BINARY", told, uid_of(str(folder)), 300, uid_of(str(folder), number), number,
            "X", "X", "1", "1",
        ).save_as(folder / f"{number}.dcm")  # fmt: skip
    return folder


def changed(source: Path, folder: Path, **tags) -> Path:
    folder.mkdir(parents=True)
    for path in source.glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        for keyword, value in tags.items():
            setattr(dataset, keyword, value)
        dataset.save_as(folder / path.name)
    return folder


@pytest.fixture(scope="module")
def cases(phantom, tmp_path_factory) -> Path:
    """A worklist folder with one subfolder per case."""
    root = tmp_path_factory.mktemp("cases")
    stranger = {"PatientID": "PHANTOM-POOR-99", "PatientName": "Other^Phantom", "PatientSex": "F"}
    for name in ("parts", "versions", "frame", "patient"):
        shutil.copytree(phantom / "CT", root / name / "CT")
        if name not in ("frame", "patient"):
            shutil.copytree(phantom / "FDG", root / name / "FDG")
    for name in ("frame", "patient"):
        shutil.copy(phantom / "segmentation.dcm", root / name / "segmentation.dcm")
    segs(phantom, root / "parts" / "segmentation", ("Liver",), ("Tumor",))
    segs(phantom, root / "versions" / "segmentation", ("Liver", "Tumor"), ("Liver", "Tumor"), moved=3)
    changed(phantom / "FDG", root / "frame" / "FDG", FrameOfReferenceUID=uid_of("elsewhere"))
    changed(phantom / "FDG", root / "patient" / "FDG", **stranger, StudyInstanceUID=uid_of("later"))
    return root


def batch(cases: Path, output: Path, *options: str) -> dict[str, dict[str, str]]:
    status = main(["batch", "--worklist", str(cases), "--device", "cpu", "--output", str(output), *options])
    rows = rows_of(output)
    assert status == (SOME_FAILED if any(row["status"] == "failed" for row in rows.values()) else 0)
    return rows


def is_right(row) -> bool:
    return row["grade"] == GRADE and float(row["p_moderate"]) == pytest.approx(SHARE, abs=1e-4)


def test_a_batch_grades_what_belongs_together_and_names_what_does_not(cases, tmp_path, capsys):
    rows = batch(cases, tmp_path)
    assert is_right(rows["parts"]) and "segmentation-of-several-objects" in rows["parts"]["findings"]
    assert is_right(rows["frame"]) and "another-frame-of-reference" in rows["frame"]["findings"]
    assert (rows["versions"]["status"], rows["versions"]["error"]) == ("failed", "ambiguous-series")
    assert "1: Liver, Tumor" in rows["versions"]["reason"] and "2: Liver, Tumor" in rows["versions"]["reason"]
    assert (rows["patient"]["status"], rows["patient"]["error"]) == ("failed", "patient-mismatch")
    assert not (tmp_path / "patient").exists() and not (tmp_path / "versions").exists()
    told = json.loads((tmp_path / "frame" / "report.json").read_text(encoding="utf-8"))
    assert "another-frame-of-reference" in [f["code"] for f in told["findings"] if f["severity"] == "warning"]
    shown = "\n".join(summary_lines(GradeReport.from_dict(told), tmp_path))
    assert "Note: The FDG PET and the CT do not share one frame of reference" in shown
    everything = (tmp_path / "results.csv").read_text(encoding="utf-8-sig") + "".join(capsys.readouterr())
    assert "POOR-99" not in everything and "Other^Phantom" not in everything


def test_different_patients_ok_gives_the_grade_with_a_warning(cases, tmp_path, capsys):
    one = tmp_path / "one"
    shutil.copytree(cases / "patient", one / "patient")
    row = batch(one, tmp_path / "out", "--different-patients-ok")["patient"]
    assert is_right(row) and {"different-patients", "another-study"} <= set(row["findings"].split())
    files = ["--ct", one / "patient" / "CT", "--fdg", one / "patient" / "FDG"]
    files += ["--segmentation", one / "patient" / "segmentation.dcm"]
    capsys.readouterr()
    assert main(["check", *map(str, files)]) == 2
    refused = capsys.readouterr().err
    assert refused.count("\n") == 1 and "different patients" in refused and "--different-patients-ok" in refused
    assert main(["check", *map(str, files), "--different-patients-ok"]) == 0
    found = {f["code"]: f["severity"] for f in json.loads(capsys.readouterr().out)["findings"]}
    assert found["different-patients"] == "warning"
