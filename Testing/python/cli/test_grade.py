"""`grade` and `check` on valid cases."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import REACTKDLib
from REACTKDLib.__main__ import main
from REACTKDLib.commands import progress
from REACTKDLib.commands.results import ATTENTION, REGIONS, REPORT, TABLE
from REACTKDLib.core.cases.open_case import open_case
from REACTKDLib.core.files.volumes import read_volume
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.reports.report import report_schema
from REACTKDLib.core.student.bundle import Bundle
from support.case_files import NAMES, SEGMENTATION, case_arguments, write_case
from support.small_cases import small_case
from support.small_models import write_small_model

FILES = sorted([REPORT, TABLE, REGIONS, ATTENTION])


def grade(folder, output, bundle, *more) -> int:
    return main(["grade", *case_arguments(folder), "--output", str(output), "--bundle", str(bundle), *more])


def test_grade_leaves_four_files_that_agree(case_folder, bundle_folder, tmp_path):
    output = tmp_path / "deep" / "results"
    assert grade(case_folder, output, bundle_folder, "--case", "P07", "--device", "cpu") == 0
    assert sorted(path.name for path in output.iterdir()) == FILES
    assert [path.name for path in tmp_path.rglob(".*")] == []
    report = json.loads((output / REPORT).read_text(encoding="utf-8"))
    jsonschema.validate(report, report_schema())
    assert report["case"] == "P07"
    assert report["inputs"] == ["ct", "fdg", "acetate"]
    assert sum(report["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    ct = read_volume(case_folder / NAMES[Modality.CT])
    regions, attention = read_volume(output / REGIONS), read_volume(output / ATTENTION)
    for volume in (regions, attention):
        assert volume.shape == ct.shape
        assert np.allclose(volume.ijk_to_ras, ct.ijk_to_ras, atol=1e-3)
    with open(output / TABLE, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == [region["name"] for region in report["regions"]]
    for row in rows:
        if row["label"]:
            voxels = int((regions.array == int(row["label"])).sum())
            assert voxels * ct.voxel_ml == pytest.approx(float(row["volume_ml"]), rel=1e-3)
    assert not attention.array[regions.array == 0].any()
    assert attention.array.any()


class Terminal(io.StringIO):
    """A stream that records what a terminal would show."""

    def isatty(self) -> bool:
        return True


def test_the_bar_never_goes_back(case_folder, bundle_folder, tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "REDRAW_S", 0.0)
    assert grade(case_folder, tmp_path / "out", bundle_folder) == 0
    bars = [bar.count("#") for bar in re.findall(r"\[([#.]+)\]", terminal.getvalue())]
    assert len(set(bars)) > 2 and bars == sorted(bars)
    assert bars[-1] < progress.WIDTH  # a full bar means finished


def test_several_models_give_one_result(case_folder, bundle_folder, tmp_path, capsys):
    other = write_small_model(tmp_path / "other", seed=5)
    bundles = ["--bundle", str(bundle_folder), str(other), "--device", "cpu"]
    assert main(["grade", *case_arguments(case_folder), "--output", str(tmp_path / "out"), *bundles]) == 0
    report = json.loads((tmp_path / "out" / REPORT).read_text(encoding="utf-8"))
    jsonschema.validate(report, report_schema())
    members = report["ensemble"]["members"]
    assert len(members) == 2 and members[0]["probabilities"] != members[1]["probabilities"]
    for name, value in report["probabilities"].items():
        assert value == pytest.approx(np.mean([member["probabilities"][name] for member in members]), abs=1e-7)
    said = capsys.readouterr().out
    assert "of 2; from model to model" in said and "(2 models)" in said
    assert main(["prepare", *case_arguments(case_folder), "--output", str(tmp_path / "p"), *bundles[:3]]) == 0
    assert (
        main(["grade", *case_arguments(case_folder), "--output", str(tmp_path / "out"), *bundles[:2], bundles[1]]) == 2
    )
    assert "given twice" in capsys.readouterr().err


def test_report_is_that_of_the_library(case_folder, bundle_folder, tmp_path):
    assert grade(case_folder, tmp_path / "r", bundle_folder, "--device", "cpu") == 0
    files = {m.value: case_folder / NAMES[m] for m in Modality}
    case = open_case(**files, segmentation=case_folder / SEGMENTATION)
    expected = Grader(Bundle.load(bundle_folder), "cpu").open(case).grade().report.to_dict()
    report = json.loads((tmp_path / "r" / REPORT).read_text(encoding="utf-8"))
    assert {**report, "timing_ms": 0} == {**json.loads(json.dumps(expected)), "timing_ms": 0}


def test_same_input_gives_the_same_maps(case_folder, bundle_folder, tmp_path):
    for name in ("a", "b"):
        assert grade(case_folder, tmp_path / name, bundle_folder, "--device", "cpu") == 0
    for file in (TABLE, REGIONS, ATTENTION):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_no_lesion_means_no_grade(bundle_folder, tmp_path):
    folder = write_case(small_case(lesions=()), tmp_path / "case")
    assert grade(folder, tmp_path / "r", bundle_folder) == 0
    report = json.loads((tmp_path / "r" / REPORT).read_text(encoding="utf-8"))
    assert report["grade"] is None
    assert report["probabilities"] is None
    codes = [finding["code"] for finding in report["findings"]]
    assert codes.count("no-lesion") == 1
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == FILES
    assert not read_volume(tmp_path / "r" / ATTENTION).array.any()


def test_no_finding_is_reported_twice(bundle_folder, tmp_path):
    folder = write_case(small_case(lesions=(((25.0, 5.0, -5.0), 2.5),)), tmp_path / "case")
    assert grade(folder, tmp_path / "r", bundle_folder) == 0
    report = json.loads((tmp_path / "r" / REPORT).read_text(encoding="utf-8"))
    said = [(finding["code"], tuple(finding.get("location_ras_mm", ()))) for finding in report["findings"]]
    assert len(said) == len(set(said))
    assert "low-resolution" in [code for code, _ in said]


def test_folder_keeps_its_other_files(case_folder, bundle_folder, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / REPORT).write_text("old")
    assert grade(case_folder, tmp_path, bundle_folder) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FILES, "notes.txt"])
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert json.loads((tmp_path / REPORT).read_text(encoding="utf-8"))["case"] == "case"


def test_check_prints_findings(case_folder, call_command):
    done = call_command("check", *case_arguments(case_folder, Modality.CT, Modality.FDG), "--case", "P1")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    case = small_case()
    assert said["case"] == "P1"
    assert [entry["modality"] for entry in said["inputs"]] == ["ct", "fdg"]
    assert said["liver_ml"] == pytest.approx(case.liver.sum() * case.reference.voxel_ml, rel=1e-4)
    assert len(said["lesions"]) == 2
    assert {"code", "severity", "message"} <= set(said["findings"][0])


def test_check_needs_no_torch(case_folder, run_command, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('torch must not be needed')")
    library = Path(REACTKDLib.__file__).parents[1]
    done = run_command("check", *case_arguments(case_folder), PYTHONPATH=f"{tmp_path}{os.pathsep}{library}")
    assert (done.returncode, done.stderr) == (0, "")


def test_help_and_version(run_command):
    done = run_command("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("REACTKD 0.")
    done = run_command("--help")
    assert all(command in done.stdout for command in ("grade", "batch", "check", "prepare", "phantom"))
    assert "not for clinical use" in " ".join(done.stdout.split())


def fine_case() -> Case:
    """The small case with its CT alone, with voxels of half the height: 0.028 ml."""
    case = small_case(modalities=[Modality.CT])
    matrix = case.reference.ijk_to_ras.copy()
    matrix[:3, 2] /= 2
    ct, liver, tumor = (np.repeat(array, 2, axis=0) for array in (case.reference.array, case.liver, case.tumor))
    return Case("fine", {Modality.CT: Volume(ct, matrix, Unit.HU)}, liver, tumor)


def test_specks_are_reported_and_left_out_unless_kept(bundle_folder, tmp_path):
    case = fine_case()
    far = np.argwhere(case.liver & ~case.tumor)[0]
    tumor = case.tumor.copy()
    tumor[tuple(far)] = True
    plain = write_case(case, tmp_path / "plain")
    specked = write_case(case.with_masks(tumor=tumor), tmp_path / "specked")
    assert grade(plain, tmp_path / "a", bundle_folder, "--device", "cpu") == 0
    assert grade(specked, tmp_path / "b", bundle_folder, "--device", "cpu") == 0
    assert grade(specked, tmp_path / "c", bundle_folder, "--device", "cpu", "--keep-specks") == 0
    for name, more in (("d", ()), ("e", ("--keep-specks",))):
        words = ["--output", str(tmp_path / name), "--bundle", str(bundle_folder), "--device", "cpu", *more]
        (tmp_path / "list").mkdir(exist_ok=True)
        shutil.copytree(specked, tmp_path / "list" / "x", dirs_exist_ok=True)
        assert main(["batch", "--worklist", str(tmp_path / "list"), *words]) == 0
    read = lambda path: json.loads((tmp_path / path / REPORT).read_text(encoding="utf-8"))  # noqa: E731
    a, b, c, d, e = (read(name) for name in ("a", "b", "c", "d/x", "e/x"))
    assert a["probabilities"] == b["probabilities"] == d["probabilities"]
    assert [r["volume_ml"] for r in a["regions"][1:3]] == [r["volume_ml"] for r in b["regions"][1:3]]
    assert "small-lesions-left-out" in [finding["code"] for finding in b["findings"]]
    assert c["probabilities"] == e["probabilities"] != b["probabilities"]
    assert len(c["regions"]) == len(b["regions"]) + 1
