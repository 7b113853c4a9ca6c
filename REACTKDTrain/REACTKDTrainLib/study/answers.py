"""What one trained student says of a case: every subset of inputs that tables need, and how it came to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from REACTKDLib.core.modality import INPUTS, subset_name
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.models.student_graph import encode_views, nodes_of, view_batches
from REACTKDTrainLib.training.fold_data import FoldData

NODES = 8  # shown of a case: the parenchyma and up to seven lesions


@torch.no_grad()
def answers(student: Student, data: FoldData, inputs: Sequence[Sequence[str]] = INPUTS) -> dict[str, np.ndarray]:
    """'p_<inputs>' (n, 3) of the cases that have these images (NaN elsewhere), and of all images of a case 'hidden'
    (n, H), the embeddings summed by attention, 'weight', 'effect', 'contribution' (n, 8), of its nodes, padded with
    NaN: attention, loss of the predicted grade's probability without the node, what it adds to that grade's logit.
    """
    student.eval()
    out = {f"p_{subset_name(s)}": np.full((len(data), 3), np.nan) for s in inputs}
    rows = {name: np.full((len(data), NODES), np.nan) for name in ("weight", "effect", "contribution")}
    hidden = np.full((len(data), student.config.hidden), np.nan, dtype=np.float32)
    for n, (view, levels) in enumerate(_encoded(student, data)):
        known = tuple(m for m in student.config.modalities if m in view.images)
        for subset in dict.fromkeys([*map(tuple, inputs), known]):
            if not set(subset) <= set(known):
                continue
            decision = student.forward_nodes(nodes_of(student, view, levels, subset)[0])
            p = torch.softmax(decision.logits.double(), dim=0).cpu()
            if f"p_{subset_name(subset)}" in out:
                out[f"p_{subset_name(subset)}"][n] = p.numpy()
            if subset == known:
                hidden[n] = decision.summary.cpu().numpy()
                _explain(decision, p, rows, n)
    return {**out, **rows, "hidden": hidden}


def _encoded(student: Student, data: FoldData) -> Iterator[tuple[View, dict[str, list[torch.Tensor]]]]:
    """Every view with its maps; small ones encoded together, which takes a third of the time."""
    for batch in view_batches(data.view(n) for n in range(len(data))):
        levels = encode_views(student, batch, None) if student.fused_size else [{} for _ in batch]
        yield from zip(batch, levels, strict=True)


def _explain(decision, p: torch.Tensor, rows: dict[str, np.ndarray], n: int) -> None:
    grade = int(p.argmax())
    for node in range(min(len(decision.weights) - 1, NODES)):
        without = torch.softmax(decision.without(node).double(), dim=0).cpu()
        rows["weight"][n, node] = float(decision.weights[node])
        rows["effect"][n, node] = float(p[grade] - without[grade])
        rows["contribution"][n, node] = float(decision.contributions[node, grade])
