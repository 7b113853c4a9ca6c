"""Outputs of one trained student for cases: probabilities for every subset of inputs, and the explanation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch

from REACTKDLib.core.modality import INPUTS, subset_name
from REACTKDLib.core.student.head import Decision
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.node_network import NodeBatch
from REACTKDTrainLib.models.student_graph import decide_views, images_read
from REACTKDTrainLib.nodes.table import NodeTable, TableBatch
from REACTKDTrainLib.nodes.train import presence_of
from REACTKDTrainLib.training.fold_data import FoldData

NODES = 8  # nodes stored per case: the parenchyma and up to seven lesions


@torch.no_grad()
def answers(student: Student, data: FoldData, inputs: Sequence[Sequence[str]] = INPUTS) -> dict[str, np.ndarray]:
    """Return 'p_<inputs>' (n, 3) of the cases that have these images (NaN elsewhere), and for all images of a case:
    'hidden' (n, H), the attention-weighted sum of the embeddings; 'weight', 'effect', 'contribution' (n, 8) of its
    nodes, padded with NaN: attention, decrease of the predicted grade's probability without the node, contribution to
    that grade's logit; 'predicted' (n,), that grade.
    """
    student.eval()
    whole = [images_read(student, case.modalities) for case in data.cases]
    subsets = list(dict.fromkeys([*map(tuple, inputs), *whole]))
    decided = decide_views(student, map(data.view, range(len(data))), subsets)
    return _answers(student.config.hidden, decided, list(map(subset_name, whole)), list(map(subset_name, inputs)))


@torch.no_grad()
def node_answers(student: Student, table: NodeTable) -> dict[str, np.ndarray]:
    """As `answers`, for cases given as node vectors, over the expert's masks; each has the images of the table."""
    student.eval()
    whole = images_read(student, table.fixed)
    subsets = list(dict.fromkeys([*map(tuple, INPUTS), whole]))

    def decided() -> Iterator[dict[str, Decision]]:
        for row in range(len(table)):
            case = table.batch(torch.tensor([row]))
            yield {subset_name(s): _decide(student, case, s) for s in subsets}

    names = [subset_name(whole)] * len(table)
    return _answers(student.config.hidden, decided(), names, list(map(subset_name, INPUTS)))


def _decide(student: Student, case: TableBatch, subset: Sequence[str]) -> Decision:
    """Return the decision for a batch of one case, in the form for a single case."""
    batch = case.for_student(student, presence_of(student, subset, 1))
    fixed = {m: batch.fixed[m][0] for m in subset}
    return student.forward_nodes(NodeBatch(batch.topology[0], fixed))


def _answers(
    width: int, decided: Iterable[Mapping[str, Decision]], whole: Sequence[str], inputs: Sequence[str]
) -> dict[str, np.ndarray]:
    """width: H. decided: for each case, subset of images -> decision. whole: per case the name of all its images."""
    out = {f"p_{name}": np.full((len(whole), 3), np.nan) for name in inputs}
    rows = {name: np.full((len(whole), NODES), np.nan) for name in ("weight", "effect", "contribution")}
    hidden = np.full((len(whole), width), np.nan, dtype=np.float32)
    predicted = np.zeros(len(whole), dtype=np.int64)
    for n, decisions in enumerate(decided):
        p = {name: torch.softmax(d.logits.double(), dim=0).cpu() for name, d in decisions.items()}
        for name in p:
            if f"p_{name}" in out:
                out[f"p_{name}"][n] = p[name].numpy()
        hidden[n] = decisions[whole[n]].summary.cpu().numpy()
        predicted[n] = int(p[whole[n]].argmax())
        _explain(decisions[whole[n]], predicted[n], rows, n)
    return {**out, **rows, "hidden": hidden, "predicted": predicted}


def _explain(decision: Decision, grade: int, rows: dict[str, np.ndarray], n: int) -> None:
    votes = decision.votes()
    nodes = min(len(votes.weights) - 1, NODES)  # without the topology node, which is the last one
    found = {
        "weight": votes.weights,
        "effect": votes.deletion_effect(grade),
        "contribution": votes.contributions[:, grade],
    }
    for name, values in found.items():
        rows[name][n, :nodes] = values[:nodes]
