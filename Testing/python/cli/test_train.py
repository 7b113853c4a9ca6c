"""REACTKDTrain as Slicer runs it: progress, results, cancel, resume, and one sentence for what is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from REACTKDLib.core.bundle import Bundle
from REACTKDTrainLib.run.options import RunOptions, options_from
from support.cli_runner import UnknownParameter, arguments_of, start
from support.small_training import COHORT, TRAIN_SCRIPT, write_config

XML = TRAIN_SCRIPT.with_suffix(".xml")


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """Prepared cases, shared by the runs of this file."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cache):
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("finished")
    run = start(TRAIN_SCRIPT, parameters(folder, cache), folder).wait()
    assert run.status == "Completed", run.errors
    return run, folder / "out"


def parameters(folder: Path, cache: Path, **changes: object) -> dict[str, object]:
    told = {
        "cohort": COHORT,
        "output": str(folder / "out"),
        "folds": 2,
        "fold": 0,
        "config": str(write_config(folder)),
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


def test_results_come_back_as_return_parameters(finished) -> None:
    run, out = finished
    metrics = json.loads((out / "metrics.json").read_text())
    assert float(run.results["macroAUC"]) == pytest.approx(metrics["macro_auc"])
    assert float(run.results["accuracy"]) == pytest.approx(metrics["accuracy"])
    assert Path(run.results["bundle"]) == out / "bundle"


def test_the_output_folder_holds_what_is_promised(finished) -> None:
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
    assert "16 digital phantoms" in card and "macro AUC" in card


def test_cancel_ends_it_within_a_second_and_the_resumed_run_ends_with_the_same_weights(
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


def test_a_stop_file_ends_it_cleanly_and_it_resumes(tmp_path: Path, cache: Path) -> None:
    changes = {"student_stage": {"epochs": 200, "batch": 4, "rate": 0.003}}
    run = start(TRAIN_SCRIPT, parameters(tmp_path, cache, config=str(write_config(tmp_path, **changes))), tmp_path)
    run.wait_for_file(tmp_path / "out" / "fold0" / "student" / "log.csv")
    (tmp_path / "out" / "STOP").touch()
    run.wait(60)
    assert run.process.returncode == 3 and run.errors == ""
    assert "resume" in run.text[-1]
    assert (tmp_path / "out" / "fold0" / "student" / "last.pt").is_file()


def test_two_processes_give_the_losses_of_one_and_write_once(finished, tmp_path: Path, cache: Path) -> None:
    told = parameters(tmp_path, tmp_path / "own-cache")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(TRAIN_SCRIPT)]
    run = subprocess.run([*command, *arguments_of(XML, told)], capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("Done:") == 1
    for stage in ("teacher-heads", "teacher", "student-heads", "student"):
        both = [losses(out / "fold0" / stage / "log.csv") for out in (finished[1], tmp_path / "out")]
        assert both[1] == pytest.approx(both[0], rel=1e-4, abs=1e-4)
    assert not list((tmp_path / "own-cache").rglob(".*"))  # nothing is left half-written


def losses(path: Path) -> list[float]:
    header, *rows = path.read_text().splitlines()
    column = header.split(",").index("loss")
    return [float(row.split(",")[column]) for row in rows]


def run_script(*arguments: str, script: Path = TRAIN_SCRIPT, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | environment
    return subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, env=clean)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--cohort", "nowhere", "--output", "{}/o"], "There is no cohort at the path given"),
        (["--cohort", "phantom:hospital?cases=0&size=tiny", "--output", "{}/o"], "holds no case"),
        (["--cohort", "phantom:hospital?cases=2&size=tiny", "--output", "{}/o"], "fewer than 3 folds"),
        (["--cohort", "phantom:hospital?cases=6&size=tiny", "--output", "{}/o"], "have the grade"),
        (["--cohort", "phantom:large?cases=4&size=tiny", "--output", "{}/o", "--folds", "1"], "has no patient of"),
        (["--cohort", "phantom:unlabeled?cases=4&size=tiny", "--output", "{}/o"], "has a grade; training needs grades"),
        (["--cohort", "phantom:hospitl", "--output", "{}/o"], "no phantom cohort 'hospitl'"),
        (["--cohort", "phantom:hospital?case=3", "--output", "{}/o"], "no setting 'case'"),
        (["--cohort", COHORT, "--output", "{}/o", "--method", "react"], "There is no method 'react'"),
        (["--cohort", COHORT, "--output", "{}/o", "--folds", "2", "--fold", "2"], "There is no fold 2"),
        (["--cohort", COHORT, "--output", "{}/o", "--folds", "2", "--stage", "student"], "no trained teacher"),
        (["--cohort", COHORT, "--output", "{}/o", "--device", "cuda"], "CUDA was asked for"),
        (["--cohort", COHORT, "--output", "{}/o", "--stage", "all"], "Argument --stage: invalid choice"),
        (["--cohort", COHORT, "--output", "{}/o", "--teacherEpoch", "3"], "Unrecognized arguments: --teacherEpoch"),
        (["--cohort", COHORT], "No output folder was given"),
        ([], "No cohort was given"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_leaves_nothing(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    run = run_script(*[a.format(tmp_path) for a in arguments])
    assert run.returncode == 1
    assert sentence in run.stderr
    assert run.stderr.count("\n") == 1 and "Traceback" not in run.stderr
    left = [p for p in tmp_path.rglob("*") if p.is_file() and "cache" not in p.parts and p.name != "run.json"]
    assert left == []


def test_another_configuration_is_refused_on_resume_and_nothing_is_lost(finished, tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished[1], out)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    for changes, sentence in (
        ({"resume": True, "studentBatch": 2}, "student_stage.batch: 4, now 2"),
        ({"resume": True, "cohort": COHORT.replace("16", "18")}, "started on other cases"),
        ({}, "holds a run already"),
    ):
        run = start(TRAIN_SCRIPT, parameters(tmp_path, cache, **changes), tmp_path).wait()
        assert run.process.returncode == 1 and sentence in run.errors, run.errors
        assert run.errors.count("\n") == 1
    assert before == {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}


def test_a_finished_run_resumes_to_the_same_results_without_training(finished, tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished[1], out)
    run = start(TRAIN_SCRIPT, parameters(tmp_path, cache, resume=True), tmp_path).wait()
    assert run.results["macroAUC"] == finished[0].results["macroAUC"]
    log = "fold0/student/log.csv"
    assert (out / log).read_text() == (finished[1] / log).read_text()


def test_xml_options_and_arguments_are_one_list() -> None:
    root = ElementTree.parse(XML).getroot()
    names = [e.findtext("name") for e in root.iterfind("parameters/*") if e.find("name") is not None]
    inputs = [n for n in names if n not in ("macroAUC", "accuracy", "bundle")]
    for element in root.iterfind("parameters/*"):
        if element.find("name") is not None and element.findtext("channel") != "output":
            assert element.findtext("longflag") == element.findtext("name")  # Slicer passes --<longflag>
            assert element.findtext("label") and element.findtext("description")
    told = {name: value for name, value in zip(inputs, ["x"] * len(inputs), strict=True)}
    fields_of = {f.name for f in fields(RunOptions)}
    import re

    assert {re.sub("[A-Z]", lambda c: "_" + c.group().lower(), n) for n in told} == fields_of
    assert run_script("--xml").stdout == XML.read_text(encoding="utf-8")


def test_defaults_of_the_xml_are_those_of_the_options(tmp_path: Path) -> None:
    sys.path.insert(0, str(TRAIN_SCRIPT.parent))
    try:
        import REACTKDTrain
    finally:
        sys.path.pop(0)
    told = vars(REACTKDTrain.command_line().parse_args(["--cohort", "c", "--output", str(tmp_path / "o")]))
    assert options_from(told) == RunOptions(cohort="c", output=tmp_path / "o")


def test_a_misspelled_parameter_is_noticed() -> None:
    with pytest.raises(UnknownParameter):
        arguments_of(XML, {"teacherEpoch": 3})


@pytest.mark.parametrize("layout", ["installed", "multi-configuration"])
def test_the_library_is_found_where_slicer_puts_it(layout: str, tmp_path: Path) -> None:
    repository = TRAIN_SCRIPT.parents[1]
    library = tmp_path / "lib" / "Slicer-5.13"
    modules = library / "qt-scripted-modules"
    commands = library / "cli-modules" if layout == "installed" else library / "cli-modules" / "Release"
    commands.mkdir(parents=True)
    for path in (TRAIN_SCRIPT, XML):
        shutil.copy(path, commands)
    shutil.copytree(repository / "REACTKD" / "REACTKDLib", modules / "REACTKDLib")
    shutil.copytree(repository / "REACTKDTrain" / "REACTKDTrainLib", modules / "REACTKDTrainLib")
    run = run_script("--cohort", "phantom:x", "--output", str(tmp_path / "o"), script=commands / "REACTKDTrain.py")
    assert run.stderr.startswith("There is no phantom cohort 'x'")


def test_without_its_library_it_says_what_to_do(tmp_path: Path) -> None:
    for path in (TRAIN_SCRIPT, XML):
        shutil.copy(path, tmp_path)
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['REACTKDTrainLib'] = None\n")
    script = tmp_path / "REACTKDTrain.py"
    run = run_script("--cohort", "x", "--output", "o", script=script, PYTHONPATH=str(tmp_path))
    assert run.returncode == 1 and "install the REACTKD extension again" in run.stderr


@pytest.mark.parametrize("package", ["torch", "monai"])
def test_a_missing_package_is_named_with_how_to_install_it(package: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{package!r}] = None\n")
    run = run_script("--cohort", COHORT, "--output", str(tmp_path / "o"), PYTHONPATH=str(tmp_path))
    assert run.returncode == 1
    assert "install" in run.stderr and ("PyTorch" if package == "torch" else package) in run.stderr
    assert run.stderr.count("\n") == 1


def test_the_first_line_makes_it_a_command_line_module() -> None:
    assert TRAIN_SCRIPT.read_text().startswith("#!/usr/bin/env python-real\n")
