"""REACTKDTrain as Slicer runs it, end to end: progress, results, cancel, stop, resume, two processes."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import torch

from REACTKDLib.core.student.bundle import Bundle
from support.cli_runner import arguments_of, start
from support.real_data import real_data
from support.small_training import COHORT, TRAIN_SCRIPT, write_config

XML = TRAIN_SCRIPT.with_suffix(".xml")


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """A cache of prepared cases, shared by the runs of this file."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cache):
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("finished")
    run = start(TRAIN_SCRIPT, parameters(folder, cache), folder).wait()
    assert run.status == "Completed", run.errors
    return run, folder / "out"


def parameters(folder: Path, cache: Path, settings: dict | None = None, **changes: object) -> dict[str, object]:
    """Parameters of a short run in `folder`. settings: changes to its configuration file."""
    told = {
        "cohort": COHORT,
        "output": str(folder / "out"),
        "folds": 2,
        "fold": 0,
        "config": str(write_config(folder, **(settings or {}))),
        "cache": str(cache),
    }
    return told | changes


def test_progress_rises_from_0_to_1_and_names_stage_loss_and_time_left(finished) -> None:
    run, _ = finished
    values = [value for _, value in run.progress]
    assert values[0] == 0 and values[-1] == 1
    assert values == sorted(values) and len(set(values)) > 5
    assert any("teacher" in c and "loss" in c for c in run.comments)
    assert any(c.endswith(" left") for c in run.comments)
    assert run.errors == ""


def test_results_are_returned_as_return_parameters(finished) -> None:
    run, out = finished
    metrics = json.loads((out / "metrics.json").read_text())
    assert float(run.results["macroAUC"]) == pytest.approx(metrics["macro_auc"])
    assert float(run.results["accuracy"]) == pytest.approx(metrics["accuracy"])
    assert Path(run.results["bundle"]) == out / "bundle"


def test_the_output_folder_has_the_documented_files(finished) -> None:
    _, out = finished
    record = json.loads((out / "run.json").read_text())
    assert record["configuration"]["folds"] == 2 and record["versions"]["torch"] and record["hardware"]["device"]
    assert record["cohorts"]["cohort"]["digital_phantom"] is True
    header, *rows = (out / "predictions.csv").read_text().splitlines()
    assert header == "case,fold,grade,well,moderate,poor"
    assert len(rows) == 8  # one of two folds of sixteen cases
    for row in rows:
        assert sum(map(float, row.split(",")[3:])) == pytest.approx(1, abs=1e-5)
    for name in ("teacher-heads", "teacher", "student-heads", "student"):
        assert (out / "fold0" / name / "log.csv").is_file()
        assert (out / "figures" / f"{name}.png").stat().st_size > 5000
    metrics = json.loads((out / "metrics.json").read_text())
    assert {"ct", "fdg+acetate", "ct+fdg+acetate"} <= set(metrics["inputs"])
    assert set(metrics["teachers"]) == {"teacher", "teacher dose", "teacher structure function"}


def test_the_bundle_opens_and_carries_a_model_card(finished) -> None:
    _, out = finished
    bundle = Bundle.load(out / "bundle")
    assert bundle.info["clinical_use"] == "trained on digital phantoms: not for clinical use"
    card = (out / "bundle" / "docs" / "README.md").read_text()
    seen, fold = bundle.trained_on, bundle.info["training"]["fold"]
    assert seen.modalities == ("ct", "fdg", "acetate") and seen.modality_dropout > 0
    assert 0 < sum(seen.images.values()) <= bundle.info["training"]["cohort"]["cases"]
    assert 75 < seen.organ_hu[0] < seen.organ_hu[1] < 140, (
        "livers of phantoms have 95 to 120 HU, with cysts and vessels"
    )
    assert f"fold {fold} of 0 to {bundle.info['training']['folds'] - 1}" in card
    assert f"ct+fdg+acetate ({seen.images['ct+fdg+acetate']} cases)" in card
    assert "16 digital phantoms" in card and "macro AUC" in card


def test_the_models_metadata_fit_monais_schema(finished) -> None:
    schema = json.loads((real_data("schemas") / "monai-bundle-metadata-20240725.json").read_text())
    metadata = json.loads((finished[1] / "bundle" / "configs" / "metadata.json").read_text())
    jsonschema.validate(metadata, schema)


@pytest.mark.slow
def test_cancel_ends_a_training_within_a_second_and_the_resumed_run_gives_the_same_weights(
    finished, tmp_path: Path, cache: Path
) -> None:
    run = start(TRAIN_SCRIPT, parameters(tmp_path, cache), tmp_path)
    run.wait_for(0.5)
    assert run.cancel() < 1.0
    assert run.status == "Cancelled" and not run.returns.exists()
    again = start(TRAIN_SCRIPT, parameters(tmp_path, cache, resume=True), tmp_path).wait()
    assert again.status == "Completed", again.errors
    ours, theirs = (torch.load(o / "bundle/models/model.pt") for o in (tmp_path / "out", finished[1]))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_killed_at_a_random_step_of_every_stage_it_ends_with_the_same_weights(
    seed: int, finished, tmp_path: Path, cache: Path
) -> None:
    """A real process, killed with SIGKILL in each stage in turn and resumed each time."""
    rng = random.Random(seed)
    told = parameters(tmp_path, cache)
    for stage in ("teacher-heads", "teacher", "student-heads", "student"):
        steps = len(losses(finished[1] / "fold0" / stage / "log.csv"))
        at, log = rng.randint(1, steps), tmp_path / "out" / "fold0" / stage / "log.csv"
        run = start(TRAIN_SCRIPT, told | {"resume": (tmp_path / "out" / "run.json").exists()}, tmp_path)
        run._wait_until(lambda log=log, at=at: log.exists() and len(losses(log)) >= at, f"{stage} not at {at}", 300)
        run.cancel()
        assert not (tmp_path / "out" / "bundle").exists()
    again = start(TRAIN_SCRIPT, told | {"resume": True}, tmp_path).wait()
    assert again.status == "Completed", again.errors
    ours, theirs = (torch.load(o / "bundle/models/model.pt") for o in (tmp_path / "out", finished[1]))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    for stage in ("teacher-heads", "teacher", "student-heads", "student"):
        logs = [losses(o / "fold0" / stage / "log.csv") for o in (tmp_path / "out", finished[1])]
        assert logs[0] == logs[1]


@pytest.mark.slow
def test_doses_unlabeled_ct_and_an_external_cohort_join_one_run(tmp_path: Path, cache: Path) -> None:
    data = {"views": 2, "mask_variants": 1, "doses": True}
    told = parameters(
        tmp_path,
        cache,
        settings={"data": data},
        unlabeled="phantom:unlabeled?cases=3&size=tiny",
        external="phantom:external?cases=9&size=tiny",
    )
    run = start(TRAIN_SCRIPT, told, tmp_path).wait()
    assert run.status == "Completed" and run.errors == "", run.errors
    rows = list(csv.DictReader((tmp_path / "out/fold0/teacher/log.csv").read_text().splitlines()))
    assert all(float(row["consistency"]) > 0 for row in rows)  # reducing the dose changes the branch's prediction
    external = (tmp_path / "out/predictions_external.csv").read_text().splitlines()
    assert len(external) == 1 + 9
    assert json.loads((tmp_path / "out/metrics.json").read_text())["external"]["n"] == 9


@pytest.mark.slow
def test_a_stop_file_or_a_signal_ends_a_training_within_a_step(tmp_path: Path, cache: Path) -> None:
    long = {"student_stage": {"epochs": 2000, "batch": 4, "rate": 0.003}}
    told = parameters(tmp_path, cache, settings=long)
    log = tmp_path / "out" / "fold0" / "student" / "log.csv"
    run = start(TRAIN_SCRIPT, told, tmp_path)
    run.wait_for_file(log)
    steps = len(losses(log))
    (tmp_path / "out" / "STOP").touch()
    ended_cleanly(run)
    assert len(losses(log)) <= steps + 2
    again = start(TRAIN_SCRIPT, told | {"resume": True}, tmp_path)
    again.wait_for_stage("student,")
    again.process.send_signal(signal.SIGTERM)  # a cluster sends this before it kills
    ended_cleanly(again)
    assert len(losses(log)) >= steps  # it continued where the stopped run had ended


def ended_cleanly(run) -> None:
    run.wait(60)
    assert run.process.returncode == 3 and run.errors == ""
    assert "resume" in run.text[-1]


def test_training_teachers_first_and_the_student_later_gives_the_weights_of_both_at_once(
    finished, tmp_path: Path, cache: Path, train
) -> None:
    for stage, more in (("teacher", {}), ("student", {"resume": True})):
        status, _, errors = train(*arguments_of(XML, parameters(tmp_path, cache, stage=stage, **more)))
        assert (status, errors) == (0, "")
        assert (tmp_path / "out" / "bundle").exists() == (stage == "student")
    ours, theirs = (torch.load(o / "bundle/models/model.pt") for o in (tmp_path / "out", finished[1]))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one_process_and_write_each_file_once(finished, tmp_path: Path) -> None:
    told = parameters(tmp_path, tmp_path / "own-cache")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(TRAIN_SCRIPT)]
    threads = {"OMP_NUM_THREADS": "1"}  # otherwise torchrun chooses and prints a warning
    run = subprocess.run(
        [*command, *arguments_of(XML, told)], capture_output=True, text=True, timeout=600, env=os.environ | threads
    )
    assert run.returncode == 0 and run.stderr == "", run.stderr
    assert run.stdout.count("Done:") == 1
    for stage in ("teacher-heads", "teacher", "student-heads", "student"):
        both = [losses(out / "fold0" / stage / "log.csv") for out in (finished[1], tmp_path / "out")]
        assert both[1] == pytest.approx(both[0], rel=1e-4, abs=1e-4)
    assert not list((tmp_path / "own-cache").rglob(".*"))  # nothing is left half-written


def losses(path: Path) -> list[float]:
    header, *rows = path.read_text().splitlines()
    column = header.split(",").index("loss")
    return [float(row.split(",")[column]) for row in rows]


def test_resuming_with_another_configuration_is_refused_and_changes_nothing(finished, tmp_path, cache, train) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished[1], out)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    for changes, sentence in (
        ({"resume": True, "studentBatch": 2}, "student_stage.batch: 4, now 2"),
        ({"resume": True, "cohort": COHORT.replace("16", "18")}, "started on other cases"),
        ({}, "holds a run already"),
    ):
        status, _, errors = train(*arguments_of(XML, parameters(tmp_path, cache, **changes)))
        assert status == 1 and sentence in errors
        assert errors.count("\n") == 1
    assert before == {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}


def test_a_finished_run_resumes_to_the_same_results_without_training(finished, tmp_path, cache, train) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished[1], out)
    status, _, errors = train(*arguments_of(XML, parameters(tmp_path, cache, resume=True)))
    assert (status, errors) == (0, "")
    for name in ("metrics.json", "predictions.csv", "fold0/student/log.csv"):
        assert (out / name).read_text() == (finished[1] / name).read_text()
