"""Gromov-Wasserstein between graphs of different node sets (equation 7 of arXiv 2508.02104).

L = min over plans pi of sum_ijkl (D^S_ij - D^T_kl)^2 pi_ik pi_jl. The plan is computed without gradient, in double
precision on the CPU, by POT. The value at the fixed plan is then differentiated in closed form, which by the envelope
theorem is the gradient of the minimum. Cold-started solvers fail exactly where the loss should vanish
(docs/explanation/method.md, Gromov-Wasserstein), and entropic or batched ones stay at the product plan for two nodes.
Plans therefore start from features, and small graphs of equal size are solved by enumeration (a concave objective over
uniform marginals has an optimum at a permutation).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

Mode = Literal["matched", "semirelaxed", "paper"]
MODES: tuple[Mode, ...] = get_args(Mode)
MOST_ENUMERATED = 6  # 720 permutations
_ALPHAS = (0.5, 0.98)
_MOST_ASSIGNMENTS = 4096
_POLISHED = 3


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
    ds, dt, c = (np.asarray(x.detach().cpu().double()) for x in (d_student, d_teacher, cost))
    n, m = len(ds), len(dt)
    if mode == "matched":
        if n != m:
            raise ValueError(f"matched graphs must have the same nodes, not {n} and {m}")
        return torch.eye(n, dtype=torch.float64) / n
    candidates = list(_permutations(n) / n) if mode == "paper" and n == m <= MOST_ENUMERATED else []
    if not candidates:
        candidates = _balanced(ds, dt, c) if mode == "paper" else _semirelaxed(ds, dt, c)
    values = _values(ds, dt, np.stack(candidates))
    return torch.from_numpy(candidates[int(values.argmin())])


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


def _semirelaxed(ds: np.ndarray, dt: np.ndarray, cost: np.ndarray) -> list[np.ndarray]:
    """Descent from the best assignments of student to teacher nodes if all can be enumerated, otherwise from features.

    With only the student's marginal fixed, the feasible set is a product of simplices, whose vertices are assignments.
    An optimum may split a node's mass, so the best vertices are only the starting points of the descent.
    """
    import ot

    n, m = len(ds), len(dt)
    p = np.full(n, 1 / n)
    if m**n <= _MOST_ASSIGNMENTS:
        chosen = _assignments(n, m)
        values = (ds[None] - dt[chosen[:, :, None], chosen[:, None, :]]) ** 2
        best = chosen[np.argsort(values.sum(axis=(1, 2)), kind="stable")[:_POLISHED]]
        corners = [np.eye(m)[row] / n for row in best]
        inner = [
            ot.gromov.semirelaxed_gromov_wasserstein(ds, dt, p, G0=corner, symmetric=True)
            for row, corner in zip(best, corners, strict=True)
            if not _stays(ds, dt, row)
        ]
        return [*corners, *inner]
    nearest = np.zeros((n, m))
    nearest[np.arange(n), cost.argmin(axis=1)] = 1 / n
    plans = [nearest]
    for start in (nearest, 0.5 * nearest + 0.5 / (n * m)):
        plans.append(ot.gromov.semirelaxed_gromov_wasserstein(ds, dt, p, G0=start, symmetric=True))
    for alpha in _ALPHAS:
        fused = ot.gromov.semirelaxed_fused_gromov_wasserstein(cost, ds, dt, p, alpha=alpha, G0=nearest, symmetric=True)
        plans += [fused, ot.gromov.semirelaxed_gromov_wasserstein(ds, dt, p, G0=fused, symmetric=True)]
    return plans


def _stays(ds: np.ndarray, dt: np.ndarray, row: np.ndarray) -> bool:
    """True if descent would not leave the vertex that sends student node i to teacher node row[i]: at each node the
    gradient is smallest where its mass already is, so a linear step stays there (true of most of the best vertices).
    """
    gradient = ((ds[:, :, None] - dt[row][None]) ** 2).sum(axis=1)
    return bool((gradient[np.arange(len(row)), row] <= gradient.min(axis=1) + 1e-12).all())


@lru_cache(maxsize=64)
def _assignments(n: int, m: int) -> np.ndarray:
    """All maps from n student nodes to m teacher nodes: (m^n, n) indices."""
    return np.stack(np.meshgrid(*[np.arange(m)] * n, indexing="ij"), axis=-1).reshape(-1, n)
