"""Lesion that an explanation ranks first: by contribution, attention, or change of the output without the lesion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.nodes.table import TableBatch
from REACTKDTrainLib.nodes.train import graph_of, presence_of

Predictor = Callable[[TableBatch], GraphOutput]
#: method -> text for display; importance of a lesion for the predicted grade, except for 'severity'
WAYS = {
    "contribution": "largest contribution to the predicted grade",
    "severity": "largest contribution to poor against well",
    "attention": "largest attention weight",
    "deletion": "largest change when the lesion is deleted from the graph",
    "occlusion": "largest change when the lesion looks like the parenchyma",
    "gradient": "largest gradient times difference to the parenchyma",
}


def predictor_of(student: Student, subset: tuple[str, ...]) -> Predictor:
    """Return a function that applies a student to a batch of a table, with the images of `subset`."""

    def predict(batch: TableBatch) -> GraphOutput:
        return graph_of(student, batch.for_student(student, presence_of(student, subset, len(batch.topology))))

    return predict


def named_lesions(predict: Predictor, batch: TableBatch) -> dict[str, Tensor]:
    """Return method -> (B,), the lesion node with the largest importance in each case; 0 for a case without lesions.

    predict: applies the network to a batch, without dropout; it is called twice for each node of the largest case.
    """
    lesions = batch.rows.clone()
    lesions[:, 0] = False
    out = {}
    for way, importance in importance_of_nodes(predict, batch).items():
        best = importance.masked_fill(~lesions, -torch.inf).argmax(dim=1)
        out[way] = torch.where(lesions.any(dim=1), best, torch.zeros_like(best))
    return out


def importance_of_nodes(predict: Predictor, batch: TableBatch) -> dict[str, Tensor]:
    """Return method -> (B, n), see `WAYS`. Contributions and attention up to a factor per case, which keeps ranks."""
    leaf, inputs = _with_gradients(batch)
    with torch.enable_grad():
        output = predict(leaf)
        predicted = output.logits.argmax(dim=1, keepdim=True)
        found = torch.autograd.grad(output.logits.gather(1, predicted).sum(), inputs, allow_unused=True)
    slopes = [((x - x[:, :1]) * slope).sum(dim=2) for x, slope in zip(inputs, found, strict=True) if slope is not None]
    attention = pad_sequence([a.detach() for a in output.attention], True, -torch.inf)
    scores = pad_sequence([s.detach() for s in output.scores], True)
    weight = torch.exp(attention - attention.amax(dim=1, keepdim=True))[..., None]
    of_grade = (weight * scores).gather(2, predicted[:, None].expand(-1, scores.shape[1], 1))[..., 0]
    with torch.no_grad():
        p = torch.softmax(output.logits.detach().double(), dim=1).gather(1, predicted)

        def decrease(change: Callable[[int], TableBatch]) -> Tensor:
            columns = [torch.zeros_like(p)]
            for node in range(1, batch.rows.shape[1]):
                without = torch.softmax(predict(change(node)).logits.double(), dim=1).gather(1, predicted)
                columns.append(p - without)
            return torch.cat(columns, dim=1)

        return {
            "contribution": of_grade,
            "severity": weight[..., 0] * (scores[..., -1] - scores[..., 0]),
            "attention": weight[..., 0],
            "deletion": decrease(lambda node: _deleted(batch, node)),
            "occlusion": decrease(lambda node: _occluded(batch, node)),
            "gradient": torch.stack(slopes).sum(dim=0).detach(),
        }


def _with_gradients(batch: TableBatch) -> tuple[TableBatch, list[Tensor]]:
    fixed = {m: x.detach().clone().requires_grad_() for m, x in batch.fixed.items()}
    moments = {s: x.detach().clone().requires_grad_() for s, x in batch.moments.items()}
    return replace(batch, fixed=fixed, moments=moments), [*fixed.values(), *moments.values()]


def _deleted(batch: TableBatch, node: int) -> TableBatch:
    """Hide a node from the head; the parenchyma remains the reference of the others."""
    seen = batch.rows.clone()
    seen[:, node] = False
    return replace(batch, seen=seen)


def _occluded(batch: TableBatch, node: int) -> TableBatch:
    """Replace a node's vectors by those of the parenchyma; its size and position are unchanged."""

    def occluded(x: Tensor) -> Tensor:
        x = x.clone()
        x[:, node] = x[:, 0]
        return x

    return replace(
        batch,
        fixed={m: occluded(x) for m, x in batch.fixed.items()},
        moments={s: occluded(x) for s, x in batch.moments.items()},
    )
