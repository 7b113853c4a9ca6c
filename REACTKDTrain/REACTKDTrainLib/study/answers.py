"""What one trained student says of a case: every subset of inputs that tables need, and how it came to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from REACTKDLib.core.modality import INPUTS, subset_name
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.models.student_graph import decide_views
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
    whole = [tuple(m for m in student.config.modalities if m in case.modalities) for case in data.cases]
    subsets = list(dict.fromkeys([*map(tuple, inputs), *whole]))
    for n, decisions in enumerate(decide_views(student, map(data.view, range(len(data))), subsets)):
        p = {name: torch.softmax(d.logits.double(), dim=0).cpu() for name, d in decisions.items()}
        for name in p:
            if f"p_{name}" in out:
                out[f"p_{name}"][n] = p[name].numpy()
        name = subset_name(whole[n])
        hidden[n] = decisions[name].summary.cpu().numpy()
        _explain(decisions[name], p[name], rows, n)
    return {**out, **rows, "hidden": hidden}


def _explain(decision, p: torch.Tensor, rows: dict[str, np.ndarray], n: int) -> None:
    grade = int(p.argmax())
    for node in range(min(len(decision.weights) - 1, NODES)):
        without = torch.softmax(decision.without(node).double(), dim=0).cpu()
        rows["weight"][n, node] = float(decision.weights[node])
        rows["effect"][n, node] = float(p[grade] - without[grade])
        rows["contribution"][n, node] = float(decision.contributions[node, grade])
