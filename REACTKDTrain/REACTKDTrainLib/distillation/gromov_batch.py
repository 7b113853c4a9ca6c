"""Semi-relaxed Gromov-Wasserstein plans of a whole batch of small graphs, as needed in each training step.

With only the student's marginal fixed, the vertices of the feasible set are assignments of student to teacher nodes.
Conditional gradient with exact line search descends from the best vertices, since an optimum may split a node's mass
(Frank and Wolfe 1956; Vincent-Cuaz et al. 2022). Small graphs, of which all assignments are tried, get plans at least
as good as those of POT's solver; on larger ones, where the best of many assignments are improved node by node, plans
are better on average. Graphs of the same two sizes are solved together.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

_FEW = 4096  # assignments that are all tried
_COUNTED = 1024  # of the assignments of larger graphs, beside random ones
_DRAWN = 96
_KEPT = 4
_SWEEPS = 3
_ITERATIONS = 60
_SMALL = 1e-13
_WIDEST = 256  # width of the table of random starts, which are the same for every n up to it


@torch.no_grad()
def semirelaxed_plans(
    d_student: Tensor, d_teacher: Tensor, rows_student: Tensor, rows_teacher: Tensor, costs: Tensor
) -> Tensor:
    """Return plans (B, N, M), float64 on the CPU: uniform over the student's nodes, free over the teacher's, 0 on
    padding.

    d_student: (B, N, N); d_teacher: (B, M, M); rows_*: (B, N), (B, M) bool, the real nodes, which come first; costs:
    (B, N, M) squared distances of node features, used for one of the starts of larger graphs. The plan of a case is
    independent of the other cases.
    """
    ds, dt, costs = (x.detach().cpu().double() for x in (d_student, d_teacher, costs))
    sizes = torch.stack([rows_student.sum(dim=1), rows_teacher.sum(dim=1)], dim=1).cpu()
    plans = torch.zeros_like(costs)
    for size in sizes.unique(dim=0):
        case, (n, m) = (sizes == size).all(dim=1).nonzero(), size.tolist()
        # sorted by their mean distance, so that a plan does not depend on the order in which nodes are given
        rows, columns = (d[case[:, 0], :k, :k].sum(dim=2).argsort(dim=1) for d, k in ((ds, n), (dt, m)))
        own, other, both = (
            (case[..., None], a[:, :, None], b[:, None]) for a, b in ((rows, rows), (columns, columns), (rows, columns))
        )
        plans[both] = _plans(ds[own], dt[other], costs[both])
    return plans


def plan_values(ds: Tensor, dt: Tensor, plans: Tensor) -> Tensor:
    """sum_ijkl (D^S_ij - D^T_kl)^2 pi_ik pi_jl: (B,) from (B, n, n), (B, m, m), (B, n, m); differentiable."""
    p, q = plans.sum(dim=2, keepdim=True), plans.sum(dim=1)[..., None]
    own = (p * (ds.square() @ p)).sum(dim=(1, 2)) + (q * (dt.square() @ q)).sum(dim=(1, 2))
    return own - 2 * (plans * (ds @ plans @ dt)).sum(dim=(1, 2))


def _plans(ds: Tensor, dt: Tensor, costs: Tensor) -> Tensor:
    """Return plans (b, n, m) of graphs of equal sizes, from arrays (b, n, n), (b, m, m), (b, n, m)."""
    b, n, m = costs.shape
    maps = _best(_starts(n, m), ds, dt)
    if m**n > _FEW:
        raw = torch.cat([maps, costs.argmin(dim=2)[:, None]], dim=1)
        maps = torch.cat([raw, _improved(raw, ds, dt)], dim=1)  # the best split of masses may lie nearer to a raw one
    k = maps.shape[1]
    wide = [x.repeat_interleave(k, dim=0) for x in (ds, dt)]
    plans = _descended(*wide, F.one_hot(maps.flatten(0, 1), m).double() / n)
    best = plan_values(*wide, plans).reshape(b, k).argmin(dim=1)
    return plans.reshape(b, k, n, m)[torch.arange(b), best]


@lru_cache(maxsize=256)  # a training uses few sizes, thousands of times
def _starts(n: int, m: int) -> Tensor:
    """Assignments (starts, n) of n student nodes to m teacher nodes: all if they are few, else the nodes of the same
    index, and enumerated and random ones.
    """
    power = float(m) ** torch.arange(n).double()  # digits of a number, one for each node
    number = torch.arange(m**n if m**n <= _FEW else _COUNTED).double()
    counted = (number[:, None] / power).floor().remainder(float(m)).long()
    if m**n <= _FEW:
        return counted
    drawn = torch.rand(_DRAWN, max(n, _WIDEST), generator=torch.Generator().manual_seed(0))[:, :n]
    return torch.cat([torch.arange(n).clamp_max(m - 1)[None], counted, (drawn * m).long()])


def _best(maps: Tensor, ds: Tensor, dt: Tensor) -> Tensor:
    """Return the assignments (b, kept, n) with the smallest values, of `maps` (k, n) for every graph. Distances are
    symmetric, so half of the pairs suffice.

    Pairs of nodes are processed one at a time: all at once need an array that exceeds every cache and take ten times as
    long.
    """
    columns, distances = maps.unbind(dim=1), dt.flatten(1)
    values = ds.new_zeros((len(ds), len(maps)))
    for i in range(len(columns)):
        first = columns[i] * dt.shape[2]
        for j in range(i):
            values += (distances[:, first + columns[j]] - ds[:, i, j, None]).square_()
    return maps[values.topk(min(_KEPT, len(maps)), dim=1, largest=False).indices]


def _improved(maps: Tensor, ds: Tensor, dt: Tensor) -> Tensor:
    """Move one student node after the other to its best teacher node, while the others stay. maps: (b, k, n)."""
    case = torch.arange(len(ds))[:, None, None]
    for _ in range(_SWEEPS):
        before = maps
        for node in range(ds.shape[1]):
            images = dt[case, maps]  # (b, k, n, m): distances from each node's image to every candidate
            apart = (ds[:, node][:, None, :, None] - images).square()
            apart[:, :, node] = 0
            places = apart.sum(dim=2).argmin(dim=2)
            maps = torch.cat([maps[..., :node], places[..., None], maps[..., node + 1 :]], dim=2)
        if torch.equal(before, maps):
            break
    return maps


def _descended(ds: Tensor, dt: Tensor, plans: Tensor) -> Tensor:
    """Conditional gradient descent from `plans` (b, n, m); each step goes toward a vertex, with exact line search."""
    plans, moving = plans.clone(), torch.arange(len(plans))
    for _ in range(_ITERATIONS):
        way, step = _step(ds[moving], dt[moving], plans[moving])
        on = step > 0
        moving = moving[on]
        if not len(moving):
            break
        plans[moving] += step[on, None, None] * way[on]
    return plans


def _step(ds: Tensor, dt: Tensor, plans: Tensor) -> tuple[Tensor, Tensor]:
    """Return the way (b, n, m) to the vertex where the linearized value is smallest, and how far to go (b,), 0 to 1."""
    q, squared = plans.sum(dim=1)[..., None], dt.square()
    crossed = ds @ plans @ dt
    gradient = (squared @ q).transpose(1, 2) - 2 * crossed  # halved, and without what is equal for all vertices
    way = F.one_hot(gradient.argmin(dim=2), dt.shape[1]).double() / ds.shape[1] - plans
    moved = way.sum(dim=1)[..., None]
    slope = 2 * (q * (squared @ moved)).sum(dim=(1, 2)) - 4 * (way * crossed).sum(dim=(1, 2))
    bend = (moved * (squared @ moved)).sum(dim=(1, 2)) - 2 * (way * (ds @ way @ dt)).sum(dim=(1, 2))
    inside = (-slope / (2 * bend.clamp_min(_SMALL))).clamp(0, 1)
    step = torch.where(bend > _SMALL, inside, (bend + slope < 0).double())
    return way, torch.where(slope < -_SMALL, step, torch.zeros_like(step))
