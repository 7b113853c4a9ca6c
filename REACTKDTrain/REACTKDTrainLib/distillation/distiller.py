"""What every method of distillation is: terms that pull the student toward its teachers."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from torch import Tensor, nn

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.targets import TeacherTargets
from REACTKDTrainLib.networks.outputs import GraphOutput
from REACTKDTrainLib.views.view import View

#: name -> module of this package that holds the class `METHOD`
METHODS = {"none": "none", "kd": "kd", "react-kd": "react_kd"}


class Distiller(nn.Module):
    """One method. Its parameters (projections) are trained with the student and thrown away afterward.

    student_width, teacher_width: channels of the node vectors and maps of the two. `needs_teacher`: False for a method
    that never looks at one; `needs_maps`: True for methods that compare whole maps.
    """

    needs_teacher = True
    needs_maps = False

    def __init__(self, config: DistillationConfig, student_width: int, teacher_width: int):
        super().__init__()
        self.config = config
        self.student_width, self.teacher_width = student_width, teacher_width

    def forward(self, student: GraphOutput, teacher: TeacherTargets, views: Sequence[View]) -> dict[str, Tensor]:
        """Named terms, weighted, each a mean over the cases; the focal loss is not among them."""
        raise NotImplementedError

    def logit_terms(self, student: Tensor, teacher: TeacherTargets) -> dict[str, Tensor]:
        """Those terms that compare logits (B, K) alone; heads learn from them before the encoders join."""
        return {}


def make_distiller(name: str, config: DistillationConfig, student_width: int, teacher_width: int) -> Distiller:
    """Build a method by its name. Raises: UsageError for an unknown one."""
    if name not in METHODS:
        raise UsageError(f"There is no method {name!r}; choose one of {', '.join(METHODS)}.")
    module = import_module(f"REACTKDTrainLib.distillation.{METHODS[name]}")
    return module.METHOD(config, student_width, teacher_width)
