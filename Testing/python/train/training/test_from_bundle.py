"""`configs/train.json` of a model folder continues training its student, using MONAI's own workflow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from monai.bundle import create_workflow

from REACTKDLib import load_model
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.student.bundle import Bundle
from REACTKDTrainLib import evaluate
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.commands import bundle_run
from REACTKDTrainLib.commands.bundle_run import StudentTrainer
from REACTKDTrainLib.data.scan_content import scan_contents
from REACTKDTrainLib.training import fold
from REACTKDTrainLib.training.bindings import former_student_binding
from REACTKDTrainLib.training.dry_run import dry_run
from REACTKDTrainLib.training.experiment import run_experiment
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.record import short_hashes
from support.small_models import metadata_for, random_student

COHORT = "phantom:hospital?cases=16&size=tiny&biology=independent"
OTHERS = "phantom:large?cases=30&first=9000&size=tiny&biology=independent"
STUDENT = {"filters": 4, "widths": (4, 8, 8), "hidden": 12}


def saved(folder, **preparation):
    student = random_student(2, **STUDENT)
    metadata = metadata_for(student)
    metadata["reactkd"]["preparation"] |= preparation
    Bundle.save(folder, student, metadata)
    return folder


def test_training_continues_from_the_weights_of_the_student(tmp_path):
    model = saved(tmp_path / "model", spacing_mm=10.0)
    before = (model / "models" / "model.pt").read_bytes()
    workflow = create_workflow(
        config_file=str(model / "configs" / "train.json"),
        workflow_type="train",
        bundle_root=str(model),
        datalist=COHORT,
        output_dir=str(tmp_path / "run"),
        device="cpu",
        folds=2,
        settings={"data": {"views": 1, "mask_variants": 0}, "student_stage": {"lr": 1e-5}, "seed": 3},
        **{"train#trainer#max_epochs": 1},
    )
    (run,) = workflow.run()
    trained, original = (Bundle.load(folder) for folder in (tmp_path / "run" / "bundle", model))
    assert trained.student.config == original.student.config
    own, was = trained.student.state_dict(), original.student.state_dict()
    encoder = [name for name in was if name.startswith("encoders")]
    assert encoder and all((own[name] - was[name]).abs().max() < 1e-3 for name in encoder)  # close to where it began
    assert any(not torch.equal(own[name], was[name]) for name in encoder)
    assert (model / "models" / "model.pt").read_bytes() == before
    assert run.bundle == tmp_path / "run" / "bundle" and run.ensemble == tmp_path / "run" / "ensemble"
    both = load_model(run.ensemble, "cpu").bundle  # the folds as one model
    hashes = [member.info["sha256"] for member in both.members]
    assert trained.info["sha256"] in hashes and [m.info["training"]["fold"] for m in both.members] == [0, 1]
    card = (run.ensemble / "docs" / "README.md").read_text()
    assert "2 times the time" in card and "Not measured" in card
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["configuration"]["method"] == "none" and record["configuration"]["seed"] == 3
    assert str(tmp_path) not in (tmp_path / "run" / "run.json").read_text()
    assert record["configuration"]["student_stage"]["initial"] == f"sha256 {original.info['sha256']}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A model in the folder of a run that says which scans it was trained on."""
    folder = tmp_path_factory.mktemp("first")
    scans = [scan_contents(case.load()) for case in open_cohort(COHORT).cases]
    (folder / "run.json").write_text(json.dumps({"scans": sorted(set().union(*map(short_hashes, scans)))}))
    return saved(folder / "bundle", spacing_mm=10.0)


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize("external", [False, True])
def test_a_student_is_not_tested_on_what_its_initial_model_was_trained_on(trained, dry, external, tmp_path):
    """Its weights had learned the cases of the test, whose measures were those of a training set."""
    initial = {"student_stage": {"initial": str(trained), "epochs": 1, "batch": 4}}
    settings = {
        "student": {**STUDENT, "cbam": False},
        "data": {"doses": False, "views": 1, "mask_variants": 0},
        "method": "none",
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings | initial))
    cohorts = {"cohort": OTHERS, "external": COHORT} if external else {"cohort": COHORT}
    options = RunOptions(output=tmp_path / "run", folds=2, config=tmp_path / "settings.json", **cohorts)
    with pytest.raises(UsageError, match="initial model .* trained on scans of 'phantom-hospital-0.* test on other"):
        (dry_run if dry else run_experiment)(options)
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_run_that_began_with_a_copy_in_its_own_folder_is_resumed(trained, tmp_path):
    """The record beside the copy is the run's own, and names the cases of its tests."""
    copy = tmp_path / "run" / "start"
    shutil.copytree(trained, copy)
    settings = {"student_stage": {"epochs": 1}, "data": {"views": 1, "mask_variants": 0}}
    for resume in (False, True):
        trainer = StudentTrainer(copy, COHORT, tmp_path / "run", device="cpu", folds=2, settings=settings)
        trainer.options["resume"] = resume
        assert trainer.run().bundle == tmp_path / "run" / "bundle"


def test_what_an_initial_model_was_trained_on_counts_as_seen(trained, tmp_path):
    """An evaluation of the new model accepted the cases that its weights began with."""
    settings = {"student_stage": {"epochs": 1}, "data": {"views": 1, "mask_variants": 0}}
    run = StudentTrainer(trained, OTHERS, tmp_path / "run",
                         device="cpu", folds=2, settings=settings).run()  # fmt: skip
    known = (set(json.loads((folder / "run.json").read_text())["scans"]) for folder in (trained.parent, run.folder))
    assert set.__lt__(*known)
    paths = (run.bundle, run.ensemble, run.ensemble / "members" / "fold1")
    for model in (run, *paths, *(load_model(path, "cpu") for path in paths)):
        with pytest.raises(UsageError, match="trained on scans of 'phantom-hospital-0"):
            evaluate(model, COHORT, device="cpu")
    evaluate(load_model(run.bundle, "cpu"), "phantom:large?cases=3&first=9100&size=tiny&biology=independent")


def test_an_unsupported_grid_is_refused(tmp_path):
    model = saved(tmp_path / "model", spacing_mm=7.0)
    with pytest.raises(UsageError, match="grid is none that a training has"):
        StudentTrainer(model, COHORT, tmp_path / "run").run()
    assert not (tmp_path / "run").exists()


def test_steps_of_the_settings_are_kept_unless_epochs_are_given(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(bundle_run, "train", lambda *_, **options: asked.append(options))
    model = saved(tmp_path / "model", spacing_mm=10.0)
    StudentTrainer(model, COHORT, tmp_path / "run", settings={"student_stage": {"steps": 9}}).run()
    StudentTrainer(model, COHORT, tmp_path / "run", settings={"student_stage": {"lr": 1e-4}}, max_epochs=4).run()
    assert [options.get("student_epochs", 0) for options in asked] == [0, 4]


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, (3, "none", 50, False)),
        ({"folds": 2}, (2, "none", 50, False)),
        ({"method": "kd"}, (3, "kd", 50, True)),
        ({"method": "kd", "data": {"doses": False}}, (3, "kd", 50, False)),
        ({"student_stage": {"epochs": 7}}, (3, "none", 7, False)),
        ({"student_stage": {"epochs": 7, "steps": 0}}, (3, "none", 7, False)),
    ],
)
def test_the_settings_choose_the_training(tmp_path, monkeypatch, settings, wanted):
    """configs/train.json always gives its own folds, method and epochs, but the settings still apply."""
    found = []

    def train(cohort, output, **options):
        config = RunOptions(cohort=cohort, output=output, **options).training_config("tiny")
        found.append((config.folds, config.method, config.student_stage.epochs, config.data.doses))

    monkeypatch.setattr(bundle_run, "train", train)
    StudentTrainer(saved(tmp_path / "model", spacing_mm=10.0), COHORT, tmp_path / "run", settings=settings).run()
    assert found == [wanted]


@pytest.mark.parametrize("earlier", [False, True])
def test_training_resumes_from_a_moved_model(tmp_path, monkeypatch, earlier):
    """Identified by its weights, as recorded in run.json; what an earlier release bound to its folder resumes there."""
    settings = {"student_stage": {"epochs": 1}, "data": {"views": 1, "mask_variants": 0}}
    model, run = saved(tmp_path / "model", spacing_mm=10.0), tmp_path / "run"

    def trained(folder, **options):
        trainer = StudentTrainer(folder, COHORT, run, "cpu", folds=1, settings=settings)
        trainer.options |= options
        return trainer.run()

    if earlier:
        monkeypatch.setattr(fold, "student_binding", former_student_binding)
    trained(model)
    monkeypatch.undo()
    before = (run / "bundle" / "models" / "model.pt").read_bytes()
    trained(model if earlier else model.rename(tmp_path / "moved"), resume=True)
    assert (run / "bundle" / "models" / "model.pt").read_bytes() == before
    other = Bundle.load(run / "bundle")  # with other weights
    Bundle.save(tmp_path / "other", other.student, {"reactkd": dict(other.info)})
    with pytest.raises(UsageError, match="student_stage.initial: sha256 .*, now sha256"):
        trained(tmp_path / "other", resume=True)
