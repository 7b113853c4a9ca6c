"""All settings of a training, typed, with the paper's values as defaults where they are known.

In files, `lr`, `weight_decay` and `validation` have their older names `rate`, `decay` and `inner`, because resuming and
the binding of checkpoints depend on what run.json contains. Both names are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, WrapValidator

from REACTKDLib.core.bounds import LARGEST_SEED
from REACTKDLib.core.errors import FileMissing, UsageError
from REACTKDLib.core.json_once import DuplicateKey, parse_once
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import quoted
from REACTKDTrainLib.cohorts.sizes import SIZES, preparation_of
from REACTKDTrainLib.content_store import content_key
from REACTKDTrainLib.data.annotators import MaskPerturbation
from REACTKDTrainLib.data.augmentation import Augmentation
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.models.teacher_config import TeacherConfig
from REACTKDTrainLib.settings import Dropout, Weight, from_json, settings, to_json

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
#: an integer is not converted to float, because checkpoints are bound to the written form of the settings
ClassWeight = Annotated[
    float,
    Field(gt=0, le=1e6),
    WrapValidator(lambda value, check: (check(value), value)[1]),
    PlainSerializer(lambda value: value),
]


@settings
class DataConfig:
    """size: size of the network's grid ('full' is 96x96x128 at 2.5 mm). whole_grid: train on the whole grid, as
    CBAM3D's averages require, or on the liver's bounding box (about a third of the voxels). views: number of views of
    each case; the first is the original. augmentation: augmentation of the other views. mask_variants: number of
    perturbed masks per case. mask_seed: seed of the perturbed masks. perturbation: magnitude of the mask perturbation.
    validation: fraction of the training fold that is held out for validation. window: 'fold' centers CT on the livers
    of the fold, 'usual' uses the shipped model's window. doses: the dose branch is trained on CT at log-uniform doses
    in [0.1, 1], which needs the whole field of view.
    """

    size: Literal[tuple(SIZES)] = "full"
    whole_grid: bool = True
    views: Annotated[int, Field(ge=1, le=1000)] = 4
    mask_variants: Annotated[int, Field(ge=0, le=100)] = 3
    mask_seed: Seed = 0
    perturbation: MaskPerturbation = field(default_factory=MaskPerturbation)
    augmentation: Augmentation = field(default_factory=Augmentation)
    validation: Annotated[float, Field(gt=0, lt=0.5, alias="inner")] = 0.2
    window: Literal["fold", "usual"] = "fold"
    doses: bool = True

    def store(self, cache: Path, task: Task = HCC_GRADE) -> PreparedStore:
        """Return the store of cases prepared with these settings for a task, below the folder `cache`."""
        return PreparedStore(
            cache / "prepared",
            preparation_of(self.size, task),
            self.mask_variants,
            self.perturbation,
            self.mask_seed,
            self.whole_grid,
        )


@settings
class StageConfig:
    """How one stage is optimized: AdamW with cosine decay to a tenth of a percent of `lr`, after `warmup` of the steps.

    The paper: teacher 150 epochs of batches of 2, student 50 of 8, cosine; learning rates and weight decay are not
    given.

    epochs: passes over the training cases in whole batches (as with drop_last in PyTorch): the cases that do not fill
    one are left out, others in each epoch. batch: cases in a step, over all processes. lr: maximum learning rate.
    steps: if positive, replaces epochs (heads with 0 of both are not trained separately). weight_decay: weight decay of
    AdamW. warmup: fraction of the steps with a rising learning rate. clip: maximum norm of the gradient. every: epochs
    between validations. patience: if positive, the stage ends after that many validations in a row without a better
    score (the best weights are kept in any case). accumulate: number of parts in which a process computes a batch; the
    gradient is that of the whole batch except for cirkd and crd, which compare the cases of a part, and the memory is
    that of a part. find_lr: first search for a learning rate around `lr`, see `lr_finder`. initial: a model folder
    whose weights are loaded if they fit (student_stage only; the heads are then not trained separately, and teachers
    still provide CBAM3D). frozen: prefixes of the parameters that are not trained (student_stage).
    """

    epochs: Annotated[int, Field(ge=0, le=10**6)]
    batch: Annotated[int, Field(ge=1, le=10**5)]
    lr: Annotated[float, Field(gt=0, le=1e3, alias="rate")]
    steps: Annotated[int, Field(ge=0, le=10**9)] = 0
    weight_decay: Annotated[float, Field(ge=0, le=1e3, alias="decay")] = 1e-4
    warmup: Dropout = 0.1
    clip: Annotated[float, Field(gt=0, le=1e9)] = 1.0
    every: Annotated[int, Field(ge=1, le=10**6)] = 1
    patience: Annotated[int, Field(ge=0, le=10**6)] = 0
    accumulate: Annotated[int, Field(ge=1, le=10**5)] = 1
    find_lr: bool = False
    initial: str = ""
    frozen: Annotated[tuple[str, ...], Field(max_length=1000)] = ()

    def steps_over(self, cases: int) -> tuple[int, int]:
        """Return the number of steps of an epoch, and of the whole stage, for a number of training cases."""
        per_epoch = max(cases // self.batch, 1)
        return per_epoch, self.steps or per_epoch * self.epochs

    def ended(self, step: int, waited: int, cases: int) -> bool:
        """Return True if the stage has ended: all steps are done, or `patience` validations in a row were not better.

        step: number of steps done. waited: validations since the best one. cases: number of training cases.
        """
        return step >= self.steps_over(cases)[1] or 0 < self.patience <= waited


def heads_stage() -> StageConfig:
    """Heads on fixed node vectors, trained before the encoders are included; takes seconds and sets the baseline."""
    return StageConfig(epochs=60, batch=64, lr=3e-3, weight_decay=3e-2, every=5)


@settings
class LossConfig:
    """gamma: exponent of the focal loss (paper's code 2). class_weights: one for each class, in order; well, moderate,
    poor (paper 1.5, 1, 2). branches: weight of each teacher branch's own focal loss. consistency: weight of the dose
    branch's consistency loss on CT without grades. auxiliary: weight of regressing a phantom's latent variables from
    the student's lesions; real cohorts have none. modality_dropout: probability that an image is hidden from the
    student, never all of them (paper 0.3). node_dropout: probability that a lesion is hidden from the student's head.
    """

    gamma: Weight = 2.0
    class_weights: Annotated[tuple[ClassWeight, ...], Field(min_length=2, max_length=100)] = (1.5, 1.0, 2.0)
    branches: Weight = 0.5
    consistency: Weight = 1.0
    auxiliary: Weight = 0.0
    modality_dropout: Dropout = 0.3
    node_dropout: Dropout = 0.1


#: settings that earlier releases did not have, with the values that are equivalent to those releases
ADDED = {
    "distillation": {"scores": 1.0, "attention": 1.0, "classes": 3},
    **dict.fromkeys(
        ("teacher_heads", "teacher_stage", "student_heads", "student_stage"),
        {"patience": 0, "accumulate": 1, "find_lr": False},
    ),
}


@settings
class TrainingConfig:
    """One training. Written beside its results as `run.json`; read back by `from_dict`.

    method: distillation method, a name of `distillation.methods.METHODS`. folds: number of cross-validation folds,
    split by patient; 1 trains once on all cases except the validation part. seed: seed of all random numbers. amp:
    bfloat16 inside encoders on CUDA. data: preparation and augmentation of the cases. teacher, student: network
    architecture. teacher_heads, student_heads: the stages that train heads on fixed node vectors. teacher_stage,
    student_stage: the stages that train whole networks. loss, distillation: weights of the loss terms.

    Raises: UsageError that names the setting.
    """

    method: str = "react-kd"
    folds: Annotated[int, Field(ge=1, le=1000)] = 3
    seed: Seed = 0
    amp: bool = True
    data: DataConfig = field(default_factory=DataConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    student: StudentConfig = field(default_factory=lambda: StudentConfig(cbam=True))
    teacher_heads: StageConfig = field(default_factory=heads_stage)
    teacher_stage: StageConfig = field(default_factory=lambda: StageConfig(epochs=150, batch=2, lr=1e-4))
    student_heads: StageConfig = field(default_factory=heads_stage)
    student_stage: StageConfig = field(default_factory=lambda: StageConfig(epochs=50, batch=8, lr=3e-4))
    loss: LossConfig = field(default_factory=LossConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)

    def __post_init__(self) -> None:
        student, teacher = self.student, self.teacher
        classes = {
            "student.classes": student.classes,
            "teacher.classes": teacher.classes,
            "distillation.classes": self.distillation.classes,
            "loss.class_weights": len(self.loss.class_weights),
        }
        if len(set(classes.values())) > 1:
            said = ", ".join(f"{name} {count}" for name, count in classes.items())
            raise UsageError(f"The settings disagree on the number of classes ({said}); make them those of the task.")
        for stage in ("teacher_heads", "teacher_stage", "student_heads"):
            for name in ("initial", "frozen"):
                if getattr(getattr(self, stage), name):
                    raise UsageError(
                        f"The setting {stage}.{name} is read by no stage but the student's; leave it out, or write "
                        f"student_stage.{name}."
                    )
        shared = (student.widths[-1], student.cbam_kernel, student.cbam_ratio)
        if student.cbam and shared != (teacher.width, teacher.cbam_kernel, teacher.cbam_ratio):
            raise UsageError(
                "The student shares the teachers' CBAM3D, so the last of student.widths, cbam_kernel and cbam_ratio "
                "must be those of the teacher (width, cbam_kernel, cbam_ratio)."
            )
        if self.distillation.gw_mode == "matched" and self.data.mask_variants and self.method.startswith("react-kd"):
            raise UsageError(
                "The setting distillation.gw_mode is matched, which is for graphs with the same nodes, and annotators "
                "with errors draw others; set data.mask_variants to 0, or choose semirelaxed."
            )

    @classmethod
    def for_size(cls, size: str) -> TrainingConfig:
        """Return settings for a size: 'full' is the paper's and needs a GPU; 'small' and 'tiny' run on two cores."""
        if size == "full":
            return cls()
        return cls(
            data=DataConfig(size=size, views=2, mask_variants=1),
            teacher=TeacherConfig.small(),
            teacher_stage=StageConfig(epochs=20, batch=4, lr=2e-3),
            student_stage=StageConfig(epochs=20, batch=8, lr=3e-3),
        )

    def for_task(self, task: Task) -> TrainingConfig:
        """Return the settings with classes and images of a task; classes other than the built-in ones get equal
        weights.
        """
        if task == HCC_GRADE:
            return self
        classes = len(task.classes)
        changes: dict[str, Any] = {name: {"classes": classes} for name in ("student", "teacher", "distillation")}
        changes["student"]["modalities"] = list(task.modalities)
        return self.from_dict({**changes, "loss": {"class_weights": [1.0] * classes}}, self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], base: TrainingConfig | None = None) -> TrainingConfig:
        """Build from the JSON form; missing settings: see `base`. Raises: UsageError that names the setting."""
        return from_json(cls, values, base or cls())

    @classmethod
    def read(cls, path: Path, base: TrainingConfig | None = None) -> TrainingConfig:
        """Read a JSON file; missing settings are taken from `base`. Raises: UsageError, FileMissing."""
        name = Path(path).name
        if not Path(path).exists():
            raise FileMissing(f"There is no configuration {name} at the path given; check the path.")
        try:
            values = parse_once(Path(path).read_bytes())
        except DuplicateKey as error:
            raise UsageError(f"The configuration {name} has {quoted([error.key])} twice; leave one.") from error
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}: {error.msg}"
            raise UsageError(f"The configuration {name} is not readable JSON ({where}); correct the file.") from error
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"The configuration {name} is not readable JSON; correct the file.") from error
        if not isinstance(values, dict):
            raise UsageError(f"The configuration {name} must be a JSON object of settings.")
        return cls.from_dict(values, base)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return to_json(self)

    def bound(self) -> dict[str, Any]:
        """Return the JSON form for hashes and bindings: settings that were added by later releases are included only if
        they differ from their default, so that a run of an earlier release can be resumed.
        """
        values = self.to_dict()
        for section, added in ADDED.items():
            values[section] = {key: v for key, v in values[section].items() if (key, v) not in added.items()}
        return values

    def hash(self) -> str:
        """Return the hash of everything that changes the result."""
        return content_key(self.bound())
