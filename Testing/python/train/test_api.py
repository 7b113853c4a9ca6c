"""Training and evaluation from Python: two calls, and the same run as from the command line."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
import torch

from REACTKDLib import load_model
from REACTKDLib.core.errors import NotAnImage, ReactkdError, UsageError
from REACTKDLib.core.grading.grader import Grader
from REACTKDTrainLib import Run, evaluate, open_cohort, train
from REACTKDTrainLib.__main__ import main
from support.small_models import small_bundle
from support.small_training import write_config

COHORT = "phantom:hospital?cases=16&size=tiny"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Prepared cases, created by the first of the runs."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def run(tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("api")
    seen: list[float] = []
    config = write_config(folder)
    options = {"folds": 2, "fold": 0, "method": "none", "config": config, "device": "cpu", "cache": cache}
    trained = train(COHORT, folder / "run", on_progress=lambda fraction, _text: seen.append(fraction), **options)
    assert seen == sorted(seen) and seen[-1] == 1.0
    return trained


def test_training_from_python_equals_the_command_line(run, cache, tmp_path):
    assert run.metrics["digital_phantom"] and 0 <= run.metrics["macro_auc"] <= 1
    command = ["train", "--cohort", COHORT, "--output", str(tmp_path / "run"), "--folds", "2", "--fold", "0"]
    command += ["--method", "none", "--config", str(write_config(tmp_path)), "--device", "cpu", "--cache", str(cache)]
    assert main(command) == 0
    ours, theirs = (torch.load(b / "models" / "model.pt") for b in (run.bundle, tmp_path / "run" / "bundle"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_run_is_measured_on_other_cases(run, tmp_path):
    cohort = open_cohort("phantom:large?cases=13&size=tiny&biology=independent")
    found = evaluate(run, cohort, tmp_path / "out", device="cpu")
    assert found["n"] + found["cases_without_answer"] == 13 and set(found["inputs"]) >= {
        "ct",
        "fdg+acetate",
        "ct+fdg+acetate",
    }
    assert found == json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (tmp_path / "out" / "figures" / "roc.png").stat().st_size > 5000
    assert (tmp_path / "out" / "figures" / "calibration.svg").stat().st_size > 2000
    with open(tmp_path / "out" / "predictions.csv", newline="", encoding="utf-8") as stream:
        rows = {row["case"]: row for row in csv.DictReader(stream)}
    assert len(rows) == found["n"] >= 12
    model = load_model(run.bundle, "cpu")
    for case in [case for case in cohort.cases if case.id in rows][:2]:  # a row is the answer that `grade` gives
        report = model.open(case.load()).grade().report
        assert float(rows[case.id]["poor"]) == pytest.approx(report.probabilities["poor"], abs=1e-6)
    assert evaluate(model, cohort)["macro_auc"] == pytest.approx(found["macro_auc"], abs=1e-9)


def test_an_evaluation_does_not_replace_the_results_of_a_training(run):
    """Its predictions and measures have the names of those of a training, which were lost."""
    before = {path: path.read_bytes() for path in run.folder.iterdir() if path.is_file()}
    with pytest.raises(UsageError, match="The output folder holds a training, .*; choose another folder"):
        evaluate(run, "phantom:external?cases=2&size=tiny", run.folder, device="cpu")
    assert before == {path: path.read_bytes() for path in run.folder.iterdir() if path.is_file()}


def test_the_training_cases_of_a_run_are_refused_for_its_evaluation(run):
    for given in (run, run.bundle, str(run.bundle), load_model(run.bundle, "cpu")):  # also by the path of its model
        with pytest.raises(UsageError, match="The run was trained on these cases"):
            evaluate(given, COHORT, device="cpu")


def test_an_output_that_cannot_be_written_is_refused_before_a_case_is_graded(run, tmp_path):
    told = []
    (tmp_path / "file").write_text("kept")
    for output, said in ((tmp_path / "file", "is a file"), (tmp_path / "file" / "in", "cannot be written")):
        with pytest.raises(ReactkdError, match=said):
            evaluate(run, "phantom:external?cases=2&size=tiny", output, on_progress=lambda *now: told.append(now))
    assert told == [] and (tmp_path / "file").read_text() == "kept"


def test_figures_of_an_earlier_evaluation_do_not_stay_beside_new_measures(run, tmp_path):
    figures = tmp_path / "out" / "figures"
    figures.mkdir(parents=True)
    for name in ("roc.png", "calibration.svg", "mine.png"):
        (figures / name).write_text("of earlier cases")
    evaluate(run, "phantom:external?cases=2&size=tiny", tmp_path / "out", device="cpu")  # too few for a figure
    assert [path.name for path in figures.iterdir()] == ["mine.png"]


def test_invalid_calls_are_refused(tmp_path):
    with pytest.raises(UsageError, match="There is no option 'epochs' of a training; there are unlabeled"):
        train(COHORT, tmp_path / "run", epochs=3)
    with pytest.raises(UsageError, match="There is no option 'flods' of a training; did you mean 'folds'"):
        train(COHORT, tmp_path / "run", flods=3)
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match="No case of the cohort phantom unlabeled has a grade"):
        evaluate(Grader(small_bundle(1), "cpu"), "phantom:unlabeled?cases=2&size=tiny")
    with pytest.raises(UsageError, match="teachers alone"):
        evaluate(Run(tmp_path, None), COHORT)


@pytest.mark.parametrize("given", ["run", "folder", "loaded"])
def test_some_training_cases_in_a_cohort_are_named(run, given):
    """The cohort has another content, so only the voxels tell; the same scans may have other names there."""
    own = open_cohort(COHORT)
    other = open_cohort("phantom:external?cases=2&size=tiny").cases
    renamed = replace(own.cases[3], id="new", patient="new")
    model = {"run": run, "folder": run.bundle, "loaded": load_model(run.bundle, "cpu")}[given]
    with pytest.raises(UsageError, match=r"trained on scans of 'new', 'phantom-hospital-\d+'; .*take them out"):
        evaluate(model, replace(own, cases=(other[0], renamed, other[1], own.cases[0])), device="cpu")
    found = evaluate(model, replace(own, cases=other), device="cpu")
    assert found["n"] + found["cases_without_answer"] == 2


def test_cases_that_cannot_be_graded_are_named():
    """The reason alone, such as a damaged CT, does not tell which of hundreds of cases it is."""
    cohort = open_cohort("phantom:external?cases=4&size=tiny")

    def damaged():
        raise NotAnImage("The file of the CT is cut off or damaged; copy it again.")

    cases = [replace(case, load=damaged) if n in (1, 3) else case for n, case in enumerate(cohort.cases)]
    model = Grader(small_bundle(1), "cpu")
    said = rf"Case {cases[1].id} cannot be graded \(and 1 more\): The file of the CT is cut off or damaged"
    with pytest.raises(ReactkdError, match=said) as caught:
        evaluate(model, replace(cohort, cases=tuple(cases)))
    assert caught.value.code == "unreadable-case" and isinstance(caught.value.__cause__, NotAnImage)
    with pytest.raises(ReactkdError, match=rf"Case {cases[3].id} cannot be graded: "):
        evaluate(model, replace(cohort, cases=tuple(cases[2:])))
