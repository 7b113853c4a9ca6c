"""MONAI's own commands run a model folder without a network connection, and grade as `grade` does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from REACTKDLib import grade
from REACTKDLib.core.student.bundle import Bundle, shipped_bundle_folder
from support.result_rows import rows_of

REPOSITORY = Path(__file__).resolve().parents[3]
#: `python -m monai.bundle` in a process that cannot open network connections
OFFLINE = """
import runpy, socket, sys
def refuse(*_):
    raise OSError("the test allows no network")
socket.socket.connect = socket.getaddrinfo = refuse
sys.argv = ["monai.bundle", *sys.argv[1:]]
runpy.run_module("monai.bundle", run_name="__main__")
"""


def monai_bundle(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    roots = os.pathsep.join(str(REPOSITORY / name) for name in ("REACTKD", "REACTKDTrain"))
    command = [sys.executable, "-c", OFFLINE, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": roots, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300)


@pytest.fixture(scope="module")
def answers(bundle_folder, case_folder, tmp_path_factory) -> Path:
    """The output of `run` for a complete case, one without acetate, and one whose CT is missing."""
    folder = tmp_path_factory.mktemp("monai")
    files = {name: str(case_folder / f"{name.upper()}.nii.gz") for name in ("ct", "fdg", "acetate")}
    whole = {"id": "whole", **files, "segmentation": str(case_folder / "segmentation.seg.nrrd"), "grade": "poor"}
    part = {key: value for key, value in whole.items() if key != "acetate"} | {"id": "part"}
    lost = whole | {"id": "lost", "ct": "nowhere.nii.gz"}
    (folder / "cases.json").write_text(json.dumps({"training": [whole, part, lost]}))
    done = monai_bundle(
        "run", "--config_file", "configs/inference.json", "--datalist", folder / "cases.json",
        "--output_dir", folder / "answers", "--device", "cpu", cwd=bundle_folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "answers"


def test_monai_grades_a_datalist_with_the_numbers_of_the_grade_command(answers, bundle_folder, case_folder):
    rows = rows_of(answers, "predictions.csv")
    files = {name: case_folder / f"{name.upper()}.nii.gz" for name in ("ct", "fdg")}
    files["segmentation"] = case_folder / "segmentation.seg.nrrd"
    for name, more in (("whole", {"acetate": case_folder / "ACETATE.nii.gz"}), ("part", {})):
        report = grade(**files, **more, model=bundle_folder, device="cpu")
        row, kept = rows[name], json.loads((answers / name / "report.json").read_text())
        assert row["grade"] == kept["grade"] == report.grade
        assert {c: float(row[f"p_{c}"]) for c in report.probabilities} == pytest.approx(report.probabilities, abs=1e-5)
        assert kept["probabilities"] == pytest.approx(report.probabilities, abs=1e-5)
        assert kept["inputs"] == list(report.inputs)
    assert rows["lost"]["grade"] == "" and "CT" in rows["lost"]["reason"] and not (answers / "lost").exists()


def test_metadata_fit_the_schema_that_lies_beside_them(bundle_folder, tmp_path):
    from monai.bundle import verify_metadata

    for folder in (bundle_folder, shipped_bundle_folder()):
        configs = folder / "configs"
        verify_metadata(meta_file=str(configs / "metadata.json"), filepath=str(configs / "metadata_schema.json"))
    wrong = json.loads((bundle_folder / "configs" / "metadata.json").read_text())
    del wrong["task"]
    (tmp_path / "metadata.json").write_text(json.dumps(wrong))
    with pytest.raises(ValueError, match="task"):
        verify_metadata(meta_file=str(tmp_path / "metadata.json"), filepath=str(configs / "metadata_schema.json"))


@pytest.mark.parametrize("workflow", ["inference", "train"])
def test_load_gives_the_network_as_a_module(bundle_folder, workflow):
    from monai.bundle import load

    network = load(bundle_folder.name, bundle_dir=bundle_folder.parent, workflow_type=workflow, device="cpu").eval()
    student = Bundle.load(bundle_folder).student
    assert isinstance(network, torch.nn.Module) and type(network) is type(student)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in student.state_dict().items())
    torch.manual_seed(0)
    images = {name: torch.randn(1, 1, 24, 24, 32) for name in ("ct", "fdg")}
    regions = torch.zeros(2, 24, 24, 32)
    regions[0, 4:20, 4:20, 4:20], regions[1, 8:14, 8:14, 8:14] = 1, 1
    shells = torch.rand(1, 6, 24, 24, 32) * regions[1]
    with torch.no_grad():
        logits = [of(images, regions, torch.zeros(7), shells) for of in (network, student)]
    assert logits[0].shape == (3,) and torch.equal(*logits) and logits[0].isfinite().all()


def test_the_shipped_model_has_the_files_that_every_saved_one_has(bundle_folder):
    shipped = shipped_bundle_folder()
    for name in ("inference.json", "train.json", "metadata_schema.json"):
        assert (shipped / "configs" / name).read_bytes() == (bundle_folder / "configs" / name).read_bytes(), name
    readme = (shipped / "docs" / "README.md").read_text()
    assert "configs/inference.json" in readme and "pip install" in readme
