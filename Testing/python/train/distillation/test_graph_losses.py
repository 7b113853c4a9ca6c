"""Distillation losses against hand-worked values, finite differences and brute force."""

from __future__ import annotations

import math
from itertools import permutations, product

import numpy as np
import pytest
import torch
from torch import Tensor

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import METHODS, make_distiller
from REACTKDTrainLib.distillation.graph import (
    Graphs,
    edge_loss,
    edges,
    mean_edge_loss,
    mean_gw_loss,
    mean_node_loss,
    node_loss,
    unit,
)
from REACTKDTrainLib.distillation.gromov import plan_between
from REACTKDTrainLib.distillation.losses import logit_loss
from support.one_graph import distances, gw_loss, gw_value

F64 = torch.float64


def rows(*values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=F64)


def graph(n: int, seed: int, width: int = 5) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=F64)


# -------------------------------------------------------------------------------------------------------------- logits
def test_the_logit_loss_agrees_with_hand_worked_values():
    # p_T = (1/4, 3/4) and p_S = (1/2, 1/2) at temperature 1: KL = ln 2 - H(1/4)
    student, teacher = rows((0.0, 0.0)), rows((0.0, math.log(3)))
    wanted = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    assert float(logit_loss(student, teacher, 1.0)) == pytest.approx(wanted, rel=1e-12)
    # at temperature 2 the same softened probabilities come from doubled logits, and the loss is multiplied by tau^2 = 4
    assert float(logit_loss(student, 2 * teacher, 2.0)) == pytest.approx(4 * wanted, rel=1e-12)


def test_logit_loss_is_a_mean_over_cases_and_zero_for_equal_answers():
    a, b = graph(1, 0, 3), graph(1, 1, 3)
    both = logit_loss(torch.cat([a, b]), torch.cat([b, a]), 4.0)
    assert float(both) == pytest.approx(float(logit_loss(a, b, 4.0) + logit_loss(b, a, 4.0)) / 2, rel=1e-12)
    assert float(logit_loss(a, a + 7, 4.0)) == pytest.approx(0, abs=1e-12)  # a constant leaves probabilities unchanged
    with pytest.raises(ValueError, match="temperature"):
        logit_loss(a, b, 0.0)


@pytest.mark.parametrize("temperature", [0.01, 4.0, 1000.0])
def test_temperatures_that_are_accepted_keep_the_gradient_in_single_precision(temperature):
    """At 1e6 the softened probabilities differ by less than single precision can hold: the gradient is 8 % off."""
    tau = DistillationConfig(temperature=temperature).temperature
    student, teacher = (graph(64, seed, 3).requires_grad_() for seed in (0, 1))
    exact, single = (
        torch.autograd.grad(logit_loss(s, teacher.to(s.dtype), tau), s)[0] for s in (student, student.float())
    )
    assert torch.isfinite(single).all()
    assert float((single - exact).norm()) <= 1e-3 * float(exact.norm())


# ------------------------------------------------------------------------------------------------------ nodes and edges
def test_edges_and_distances_agree_with_hand_worked_values():
    nodes = rows((2, 0), (0, 3), (-1, 0), (1, 1))
    half = math.sqrt(0.5)
    wanted = rows((1, 0, -1, half), (0, 1, 0, half), (-1, 0, 1, -half), (half, half, -half, 1))
    torch.testing.assert_close(edges(nodes), wanted, atol=1e-9, rtol=0)
    assert torch.equal(torch.diagonal(distances(nodes)), torch.zeros(4, dtype=F64))


def test_the_node_loss_agrees_with_hand_worked_values():
    # orthogonal directions are sqrt(2) apart, opposite ones 2, equal ones 0, whatever their lengths
    student, teacher = rows((5, 0), (1, 0), (0, 2)), rows((0, 1), (-3, 0), (0, 9))
    assert float(node_loss(student, teacher)) == pytest.approx((2 + 4 + 0) / 3, rel=1e-9)


def test_the_edge_loss_agrees_with_hand_worked_values():
    # one pair, cosine 0 against 1: two of four entries differ by 1
    assert float(edge_loss(rows((1, 0), (0, 1)), rows((1, 0), (2, 0)))) == pytest.approx(0.5, rel=1e-9)
    turned = graph(4, 3) @ torch.linalg.qr(graph(5, 4))[0]
    assert float(edge_loss(graph(4, 3), turned)) == pytest.approx(0, abs=1e-12)  # edges are invariant to rotation


def test_a_node_of_zeros_has_finite_gradients():
    nodes = torch.zeros(3, 4, dtype=F64, requires_grad=True)
    (node_loss(nodes, graph(3, 0, 4)) + edge_loss(nodes, graph(3, 0, 4)) + gw_loss(nodes, graph(3, 0, 4))).backward()
    assert nodes.grad.isfinite().all()


@pytest.mark.parametrize("loss", [node_loss, edge_loss])
def test_gradients_agree_with_finite_differences(loss):
    student = graph(4, 0).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, graph(4, 1)), student)


# -------------------------------------------------------------------------------------------------- Gromov-Wasserstein
def brute_force(ds: np.ndarray, dt: np.ndarray) -> float:
    n = len(ds)
    return min(float(((ds - dt[np.ix_(p, p)]) ** 2).sum()) / n**2 for p in permutations(range(n)))


def test_the_value_at_a_plan_is_the_double_sum():
    ds, dt = distances(graph(3, 0)), distances(graph(4, 1))
    plan = torch.rand(3, 4, generator=torch.Generator().manual_seed(2), dtype=F64)
    wanted = sum(
        (ds[i, j] - dt[k, m]) ** 2 * plan[i, k] * plan[j, m]
        for i in range(3) for j in range(3) for k in range(4) for m in range(4)
    )  # fmt: skip
    assert float(gw_value(ds, dt, plan)) == pytest.approx(float(wanted), rel=1e-12)


@pytest.mark.parametrize("mode", ["paper", "semirelaxed", "matched"])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_identical_graphs_are_at_distance_zero(n, mode):
    assert float(gw_loss(graph(n, n), graph(n, n), mode)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("mode", ["paper", "semirelaxed"])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 8])
def test_the_order_of_nodes_does_not_matter(n, mode):
    student, teacher = graph(n, n), graph(n, n + 50)
    turn = torch.randperm(n, generator=torch.Generator().manual_seed(n))
    here, there = gw_loss(student, teacher, mode), gw_loss(student[turn], teacher, mode)
    assert float(here) == pytest.approx(float(there), rel=1e-6)


@pytest.mark.parametrize("noise", [0.05, 0.3, 1.0, 5.0])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_balanced_plans_are_the_best_of_all_permutations(n, noise):
    student = graph(n, n) + noise * graph(n, n + 99)
    ds, dt = distances(student), distances(graph(n, n))
    value = float(gw_loss(student, graph(n, n), "paper"))
    assert value == pytest.approx(brute_force(ds.numpy(), dt.numpy()), abs=1e-12)


def test_two_nodes_agree_with_hand_worked_values():
    # d_S = 1 (right angle), d_T = 0.5: (1 - 0.5)^2 at both off-diagonal pairs, each with mass 1/4
    student, teacher = rows((1, 0), (0, 1)), rows((1, 0), (0.5, math.sqrt(0.75)))
    assert float(gw_loss(student, teacher, "paper")) == pytest.approx(0.125, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(2, 3), (3, 4), (3, 6), (5, 6), (2, 7), (6, 8)])
def test_a_part_of_a_graph_costs_nothing_when_the_teachers_side_is_free(n, m):
    teacher = graph(m, m)
    part = teacher[torch.randperm(m, generator=torch.Generator().manual_seed(1))[:n]]
    assert float(gw_loss(part, teacher, "semirelaxed")) == pytest.approx(0, abs=1e-10)
    assert float(gw_loss(part, teacher, "paper")) > 1e-3  # uniform marginals penalize the missing nodes


@pytest.mark.parametrize("seed", range(6))
def test_gw_is_at_most_the_edge_loss_where_nodes_are_the_same(seed):
    student, teacher = graph(5, seed), graph(5, seed + 20)
    edge = float(edge_loss(student, teacher))
    assert float(gw_loss(student, teacher, "matched")) == pytest.approx(edge, rel=1e-9)
    assert float(gw_loss(student, teacher, "paper")) <= edge + 1e-12
    assert float(gw_loss(student, teacher, "semirelaxed")) <= float(gw_loss(student, teacher, "paper")) + 1e-12


@pytest.mark.parametrize(("n", "m"), [(2, 4), (3, 2), (4, 4), (5, 3)])
def test_gw_with_a_free_teacher_is_at_most_the_edge_loss_of_every_assignment(n, m):
    """Whatever regions the student's are matched with, so the term only acts beyond what the edge term covers."""
    student, teacher = graph(n, 7), graph(m, 8)
    least = min(float(edge_loss(student, teacher[list(row)])) for row in product(range(m), repeat=n))
    assert 0 < float(gw_loss(student, teacher, "semirelaxed")) <= least + 1e-12


@pytest.mark.parametrize("mode", ["paper", "semirelaxed"])
@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 3), (5, 5), (3, 5), (5, 3), (7, 8)])
def test_the_gradient_of_the_value_agrees_with_finite_differences(n, m, mode):
    student, teacher, turn = graph(n, n).requires_grad_(), graph(m, m + 7), graph(n, 77)
    gw_loss(student, teacher, mode).backward()
    step = 1e-5
    ahead, behind = (gw_loss(student.detach() + s * turn, teacher, mode) for s in (step, -step))
    assert float((student.grad * turn).sum()) == pytest.approx(float(ahead - behind) / (2 * step), rel=2e-4, abs=1e-8)


def test_one_node_has_no_edges():
    student = graph(1, 0).requires_grad_()
    value = gw_loss(student, graph(3, 0))
    value.backward()
    assert float(value.detach()) == 0 and torch.equal(student.grad, torch.zeros_like(student))
    assert float(gw_loss(graph(3, 0), graph(1, 0))) == 0


def test_the_teacher_gets_no_gradient():
    student, teacher = graph(3, 0).requires_grad_(), graph(4, 1).requires_grad_()
    gw_loss(student, teacher).backward()
    assert teacher.grad is None and student.grad.abs().max() > 0


def test_plans_keep_their_marginals_and_two_nodes_are_not_left_at_the_product_plan():
    ds, dt = distances(graph(4, 0)), distances(graph(7, 1))
    cost = torch.rand(4, 7, dtype=F64)
    for mode in ("paper", "semirelaxed"):
        plan = plan_between(ds, dt, cost, mode)
        torch.testing.assert_close(plan.sum(dim=1), torch.full((4,), 0.25, dtype=F64))
        assert (plan >= 0).all()
    torch.testing.assert_close(plan_between(ds, dt, cost, "paper").sum(dim=0), torch.full((7,), 1 / 7, dtype=F64))
    two = distances(graph(2, 5))
    assert sorted(plan_between(two, two, torch.zeros(2, 2), "paper").flatten().tolist()) == [0, 0, 0.5, 0.5]


def test_wrong_modes_are_named():
    with pytest.raises(ValueError, match="same nodes"):
        gw_loss(graph(2, 0), graph(3, 0), "matched")
    with pytest.raises(ValueError, match="mode"):
        gw_loss(graph(2, 0), graph(3, 0), "entropic")


# --------------------------------------------------------------------------------------------------- a batch at once
@pytest.mark.parametrize("mode", ["paper", "semirelaxed"])
def test_a_batch_at_once_is_the_mean_over_its_cases(mode):
    sizes = ((2, 2), (3, 4), (1, 3), (5, 5), (4, 2), (2, 1))
    student = [graph(n, n).requires_grad_() for n, _ in sizes]
    teacher = [graph(m, m + 40) for _, m in sizes]
    matches = [torch.arange(n) % m for n, m in sizes]
    costs = [torch.cdist(unit(s.detach()), unit(t)).square() for s, t in zip(student, teacher, strict=True)]
    alone = [
        torch.stack([loss(s, t[k]) for s, t, k in zip(student, teacher, matches, strict=True)]).mean()
        for loss in (node_loss, edge_loss)
    ]
    alone.append(torch.stack([gw_loss(s, t, mode, c) for s, t, c in zip(student, teacher, costs, strict=True)]).mean())
    ours, theirs = Graphs.of(student), Graphs.of(teacher)
    padded = torch.zeros(len(sizes), 5, 5, dtype=F64)
    for b, c in enumerate(costs):
        padded[b, : c.shape[0], : c.shape[1]] = c
    together = [
        mean_node_loss(ours, theirs.matched(matches)),
        mean_edge_loss(ours, theirs.matched(matches)),
        mean_gw_loss(ours, theirs, padded, mode),
    ]
    for one, all_ in zip(alone, together, strict=True):
        assert float(all_.detach()) == pytest.approx(float(one.detach()), rel=1e-9, abs=1e-12)
        by_one, by_all = (torch.autograd.grad(x, student, retain_graph=True) for x in (one, all_))
        for a, b in zip(by_one, by_all, strict=True):
            torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize("seed", range(20))
def test_pots_descent_from_any_corner_ends_at_no_better_plan(seed):
    import ot

    draw = np.random.default_rng(seed)
    n, m = int(draw.integers(2, 5)), int(draw.integers(2, 6))
    ds, dt = distances(graph(n, seed)), distances(graph(m, seed + 100))
    corner = np.eye(m)[draw.integers(0, m, n)] / n
    args = (ds.numpy(), dt.numpy(), np.full(n, 1 / n))
    end = ot.gromov.semirelaxed_gromov_wasserstein(*args, G0=corner, symmetric=True)
    best = plan_between(ds, dt, torch.zeros(n, m), "semirelaxed")
    assert float(gw_value(ds, dt, best)) <= float(gw_value(ds, dt, torch.from_numpy(end))) + 1e-9


# ------------------------------------------------------------------------------------------------------------- methods
def test_an_unknown_method_is_refused_and_the_known_ones_are_named():
    with pytest.raises(UsageError, match="none, kd, at, .*, react-kd"):
        make_distiller("reactkd", DistillationConfig(), 4, 4)
    for name in METHODS:
        make_distiller(name, DistillationConfig(), 4, 6)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 0),
        ("temperature", 1e-3),
        ("temperature", 1e4),
        ("logits", -1),
        ("gw_mode", "cold"),
        ("width", 0),
        ("edge", float("nan")),
    ],
)
def test_wrong_settings_name_the_field(field, value):
    with pytest.raises(ValueError, match=field):
        DistillationConfig(**{field: value})
