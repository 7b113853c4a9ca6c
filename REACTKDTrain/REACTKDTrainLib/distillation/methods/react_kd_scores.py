"""REACT-KD with region scores (ours): distills the teacher's logits and attention of each single region."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.losses import divergence
from REACTKDTrainLib.distillation.methods.react_kd import ReactDistillation
from REACTKDTrainLib.models.outputs import GraphOutput


class RegionScores(ReactDistillation, name="react-kd-scores"):
    """REACT-KD's terms, and l_s score + l_a attention.

    The head is additive, logits = b + sum a_i s_i, so the teacher has logits s_i for every region. A student's lesion
    is matched to the expert's lesion that it overlaps most and learns its logits by tau^2 KL; the student's attention
    over the regions, a softmax of raw scores, learns the teacher's by KL. This tells the student which lesion
    determines the grade, which the label of a case cannot. A lesion that overlaps none of the expert's, or that was
    hidden from the head, has no target. Several lesions that overlap the same one share its attention.
    """

    label = "REACT-KD + region scores"

    def forward(self, student: GraphOutput, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        config = self.config
        terms = super().forward(student, teacher, views)
        if not teacher.scores:
            raise UsageError("This teacher has no scores of regions; train the teachers again, or choose react-kd.")
        own, said = _padded(student.scores), _padded([t[v.masks.matches] for t, v in zip(teacher.scores, views)])
        matches = _padded([view.masks.matches for view in views]).to(own.device)
        raw = pad_sequence(list(student.attention), batch_first=True, padding_value=-torch.inf)
        known = torch.isfinite(raw)
        known[:, 1:] &= matches[:, 1:] > 0
        if config.scores:
            lesions = known.clone()
            lesions[:, 0] = False
            terms["scores"] = config.scores * self._scores(own, said.to(own), lesions).mean()
        if config.attention:
            looked = _padded(teacher.attention).to(raw)
            terms["attention"] = config.attention * attention_loss(raw, looked, matches, known).mean()
        return terms

    def _scores(self, student: Tensor, teacher: Tensor, lesions: Tensor) -> Tensor:
        """(B,): tau^2 KL, mean over a case's `lesions` (B, n), 0 if there are none. student, teacher: (B, n, K)."""
        tau = self.config.temperature
        found = divergence(student, teacher, tau).masked_fill(~lesions, 0)
        return tau**2 * found.sum(dim=1) / lesions.sum(dim=1).clamp_min(1)


def attention_loss(student: Tensor, teacher: Tensor, matches: Tensor, known: Tensor) -> Tensor:
    """(B,): KL of the softmaxes of raw attention scores over the regions `known` (B, n).

    student: (B, n); teacher: (B, m); matches: (B, n), indices into the teacher's regions. Regions with the same match
    share its attention.
    """
    times = torch.zeros_like(teacher).scatter_add_(1, matches, known.to(teacher))
    wanted = (teacher.detach() - times.log()).gather(1, matches).masked_fill(~known, -torch.inf)
    log_t, log_s = (torch.log_softmax(z, dim=1) for z in (wanted, student.masked_fill(~known, -torch.inf)))
    return (log_t.exp() * (log_t - log_s).masked_fill(~known, 0)).sum(dim=1)


def _padded(rows: Sequence[Tensor]) -> Tensor:
    """Stack B tensors (n_b, ...) into (B, n, ...), padded with zeros."""
    return pad_sequence(list(rows), batch_first=True)
