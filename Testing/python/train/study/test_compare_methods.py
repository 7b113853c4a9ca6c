"""The distilled student against the plain one: what is compared with what, and what is said of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.evaluation.intervals import paired_auc_difference
from REACTKDTrainLib.study import compare_runs
from REACTKDTrainLib.study.compare_runs import METHODS, ComparedMethods, external_difference, page, pooled_difference
from REACTKDTrainLib.training.predictions import Prediction, write_metrics, write_rows
from support.predictions import graded_predictions

COHORT = {"name": "phantom hospital", "digital_phantom": True, "cases": 12, "patients": 12, "grades": {}, "skipped": []}


def rows_of(grades: np.ndarray, p: np.ndarray, fold: int = 0, first: int = 0, model: str = "student"):
    return [
        Prediction(f"c{first + n}", f"c{first + n}", fold, int(g), model, inputs, inputs == "ct", tuple(map(float, q)))
        for n, (g, q) in enumerate(zip(grades, p, strict=True))
        for inputs in compare_runs.INPUTS
    ]


def write_run(folder: Path, skill: float, settings: dict) -> None:
    """Two folds of six cases, an external cohort of 60, as a run leaves them."""
    for fold in (0, 1):
        grades, p = graded_predictions(6, skill, seed=fold)
        write_rows(folder / f"fold{fold}" / "test.json", rows_of(grades, p, fold, 6 * fold))
        grades = graded_predictions(60, skill, seed=9)[0]
        noisy = np.eye(3)[grades] * skill / 10 + graded_predictions(60, 0.5, seed=10 + fold)[1]
        outside = rows_of(grades, noisy / noisy.sum(axis=1, keepdims=True), fold)
        outside += [replace(row, model="teacher") for row in outside if row.inputs == "ct"]
        write_rows(folder / f"fold{fold}" / "external.json", outside)
    record = {"configuration": settings, "cohorts": {"cohort": COHORT, "external": COHORT | {"name": "phantom large"}}}
    (folder / "run.json").write_text(json.dumps(record))
    write_metrics(folder / "metrics.json", {})


def write_both(folder: Path, skills: tuple[float, float] = (9.0, 0.5), **plain) -> None:
    for (name, method), skill, changes in zip(METHODS.items(), skills, ({}, plain), strict=True):
        write_run(folder / name, skill, {"method": method, "seed": 0} | changes)


def test_finished_runs_are_compared_and_not_trained_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(compare_runs, "run_experiment", lambda *_: pytest.fail("trained"))
    write_both(tmp_path)
    result = ComparedMethods("c", "e", tmp_path, folds=2).run()
    found = result["on_the_external"]["ct"]
    assert found["cases"] == 60 and found["runs"] == 2 and found["interval95"][0] > 0
    assert found["difference"] == pytest.approx(found["macro_auc"][0] - found["macro_auc"][1])
    assert result["out_of_fold"]["ct"]["cases"] == 12
    assert json.loads((tmp_path / "comparison.json").read_text()) == result
    text = (tmp_path / "comparison.md").read_text()
    assert "Digital phantoms: 12 patients" in text and "the distilled student was better" in text
    assert f"{found['difference']:+.3f}" in text


def test_the_same_answers_differ_by_nothing(tmp_path: Path) -> None:
    write_both(tmp_path, (5.0, 5.0))
    result = ComparedMethods("c", "e", tmp_path, folds=2).compare()
    assert result["on_the_external"]["ct"]["difference"] == 0
    assert "no difference was shown" in page(result)


def test_what_was_not_finished_is_resumed_with_the_other_method(tmp_path: Path, monkeypatch) -> None:
    asked = []

    def train(options, *_) -> None:
        asked.append((options.method, options.resume, options.cache))
        write_run(options.output, 1.0, {"method": options.method})

    monkeypatch.setattr(compare_runs, "run_experiment", train)
    (tmp_path / "distilled").mkdir()
    (tmp_path / "distilled" / "run.json").touch()
    ComparedMethods("c", "e", tmp_path, folds=2).run()
    assert asked == [("react-kd", True, tmp_path / "cache"), ("none", False, tmp_path / "cache")]


def test_runs_of_other_settings_are_not_compared(tmp_path: Path) -> None:
    write_both(tmp_path, seed=1)
    with pytest.raises(UsageError, match="differ in settings or cases"):
        ComparedMethods("c", "e", tmp_path, folds=2).compare()


def test_cases_are_paired_by_name_whatever_their_order() -> None:
    grades, p = graded_predictions(40, seed=1)
    q = graded_predictions(40, seed=2)[1]
    ours, plain = rows_of(grades, p), rows_of(grades, q)
    found = external_difference([ours], [plain[::-1]], "ct")
    assert found["macro_auc"] == pytest.approx([macro_auc(grades, p), macro_auc(grades, q)])
    pooled = pooled_difference([ours[:60], ours[60:]], [plain], "ct")
    assert pooled["difference"] == pytest.approx(found["difference"])
    assert pooled["difference"] == pytest.approx(paired_auc_difference(grades, p, q)["difference"])
