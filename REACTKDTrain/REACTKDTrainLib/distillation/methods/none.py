"""No distillation: the student alone, for comparison."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.distiller import Distiller
from REACTKDTrainLib.models.outputs import GraphOutput


class NoDistillation(Distiller, name="none"):
    """No terms: the focal loss alone."""

    label = "Student alone"
    needs_teacher = False

    def forward(self, student: GraphOutput, teacher: GraphOutput | None, views: Sequence[View]) -> dict[str, Tensor]:
        return {}
