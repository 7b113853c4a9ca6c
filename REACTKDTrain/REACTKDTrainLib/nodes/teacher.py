"""Teachers that grade by node vectors and all images: the fused head and the two branches'."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from REACTKDTrainLib.data.fixed_nodes import FIXED_BLOCKS, columns_of, relative
from REACTKDTrainLib.distillation.targets import TeacherTargets
from REACTKDTrainLib.models.graph_head import GraphHead
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.models.teacher import BRANCHES, PET
from REACTKDTrainLib.nodes.batch import NodeBatch, graded
from REACTKDTrainLib.nodes.table import NodeTable


class NodeTeacher(nn.Module):
    """The teacher's heads without its Swin encoders: what it can tell by node vectors alone.

    Heads: 'fused' (CT with both tracers), 'structure_function' (the same images), 'dose' (CT alone); as in
    `networks.teacher.Teacher`, whose heads on fixed vectors these are.
    """

    def __init__(self, hidden: int = 48, classes: int = 3, dropout: float = 0.3, blocks: Sequence[str] = FIXED_BLOCKS):
        super().__init__()
        self.columns = columns_of(blocks)
        self.hidden = hidden
        images = {"fused": ("ct", *PET), "structure_function": ("ct", *PET), "dose": ("ct",)}
        self.heads = nn.ModuleDict(
            {name: GraphHead(1, own, len(self.columns), hidden, classes, dropout) for name, own in images.items()}
        )

    def forward(self, batch: NodeBatch, hidden_nodes: Tensor | None = None) -> GraphOutput:
        """Grade a batch; `nodes` are the fused head's region embeddings, `branch_nodes` the branches'.

        hidden_nodes: (B, n) bool, lesions that no head sees.
        """
        rows = batch.rows if hidden_nodes is None else batch.rows & ~hidden_nodes
        parts = {name: self._grade(head, batch, rows) for name, head in self.heads.items()}
        logits, h, hidden = parts["fused"]
        branch_logits = {b: parts[b][0] for b in BRANCHES}
        branch_nodes = {b: batch.per_case(parts[b][1]) for b in BRANCHES}
        nodes = batch.per_case(h)
        return GraphOutput(logits, nodes, [], hidden, branch_logits, branch_nodes, nodes)

    def _grade(self, head: GraphHead, batch: NodeBatch, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        total = head.kind[[0] + [1] * (batch.rows.shape[1] - 1)]
        for name, layer in head.fixed_in.items():
            vectors = relative(batch.fixed[name][..., self.columns])
            total = total + layer(head.drop(head.fixed_scale[name](vectors)))
        h = head.mix(total)
        t = head.mix(head.topology_in(head.drop(head.topology_scale(batch.topology))))[:, None]
        logits, hidden = graded(head.head, h, t, rows)
        return logits, h, hidden

    @torch.no_grad()
    def fit_scales(self, table: NodeTable) -> None:
        """Set the standardization constants from the expert's lesions of training cases."""
        lesions = table.rows[0, :, 1:]
        for head in self.heads.values():
            for name, scale in head.fixed_scale.items():
                scale.fit(relative(table.fixed[name][0][..., self.columns])[:, 1:][lesions])
            head.topology_scale.fit(table.topology[0])


class Ensemble(nn.Module):
    """Several teachers as one: mean log-probabilities as logits, and the first one's graph.

    A better teacher is most of what distillation has to give; averaging is the cheapest way to one.
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
        return GraphOutput(mean, first.nodes, [], first.hidden, branches, first.branch_nodes, first.embeddings)


@torch.no_grad()
def targets_of(teacher: nn.Module, table: NodeTable) -> TeacherTargets:
    """What a frozen teacher says of every case of a table, with the expert's masks: asked once for a whole training."""
    teacher.eval()
    return TeacherTargets.of(teacher(NodeBatch.of(table, torch.arange(len(table)))))


def taken(targets: TeacherTargets, index: Tensor) -> TeacherTargets:
    """The targets of some cases."""
    chosen = index.tolist()
    return TeacherTargets(
        targets.logits[index],
        [targets.nodes[i] for i in chosen],
        {b: x[index] for b, x in targets.branch_logits.items()},
        {b: [x[i] for i in chosen] for b, x in targets.branch_nodes.items()},
        (),
        None if targets.hidden is None else targets.hidden[index],
    )
