"""The explanation: what each node contributes to the logits, and the prediction without it.

Both are exact, since the head is additive.

    logits = b + a_0 s_0 + sum_i a_i s_i,   a = softmax over the null node 0 and the nodes i

(gated attention after Ilse et al. 2018, arXiv 1802.04712; additive form after Javed et al. 2022, arXiv 2206.01794). If
node j is taken out of the softmax, the logits follow without running the network again:

    logits_without_j = logits - a_j / (1 - a_j) * (s_j - (logits - b))

The node vectors of the others are unchanged: a muted parenchyma remains the reference with which lesions are compared.
The share of each node in the probability is computed in `shares.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from REACTKDLib.core.bounds import check_number


@dataclass(frozen=True, eq=False)
class Votes:
    """The outputs of the head in float64.

    weights (m,), scores (m, K), bias (K,), null (K,) = a_0 s_0, null_weight = a_0.
    """

    weights: np.ndarray
    scores: np.ndarray
    bias: np.ndarray
    null: np.ndarray
    null_weight: float

    @property
    def contributions(self) -> np.ndarray:
        """(m, K): a_i s_i."""
        return self.weights[:, None] * self.scores

    @property
    def baseline(self) -> np.ndarray:
        """(K,): the part that no node explains, b + a_0 s_0."""
        return self.bias + self.null

    @property
    def logits(self) -> np.ndarray:
        """(K,): baseline + contributions, by construction."""
        return self.baseline + self.contributions.sum(axis=0)

    def muted(self, nodes: Sequence[int]) -> Votes:
        """Return the votes without `nodes`: their weight is 0, and the remaining weights are normalized to sum to 1.

        If no weight remains (attention can round to 1 for one node and to 0 for all others), the bias alone does.
        """
        keep = np.ones(len(self.weights))
        keep[list(nodes)] = 0.0
        left = self.null_weight + float((self.weights * keep).sum()) or 1.0
        return replace(
            self, weights=self.weights * keep / left, null=self.null / left, null_weight=self.null_weight / left
        )

    def logits_without_each(self) -> np.ndarray:
        """(m, K): logits after taking out one node.

        The closed form above, computed as a sum over the others: the difference s_j - (logits - b) would lose precision
        if one node has nearly all the weight.
        """
        return np.stack([self.muted([node]).logits for node in range(len(self.weights))])

    def deletion_effect(self, predicted: int) -> np.ndarray:
        """(m,): probability of class `predicted` minus its probability without each node, in [-1, 1].

        Defined on probabilities, since adding a constant to all logits changes nothing. Positive: the node supports the
        class.
        """
        return softmax(self.logits)[predicted] - softmax(self.logits_without_each())[:, predicted]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def cosine_edges(vectors: np.ndarray) -> tuple[tuple[int, int, float], ...]:
    """Return (i, j, cosine similarity) for all i < j of (n, C) node vectors (method of the paper, equation 4)."""
    vectors = np.asarray(vectors, dtype=np.float64)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    similarity = np.clip(unit @ unit.T, -1.0, 1.0)
    return tuple((i, j, float(similarity[i, j])) for i in range(len(unit)) for j in range(i + 1, len(unit)))


@dataclass(frozen=True)
class UncertaintyRule:
    """A prediction is uncertain if the top probability is below `top_below` or leads the second by less than
    `margin_below`.
    """

    top_below: float = 0.5
    margin_below: float = 0.1

    def __post_init__(self) -> None:
        """Raises: ValueError that names the field."""
        check_number("top_below", self.top_below, 0, 1)
        check_number("margin_below", self.margin_below, 0, 1)

    def __call__(self, probabilities: np.ndarray) -> bool:
        """Return True if the prediction is uncertain. probabilities: (K,)."""
        second, top = np.sort(probabilities)[-2:]
        return bool(top < self.top_below or top - second < self.margin_below)
