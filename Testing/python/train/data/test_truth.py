"""Known latents of a phantom's lesions: by node, stored with its vectors, and what students regress of them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.masks.regions import regions_of
from REACTKDLib.core.phantom.biology_shared import SHOWN, LesionLatents, SharedLatents, draw_shared
from REACTKDLib.core.phantom.posterior import shared_posterior
from REACTKDTrainLib.cohorts.base import CENTERS
from REACTKDTrainLib.cohorts.phantom import phantom_case
from REACTKDTrainLib.data.limits import limit_of
from REACTKDTrainLib.data.truth import COLUMNS, Truth, lesion_nodes_of, units_of
from REACTKDTrainLib.distillation.auxiliary import LatentReadout, LatentRegression, visible
from REACTKDTrainLib.nodes.node_store import NodeStore
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.train import Recipe, train_student
from REACTKDTrainLib.release.baselines import bayes_limit
from support.node_cases import cases, shared_cases


def lesion(t: float) -> LesionLatents:
    return LesionLatents(t, *(100 * t + n for n in range(len(SHOWN))))


def patient(*levels: float) -> SharedLatents:
    return SharedLatents(0.6, 0.0, tuple(map(lesion, levels)), 3.5)


def test_a_node_has_the_latents_of_the_single_lesion_it_covers():
    truth = Truth(patient(0.5, -1.0, 2.0, 0.1), torch.tensor([2, 1, 3, 3]))
    nodes = truth.of_nodes(5)
    assert nodes.shape == (5, 9) and list(COLUMNS["shared"]) == ["t", *SHOWN]
    assert torch.equal(nodes[1], torch.tensor([-1.0, *(-100.0 + n for n in range(8))]))
    assert nodes[2, 0] == 0.5 and nodes[[0, 3, 4]].isnan().all()  # parenchyma, a merged lesion, not a lesion
    assert truth.deciding_node == 3 and truth.known
    assert Truth(patient(0.5, 0.7), torch.tensor([1, 0])).deciding_node == 0  # no node covers the deciding lesion
    assert not Truth(patient(0.5)).known and Truth(patient(0.5)).of_nodes(2).isnan().all()
    old = Truth(tuple(range(10)))
    assert old.of_nodes(3).tolist() == [list(range(10))] * 3 and old.deciding_node == 0
    mean, scale = units_of([patient(1.0, 3.0), patient(5.0)])
    assert mean[0] == 3 and scale[0] == 2 and mean[1] == 300 and scale[1] == 200


def test_units_need_at_least_two_cases():
    """The spread of a single value is unknown: it used to be NaN, and so was everything learned from it."""
    for latents, what in (([patient(1.0)], "lesion"), ([patient()], "lesion"), ([tuple(range(10))], "patient")):
        with pytest.raises(UsageError, match=f"spread of the latents .* fewer than two {what}s; .*loss.auxiliary to 0"):
            units_of(latents)
    mean, scale = units_of([patient(1.0), patient(1.0)])
    assert mean[0] == 1 and scale[0] > 0 and scale.isfinite().all()


def test_the_lesions_of_a_phantom_are_matched_to_its_masks_and_stored_with_its_vectors(tmp_path):
    case = next(c for n in range(20) if len((c := phantom_case("large", n, "tiny")).truth["shared"].each) == 3)
    opened = case.load()
    expert = regions_of(opened)
    nodes = lesion_nodes_of(opened, expert)
    assert nodes.shape == (3,) and nodes.max() <= len(expert.lesions)
    for node, center in zip(nodes, opened.derived[CENTERS], strict=True):
        if node:
            away = [np.linalg.norm(np.subtract(r.centroid_ras, center)) for r in expert.lesions]
            assert away[node - 1] < 15 and (away[node - 1] == min(away) or (nodes == node).sum() > 1)
    opened.derived[CENTERS] = np.array([[1e4, 0, 0], expert.regions[0].centroid_ras, [0, 0, 1e4]])
    outside = lesion_nodes_of(opened, expert)
    assert outside[0] == outside[2] == 0
    kept = NodeStore.without_encoder(tmp_path, "tiny", 1).get(case)
    assert kept.truth.lesion_nodes.tolist() == nodes.tolist() and kept.truth.latents == case.truth["shared"]
    assert lesion_nodes_of(replace(opened), expert) is None  # another case, whose lesions are unknown


def test_images_show_their_own_latents():
    presence = {"ct": torch.tensor([1.0, 0, 0]), "fdg": torch.tensor([0.0, 1, 0]), "acetate": torch.tensor([0.0, 0, 1])}
    names = np.array(list(COLUMNS["shared"]))
    shown = [set(names[row]) for row in visible(presence, "shared").numpy()]
    assert shown == [{"t", *list(SHOWN)[:5]}, {"t", "ln_fdg_ratio", "ln_fdg_rim"}, {"t", "ln_acetate_ratio"}]
    old = np.array(list(COLUMNS["independent"]))
    assert set(old[visible(presence, "independent").numpy()[1]]) == {"ln_fdg_ratio", "ln_fdg_rim", "ln_diameter_mm"}


def readout_of(hidden: int = 1) -> LatentReadout:
    readout = LatentReadout(hidden, [patient(-1.0, 1.0)])
    torch.nn.init.ones_(readout.readout.weight)
    torch.nn.init.zeros_(readout.readout.bias)
    return readout


def test_the_error_covers_only_known_and_shown_latents():
    """t: mean 0, sd sqrt 2. The first lesion's error is 2 - 1; the second's t is unknown and its contrast is hidden."""
    readout = readout_of()
    h = torch.tensor([[2.0], [5.0]], requires_grad=True)
    wanted = torch.full((2, 9), float("nan"))
    wanted[0, 0], wanted[1, 1] = 2**0.5, 7.0
    shown = torch.zeros(2, 9, dtype=torch.bool)
    shown[:, 0] = True
    loss = readout.loss(h, wanted, shown)
    loss.backward()
    assert loss.item() == pytest.approx(1.0) and h.grad.tolist() == [[pytest.approx(2.0)], [0.0]]
    nothing = readout.loss(h, torch.full((2, 9), float("nan")), shown)
    assert nothing.item() == 0


def test_on_views_lesions_get_the_latents_of_the_overlapping_expert_lesions():
    term = LatentRegression(1, [SimpleNamespace(truth={"shared": patient(-1.0, 1.0)})])
    torch.nn.init.ones_(term.readout.weight)
    torch.nn.init.zeros_(term.readout.bias)
    expert = SimpleNamespace(volumes_ml=torch.ones(3))
    truth = Truth(patient(2**0.5, 0.0), torch.tensor([1, 2]))

    def view(*matches: int) -> SimpleNamespace:
        return SimpleNamespace(truth=truth, expert=expert, masks=SimpleNamespace(matches=torch.tensor([0, *matches])))

    h = [torch.tensor([[9.0], [3.0], [9.0]]), torch.tensor([[9.0]])]
    output = SimpleNamespace(embeddings=h)
    # Acetate alone shows t and its own ratio, whose scale is 100 times that of t with mean 7: both errors are one unit.
    presence = {"ct": torch.zeros(2), "fdg": torch.zeros(2), "acetate": torch.ones(2)}
    loss = term(output, [view(1, 0), view()], presence)
    assert loss.item() == pytest.approx(0.5 * (3 - 1) ** 2)  # the second lesion overlaps none, the second case has none
    for wrong, says in (
        ([SimpleNamespace(truth=None)], "Only digital phantoms"),
        ([SimpleNamespace(truth={"shared": patient(1.0)}), SimpleNamespace(truth={"latents": [0.0] * 10})], "two biol"),
    ):
        with pytest.raises(UsageError, match=says):
            LatentRegression(1, wrong)


def test_tables_hold_the_latents_of_each_node_and_heads_learn_them():
    table = NodeTable.of(shared_cases())
    assert table.node_truth.shape == (40, table.rows.shape[2], 9) and table.node_truth[:, 0].isnan().all()
    row = int(table.rows[0].sum(dim=1).argmax())
    own = table.truth[row].latents
    assert table.node_truth[row, 1, 0] == pytest.approx(own.each[0].t)
    assert table.deciding[row] == 1 + own.deciding and table.pick([row]).deciding.tolist() == [1 + own.deciding]
    said: list[float] = []
    recipe = Recipe(steps=60, batch=32, auxiliary=1.0, modality_dropout=0.0)
    train_student(table, recipe, watch=lambda step, terms: said.append(terms["latents"]))
    assert np.isfinite(said).all() and np.mean(said[-5:]) < 0.9 * said[0]
    nobody = [replace(case, truth=Truth(case.truth.latents)) for case in shared_cases(8)]
    with pytest.raises(ValueError, match="whose lesions are known"):
        train_student(NodeTable.of(nobody), recipe)
    with pytest.raises(ValueError, match="one biology"):
        _ = NodeTable.of([*shared_cases(2), *cases(2)]).node_truth


def test_the_limit_of_a_table_is_its_phantoms_posterior():
    table = NodeTable.of(shared_cases(6))
    expected = [shared_posterior(truth.latents, ("ct",))[0] for truth in table.truth]
    np.testing.assert_allclose(bayes_limit(table, ("ct",)), expected)
    assert not np.allclose(bayes_limit(table, ("fdg",)), bayes_limit(table, ("fdg",), masks=True))


def test_the_limit_of_each_patient_is_that_of_its_own_heterogeneity():
    latents = [draw_shared(np.random.default_rng(n), h) for n, h in enumerate([0.6, 0.2, 0.0, 0.6, 1.0])]
    expected = [shared_posterior(one, ("ct",))[0] for one in latents]
    np.testing.assert_allclose(limit_of(latents, "ct"), expected)
