"""Gromov-Wasserstein between graphs of different node sets (equation 7 of arXiv 2508.02104).

L = min over plans pi of sum_ijkl (D^S_ij - D^T_kl)^2 pi_ik pi_jl. The plan is computed without gradient, in double
precision on the CPU: balanced plans here by POT, semi-relaxed ones in `gromov_batch`. The value at the fixed plan is
then differentiated in closed form, which by the envelope theorem is the gradient of the minimum. Cold-started solvers
fail exactly where the loss should vanish (docs/explanation/method.md, Gromov-Wasserstein), and entropic ones stay at
the product plan for two nodes. Plans therefore start from features, and small graphs of equal size are solved by
enumeration (a concave objective over uniform marginals has an optimum at a permutation).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from REACTKDTrainLib.distillation.gromov_batch import semirelaxed_plans

Mode = Literal["matched", "semirelaxed", "paper"]
MODES: tuple[Mode, ...] = get_args(Mode)
MOST_ENUMERATED = 6  # 720 permutations
_ALPHAS = (0.5, 0.98)


@torch.no_grad()
def plan_between(d_student: Tensor, d_teacher: Tensor, cost: Tensor, mode: Mode) -> Tensor:
    """Return the best plan found, (n, m) float64 on the CPU.

    cost: (n, m) squared distances between node features, from which plans are initialized. mode: 'paper': balanced,
    uniform marginals on both sides. 'semirelaxed': uniform over the student's nodes, free over the teacher's, so that a
    lesion missing from the student's masks costs nothing. 'matched': the identity, for graphs with the same nodes.

    Raises: ValueError for an unknown mode, or 'matched' with different node counts.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}, not {mode!r}")
    n, m = len(d_student), len(d_teacher)
    if mode == "semirelaxed":
        rows = (torch.ones(1, k, dtype=torch.bool) for k in (n, m))
        return semirelaxed_plans(d_student[None], d_teacher[None], *rows, cost[None])[0]
    if mode == "matched":
        if n != m:
            raise ValueError(f"matched graphs must have the same nodes, not {n} and {m}")
        return torch.eye(n, dtype=torch.float64) / n
    ds, dt, c = (np.asarray(x.detach().cpu().double()) for x in (d_student, d_teacher, cost))
    candidates = _permutations(n) / n if n == m <= MOST_ENUMERATED else np.stack(_balanced(ds, dt, c))
    return torch.from_numpy(candidates[int(_values(ds, dt, candidates).argmin())])


@lru_cache(maxsize=MOST_ENUMERATED)
def _permutations(n: int) -> np.ndarray:
    """All permutation matrices of n: (n!, n, n)."""
    return np.eye(n)[np.array(list(permutations(range(n))))]


def _values(ds: np.ndarray, dt: np.ndarray, plans: np.ndarray) -> np.ndarray:
    """Values sum_ijkl (D^S_ij - D^T_kl)^2 pi_ik pi_jl of several plans (k, n, m): (k,)."""
    p, q = plans.sum(axis=2), plans.sum(axis=1)
    own = np.einsum("ki,ij,kj->k", p, ds**2, p) + np.einsum("ki,ij,kj->k", q, dt**2, q)
    return own - 2 * np.einsum("kij,kij->k", plans, ds @ plans @ dt.T)


def _balanced(ds: np.ndarray, dt: np.ndarray, cost: np.ndarray) -> list[np.ndarray]:
    """Fused plans at two mixtures of features and structure; each is also refined on structure alone."""
    import ot

    p, q = np.full(len(ds), 1 / len(ds)), np.full(len(dt), 1 / len(dt))
    plans = []
    for alpha in _ALPHAS:
        start = ot.gromov.fused_gromov_wasserstein(cost, ds, dt, p, q, alpha=alpha)
        plans += [start, ot.gromov.gromov_wasserstein(ds, dt, p, q, G0=start)]
    return plans
