"""Gromov-Wasserstein between two single graphs, in plain form: a reference for the library's batched losses."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import Tensor

from REACTKDTrainLib.distillation.graph import edges, unit
from REACTKDTrainLib.distillation.gromov import Mode, plan_between


def distances(nodes: Tensor) -> Tensor:
    """D = 1 - e with a diagonal of exact zeros: (n, n)."""
    d = 1 - edges(nodes)
    return d - torch.diag_embed(torch.diagonal(d))


def gw_value(d_student: Tensor, d_teacher: Tensor, plan: Tensor) -> Tensor:
    """sum_ijkl (D^S_ij - D^T_kl)^2 pi_ik pi_jl at a plan (n, m), differentiable in D^S (n, n) and D^T (m, m).

    Expanded: p^T (D^S)^2 p + q^T (D^T)^2 q - 2 <pi, D^S pi D^T>, with p, q the plan's marginals.
    """
    plan = plan.to(d_student)
    p, q = plan.sum(dim=1), plan.sum(dim=0)
    cross = (plan * (d_student @ plan @ d_teacher.T)).sum()
    return p @ d_student.square() @ p + q @ d_teacher.square() @ q - 2 * cross


def gw_loss(student: Tensor, teacher: Tensor, mode: Mode = "semirelaxed", cost: Tensor | None = None) -> Tensor:
    """Return the loss between node vectors (n, d), (m, e): a scalar, differentiable in `student`; 0 for a one-node
    graph.

    cost: (n, m) for the initial plans; None uses squared distances of unit vectors if d = e, otherwise the graphs' own
    profiles (mean distance of each node).
    """
    if len(student) < 2 or len(teacher) < 2:
        return student.sum() * 0
    ds, dt = distances(student), distances(teacher.detach())
    if cost is None and student.shape[1] == teacher.shape[1]:
        cost = torch.cdist(unit(student.detach()), unit(teacher.detach())).square()
    elif cost is None:
        cost = (ds.mean(dim=1)[:, None] - dt.mean(dim=1)[None]).square()
    return gw_value(ds, dt, plan_between(ds, dt, cost, mode)).clamp_min(0)


def pot_semirelaxed(d_student: Tensor, d_teacher: Tensor, cost: Tensor) -> Tensor:
    """Return a semi-relaxed plan (n, m) by POT: the best of descents from the three best assignments of student to
    teacher nodes if there are at most 4,096, otherwise from the features `cost` (n, m).
    """
    import ot

    ds, dt, c = (np.asarray(x.double()) for x in (d_student, d_teacher, cost))
    n, m = len(ds), len(dt)
    p = np.full(n, 1 / n)
    if m**n <= 4096:
        chosen = np.array(list(product(range(m), repeat=n)))
        values = (ds[None] - dt[chosen[:, :, None], chosen[:, None, :]]) ** 2
        best = chosen[np.argsort(values.sum(axis=(1, 2)), kind="stable")[:3]]
        starts = [np.eye(m)[row] / n for row in best]
    else:
        nearest = np.eye(m)[c.argmin(axis=1)] / n
        fused = ot.gromov.semirelaxed_fused_gromov_wasserstein
        starts = [nearest, 0.5 * nearest + 0.5 / (n * m)]
        starts += [fused(c, ds, dt, p, alpha=alpha, G0=nearest, symmetric=True) for alpha in (0.5, 0.98)]
    ends = [ot.gromov.semirelaxed_gromov_wasserstein(ds, dt, p, G0=start, symmetric=True) for start in starts]
    plans = [torch.from_numpy(np.asarray(plan)) for plan in (*starts, *ends)]
    return min(plans, key=lambda plan: float(gw_value(d_student, d_teacher, plan)))
