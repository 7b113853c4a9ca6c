"""One fold from views to the student: which patients are used, what is cached where, and which device computes what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from REACTKDLib.core.student.bundle import Bundle
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.folds import make_folds
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.cohorts.sizes import preparation_of
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.distillation.targets_cache import TargetCache, weights_hash
from REACTKDTrainLib.models.student_graph import predict_views
from REACTKDTrainLib.models.teacher import Teacher
from REACTKDTrainLib.training import device
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.fold import FoldRun
from REACTKDTrainLib.training.predictions import predict_student
from REACTKDTrainLib.training.processes import Processes
from support.small_models import metadata_for, random_student
from support.small_training import COHORT, write_config

STAGES = ("teacher_heads", "teacher_stage", "student_heads", "student_stage")


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> TrainingConfig:
    config = TrainingConfig.read(write_config(tmp_path_factory.mktemp("config")), TrainingConfig.for_size("tiny"))
    return replace(config, folds=2)


class Watched(PreparedStore):
    """Records which patients are opened. (The dataclass is frozen, so the list is a class attribute.)"""

    opened: list[str] = []

    def get(self, case: CohortCase):
        self.opened.append(case.patient)
        return super().get(case)


@pytest.fixture(scope="module")
def store(tmp_path_factory, config) -> PreparedStore:
    """Prepared cases of the cohort, created once."""
    data = config.data
    made = Watched(
        tmp_path_factory.mktemp("prepared"),
        preparation_of("tiny"),
        data.mask_variants,
        data.perturbation,
        data.mask_seed,
        data.whole_grid,
    )
    for case in open_cohort(COHORT).cases:
        made.get(case)
    return made


def fold_run(config: TrainingConfig, store: PreparedStore, folder: Path, number: int = 0, **changes) -> FoldRun:
    split = make_folds(open_cohort(COHORT).cases, config.folds, config.seed, config.data.validation)[number]
    cache = changes.pop("cache", folder / "cache")
    return FoldRun(config, number, split, store, folder / "out", cache, **changes)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """Views, shared by the tests that do not inspect the cache."""
    return tmp_path_factory.mktemp("cache")


def patients(cases) -> set[str]:
    return {case.patient for case in cases}


# -- patients


def test_no_patient_of_the_test_fold_is_opened_before_the_student_is_finished(config, store, cache, tmp_path: Path):
    """Weights, normalization, early stopping, teachers, their outputs, temperature: all without the test fold."""
    Watched.opened.clear()
    fold = fold_run(config, store, tmp_path, cache=cache)
    teacher = fold.teacher()
    assert set(Watched.opened) == patients(fold.split.train) | patients(fold.split.validation)
    student = fold.student(teacher)
    assert set(Watched.opened) == patients(fold.split.train) | patients(fold.split.validation)
    assert not set(Watched.opened) & patients(fold.split.test)
    rows = predict_student(student, fold.data["test"], 0)
    assert {row.patient for row in rows} == patients(fold.split.test)


def test_normalization_uses_only_the_training_part(config, store, tmp_path: Path) -> None:
    Watched.opened.clear()
    fold = fold_run(config, store, tmp_path)
    assert set(Watched.opened) == patients(fold.split.train)
    assert fold.window.center_hu != fold_run(config, store, tmp_path, 1).window.center_hu


def test_caches_hold_teacher_outputs_of_training_patients_only_and_of_one_fold_each(config, store, tmp_path) -> None:
    """Both folds share one cache, and the teacher of one fold was trained on the test patients of the other."""
    quick = replace(config, teacher_heads=replace(config.teacher_heads, epochs=0))
    quick = replace(quick, teacher_stage=replace(quick.teacher_stage, epochs=1))
    seen: list[set[Path]] = []
    for number in (0, 1):
        fold = fold_run(quick, store, tmp_path, number)
        teacher = fold.teacher()
        fold._cached(teacher, maps=False)
        files = set((tmp_path / "cache" / "targets").rglob("*.pt"))
        own = files - set().union(*seen)
        cache = TargetCache(tmp_path / "cache" / "targets")
        name = f"{weights_hash(teacher)} cpu"
        expected = {
            cache.path(name, fold.data["train"].light(index, view))
            for index in range(len(fold.split.train))
            for view in range(quick.data.views)
        }
        assert own == expected
        tested = [
            fold.data[part].light(index) for part in ("validation", "test") for index in range(len(fold.data[part]))
        ]
        assert not any(cache.path(name, view).exists() for view in tested)
        seen.append(own)
    assert not seen[0] & seen[1]


def test_a_fold_does_not_take_the_teacher_of_another_fold(config, store, tmp_path: Path) -> None:
    quick = replace(config, teacher_heads=replace(config.teacher_heads, epochs=0))
    quick = replace(quick, teacher_stage=replace(quick.teacher_stage, epochs=1))
    fold_run(quick, store, tmp_path).teacher()
    (tmp_path / "out" / "fold0").rename(tmp_path / "out" / "fold1")
    with pytest.raises(Exception, match="another configuration or other cases"):
        fold_run(quick, store, tmp_path, 1).teacher(train=False)


# -- an initial model


@pytest.mark.parametrize("own_cbam", [True, False])
def test_a_distilled_student_has_the_cbam_of_its_teachers(config, store, cache, tmp_path, own_cbam):
    """It is frozen; all other weights are the initial model's, and its moments are fitted to the maps of that CBAM."""
    initial = random_student(2, **(config.student.to_dict() | {"cbam": own_cbam}))
    Bundle.save(tmp_path / "model", initial, metadata_for(initial))
    short = replace(config.student_stage, epochs=0, initial=str(tmp_path / "model"))
    fold = fold_run(replace(config, student_stage=short), store, tmp_path, cache=cache)
    torch.manual_seed(5)
    teacher = Teacher(config.teacher).eval().requires_grad_(False)
    student = fold.student(teacher)
    for name, value in teacher.cbam.state_dict().items():
        assert torch.equal(student.cbam.state_dict()[name], value), name
    assert not any(p.requires_grad for p in student.cbam.parameters())
    own, was = student.state_dict(), initial.state_dict()
    same = [name for name in was if torch.equal(own[name], was[name])]
    assert any(name.startswith("encoders.") for name in same)
    assert not any(name.startswith("fused_scale.") for name in same)


# -- several processes


@dataclass(frozen=True)
class Apart(Processes):
    """One of two processes; the other does not exist in this test."""

    def wait(self) -> None:
        """No other process arrives."""
        raise Waiting


class Waiting(Exception):
    """This process has finished its share."""


def test_each_view_is_made_by_one_process(config, store, cache, tmp_path: Path) -> None:
    made = [views_of(fold_run(config, store, tmp_path, cache=cache, processes=Apart(rank, 2))) for rank in (0, 1)]
    fold = fold_run(config, store, tmp_path, cache=cache)
    assert not set(made[0]) & set(made[1])
    views = 2 * len(fold.split.train) + len(fold.split.validation)
    assert len(set(made[0] + made[1])) == len(made[0] + made[1]) == views
    assert abs(len(made[0]) - len(made[1])) <= 1


def views_of(fold: FoldRun) -> list[tuple[str, int]]:
    """The views that a process makes before it waits for the others."""
    made: list[tuple[str, int]] = []

    def watch(data) -> None:
        make = data._make
        data._make = lambda index, number: made.append((data.cases[index].id, number)) or make(index, number)

    for data in fold.data.values():
        watch(data)
    with pytest.raises(Waiting):
        fold.open_views()
    return made


# -- device


def test_in_bfloat16_encoders_alone_compute_so_and_the_answer_stays_near(config, store, cache, tmp_path, monkeypatch):
    """CUDA behavior, on the CPU: bfloat16 inside encoders where a fold asks for it, float32 everywhere else."""
    one = {"epochs": 0, "steps": 1}
    quick = {name: replace(getattr(config, name), **one) for name in STAGES}
    wanted = [True]
    monkeypatch.setattr(
        device, "autocast", lambda device, asked: torch.autocast("cpu", torch.bfloat16, asked and wanted[0])
    )
    types: dict[str, set[torch.dtype]] = {"inside": set(), "outside": set()}

    def noted(function):
        def run(*args, **kwargs):
            out = function(*args, **kwargs)
            types["inside" if torch.is_autocast_enabled("cpu") else "outside"].add(out.dtype)
            return out

        return run

    for name in ("linear", "conv3d"):
        monkeypatch.setattr(torch.nn.functional, name, noted(getattr(torch.nn.functional, name)))
    fold = fold_run(replace(config, **quick), store, tmp_path, cache=cache)
    student = fold.student(fold.teacher())
    assert types == {"inside": {torch.bfloat16}, "outside": {torch.float32}}
    assert all(value.dtype == torch.float32 for value in student.state_dict().values())
    views = [fold.data["validation"].view(n) for n in range(2)]
    half = [next(predict_views(student, [view])) for view in views]
    wanted[0] = False
    for told, view in zip(half, views, strict=True):
        for name, logits in next(predict_views(student, [view])).items():
            assert 0 <= (told[name] - logits).abs().max() < 0.02
    assert types["outside"] == {torch.float32}
