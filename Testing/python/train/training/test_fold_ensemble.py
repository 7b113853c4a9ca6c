"""The folds of a training are saved as one model, each with the task of the cohort."""

from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from REACTKDLib import load_model
from REACTKDLib.core.errors import BundleMismatch
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.trained_on import TrainedOn
from REACTKDLib.core.task import HCC_GRADE
from REACTKDTrainLib.data.normalization import LiverWindow
from REACTKDTrainLib.results.log import CsvLog
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.fold_ensemble import save_ensemble
from REACTKDTrainLib.training.outputs import Chosen, write_outcome
from REACTKDTrainLib.training.predictions import Prediction, write_rows
from support.small_cases import small_case
from support.small_models import random_student

SEEN = TrainedOn({"ct+fdg+acetate": 9}, 0.3)
COUNTS = {"name": "phantom hospital", "digital_phantom": True, "cases": 9, "patients": 9, "grades": {"poor": 9}}
RECORD = {"revision": "r", "cohorts": {"cohort": {**COUNTS, "skipped": []}}}
EXTERNAL = {"inputs": {"ct": {"n": 5, "macro_auc": 0.75, "macro_auc_interval95": [0.5, 0.9], "accuracy": 0.6}}}
TASK = replace(HCC_GRADE, name="hcc-grade-again")


@pytest.fixture
def folder(tmp_path):
    chosen = [Chosen(0.1 * n, random_student(n), LiverWindow(100.0 + n, 25.0), 1.0 + n / 10, n, SEEN) for n in range(3)]
    config = TrainingConfig.for_size("tiny")
    config = TrainingConfig.from_dict({"student": chosen[0].student.config.to_dict()}, config)
    save_ensemble(tmp_path / "ensemble", chosen, config, RECORD, {"external": EXTERNAL}, TASK)
    return tmp_path / "ensemble"


@pytest.mark.parametrize("scores", [(-0.5, -0.9, -0.7), (-0.9, -0.5, -0.7), (-0.9, -0.7, -0.5), (-0.5, -0.5, -0.9)])
def test_folds_run_one_by_one_give_the_model_of_one_run(scores, tmp_path):
    """The model with the best validation score, with its own window and images, and the metrics of all."""
    config = TrainingConfig.for_size("tiny")
    chosen = [
        Chosen(score, random_student(n), LiverWindow(100.0 + n, 25.0), 1.25, n, TrainedOn({"ct": 9 + n}, 0.3))
        for n, score in enumerate(scores)
    ]
    config = TrainingConfig.from_dict({"student": chosen[0].student.config.to_dict()}, config)
    cohorts = {"cohort": SimpleNamespace(phantom=True, task=HCC_GRADE)}
    for name, calls in (("together", [chosen]), ("apart", [[one] for one in chosen])):
        for own in calls:
            write_outcome(tmp_path / name, config, cohorts, RECORD, own)
    together, apart = (Bundle.load(tmp_path / name / "bundle") for name in ("together", "apart"))
    assert apart.info == together.info and apart.info["training"]["fold"] == scores.index(max(scores))
    write_outcome(tmp_path / "apart", config, cohorts, RECORD, [replace(one, score=-9.0) for one in chosen[:1]])
    again = scores.index(max(scores)) == 0  # a retrained fold replaces its own result
    assert Bundle.load(tmp_path / "apart" / "bundle").info["training"]["validation_score"] == (-9.0 if again else -0.5)


def test_a_copy_of_a_fold_in_the_folder_of_the_run_is_not_counted(tmp_path):
    """Its cases were held out twice in the predictions, and the learning curves ended the run with a ValueError."""
    cohorts = {"cohort": SimpleNamespace(phantom=True, task=HCC_GRADE)}
    rows = [Prediction(f"c{n}", f"c{n}", 0, n % 3, "student", "ct", True, (0.2, 0.3, 0.5)) for n in range(9)]
    write_rows(tmp_path / "fold0" / "test.json", rows)
    CsvLog(tmp_path / "fold0" / "student" / "log.csv").add({"epoch": 0, "step": 0, "loss": 1.0, "validation": -1.0})
    shutil.copytree(tmp_path / "fold0", tmp_path / "fold0-old")
    shutil.copytree(tmp_path / "fold0", tmp_path / "fold00")
    _, metrics = write_outcome(tmp_path, TrainingConfig.for_size("tiny"), cohorts, RECORD, [])
    assert metrics["n"] == 9 and len((tmp_path / "predictions.csv").read_text().splitlines()) == 10
    assert (tmp_path / "figures" / "student.png").is_file()


def test_each_fold_is_a_member_with_its_window_and_card(folder):
    model = load_model(folder, "cpu")
    members = model.bundle.members
    assert [member.info["training"]["fold"] for member in members] == [0, 1, 2]
    assert [member.info["preparation"]["ct_center_hu"] for member in members] == [100.0, 101.0, 102.0]
    assert {member.task.name for member in members} == {TASK.name} and model.bundle.task == TASK
    for name in ("fold0", "fold1", "fold2"):
        assert "fold" in (folder / "members" / name / "docs" / "README.md").read_text()
    report = model.open(replace(small_case(), task=TASK)).grade().report
    assert len(report.ensemble.members) == 3 and report.model.name == "reactkd-phantom-run (3 models)"
    with pytest.raises(BundleMismatch, match="in its own way"):
        _ = model.bundle.preparation


def test_the_card_has_the_measures_of_the_ensemble(folder):
    card = (folder / "docs" / "README.md").read_text()
    assert "3 times the time" in card and "| ct | 5 | 0.750 (0.500 to 0.900) | 0.600 |" in card
    assert "which no fold trained on" in card and "Trained on digital phantoms: not for clinical use" in card
    assert sorted(path.name for path in folder.iterdir()) == ["configs", "docs", "members"]
