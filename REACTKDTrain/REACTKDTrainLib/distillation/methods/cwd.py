"""Channel-wise distillation: each channel as a distribution over space (Shu et al., ICCV 2021, arXiv 2011.13256)."""

from __future__ import annotations

from torch import Tensor, nn

from REACTKDLib.core.student.pooling import smallest_box
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import MapDistiller
from REACTKDTrainLib.distillation.losses import logit_loss
from REACTKDTrainLib.distillation.maps import standardized

TAU = 4.0


def channel_loss(student: Tensor, teacher: Tensor, tau: float = TAU) -> Tensor:
    """tau^2 / C sum_c KL(phi(F_T)_c || phi(F_S)_c), phi a softmax over positions of F / tau. Both (C, ...)."""
    return logit_loss(student.flatten(1), teacher.flatten(1), tau)


class ChannelDistillation(MapDistiller, name="cwd"):
    """Originally L = CE + beta tau^2 / (B C) sum KL(phi(F_T) || phi(F_S)), beta 3 to 50, tau 1 to 10 (TorchDistiller).

    Adapted: a learned 1x1x1 projection of the student's channels (the original has one if the numbers of channels
    differ). Each channel is first standardized over positions, since the teacher's are layer-normalized and the
    student's are not. Positions are those of the bounding box of the regions. beta 3 (times `feature`), tau 4. The
    teacher is the fused one. The paper calls the method incompatible; it only needs a projection.
    """

    label = "CWD"
    beta = 3.0

    def __init__(self, config: DistillationConfig, student_width: int, teacher_width: int):
        super().__init__(config, student_width, teacher_width)
        self.project = nn.Conv3d(student_width, teacher_width, 1)

    def of_case(self, student: Tensor, teacher: Tensor, occupancy: Tensor) -> dict[str, Tensor]:
        box = (slice(None), *smallest_box(occupancy.amax(dim=0)))
        return {"channels": channel_loss(standardized(self.project(student[box])), standardized(teacher[box]))}
