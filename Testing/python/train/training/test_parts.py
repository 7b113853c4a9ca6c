"""The parts of a run are known before it starts, so that progress is a fraction of the whole."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.distributed.distributed_c10d import Backend, BackendConfig

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.progress import no_progress
from REACTKDTrainLib.cohorts.folds import make_folds
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.training import dry_run
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.experiment import Experiment
from REACTKDTrainLib.training.fold import FoldRun
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.processes import Processes, backends_for
from REACTKDTrainLib.training.run_cohorts import RunCohorts
from support.small_training import COHORT

TEACHER, STUDENT = {"teacher-heads", "teacher"}, {"student-heads", "student"}


@pytest.mark.parametrize(
    ("stage", "method", "expected"),
    [
        ("both", "react-kd", TEACHER | STUDENT | {"answers"}),
        ("both", "none", STUDENT),
        ("teacher", "react-kd", TEACHER),
        ("teacher", "none", TEACHER),
        ("student", "kd", STUDENT | {"answers"}),
        ("student", "none", STUDENT),
    ],
)
def test_the_parts_of_a_run_are_known_before_it_starts(
    stage: str, method: str, expected: set[str], tmp_path: Path
) -> None:
    options = RunOptions(COHORT, tmp_path, stage=stage, method=method, folds=2, fold=1)
    config = options.training_config("tiny")
    parts = RunCohorts(options, config).costs({"cohort": open_cohort(COHORT)})
    assert set(parts) == {"prepare", "predict1"} | {f"{name}1" for name in expected | {"views"}}
    assert all(cost > 0 for cost in parts.values())


def test_batches_that_processes_cannot_share_are_refused_before_anything_is_prepared(tmp_path: Path) -> None:
    options = RunOptions(COHORT, tmp_path / "o", method="none", folds=2, student_batch=9)
    config = options.training_config("tiny")
    for world, said in ((2, "student_stage.batch is 9, which 2 processes"), (3, "student_heads.batch is 64, which 3")):
        experiment = Experiment(options, config, torch.device("cpu"), Processes(1, world), no_progress)
        with pytest.raises(UsageError, match=said):
            experiment.run()
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("role", ["cohort", "unlabeled"])
def test_teachers_without_ct_are_refused_before_anything_is_prepared(tmp_path: Path, role: str) -> None:
    names = [f"{grade}{n}" for grade in GRADES for n in range(6)]
    for name in (*names, "masks"):
        (tmp_path / f"{name}.nii.gz").write_bytes(name.encode())
    rows = [f"{name},{name}.nii.gz,masks.nii.gz,{name[:-1]}" for name in names]
    (tmp_path / "pet.csv").write_text("\n".join(["case,fdg,segmentation,grade", *rows]) + "\n")
    cohorts = {"cohort": COHORT, "unlabeled": "phantom:unlabeled?cases=2&size=tiny", role: str(tmp_path / "pet.csv")}

    def checked(method: str, **changes: str) -> None:
        options = RunOptions(output=tmp_path / "o", method=method, **cohorts | changes)
        RunCohorts(options, options.training_config("tiny")).checked()

    with pytest.raises(UsageError, match="Cases 'well0', 'well1', .* have no CT, which the teachers need"):
        checked("react-kd")
    checked("none", unlabeled="")  # from which nothing would be learned


def test_processes_of_a_gpu_can_average_what_lies_on_the_cpu() -> None:
    """Gradients are on the device; losses and the stop flag are on the CPU, which NCCL alone does not support."""
    for device, needed in (("cpu", {"cpu"}), ("cuda:1", {"cpu", "cuda"})):
        assert needed <= BackendConfig(Backend(backends_for(device))).get_device_backend_map().keys()


def test_unlabeled_ct_without_doses_is_refused_before_anything_is_prepared(tmp_path: Path) -> None:
    options = RunOptions(COHORT, tmp_path / "o", unlabeled="phantom:unlabeled?cases=2&size=tiny")
    config = TrainingConfig.from_dict({"data": {"doses": False}}, options.training_config("tiny"))
    experiment = Experiment(options, config, torch.device("cpu"), Processes(), no_progress)
    with pytest.raises(UsageError, match="the setting data.doses is false; set it to true, or leave out"):
        experiment.run()
    assert not (tmp_path / "o").exists()


UNLABELED = "phantom:unlabeled?cases=2&size=tiny"


@pytest.mark.parametrize("stage", ["both", "student"])
@pytest.mark.parametrize("given", [{"unlabeled": UNLABELED}, {"teacher_epochs": 3}, {"teacher_batch": 4}])
def test_options_of_teachers_are_refused_where_none_teaches(tmp_path: Path, stage: str, given: dict) -> None:
    options = RunOptions(COHORT, tmp_path / "o", method="none", stage=stage, **given)
    run = RunCohorts(options, options.training_config("tiny"))
    flag = f"--{next(iter(given)).replace('_', '-')}"
    with pytest.raises(UsageError, match=f"The option {flag} is for teachers, and the method none asks none"):
        run.checked()
    assert not (tmp_path / "o").exists()


def test_unused_unlabeled_ct_is_refused(tmp_path: Path) -> None:
    options = RunOptions(COHORT, tmp_path / "o", unlabeled=UNLABELED)
    config = TrainingConfig.from_dict({"loss": {"consistency": 0}}, options.training_config("tiny"))
    with pytest.raises(UsageError, match="the setting loss.consistency is 0; set it to more, or leave out"):
        RunCohorts(options, config).checked()


def test_a_map_that_no_list_reads_is_refused(tmp_path: Path) -> None:
    options = RunOptions(COHORT, tmp_path / "o", map="G1=well", external="phantom:external?cases=4&size=tiny")
    with pytest.raises(UsageError, match="say their grades themselves, so --map means nothing; leave it out"):
        RunCohorts(options, options.training_config("tiny")).checked()


@pytest.mark.parametrize(
    ("stage", "method", "made"), [("both", "none", False), ("student", "kd", False), ("both", "kd", True)]
)
def test_noise_is_made_for_teachers_in_training_alone(tmp_path: Path, stage: str, method: str, made: bool) -> None:
    """A student of cropped CT, from which no low dose can be simulated, used to be refused even if none was needed."""
    options = RunOptions(COHORT, tmp_path / "o", method=method, stage=stage)
    run = RunCohorts(options, options.training_config("tiny"))
    assert run.config.data.doses and bool(run.dosed_roles) is made


@pytest.mark.parametrize(("teacher", "refused"), [("structure_function", True), ("dose", False), ("fused", False)])
def test_a_teacher_branch_without_its_images_is_refused_as_the_only_teacher(
    teacher: str, refused: bool, tmp_path: Path
) -> None:
    """The structure-and-function branch needs PET; a student without distillation (none) has no teacher."""
    names = [f"{grade}{n}" for grade in GRADES for n in range(6)]
    for file in (*(f"{name}-{image}" for name in names for image in ("ct", "fdg")), "masks"):
        (tmp_path / f"{file}.nii.gz").write_bytes(file.encode())
    rows = [
        f"{name},{name}-ct.nii.gz,{'' if name.endswith('0') else f'{name}-fdg.nii.gz'},masks.nii.gz,{name[:-1]}"
        for name in names
    ]
    (tmp_path / "mixed.csv").write_text("\n".join(["case,ct,fdg,segmentation,grade", *rows]) + "\n")
    for method in ("kd", "none"):
        options = RunOptions(str(tmp_path / "mixed.csv"), tmp_path / "o", method=method, folds=2)
        base = options.training_config("tiny")
        config = TrainingConfig.from_dict({"distillation": {"teacher": teacher}}, base)
        run = RunCohorts(options, config)
        if refused and method == "kd":
            with pytest.raises(UsageError, match="Cases 'well0', 'moderate0', 'poor0' have no PET.*set distillation"):
                run.checked()
        else:
            run.checked()


def test_a_fold_is_named_by_its_option_number(tmp_path: Path) -> None:
    options = RunOptions(COHORT, tmp_path, folds=2)
    run = RunCohorts(options, options.training_config("tiny"))
    split, number = run.chosen(make_folds(open_cohort(COHORT).cases, 2))[0]
    named = FoldRun.named(SimpleNamespace(number=number, config=run.config), "the teacher")
    assert named == "fold 0 of 0 to 1: the teacher"
    assert dry_run._fold_line(split, number, 2).startswith("Fold 0 of 0 to 1: ")
