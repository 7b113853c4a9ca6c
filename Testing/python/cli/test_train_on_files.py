"""From a hospital's folder to a model: inspect it, write the list, train on it, including reduced doses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from REACTKDLib.core.student.bundle import Bundle
from REACTKDTrainLib.__main__ import main
from support.cli_runner import start
from support.cohort_files import LIVER, MASS, abdomen, place, write
from support.small_training import QUICK, TRAIN_SCRIPT, write_config

PATIENTS = 12


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """Twelve patients in the published layout, half of them with both tracers."""
    root = tmp_path_factory.mktemp("hospital")
    for n in range(PATIENTS):
        grade = ("well", "moderate", "poor")[n % 3]
        for tracer in ("FDG", "ACT")[: 1 + n % 2]:
            images, masks = (root / top / grade / f"p{n}" / tracer for top in ("Dataset", "Dataset_seg"))
            uptake = np.where(MASS & LIVER, 4.0 + n, np.where(LIVER, 3.0, 1.0))
            write(abdomen(n), place(), images / "CT.nii.gz")
            write(uptake.astype(np.float32), place(), images / "PET.nii.gz")
            write(LIVER.astype(np.uint8), place(), masks / "CT_liver.nii.gz")
            write((MASS & LIVER).astype(np.uint8), place(), masks / "CT_tumor.nii.gz")
    return root


@pytest.mark.slow
def test_a_list_of_real_files_trains_with_low_doses(hospital, tmp_path):
    listed = tmp_path / "list.json"
    assert main(["cohorts", "check", str(hospital), "--datalist", str(listed), "--folds", "2"]) == 0
    config = write_config(tmp_path, data={**QUICK["data"], "doses": True, "size": "tiny"})
    parameters = {
        "cohort": str(listed), "output": str(tmp_path / "out"), "folds": 2, "fold": 0, "config": str(config),
    }  # fmt: skip
    run = start(TRAIN_SCRIPT, parameters, tmp_path).wait(1800)
    assert run.status == "Completed", run.errors
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert not record.get("native_dose_only")
    fields = [path for path in (tmp_path / "out" / "cache" / "doses").rglob("*") if path.is_file()]
    assert len(fields) == 18, "noise fields of each real scan"
    bundle = Bundle.load(tmp_path / "out" / "bundle")
    assert set(bundle.trained_on.images) == {"ct+fdg", "ct+acetate"}, "each tracer must be a separate scan"
    assert sum(bundle.trained_on.images.values()) > 2
