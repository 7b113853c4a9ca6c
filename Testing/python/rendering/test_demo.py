"""The demo as a new user runs it: in its own process, from files to files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from demo.hospital import write_patient
from demo.run_demo import Step, main
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.reports.report import report_schema
from support.small_models import write_small_model

pytestmark = pytest.mark.rendering

ROOT = Path(__file__).resolve().parents[3]
LEFT = {"report.json", "regions.csv", "axial.png", "coronal.png", "volume.png", "scene.mrb"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """A model folder with random weights, on disk."""
    return write_small_model(tmp_path_factory.mktemp("model") / "random")


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """A small phantom patient on disk."""
    return write_patient(tmp_path_factory.mktemp("patient"), size="small")


def _demo(*arguments: object) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, str(ROOT / "Testing" / "demo" / "run_demo.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)


def test_given_files_are_graded_and_all_outputs_are_written(patient, bundle, tmp_path):
    volumes = [part for m, path in patient.volumes.items() for part in (f"--{m.value}", path)]
    done = _demo(*volumes, "--segmentation", patient.segmentation, "--bundle", bundle, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in tmp_path.iterdir()} == LEFT
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, report_schema())
    assert report["inputs"] == ["ct", "fdg", "acetate"]
    assert f"Grade: {report['grade']}" in done.stdout
    for name, probability in report["probabilities"].items():
        assert f"{name:<10} {probability:6.3f}" in done.stdout
    for region in report["regions"]:
        assert region["name"] in done.stdout
    for column in ("weight", "left out", "share"):
        assert f"\n{column}: " in done.stdout, "each column is explained"
    steps = [line for line in done.stdout.splitlines() if re.fullmatch(r"[A-Z][^.]*\.\.\. \d+\.\d s", line)]
    assert len(steps) == 5, done.stdout
    assert str(tmp_path) in done.stdout
    assert "Traceback" not in done.stderr


def test_each_step_is_printed_before_it_runs(capsys):
    with pytest.raises(KeyError), Step("Grading"):
        assert capsys.readouterr().out == "Grading..."
        raise KeyError
    assert capsys.readouterr().out == "\n", "a message starts in a line of its own"


def slow(fault: str) -> object:
    """Mark a fault as slow, since each process takes seconds: another that fails just as late is always tested."""
    return pytest.param(fault, marks=pytest.mark.slow)


@pytest.mark.parametrize("fault", [slow("no such file"), slow("no such segment"), "no model"])
def test_a_fault_is_reported_in_one_sentence_with_status_2(patient, bundle, tmp_path, fault):
    ct = next(iter(patient.volumes.values()))
    arguments = {
        "no such file": ["--ct", tmp_path / "x.nii.gz", "--segmentation", patient.segmentation, "--bundle", bundle],
        "no such segment": ["--ct", ct, "--segmentation", patient.segmentation, "--liver", "Leber", "--bundle", bundle],
        "no model": ["--ct", ct, "--segmentation", patient.segmentation, "--bundle", tmp_path],
    }[fault]
    done = _demo(*arguments, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1 and done.stderr.strip().endswith("."), done.stderr
    left = [p.name for p in (tmp_path / "out").iterdir()] if (tmp_path / "out").exists() else []
    assert not left


def test_an_image_without_a_segmentation_is_refused_before_anything_is_loaded(patient, bundle, tmp_path, capsys):
    ct = str(next(iter(patient.volumes.values())))
    assert main(["--ct", ct, "--bundle", str(bundle), "--output", str(tmp_path / "out")]) == 2
    assert "Give at least one image" in capsys.readouterr().err and not any((tmp_path / "out").iterdir())


@pytest.mark.parametrize("lost", ["ct", "segmentation"])
def test_a_file_that_is_missing_is_named_before_anything_is_loaded(patient, bundle, tmp_path, capsys, lost):
    given = {"ct": patient.volumes[Modality.CT], "segmentation": patient.segmentation, lost: tmp_path / "none.nrrd"}
    files = [str(part) for role, path in given.items() for part in (f"--{role}", path)]
    assert main([*files, "--bundle", str(bundle), "--output", str(tmp_path / "out")]) == 2
    name = {"ct": "CT"}.get(lost, lost)
    assert capsys.readouterr().err == f"There is no file at the path given for the {name}; check the path.\n"
    assert not any((tmp_path / "out").iterdir())
