"""Every choice of a training, typed, with the paper's values as defaults where they are known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

from REACTKDLib.core.bounds import LARGEST_SEED, check_number, check_whole
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.text import shown
from REACTKDTrainLib.cohorts.sizes import SIZES
from REACTKDTrainLib.data.annotators import MaskPerturbation
from REACTKDTrainLib.data.augmentation import Augmentation
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.models.teacher_config import TeacherConfig


@dataclass(frozen=True)
class DataConfig:
    """size: of the network's grid ('full' 96x96x128 at 2.5 mm). whole_grid: train on the whole grid, which CBAM3D's
    averages ask for, or on the liver's box (about a third of the voxels). views: of each case, the first of them as it
    is. mask_variants: annotators with errors per case (`perturbation`), drawn from mask_seed. inner: share of the
    training fold that every choice is made on. window: 'fold' centers CT on the fold's livers, 'usual' keeps the
    shipped model's window. doses: the dose branch sees CT at log-uniform doses in [0.1, 1], which needs the whole field
    of view.
    """

    size: str = "full"
    whole_grid: bool = True
    views: int = 4
    mask_variants: int = 3
    mask_seed: int = 0
    perturbation: MaskPerturbation = field(default_factory=MaskPerturbation)
    augmentation: Augmentation = field(default_factory=Augmentation)
    inner: float = 0.2
    window: str = "fold"
    doses: bool = True

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise ValueError(f"size must be one of {', '.join(SIZES)}, not {self.size!r}")
        check_whole("views", self.views, 1, 1000)
        check_whole("mask_variants", self.mask_variants, 0, 100)
        check_whole("mask_seed", self.mask_seed, 0, LARGEST_SEED)
        if not 0 < self.inner < 0.5:
            raise ValueError(f"inner must be a share between 0 and 0.5, not {self.inner}")
        if self.window not in ("fold", "usual"):
            raise ValueError(f"window must be 'fold' or 'usual', not {self.window!r}")


@dataclass(frozen=True)
class StageConfig:
    """How one stage is optimized: AdamW with cosine decay to a tenth of a percent of `rate`, after `warmup` of the
    steps.

    The paper: teacher 150 epochs of batches of 2, student 50 of 8, cosine; rates and decay are not given. steps: where
    positive, in place of epochs (heads with 0 of both are not trained apart). every: epochs between looks at the inner
    validation cases. initial: a model folder whose weights are taken where they fit (student). frozen: prefixes of
    parameters that stay as they are.
    """

    epochs: int
    batch: int
    rate: float
    steps: int = 0
    decay: float = 1e-4
    warmup: float = 0.1
    clip: float = 1.0
    every: int = 1
    initial: str = ""
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, least, most in (("epochs", 0, 10**6), ("batch", 1, 10**5), ("every", 1, 10**6), ("steps", 0, 10**9)):
            check_whole(name, getattr(self, name), least, most)
        for name, most in (("rate", 1e3), ("clip", 1e9), ("decay", 1e3)):
            check_number(name, getattr(self, name), 0, most)
        for name in ("rate", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.decay < 0 or not 0 <= self.warmup < 1:
            raise ValueError(f"decay must be at least 0 and warmup in [0, 1), not {self.decay} and {self.warmup}")


def heads_stage() -> StageConfig:
    """Heads on fixed node vectors, before the encoders join: seconds, and the floor that the encoders must beat."""
    return StageConfig(epochs=60, batch=64, rate=3e-3, decay=3e-2, every=5)


@dataclass(frozen=True)
class LossConfig:
    """gamma: of the focal loss (paper's code 2). class_weights: well, moderate, poor (paper 1.5, 1, 2). branches:
    weight of each teacher branch's own focal loss. consistency: weight of the dose branch's consistency on CT without
    grades. auxiliary: weight of regressing a phantom's latents from the student's lesions; real cohorts have none.
    """

    gamma: float = 2.0
    class_weights: tuple[float, float, float] = (1.5, 1.0, 2.0)
    branches: float = 0.5
    consistency: float = 1.0
    auxiliary: float = 0.0
    modality_dropout: float = 0.3
    node_dropout: float = 0.1

    def __post_init__(self) -> None:
        for name in ("gamma", "branches", "consistency", "auxiliary"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be at least 0, not {getattr(self, name)}")
        for weight in self.class_weights:
            check_number("class_weights", weight, 0, 1e6)
        if len(self.class_weights) != 3 or min(self.class_weights) <= 0:
            raise ValueError(f"class_weights must be three positive numbers, not {self.class_weights}")
        for name in ("modality_dropout", "node_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), not {getattr(self, name)}")


@dataclass(frozen=True)
class TrainingConfig:
    """One training. Written beside its results as `run.json`; read back by `from_dict`.

    method: see `distillation.distiller.METHODS`. folds: 1 trains once on all cases but the inner validation part.
    amp: bfloat16 inside encoders on CUDA. Raises: UsageError that names the setting.
    """

    method: str = "react-kd"
    folds: int = 3
    seed: int = 0
    amp: bool = True
    data: DataConfig = field(default_factory=DataConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    student: StudentConfig = field(default_factory=lambda: StudentConfig(cbam=True))
    teacher_heads: StageConfig = field(default_factory=heads_stage)
    teacher_stage: StageConfig = field(default_factory=lambda: StageConfig(epochs=150, batch=2, rate=1e-4))
    student_heads: StageConfig = field(default_factory=heads_stage)
    student_stage: StageConfig = field(default_factory=lambda: StageConfig(epochs=50, batch=8, rate=3e-4))
    loss: LossConfig = field(default_factory=LossConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)

    def __post_init__(self) -> None:
        try:
            check_whole("folds", self.folds, 1, 1000)
            check_whole("seed", self.seed, 0, LARGEST_SEED)
        except ValueError as error:
            raise UsageError(f"In the settings of the training: {error}.") from error
        if self.student.cbam and (
            self.student.widths[-1] != self.teacher.width
            or self.student.cbam_kernel != self.teacher.cbam_kernel
            or self.student.cbam_ratio != self.teacher.cbam_ratio
        ):
            raise UsageError(
                "The student shares the teachers' CBAM3D, so the last of student.widths, cbam_kernel and cbam_ratio "
                "must be those of the teacher (width, cbam_kernel, cbam_ratio)."
            )

    @classmethod
    def for_size(cls, size: str) -> TrainingConfig:
        """Settings for a size: 'full' is the paper's and wants a GPU; 'small' and 'tiny' train on two CPU cores."""
        if size == "full":
            return cls()
        if size not in SIZES:
            raise UsageError(f"There is no size {size!r}; choose one of {', '.join(SIZES)}.")
        return cls(
            data=DataConfig(size=size, views=2, mask_variants=1),
            teacher=TeacherConfig.small(),
            teacher_stage=StageConfig(epochs=20, batch=4, rate=2e-3),
            student_stage=StageConfig(epochs=20, batch=8, rate=3e-3),
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """Build from the JSON form; what is not said keeps its default. Raises: UsageError that names the setting."""
        return _built(cls, values, cls(), "")

    @classmethod
    def read(cls, path: Path, base: TrainingConfig | None = None) -> TrainingConfig:
        """Read a JSON file over `base`. Raises: UsageError."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"The configuration {Path(path).name} is not readable JSON; correct the file.") from error
        if not isinstance(values, dict):
            raise UsageError(f"The configuration {Path(path).name} must be a JSON object of settings.")
        return _built(cls, values, base or cls(), "")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return _plain(self)

    def hash(self) -> str:
        """Of everything that changes the result."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value


def _built(cls: type, values: Mapping[str, Any], base: Any, where: str) -> Any:
    """`base` with `values`, checked for names and types, all the way down."""
    hints = get_type_hints(cls)
    known = {f.name for f in fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise UsageError(f"There is no setting {where}{shown(unknown[0])}; known there are {', '.join(sorted(known))}.")
    changes = {}
    for name, value in values.items():
        now = getattr(base, name)
        if is_dataclass(now):
            if not isinstance(value, Mapping):
                raise UsageError(f"The setting {where}{name} must be an object of settings, not {shown(repr(value))}.")
            changes[name] = _built(hints[name], value, now, f"{where}{name}.")
        else:
            changes[name] = _typed(value, now, f"{where}{name}")
    try:
        return replace(base, **changes)
    except (ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"In the settings {where.rstrip('.') or 'of the training'}: {shown(error, 250)}.") from error


def _typed(value: Any, now: Any, name: str) -> Any:
    if isinstance(now, tuple):
        if not isinstance(value, list | tuple):
            raise UsageError(f"The setting {name} must be a list, not {shown(repr(value))}.")
        words = not now or isinstance(now[0], str)
        if len(value) > 1000 or any(isinstance(part, str) != words or isinstance(part, bool) for part in value):
            kind = "words" if words else "numbers"
            raise UsageError(f"The setting {name} must be a list of at most 1000 {kind}, not {shown(repr(value))}.")
        return tuple(value)
    wanted = (int, float) if isinstance(now, float) else type(now)
    if isinstance(value, bool) != isinstance(now, bool) or not isinstance(value, wanted):
        kind = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[type(now)]
        raise UsageError(f"The setting {name} must be {kind}, not {shown(repr(value))}.")
    if not isinstance(now, float):
        return value
    if not abs(value) <= 1e12:  # NaN and infinity, which JSON's readers take
        raise UsageError(f"The setting {name} must be a number up to 1e12, not {shown(repr(value))}.")
    return float(value)
