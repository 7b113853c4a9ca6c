"""Contrastive representation distillation (Tian, Krishnan and Isola, ICLR 2020, arXiv 1910.10699)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from REACTKDTrainLib.content_store import content_key
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import Distiller
from REACTKDTrainLib.distillation.graph import normalized
from REACTKDTrainLib.distillation.maps import pooled_graph
from REACTKDTrainLib.models.outputs import GraphOutput

BETA = 0.8
TEMPERATURE = 0.1
WIDTH = 128
ROOM = 512  # patients in the banks, more than a hospital's fold has; of more patients, the most recent ones
MOMENTUM = 0.5


def contrast(anchor: Tensor, positive: Tensor, others: Tensor, allowed: Tensor) -> Tensor:
    """InfoNCE, mean over B: -log(e^{a.p/t} / (e^{a.p/t} + sum_j e^{a.o_j/t})), t = 0.1.

    anchor, positive: (B, d) unit; others: (M, d) unit; allowed: (B, M) bool, False for the anchor's own patient.
    """
    own = (anchor * positive).sum(dim=1, keepdim=True) / TEMPERATURE
    rest = (anchor @ others.T / TEMPERATURE).masked_fill(~allowed, float("-inf"))
    return -(own[:, 0] - torch.cat([own, rest], dim=1).logsumexp(dim=1)).mean()


class ContrastiveDistillation(Distiller, name="crd"):
    """Originally L = CE + 0.8 (NCE of the student against a bank of 16,384 teacher vectors, and the reverse), t = 0.07,
    linear maps to 128 dimensions, banks with momentum 0.5 (RepDistiller).

    Adapted: a fold has about 65 patients, so all other patients are negatives and InfoNCE replaces NCE, with t = 0.1.
    Vectors are pooled graphs (`pooled_graph`) of layer-normalized nodes; other views of the same patient are not
    negatives. The teacher's bank stores the constant vectors before the linear map and maps them again in each step, so
    they are never outdated; the student's bank has momentum 0.5. With several processes, all banks hold what the first
    process saw (`Processes.spread`). Weight 0.8 (times `feature`). The paper calls the method incompatible; it only
    needs pooled vectors.
    """

    label = "CRD"

    def __init__(self, config: DistillationConfig, student_width: int, teacher_width: int):
        super().__init__(config, student_width, teacher_width)
        self.of_student = nn.Linear(2 * student_width, WIDTH)
        self.of_teacher = nn.Linear(2 * teacher_width, WIDTH)
        self.register_buffer("owners", torch.zeros(ROOM, dtype=torch.int64))
        self.register_buffer("teachers", torch.zeros(ROOM, 2 * teacher_width))
        self.register_buffer("students", torch.zeros(ROOM, WIDTH))
        self.register_buffer("held", torch.zeros((), dtype=torch.int64))

    def forward(self, student: GraphOutput, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        patients = torch.tensor([patient_number(view.patient) for view in views], device=self.owners.device)
        ours = torch.stack([pooled_graph(normalized(nodes)) for nodes in student.nodes])
        theirs = torch.stack([pooled_graph(normalized(nodes.to(ours))) for nodes in teacher.nodes]).detach()
        s = F.normalize(self.of_student(ours), dim=1)
        t = F.normalize(self.of_teacher(theirs), dim=1)
        # clones, because the banks change in place below, before the backward pass
        owners, used = self.owners.clone(), self.owners != 0
        banked_t = F.normalize(self.of_teacher(self.teachers[used].to(theirs)), dim=1)
        banked_s = self.students[used].clone().to(s)
        known = torch.cat([patients, owners[used]])
        allowed = patients[:, None] != known[None]
        loss = contrast(s, t, torch.cat([t, banked_t]), allowed) + contrast(t, s, torch.cat([s, banked_s]), allowed)
        if self.training:
            self._remember(patients, theirs, s.detach())
        return {"contrast": self.config.feature * BETA * loss}

    @torch.no_grad()
    def _remember(self, patients: Tensor, theirs: Tensor, ours: Tensor) -> None:
        """Store each patient's vectors in the patient's slot; a new patient takes the next slot, cyclically."""
        for row, patient in enumerate(patients):
            at = (self.owners == patient).nonzero()
            if len(at):
                place = int(at[0])
                self.students[place] = F.normalize(MOMENTUM * self.students[place] + (1 - MOMENTUM) * ours[row], dim=0)
            else:
                place = int(self.held) % ROOM
                self.held += 1
                self.students[place] = ours[row]
            self.owners[place], self.teachers[place] = patient, theirs[row]


def patient_number(patient: str) -> int:
    """Return a positive number for a name, the same on all systems."""
    return 1 + int(content_key(patient)[:15], 16)
