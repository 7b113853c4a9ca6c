"""Teachers that classify from node vectors of all images: the fused head and those of the two branches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from REACTKDLib.core.student.node_network import NodeBatch
from REACTKDTrainLib.data.fixed_nodes import FIXED_BLOCKS
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.models.teacher_heads import PET, TeacherHeads
from REACTKDTrainLib.nodes.table import NodeTable


class NodeTeacher(TeacherHeads):
    """The teacher's heads without its Swin encoders: classification from fixed node vectors alone.

    Heads: 'fused' (CT with both tracers), 'structure_function' (the same images), 'dose' (CT alone); as in
    `models.teacher.Teacher`, whose heads on fixed vectors these are.
    """

    def __init__(self, hidden: int = 48, classes: int = 3, dropout: float = 0.3):
        super().__init__()
        self.hidden = hidden
        images = {"fused": ("ct", *PET), "structure_function": ("ct", *PET), "dose": ("ct",)}
        self._make_heads(images, FIXED_BLOCKS, 1, hidden, classes, dropout)

    def forward(self, batch: NodeBatch) -> GraphOutput:
        """Classify a batch that has the columns of all blocks; `branch_nodes` are the branches' region embeddings."""
        return self.forward_nodes(batch)


class Ensemble(nn.Module):
    """Ensemble of teachers: mean log-probabilities as logits, mean scores and attention, and the graph of the first
    one.

    The gain from distillation depends mostly on the quality of the teacher, and averaging is the cheapest improvement.
    """

    def __init__(self, members: Sequence[NodeTeacher]):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.hidden = members[0].hidden

    def forward(self, batch: NodeBatch) -> GraphOutput:
        """See `NodeTeacher.forward`."""
        outputs = [member(batch) for member in self.members]
        first = outputs[0]
        mean = torch.stack([torch.log_softmax(o.logits, dim=1) for o in outputs]).mean(dim=0)
        branches = {
            b: torch.stack([torch.log_softmax(o.branch_logits[b], dim=1) for o in outputs]).mean(dim=0)
            for b in first.branch_logits
        }
        scores, attention = (zip(*(getattr(o, name) for o in outputs), strict=True) for name in ("scores", "attention"))
        return replace(
            first,
            logits=mean,
            branch_logits=branches,
            scores=[torch.stack(of).mean(dim=0) for of in scores],
            attention=[torch.stack(of).log_softmax(dim=1).mean(dim=0) for of in attention],
            branch_scores={},
            branch_attention={},
        )


@torch.no_grad()
def targets_of(teacher: nn.Module, table: NodeTable) -> GraphOutput:
    """Return the targets of a frozen teacher for all cases of a table, with the expert's masks; used in all steps."""
    teacher.eval()
    return teacher(table.batch()).as_targets()
