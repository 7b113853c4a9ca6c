"""Losses of the compared methods, against hand-worked values and finite differences."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.data.case import RegionMasks
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import check_method, make_distiller
from REACTKDTrainLib.distillation.graph import Graphs, edge_loss, node_loss, normalized
from REACTKDTrainLib.distillation.gromov_batch import plan_values, semirelaxed_plans
from REACTKDTrainLib.distillation.maps import pooled_graph, region_means, standardized
from REACTKDTrainLib.distillation.methods import METHODS
from REACTKDTrainLib.distillation.methods.at import attention, attention_loss
from REACTKDTrainLib.distillation.methods.awmt import teacher_weights
from REACTKDTrainLib.distillation.methods.cirkd import drawn_voxels, relation_loss
from REACTKDTrainLib.distillation.methods.crd import contrast, patient_number
from REACTKDTrainLib.distillation.methods.cwd import channel_loss
from REACTKDTrainLib.distillation.methods.ifvd import classes_of, variation, variation_loss
from REACTKDTrainLib.distillation.methods.mskd import filtered_loss, patch_graph_loss, patches
from REACTKDTrainLib.models.outputs import GraphOutput
from support.one_graph import gw_loss, gw_value, pot_semirelaxed

F64 = torch.float64
WIDTHS = (4, 6)
LEARNERS = sorted(set(METHODS) - {"none"}) + [f"{name}+kd" for name in ("at", "mskd", "cwd", "crd", "ifvd")]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def line(*values: float) -> Tensor:
    """A map (C = 1, 1, 1, n)."""
    return torch.tensor(values, dtype=F64).reshape(1, 1, 1, -1)


# ---- by hand
def test_attention_agrees_with_hand_worked_values():
    level = torch.stack([torch.tensor([1.0, 2.0]), torch.tensor([7.0, 4.0])]).double().reshape(2, 1, 1, 2)
    wanted = torch.tensor([25.0, 10.0], dtype=F64)  # mean of squares over channels
    torch.testing.assert_close(attention(level), wanted / wanted.norm())
    # two maps with all their energy in different voxels are orthogonal: |a - b|^2 = 2
    assert float(attention_loss(line(3, 0), line(0, 5))) == pytest.approx(2)
    assert float(attention_loss(line(3, 0), -2 * line(3, 0))) == pytest.approx(0, abs=1e-12)  # sign, scale are ignored


def test_the_channel_loss_agrees_with_hand_worked_values():
    # phi_T = (1/4, 3/4), phi_S = (1/2, 1/2): KL as in the test of logits; multiplied by tau^2, averaged over channels
    kl = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    student, teacher = line(0, 0), line(0, math.log(3))
    assert float(channel_loss(student, teacher, 1.0)) == pytest.approx(kl)
    assert float(channel_loss(student, 2 * teacher, 2.0)) == pytest.approx(4 * kl)
    both = channel_loss(torch.cat([student, teacher]), torch.cat([teacher, teacher]), 1.0)
    assert float(both) == pytest.approx(kl / 2)


def test_variation_agrees_with_hand_worked_values():
    # class 1 holds (1, 0) and (0, 1): mean (1/2, 1/2), cosine sqrt(1/2); class 0 holds its own mean
    level = torch.tensor([[1.0, 0.0, 3.0], [0.0, 1.0, 4.0]], dtype=F64).reshape(2, 1, 1, 3)
    classes = torch.tensor([1, 1, 0])
    half = math.sqrt(0.5)
    torch.testing.assert_close(variation(level, classes), torch.tensor([half, half, 1.0], dtype=F64))
    flat = torch.ones_like(level)  # no variation within the classes: V = 1 everywhere
    wanted = ((1 - half) ** 2 + 0) / 2  # the mean within each class, then over two classes
    assert float(variation_loss(level, flat, classes)) == pytest.approx(wanted)


def test_a_voxel_belongs_to_the_region_that_fills_most_of_it():
    occupancy = torch.tensor([[0.2, 0.7, 0.4], [0.2, 0.3, 0.6]], dtype=F64).reshape(2, 1, 1, 3)
    assert classes_of(occupancy).tolist() == [0, 1, 2]


def test_patches_are_means_of_cubes_and_their_graph_is_compared_with_the_losses_of_regions():
    level = torch.arange(8.0, dtype=F64).reshape(1, 2, 2, 2)
    torch.testing.assert_close(patches(level, 2), torch.tensor([[3.5]], dtype=F64))
    # two patches, student's orthogonal, teacher's parallel: edges differ by 1 in 2 of 4 entries, nodes by 0 and 2
    student = torch.zeros(2, 1, 1, 8, dtype=F64)
    teacher = torch.zeros(2, 1, 1, 8, dtype=F64)
    student[0, ..., :4], student[1, ..., 4:] = 1, 1
    teacher[0] = 1
    assert float(patch_graph_loss(student, teacher)) == pytest.approx(2 / 4 + (0 + 2) / 2)


def test_filtered_features_agree_with_hand_worked_values():
    # parenchyma in voxel 0, two lesions in voxels 1 and 2, pooled; differences 1 and (3 + 5) / 2
    occupancy = torch.eye(3, dtype=F64).reshape(3, 1, 1, 3)
    assert float(filtered_loss(line(1, 3, 5), line(0, 0, 0), occupancy)) == pytest.approx(1 + 16, rel=1e-5)


def test_a_better_teacher_weighs_more_and_an_absent_one_nothing():
    p = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.4, 0.4]], dtype=F64)
    logits = p.log()[:, None].repeat(1, 2, 1)
    there = torch.tensor([[True, True], [True, False]])
    weights = teacher_weights(logits, there, torch.tensor([0, 0]))
    torch.testing.assert_close(weights, torch.tensor([[0.8, 1.0], [0.2, 0.0]], dtype=F64))


def test_contrast_agrees_with_hand_worked_values():
    anchor = torch.tensor([[1.0, 0.0]], dtype=F64)
    others = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=F64)
    # the second of the others is the anchor's own patient and is masked out: -log(e^10 / (e^10 + e^0))
    loss = contrast(anchor, anchor, others, torch.tensor([[True, False]]))
    assert float(loss) == pytest.approx(math.log1p(math.exp(-10)))
    assert float(contrast(anchor, anchor, others, torch.tensor([[False, False]]))) == 0  # no negatives


def test_relations_agree_with_hand_worked_values():
    # one case, two voxels; teacher's similarities (1, 0), student's (1, 1): KL of softmax(1/tau, 0) from uniform
    student = [torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=F64)]
    teacher = [torch.eye(2, dtype=F64)]
    p = 1 / (1 + math.exp(-1))
    wanted = p * math.log(2 * p) + (1 - p) * math.log(2 * (1 - p))
    assert float(relation_loss(student, teacher, tau=1.0)) == pytest.approx(wanted)
    assert float(relation_loss(teacher, teacher)) == pytest.approx(0, abs=1e-12)


def test_maps_agree_with_hand_worked_values():
    level = line(1, 3, 5, 7)
    occupancy = torch.tensor([[1.0, 1.0, 0, 0], [0, 0, 0.5, 0]], dtype=F64).reshape(2, 1, 1, 4)
    torch.testing.assert_close(
        region_means(level, occupancy), torch.tensor([[2.0], [5.0]], dtype=F64), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(standardized(line(0, 2)), line(-1, 1), atol=1e-5, rtol=0)
    nodes = torch.tensor([[1.0], [2.0], [4.0]])
    assert pooled_graph(nodes).tolist() == [1, 3] and pooled_graph(nodes[:1]).tolist() == [1, 1]


# ---- whole methods
def some_view(name: str, lesions: int, grade: int, seed: int) -> View:
    shares = torch.softmax(3 * noise(lesions + 2, 8, 8, 16, seed=seed), dim=0)[1:]
    masks = RegionMasks(
        shares,
        torch.zeros(lesions, 6, 0, 0, 0),
        torch.zeros(7),
        torch.ones(lesions + 1),
        torch.arange(lesions + 1),
        torch.zeros(lesions + 1, 2),
    )
    return View(name, name, grade, 0, {}, None, masks, masks, {}, {}, None, f"key of {name}")


def batch() -> tuple[list[View], GraphOutput, GraphOutput]:
    """Three cases with 2, 1 and 3 lesions; the teacher has no PET for the last one."""
    views = [some_view(name, n, g, s) for s, (name, n, g) in enumerate([("a", 2, 0), ("b", 1, 1), ("c", 3, 2)])]
    sizes = [len(v.masks) for v in views]
    student = GraphOutput(
        noise(3, 3, seed=10),
        [noise(n, WIDTHS[0], seed=20 + n) for n in sizes],
        [noise(WIDTHS[0], 2, 2, 4, seed=30 + n) for n in sizes],
        noise(3, 5, seed=40),
        scores=[noise(n, 3, seed=80 + n) for n in sizes],
        attention=[noise(n, seed=90 + n) for n in sizes],
    )
    nodes = [noise(n, WIDTHS[1], seed=50 + n) for n in sizes]
    maps = [noise(WIDTHS[1], 2, 2, 4, seed=60 + n) for n in sizes]
    first = noise(3, 3, seed=70)
    first[2] = float("nan")
    teacher = GraphOutput(
        noise(3, 3, seed=71),
        nodes,
        maps,
        noise(3, 7, seed=73),
        {"structure_function": first, "dose": noise(3, 3, seed=72)},
        {"structure_function": [*nodes[:2], None], "dose": [n + 1 for n in nodes]},
        branch_maps={"structure_function": [*maps[:2], None], "dose": [m - 1 for m in maps]},
        scores=[noise(n, 3, seed=180 + n) for n in sizes],
        attention=[noise(n, seed=190 + n) for n in sizes],
    )
    return views, student, teacher


def total(method, student: GraphOutput, teacher: GraphOutput, views: list[View]) -> Tensor:
    terms = method(student, teacher, views)
    assert all(v.shape == () and v.isfinite() for v in terms.values())
    return torch.stack(list(terms.values())).sum()


@pytest.mark.parametrize("name", LEARNERS)
def test_gradients_agree_with_finite_differences(name):
    """For all outputs of the student, along random directions, with memory banks filled."""
    torch.manual_seed(3)
    views, student, teacher = batch()
    method = make_distiller(name, DistillationConfig(gw_mode="paper"), *WIDTHS).double()
    total(method.train(), student, teacher, views)  # fills the memory banks
    method.eval()
    leaves = [student.logits, *student.nodes, *student.maps, *student.scores, *student.attention]
    for leaf in leaves:
        leaf.requires_grad_()
    total(method, student, teacher, views).backward()
    slope = measured = 0.0
    step, reached = 1e-6, False
    values = []
    ways = [noise(*leaf.shape, seed=100 + n) for n, leaf in enumerate(leaves)]
    for sign in (1, -1):
        moved = [leaf.detach() + sign * step * way for leaf, way in zip(leaves, ways, strict=True)]
        n = len(views)
        nodes, maps, scores, attention = (moved[1 + k * n : 1 + (k + 1) * n] for k in range(4))
        output = GraphOutput(moved[0], nodes, maps, student.hidden, scores=scores, attention=attention)
        values.append(total(method, output, teacher, views).item())
    measured = (values[0] - values[1]) / (2 * step)
    for leaf, way in zip(leaves, ways, strict=True):
        if leaf.grad is not None:
            reached = True
            slope += float((leaf.grad * way).sum())
    assert reached and slope == pytest.approx(measured, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learned_method_trains_its_parameters_and_is_deterministic(name):
    views, student, teacher = batch()
    student.logits.requires_grad_()
    for level in (*student.maps, *student.nodes):
        level.requires_grad_()
    told = []
    for _ in range(2):
        torch.manual_seed(5)
        method = make_distiller(name, DistillationConfig(), *WIDTHS).double().train()
        told.append([total(method, student, teacher, views).item() for _ in range(3)])
    assert told[0] == told[1]
    total(method, student, teacher, views).backward()
    assert all(p.grad is not None for p in method.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", ["crd", "cirkd", "mtcm-kd"])
def test_memory_banks_are_part_of_the_state(name):
    """A resumed training continues with the same memory banks."""
    views, student, teacher = batch()
    torch.manual_seed(5)
    first = make_distiller(name, DistillationConfig(), *WIDTHS).double().train()
    for _ in range(2):
        total(first, student, teacher, views)
    torch.manual_seed(6)
    second = make_distiller(name, DistillationConfig(), *WIDTHS).double().train()
    second.load_state_dict(first.state_dict())
    assert total(first, student, teacher, views).item() == total(second, student, teacher, views).item()


def test_missing_maps_are_named():
    views, student, teacher = batch()
    with pytest.raises(ValueError, match="compares maps"):
        make_distiller("cwd", DistillationConfig(), *WIDTHS).double()(student, GraphOutput(teacher.logits, []), views)


def test_the_memory_of_contrast_has_one_place_for_each_patient():
    views, student, teacher = batch()
    method = make_distiller("crd", DistillationConfig(), *WIDTHS).double().train()
    for _ in range(3):
        total(method, student, teacher, views)
    assert sorted(method.owners[method.owners != 0].tolist()) == sorted(patient_number(v.patient) for v in views)
    torch.testing.assert_close(method.students[:3].norm(dim=1), torch.ones(3, dtype=F64))


def test_queues_hold_voxels_of_their_own_class():
    views, student, teacher = batch()
    method = make_distiller("cirkd", DistillationConfig(), *WIDTHS).double().train()
    total(method, student, teacher, views)
    assert method.regions_count.tolist() == [0, 3, 2, 1, 3]  # parenchyma of three cases; lesions by grade
    unit = [F.normalize(m.flatten(1).T, dim=1) for m in teacher.maps]
    for view, rows in zip(views, unit, strict=True):
        index, kind = drawn_voxels(torch.nn.functional.avg_pool3d(view.expert.occupancy[None], 4)[0], view)
        own = rows[index[kind == 2 + view.grade]]
        held = method.pixels[2 + view.grade, : int(method.pixels_count[2 + view.grade])]
        assert len(held) and all(any(torch.allclose(h, r) for r in own) for h in held)


def test_every_method_has_a_label_and_re_derived_ones_are_marked():
    labels = {name: make_distiller(name, DistillationConfig(), *WIDTHS).label for name in METHODS}
    assert all(labels.values()) and len(set(labels.values())) == len(METHODS)
    assert "re-derived" in labels["mskd"] and "re-derived" in labels["awmt"]
    assert make_distiller("at+kd", DistillationConfig(), *WIDTHS).label == "AT + KD"


def test_a_method_with_logits_of_its_own_takes_no_others():
    for name in ("cirkd+kd", "none+kd", "kd+kd", "+kd"):
        with pytest.raises(UsageError, match="choose one of"):
            check_method(name)


def test_the_command_line_module_names_every_method():
    described = (Path(__file__).parents[4] / "REACTKDTrain" / "REACTKDTrain.xml").read_text(encoding="utf-8")
    said = described.split("<name>method</name>")[1].split("</description>")[0].replace(",", " ").split()
    assert set(METHODS) <= set(said)


# ---- many graphs at once
def padded_plans(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """Padded distances of student and teacher, and the transport plans between them, for pairs of node vectors."""
    ours, theirs = Graphs.of([s for s, _ in pairs]), Graphs.of([t for _, t in pairs])
    costs = torch.cdist(ours.nodes, theirs.nodes).square()
    plans = semirelaxed_plans(ours.distances, theirs.distances, ours.rows, theirs.rows, costs)
    return ours.distances, theirs.distances, plans


@pytest.mark.parametrize(("n", "m"), [(2, 2), (2, 3), (3, 2), (3, 3), (4, 4), (3, 5), (5, 4), (5, 5)])
def test_plans_of_small_graphs_cost_no_more_than_those_of_pot(n, m):
    pairs = [(noise(n, 5, seed=100 * n + s), noise(m, 5, seed=100 * m + 50 + s)) for s in range(20)]
    ds, dt, plans = padded_plans(pairs)
    torch.testing.assert_close(plans.sum(dim=2), torch.full((20, n), 1 / n, dtype=F64))
    values = plan_values(ds, dt, plans)
    singles = [pot_semirelaxed(ds[r], dt[r], torch.zeros(n, m)) for r in range(20)]
    wanted = torch.stack([gw_value(ds[r], dt[r], plan) for r, plan in enumerate(singles)])
    assert float((values - wanted).max()) < 1e-9
    assert float(values[3]) == pytest.approx(float(gw_value(ds[3], dt[3], plans[3])), abs=1e-12)


def test_a_plan_does_not_depend_on_the_other_cases_of_a_batch():
    pairs = [(noise(n, 5, seed=n), noise(m, 5, seed=9 + m)) for n, m in ((2, 3), (6, 7), (1, 1), (4, 4))]
    together = padded_plans(pairs)[2]
    for row, (s, t) in enumerate(pairs):
        torch.testing.assert_close(together[row, : len(s), : len(t)], padded_plans([(s, t)])[2][0])
        assert float(together[row, len(s) :].abs().sum() + together[row, :, len(t) :].abs().sum()) == 0


def test_a_missing_lesion_costs_nothing_among_many_graphs():
    pairs = [(t[:-1], t) for t in (noise(n, 5, seed=n) for n in (3, 4, 5, 7))]
    assert float(plan_values(*padded_plans(pairs)).abs().max()) < 1e-12


def test_large_graphs_are_matched_better_than_by_one_start_from_features():
    pairs = [(noise(7, 16, seed=s), noise(7, 16, seed=50 + s)) for s in range(6)]
    ds, dt, plans = padded_plans(pairs)
    costs = [torch.cdist(s, t).square() for s, t in pairs]
    singles = [gw_value(ds[r], dt[r], pot_semirelaxed(ds[r], dt[r], costs[r])) for r in range(6)]
    assert float(plan_values(ds, dt, plans).mean()) < float(torch.stack(singles).mean())


@pytest.mark.parametrize("mode", ["semirelaxed", "paper"])
def test_react_kd_adds_up_the_losses_of_each_case(mode):
    """Against hand-worked losses of single graphs, whatever the sizes of the graphs in the batch."""
    views, student, teacher = batch()
    torch.manual_seed(3)
    config = DistillationConfig(gw_mode=mode)
    method = make_distiller("react-kd", config, *WIDTHS).double()
    terms = method(student, teacher, views)
    wanted = {"node": 0.0, "edge": 0.0, "gw": 0.0}
    for ours, theirs in zip(student.nodes, teacher.nodes, strict=True):
        ours, theirs = normalized(ours), normalized(theirs)
        wanted["node"] += float(node_loss(method.of_student(ours), method.of_teacher(theirs)).detach()) / 3
        wanted["edge"] += float(edge_loss(ours, theirs)) / 3
        wanted["gw"] += float(gw_loss(ours, theirs, mode)) / 3
    for name, value in wanted.items():
        assert terms[name].item() == pytest.approx(value, rel=1e-6), name
