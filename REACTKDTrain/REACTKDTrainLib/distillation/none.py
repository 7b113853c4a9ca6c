"""No distillation: the student alone, for comparison."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from REACTKDTrainLib.distillation.distiller import Distiller
from REACTKDTrainLib.distillation.targets import TeacherTargets
from REACTKDTrainLib.networks.outputs import GraphOutput
from REACTKDTrainLib.views.view import View


class NoDistillation(Distiller):
    """The focal loss is all there is."""

    label = "Student alone"
    needs_teacher = False

    def forward(self, student: GraphOutput, teacher: TeacherTargets | None, views: Sequence[View]) -> dict[str, Tensor]:
        return {}


METHOD = NoDistillation
