"""Semi-relaxed Gromov-Wasserstein plans of a whole batch of small graphs at once, as needed in each training step.

With only the student's marginal fixed, the vertices of the feasible set are assignments of student to teacher nodes.
The best of many assignments are improved node by node, then by conditional gradient with exact line search, since an
optimum may split a node's mass (Frank and Wolfe 1956; Vincent-Cuaz et al. 2022). On graphs small enough to enumerate
all assignments, the values are within a few percent of those of `gromov.plan_between`; on larger ones they are lower on
average. A batch takes some tens of milliseconds.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

_COUNTED = 1024  # assignments enumerated: all of them for a student of five nodes and a teacher of four
_DRAWN = 96
_KEPT = 4
_SWEEPS = 3
_ITERATIONS = 15
_LAST_ITERATIONS = 60
_SMALL = 1e-13
_WIDEST = 256  # width of the table of random starts, which are the same for every n up to it


@torch.no_grad()
def semirelaxed_plans(
    d_student: Tensor, d_teacher: Tensor, rows_student: Tensor, rows_teacher: Tensor, costs: Tensor
) -> Tensor:
    """Return plans (B, N, M), float64 on the CPU: uniform over the student's nodes, free over the teacher's, 0 on
    padding.

    d_student: (B, N, N); d_teacher: (B, M, M); rows_*: (B, N), (B, M) bool, the real nodes, which come first; costs:
    (B, N, M) squared distances of node features, used for one of the starts. The plan of a case is independent of the
    other cases.
    """
    ds, dt, costs = (x.detach().cpu().double() for x in (d_student, d_teacher, costs))
    real, known = rows_student.cpu(), rows_teacher.cpu()
    p = real / real.sum(dim=1, keepdim=True).double()
    pair = p[:, :, None] * p[:, None]
    maps = _starts(known.sum(dim=1), ds.shape[1], costs.masked_fill(~known[:, None], float("inf")))
    raw = maps = _best(maps, ds, dt, pair, _KEPT)
    for _ in range(_SWEEPS):
        before = maps
        for node in range(ds.shape[1]):
            maps = _improved(maps, node, ds, dt, p, known)
        if torch.equal(before, maps):
            break
    maps = torch.cat([raw, maps], dim=1)  # an improved vertex may lie farther from the best split of masses
    b, k = maps.shape[:2]
    wide = [x.repeat_interleave(k, dim=0) for x in (ds, dt, p, known)]
    corners = F.one_hot(maps, dt.shape[1]).double().flatten(0, 1) * wide[2][..., None]
    plans = _descended(*wide, corners, _ITERATIONS)
    values = plan_values(wide[0], wide[1], plans).reshape(b, k)
    best = plans.reshape(b, k, *plans.shape[1:])[torch.arange(b), values.argmin(dim=1)]
    return _descended(ds, dt, p, known, best, _LAST_ITERATIONS)


def plan_values(ds: Tensor, dt: Tensor, plans: Tensor) -> Tensor:
    """sum_ijkl (D^S_ij - D^T_kl)^2 pi_ik pi_jl: (B,) from (B, n, n), (B, m, m), (B, n, m); differentiable."""
    p, q = plans.sum(dim=2, keepdim=True), plans.sum(dim=1)[..., None]
    own = (p * (ds.square() @ p)).sum(dim=(1, 2)) + (q * (dt.square() @ q)).sum(dim=(1, 2))
    return own - 2 * (plans * (ds @ plans @ dt)).sum(dim=(1, 2))


def _starts(counts: Tensor, n: int, costs: Tensor) -> Tensor:
    """(B, starts, n): nearest teacher node by features, node of the same index, enumerated and random assignments."""
    fixed = torch.stack([_fixed_starts(int(m), n) for m in counts])
    return torch.cat([costs.argmin(dim=2)[:, None], fixed], dim=1)


@lru_cache(maxsize=256)  # a training uses few sizes, thousands of times
def _fixed_starts(m: int, n: int) -> Tensor:
    """Assignments (starts, n) to m teacher nodes: those of `_starts` that do not depend on features."""
    drawn = torch.rand(_DRAWN, max(n, _WIDEST), generator=torch.Generator().manual_seed(0))[:, :n]
    random = (drawn * m).long()
    power = float(m) ** torch.arange(n).double()  # digits of a number, one for each node
    counted = (torch.arange(_COUNTED).double()[:, None] / power).floor().remainder(float(m)).long()
    places = torch.arange(n).clamp_max(m - 1)
    return torch.cat([places[None], counted, random])


def _best(maps: Tensor, ds: Tensor, dt: Tensor, pair: Tensor, kept: int) -> Tensor:
    """Return the assignments (B, kept, n) with the smallest values. Distances are symmetric, so half of the pairs
    suffice.

    Pairs of nodes are processed one at a time: all at once need an array that exceeds every cache and take ten times as
    long.
    """
    b, k, n = maps.shape
    columns, distances = maps.unbind(dim=2), dt.flatten(1)
    values = ds.new_zeros((b, k))
    for i in range(n):
        first = columns[i] * dt.shape[2]
        for j in range(i):
            images = distances.gather(1, first + columns[j])
            values += (images - ds[:, i, j, None]).square_().mul_(pair[:, i, j, None])
    chosen = values.topk(min(kept, k), dim=1, largest=False).indices
    return maps.gather(1, chosen[..., None].expand(-1, -1, n))


def _improved(maps: Tensor, node: int, ds: Tensor, dt: Tensor, p: Tensor, known: Tensor) -> Tensor:
    """Move one student node to its best teacher node while the others stay."""
    case = torch.arange(len(ds))[:, None, None]
    images = dt.transpose(1, 2)[case, maps]  # (B, k, n, m): distances from each node's image to every candidate
    apart = (ds[:, node][:, None, :, None] - images).square() * p[:, None, :, None]
    apart[:, :, node] = 0
    places = apart.sum(dim=2).masked_fill(~known[:, None], float("inf")).argmin(dim=2)
    return torch.cat([maps[..., :node], places[..., None], maps[..., node + 1 :]], dim=2)


def _descended(ds: Tensor, dt: Tensor, p: Tensor, known: Tensor, plans: Tensor, iterations: int) -> Tensor:
    """Conditional gradient descent from `plans`; each step goes toward a vertex, with exact line search."""
    squared = dt.square()
    for _ in range(iterations):
        q = plans.sum(dim=1)[..., None]
        crossed = ds @ plans @ dt
        gradient = (2 * (squared @ q).transpose(1, 2) - 4 * crossed).masked_fill(~known[:, None], float("inf"))
        way = F.one_hot(gradient.argmin(dim=2), dt.shape[1]).double() * p[..., None] - plans
        moved = way.sum(dim=1)[..., None]
        slope = 2 * (q * (squared @ moved)).sum(dim=(1, 2)) - 4 * (way * crossed).sum(dim=(1, 2))
        bend = (moved * (squared @ moved)).sum(dim=(1, 2)) - 2 * (way * (ds @ way @ dt)).sum(dim=(1, 2))
        inside = (-slope / (2 * bend.clamp_min(_SMALL))).clamp(0, 1)
        step = torch.where(bend > _SMALL, inside, (bend + slope < 0).double())
        step = torch.where(slope < -_SMALL, step, torch.zeros_like(step))
        if not (step > 0).any():
            break
        plans = plans + step[:, None, None] * way
    return plans
