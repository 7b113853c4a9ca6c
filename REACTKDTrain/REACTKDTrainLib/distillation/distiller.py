"""What every method of distillation is: terms that pull the student toward its teachers."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from torch import Tensor, nn

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.targets import TeacherTargets
from REACTKDTrainLib.models.outputs import GraphOutput

#: name -> module of this package that holds the class `METHOD`
METHODS = {
    "none": "none",
    "kd": "kd",
    "at": "at",
    "cirkd": "cirkd",
    "mskd": "mskd",
    "mtcm-kd": "mtcm_kd",
    "awmt": "awmt",
    "cwd": "cwd",
    "crd": "crd",
    "ifvd": "ifvd",
    "react-kd": "react_kd",
}
#: methods without a term on the answer, which `<name>+kd` adds
WITHOUT_LOGITS = ("at", "mskd", "cwd", "crd", "ifvd")
WITH_KD = "+kd"


class Distiller(nn.Module):
    """One method. Its parameters (projections) are trained with the student and thrown away afterward.

    student_width, teacher_width: channels of the node vectors and maps of the two. `needs_teacher`: False for a method
    that never looks at one; `needs_maps`: True for methods that compare whole maps. `label`: in tables; it says where a
    loss had to be re-derived because its source could not be had.
    """

    label = ""
    needs_teacher = True
    needs_maps = False

    def __init__(self, config: DistillationConfig, student_width: int, teacher_width: int):
        super().__init__()
        self.config = config
        self.student_width, self.teacher_width = student_width, teacher_width

    def forward(self, student: GraphOutput, teacher: TeacherTargets, views: Sequence[View]) -> dict[str, Tensor]:
        """Named terms, weighted, each a mean over the cases; the focal loss is not among them."""
        raise NotImplementedError

    def logit_terms(self, student: Tensor, teacher: TeacherTargets, views: Sequence[View]) -> dict[str, Tensor]:
        """Those terms that compare logits (B, K) alone; heads learn from them before the encoders join."""
        return {}


class WithLogits(Distiller):
    """Another method's terms, and those of logits beside them (Hinton et al. 2015), as its authors often run it."""

    def __init__(self, method: Distiller, logits: Distiller):
        super().__init__(method.config, method.student_width, method.teacher_width)
        self.method, self.logits = method, logits
        self.label = f"{method.label} + KD"
        self.needs_maps = method.needs_maps

    def forward(self, student: GraphOutput, teacher: TeacherTargets, views: Sequence[View]) -> dict[str, Tensor]:
        return self.method(student, teacher, views) | self.logits(student, teacher, views)

    def logit_terms(self, student: Tensor, teacher: TeacherTargets, views: Sequence[View]) -> dict[str, Tensor]:
        return self.logits.logit_terms(student, teacher, views)


def check_method(name: str) -> None:
    """Raises: UsageError unless `name` is one of METHODS, or one without a term on logits with '+kd' behind it."""
    if name not in METHODS and name not in [f"{m}{WITH_KD}" for m in WITHOUT_LOGITS]:
        raise UsageError(f"There is no method {name!r}; choose one of {', '.join(METHODS)}.")


def make_distiller(name: str, config: DistillationConfig, student_width: int, teacher_width: int) -> Distiller:
    """Build a method by its name; 'at+kd' adds the terms of 'kd' to a method without any on logits.

    Raises: UsageError for an unknown one.
    """
    check_method(name)
    if name not in METHODS:
        parts = (make_distiller(n, config, student_width, teacher_width) for n in (name.removesuffix(WITH_KD), "kd"))
        return WithLogits(*parts)
    module = import_module(f"REACTKDTrainLib.distillation.{METHODS[name]}")
    return module.METHOD(config, student_width, teacher_width)
