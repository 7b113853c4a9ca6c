"""`python -m REACTKDTrainLib low-dose`: exit code 0, or 2 with one sentence; no partial output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.__main__ import main as command_line
from REACTKDLib.core.files.volumes import read_volume, write_volume
from REACTKDTrainLib.__main__ import main
from REACTKDTrainLib.low_dose.sidecar import file_hash
from support.nifti_headers import nifti_with
from support.page_code import code_of

REPOSITORY = Path(__file__).resolve().parents[4]


@pytest.fixture
def ct_file(tmp_path, ct) -> Path:
    return write_volume(ct, tmp_path / "in" / "ct.nii.gz")


def test_it_writes_the_image_and_its_sidecar(tmp_path, ct, ct_file, capsys):
    output = tmp_path / "out" / "low.nii.gz"
    assert main(["low-dose", "--ct", str(ct_file), "--dose", "0.25", "--seed", "7", "--output", str(output)]) == 0
    printed = capsys.readouterr()
    assert "Wrote low.nii.gz" in printed.out and printed.err == ""
    low = read_volume(output)
    np.testing.assert_allclose(low.ijk_to_ras, ct.ijk_to_ras, atol=1e-5)
    sidecar = json.loads((tmp_path / "out" / "low.json").read_text())
    assert sidecar["seed"] == 7 and sidecar["dose"] == 0.25 and sidecar["output_sha256"] == file_hash(output)
    assert sidecar["i0"] > 0 and sidecar["added_std_hu"]["soft_tissue"] > 1
    assert sorted(p.name for p in output.parent.iterdir()) == ["low.json", "low.nii.gz"]


def test_the_lines_of_the_how_to_guide_run_as_they_stand(tmp_path, monkeypatch):
    patient = ["phantom", "--grade", "poor", "--seed", "7", "--size", "small", "--output", str(tmp_path)]
    assert command_line(patient) == 0
    (tmp_path / "CT.nii.gz").rename(tmp_path / "ct.nii.gz")
    monkeypatch.chdir(tmp_path)
    (lines,) = code_of("how-to/low_dose.md")
    names = {}
    exec(lines, names)
    added = np.std((names["low"] - names["hu"])[:, 60:68, 60:68])
    assert names["low"].shape == names["hu"].shape == names["quantum"].shape and added > 1 and names["i0"] > 0


def test_the_same_command_writes_the_same_bytes(tmp_path, ct_file):
    for name in ("a.nii.gz", "b.nii.gz"):
        assert (
            main(["low-dose", "--ct", str(ct_file), "--dose", "0.1", "--output", str(tmp_path / name), "--calibrate"])
            == 0
        )
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text())["calibrated"] is True


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_other_formats_are_written(tmp_path, ct_file, suffix):
    output = tmp_path / f"low{suffix}"
    assert main(["low-dose", "--ct", str(ct_file), "--dose", "0.5", "--output", str(output), "--mode", "linear"]) == 0
    assert read_volume(output).array.dtype == np.int16 and (tmp_path / "low.json").exists()


def test_a_ct_with_two_voxel_sizes_uses_its_sform_and_reports_it(tmp_path, ct, capsys):
    source, output = nifti_with(ct, tmp_path / "ct.nii", pixdim_times=(0.9, 0.9, 1)), tmp_path / "low.nii.gz"
    assert main(["low-dose", "--ct", str(source), "--dose", "0.5", "--output", str(output)]) == 0
    assert "The CT states two voxel sizes" in capsys.readouterr().out
    low = read_volume(output)
    np.testing.assert_allclose(low.ijk_to_ras, ct.ijk_to_ras, atol=1e-4)
    assert low.findings == ()


REFUSALS = [
    ("dose zero", ["--dose", "0"], "dose"),
    ("dose negative", ["--dose", "-0.1"], "dose"),
    ("dose above one", ["--dose", "2"], "dose"),
    ("dose NaN", ["--dose", "nan"], "dose"),
    ("dose text", ["--dose", "quarter"], "--dose"),
    ("no dose", [], "--dose"),
    ("seed negative", ["--dose", ".5", "--seed", "-1"], "seed"),
    ("grades of a CT", ["--dose", ".5", "--map", "G1=well"], "--map goes with --cohort"),
    ("thickness", ["--dose", ".5", "--thickness", "0"], "thickness"),
    ("mode", ["--dose", ".5", "--mode", "poisson"], "--mode"),
    ("device", ["--dose", ".5", "--device", "abacus"], "device"),
    ("threads", ["--dose", ".5", "--threads", "0"], "threads"),
    ("no file", ["--dose", ".5", "--ct", "absent.nii.gz"], "no file"),
    ("suffix", ["--dose", ".5", "--output", "low.png"], "low.png"),
    ("output is a mask name", ["--dose", ".5", "--output", "low.seg.nrrd"], "cannot be written"),
    ("unknown option", ["--dose", ".5", "--strength", "3"], "--strength"),
]


@pytest.mark.parametrize(("arguments", "word"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_refusals_are_one_sentence(tmp_path, ct_file, capsys, arguments, word):
    output = tmp_path / "out" / "low.nii.gz"
    assert main(["low-dose", "--ct", str(ct_file), "--output", str(output), *arguments]) == 2
    message = capsys.readouterr().err
    assert word in message and message.count("\n") == 1 and message.endswith(".\n")
    assert not output.parent.exists() and not Path("low.png").exists()


def test_bad_files_are_refused(tmp_path, ct, capsys):
    crop = ct.with_array(np.ascontiguousarray(ct.array[:, 44:84, 44:84]))
    matrix = ct.ijk_to_ras.copy()
    matrix[0, 0] = -3.5
    oblong = type(ct)(ct.array, matrix, ct.unit)
    not_hu = ct.with_array(((ct.array + 1024) / 4000).astype(np.float32))
    for volume, word in ((crop, "crop"), (oblong, "square"), (not_hu, "Hounsfield")):
        file = write_volume(volume, tmp_path / "bad.nii.gz")
        assert main(["low-dose", "--ct", str(file), "--dose", "0.5", "--output", str(tmp_path / "low.nii.gz")]) == 2
        assert word in capsys.readouterr().err
    (tmp_path / "text.nii.gz").write_text("no image")
    assert (
        main(
            ["low-dose", "--ct", str(tmp_path / "text.nii.gz"), "--dose", "1", "--output", str(tmp_path / "low.nii.gz")]
        )
        == 2
    )
    assert not (tmp_path / "low.nii.gz").exists()


def test_a_tilted_ct_that_the_output_cannot_hold_is_refused_before_the_work(tmp_path, ct, capsys, monkeypatch):
    place = ct.ijk_to_ras.copy()
    place[:3, 2] += 0.2 * place[:3, 1]
    tilted = write_volume(replace(ct, ijk_to_ras=place), tmp_path / "ct.nrrd")
    monkeypatch.setattr("REACTKDTrainLib.low_dose.volumes.degrade", lambda *_, **__: pytest.fail("it was simulated"))
    assert main(["low-dose", "--ct", str(tilted), "--dose", "0.5", "--output", str(tmp_path / "low.nii.gz")]) == 2
    assert "not perpendicular, and NIfTI cannot hold them; write it as .nrrd or .mha" in capsys.readouterr().err
    assert not list(tmp_path.glob("low*"))


def test_a_json_of_another_program_beside_the_output_is_never_overwritten(tmp_path, ct_file, capsys):
    """Such as the one dcm2niix writes next to each image."""
    for text in ('{"Modality": "CT"}', "no JSON", "[1]"):
        (tmp_path / "low.json").write_text(text)
        command = ["low-dose", "--ct", str(ct_file), "--dose", "0.5", "--output", str(tmp_path / "low.nrrd")]
        assert main(command) == 2
        assert "low.json beside the output is no record of a simulation, and would be lost" in capsys.readouterr().err
        assert (tmp_path / "low.json").read_text() == text and not (tmp_path / "low.nrrd").exists()
    (tmp_path / "low.json").unlink()
    assert main(command) == 0 and main(command) == 0, "a sidecar of this program must be replaced"


def test_the_ct_is_never_overwritten(ct_file, capsys):
    before = ct_file.read_bytes()
    assert main(["low-dose", "--ct", str(ct_file), "--dose", "0.5", "--output", str(ct_file)]) == 2
    assert "lost" in capsys.readouterr().err and ct_file.read_bytes() == before


def test_it_runs_as_a_module_without_a_terminal(tmp_path, ct_file):
    paths = os.pathsep.join(str(REPOSITORY / part) for part in ("REACTKD", "REACTKDTrain"))
    done = subprocess.run(
        [sys.executable, "-m", "REACTKDTrainLib", "low-dose", "--ct", ct_file, "--dose", "0.5", "--output", "low.nrrd"],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "") and (tmp_path / "low.json").exists()
