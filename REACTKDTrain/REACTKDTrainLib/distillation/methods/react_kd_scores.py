"""REACT-KD with region scores: what the teacher says of each region by itself, and how much it looks at it (ours)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.losses import divergence
from REACTKDTrainLib.distillation.methods.react_kd import ReactDistillation
from REACTKDTrainLib.models.outputs import GraphOutput


class RegionScores(ReactDistillation, name="react-kd-scores"):
    """REACT-KD's terms, and l_s score + l_a attention.

    The head is additive, logits = b + sum a_i s_i, so the teacher has logits s_i for every region. The student's lesion
    learns from those of the expert's lesion that it overlaps most, by tau^2 KL; its attention over the regions, a
    softmax of raw scores, from the teacher's by KL. So it learns which lesion is bad, which the label of a case
    cannot. A lesion that overlaps none of the expert's, or that the head did not see, has no such target. Several that
    overlap one share its attention.
    """

    label = "REACT-KD + region scores"

    def forward(self, student: GraphOutput, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        config = self.config
        terms = super().forward(student, teacher, views)
        if not teacher.scores:
            raise UsageError("This teacher has no scores of regions; train the teachers again, or choose react-kd.")
        scores, attentions = [], []
        for row, view in enumerate(views):
            own = student.scores[row]
            matches = view.masks.matches.to(own.device)
            known = torch.isfinite(student.attention[row])
            known[1:] &= matches[1:] > 0
            scores.append(self._scores(own, teacher.scores[row][matches], known))
            attentions.append(attention_loss(student.attention[row], teacher.attention[row], matches, known))
        if config.scores:
            terms["scores"] = config.scores * torch.stack(scores).mean()
        if config.attention:
            terms["attention"] = config.attention * torch.stack(attentions).mean()
        return terms

    def _scores(self, student: Tensor, teacher: Tensor, known: Tensor) -> Tensor:
        """tau^2 KL, the mean over the lesions known, or 0. student, teacher: (n, K), row 0 is the parenchyma."""
        lesions = known.clone()
        lesions[0] = False
        if not lesions.any():
            return student.new_zeros(())
        tau = self.config.temperature
        return tau**2 * divergence(student[lesions], teacher[lesions], tau).mean()


def attention_loss(student: Tensor, teacher: Tensor, matches: Tensor, known: Tensor) -> Tensor:
    """KL of the softmaxes over the regions known of raw attention scores: student (n,), teacher (m,), matches (n,)."""
    index = matches[known]
    shared = torch.bincount(index, minlength=len(teacher))[index]
    return divergence(student[known], teacher[index] - shared.to(teacher).log())
