"""The distilled student against the plain one: what is compared, and what is reported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.evaluation.intervals import paired_auc_difference
from REACTKDTrainLib.study import compare_methods
from REACTKDTrainLib.study.compare_methods import METHODS, ComparedMethods, external_difference, page, pooled_difference
from REACTKDTrainLib.study.compare_runs import INPUTS
from REACTKDTrainLib.training.predictions import Prediction, read_rows, write_metrics, write_rows
from REACTKDTrainLib.training.record import describe_cohort, recorded_settings
from support.predictions import graded_predictions

COHORT = {"name": "phantom hospital", "digital_phantom": True, "cases": 12, "patients": 12, "grades": {}, "skipped": []}


def rows_of(grades: np.ndarray, p: np.ndarray, fold: int = 0, first: int = 0, model: str = "student"):
    return [
        Prediction(f"c{first + n}", f"c{first + n}", fold, int(g), model, inputs, inputs == "ct", tuple(map(float, q)))
        for n, (g, q) in enumerate(zip(grades, p, strict=True))
        for inputs in INPUTS
    ]


def write_run(folder: Path, skill: float, settings: dict) -> None:
    """Two folds of six cases and an external cohort of 60, as a run leaves them."""
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
    monkeypatch.setattr(compare_methods, "run_experiment", lambda *_: pytest.fail("trained"))
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


def test_equal_predictions_have_no_difference(tmp_path: Path) -> None:
    write_both(tmp_path, (5.0, 5.0))
    result = ComparedMethods("c", "e", tmp_path, folds=2).compare()
    assert result["on_the_external"]["ct"]["difference"] == 0
    assert "no difference was shown" in page(result)


def test_an_unfinished_run_is_resumed_with_its_method(tmp_path: Path, monkeypatch) -> None:
    asked = []

    def train(options, *_) -> None:
        asked.append((options.method, options.resume, options.cache))
        write_run(options.output, 1.0, {"method": options.method})

    monkeypatch.setattr(compare_methods, "run_experiment", train)
    (tmp_path / "distilled").mkdir()
    (tmp_path / "distilled" / "run.json").touch()
    ComparedMethods("c", "e", tmp_path, folds=2).run()
    assert asked == [("react-kd", True, tmp_path / "cache"), ("none", False, tmp_path / "cache")]


def test_runs_of_other_settings_are_not_compared(tmp_path: Path) -> None:
    write_both(tmp_path, seed=1)
    with pytest.raises(UsageError, match="differ in settings or cases"):
        ComparedMethods("c", "e", tmp_path, folds=2).compare()


ASKED = ("phantom:hospital?cases=12&size=tiny", "phantom:large?cases=60&first=0&size=tiny")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"cohort": "phantom:hospital?cases=24&size=tiny"}, "cohort.cases: 12, now 24"),
        ({"cohort": "phantom:large?cases=12&size=tiny"}, "cohort.grades"),
        ({"external": "phantom:external?cases=60&size=tiny"}, "external.grades"),
        ({"folds": 5}, "folds: 2, now 5"),
        ({"config": {"seed": 7}}, "seed: 0, now 7"),
        ({"config": {"student_stage": {"lr": 0.5}}}, "student_stage.rate: .*, now 0.5"),
    ],
)
def test_a_finished_comparison_is_not_reused_for_other_arguments(changes, said, tmp_path, monkeypatch) -> None:
    """The old answer used to be returned for another cohort, with the requested number of folds written next to it."""
    monkeypatch.setattr(compare_methods, "run_experiment", lambda *_: pytest.fail("trained"))
    write_both(tmp_path)
    asked = ComparedMethods(*ASKED, tmp_path, folds=2)
    doses = asked.options("plain").training_config("tiny").data.doses  # a run opens the whole field for them
    opened = [open_cohort(spec, "tiny", doses) for spec in ASKED]
    cohorts = {role: describe_cohort(cohort) for role, cohort in zip(("cohort", "external"), opened)}
    for name in METHODS:
        settings = recorded_settings(asked.options(name).training_config("tiny"))
        del settings["student_stage"]["patience"]  # which earlier releases did not have
        (tmp_path / name / "run.json").write_text(json.dumps({"configuration": settings, "cohorts": cohorts}))
    if "config" in changes:
        (tmp_path / "config.json").write_text(json.dumps(changes["config"]))
        changes = {"config": tmp_path / "config.json"}
    again = replace(asked, **changes)
    if not said:
        assert again.run()["folds"] == 2
        return
    with pytest.raises(UsageError, match=rf"trained on something else \({said}"):
        again.run()
    assert not (tmp_path / "comparison.json").exists()


def test_the_folds_of_the_settings_are_used_by_default(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"folds": 5, "method": "kd"}))
    for folds, wanted in ((0, 5), (2, 2)):
        asked = ComparedMethods(*ASKED, tmp_path / "out", tmp_path / "config.json", folds)
        assert asked.options("plain").training_config("tiny").folds == wanted
    assert ComparedMethods(*ASKED, tmp_path).options("plain").training_config("tiny").folds == 3
    with pytest.raises(UsageError, match="The settings name the method kd; .* react-kd and none"):
        ComparedMethods(*ASKED, tmp_path / "out", tmp_path / "config.json").run()
    assert not (tmp_path / "out").exists()


def test_cases_are_paired_by_name_whatever_their_order() -> None:
    grades, p = graded_predictions(40, seed=1)
    q = graded_predictions(40, seed=2)[1]
    ours, plain = rows_of(grades, p), rows_of(grades, q)
    found = external_difference([ours], [plain[::-1]], "ct")
    assert found["macro_auc"] == pytest.approx([macro_auc(grades, p), macro_auc(grades, q)])
    pooled = pooled_difference([ours[:60], ours[60:]], [plain], "ct")
    assert pooled["difference"] == pytest.approx(found["difference"])
    assert pooled["difference"] == pytest.approx(paired_auc_difference(grades, p, q)["difference"])


def changed(folder: Path, part: str, change) -> None:
    """Rewrite the rows of a part of both runs; `change` returns None for a row to remove."""
    for path in folder.glob(f"*/fold*/{part}.json"):
        write_rows(path, [row for old in read_rows(path) if (row := change(old)) is not None])


@pytest.mark.parametrize("left", ["ct", "fdg+acetate", "fdg"])
def test_cohorts_are_compared_on_the_images_that_their_cases_have(left: str, tmp_path: Path) -> None:
    """An external hospital with CT only, with both PETs, or with FDG only; the cohort itself has all images."""
    write_both(tmp_path)
    changed(tmp_path, "external", lambda row: replace(row, inputs=left) if row.inputs == "ct" else None)
    found = ComparedMethods("c", "e", tmp_path, folds=2).run()
    assert list(found["on_the_external"]) == [left] and set(found["out_of_fold"]) == set(INPUTS)
    text = (tmp_path / "comparison.md").read_text()
    assert "tested on 60 of phantom large" in text and f"| {left}, the external cohort | 60 |" in text
    assert ("the distilled student was better" in text) is (left == "ct")
    assert ("nothing is said of CT alone" in text) is (left != "ct")


def test_an_external_cohort_that_lacks_a_grade_gets_a_table_without_areas(tmp_path: Path) -> None:
    write_both(tmp_path)
    changed(tmp_path, "external", lambda row: replace(row, grade=min(row.grade, 1)))
    found = ComparedMethods("c", "e", tmp_path, folds=2).run()
    assert found["on_the_external"]["ct"]["macro_auc"] == [None, None]
    assert found["teachers_on_the_external"] == {"teacher": None}
    text = (tmp_path / "comparison.md").read_text()
    assert "nan" not in text.lower() and "None" not in text
    assert "| ct, the external cohort | 60 | - | - | - |" in text and "a grade has no case" in text


def test_an_external_cohort_without_grades_leaves_the_cohort_itself(tmp_path: Path) -> None:
    write_both(tmp_path)
    changed(tmp_path, "external", lambda row: replace(row, grade=None))
    found = ComparedMethods("c", "e", tmp_path, folds=2).run()
    assert found["on_the_external"] == {} and found["teachers_on_the_external"] == {}
    assert found["out_of_fold"]["ct"]["cases"] == 12


def test_two_scans_of_a_patient_count_as_one_patient() -> None:
    grades, p = graded_predictions(40, seed=1)
    q = graded_predictions(40, seed=2)[1]

    def rows(answers: np.ndarray, scans: int) -> list[Prediction]:
        once = [row for row in rows_of(grades, answers) if row.inputs == "ct"]
        return [replace(row, case=f"{row.case}-{scan}") for row in once for scan in range(scans)]

    for compared in (external_difference, pooled_difference):
        one, two = (compared([rows(p, n), rows(p, n)], [rows(q, n), rows(q, n)], "ct") for n in (1, 2))
        assert two["cases"] == 80 and two["interval95"] == pytest.approx(one["interval95"])


def test_two_grades_of_one_case_are_refused() -> None:
    grades, p = graded_predictions(12, seed=1)
    ours = rows_of(grades, p)
    other = [replace(row, grade=(row.grade + 1) % 3) if row.case == "c3" else row for row in ours]
    for compared in (external_difference, pooled_difference):
        with pytest.raises(UsageError, match="c3"):
            compared([ours], [other], "ct")
