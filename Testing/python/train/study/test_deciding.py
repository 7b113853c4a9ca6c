"""Explanations against the truth: the lesion each method names, by hand; the exact limit; and counts next to chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from REACTKDLib.core.phantom.biology_shared import draw_shared
from REACTKDLib.core.phantom.posterior import shared_posterior
from REACTKDTrainLib.data.truth import Truth
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.nodes.naming import WAYS, importance_of_nodes, named_lesions, predictor_of
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.train import Recipe, train_student, train_teacher
from REACTKDTrainLib.study.deciding import (
    CHANCE,
    LIMIT,
    deciding_limit,
    deciding_result,
    deciding_table,
    draw_deciding,
    has_known_deciding_lesion,
    whole_table,
)
from support.node_cases import shared_cases


@pytest.fixture(scope="module")
def table() -> NodeTable:
    return NodeTable.of(shared_cases(150))


def additive(batch) -> GraphOutput:
    """Attention logits are a node's second CT feature, scores are (-x, 0, x) of the first: easily computed by hand."""
    seen = batch.rows if batch.seen is None else batch.seen
    x = batch.fixed["ct"]
    attention = x[..., 1].masked_fill(~seen, -torch.inf)
    weight = torch.softmax(attention, dim=1)
    scores = torch.stack([-x[..., 0], torch.zeros_like(x[..., 0]), x[..., 0]], dim=2)
    logits = (weight[..., None] * scores).sum(dim=1)
    return GraphOutput(logits, [], scores=batch.per_case(scores), attention=batch.per_case(attention))


def test_each_method_agrees_with_hand_worked_values(table):
    """One liver with two lesions: x 0, 3 and 2, attention logits 0, 0 and ln 2: weights 1/4, 1/4 and 1/2."""
    row = int((table.rows[0].sum(dim=1) == 3).float().argmax())
    batch = table.batch(torch.tensor([row]))
    ct = torch.zeros_like(batch.fixed["ct"])
    ct[0, 1, 0], ct[0, 2, 0], ct[0, 2, 1] = 3.0, 2.0, np.log(2)
    batch = replace(batch, fixed={**batch.fixed, "ct": ct})
    worth = {way: value[0].tolist() for way, value in importance_of_nodes(additive, batch).items()}

    def poor(x: float) -> float:
        return float(torch.softmax(torch.tensor([-x, 0.0, x]).double(), dim=0)[2])

    # Contributions 3/4 and 1, up to a common factor (the largest weight); the logit of poor is 7/4.
    assert worth["contribution"] == pytest.approx([0, 1.5, 2])
    assert worth["severity"] == pytest.approx([0, 3, 4]) and worth["attention"] == pytest.approx([0.5, 0.5, 1])
    assert worth["deletion"] == pytest.approx([0, poor(1.75) - poor(4 / 3), poor(1.75) - poor(1.5)], abs=1e-6)
    assert worth["occlusion"] == pytest.approx([0, poor(1.75) - poor(1.0), poor(1.75) - poor(1.0)], abs=1e-6)
    # d logit / dx is the weight; d logit / d attention of the second is w (s - logit) = (2 - 7/4) / 2
    assert worth["gradient"] == pytest.approx([0, 0.75, 1 + np.log(2) / 8], abs=1e-6)
    named = named_lesions(additive, batch)
    assert set(named) == set(WAYS) and named["contribution"].item() == 2 and named["deletion"].item() == 1


def test_trained_heads_name_the_lesion_that_decides_more_often_than_chance(table):
    recipe = Recipe(steps=120, batch=64, modality_dropout=0.0, auxiliary=0.5)
    student, teacher = train_student(table, recipe), train_teacher(table, replace(recipe, auxiliary=0.0))
    test = NodeTable.of(shared_cases(300, seed=1))
    asked = has_known_deciding_lesion(test)
    assert asked.sum() > 100 and ((test.rows[0].sum(dim=1) > 2).numpy() >= asked).all()
    for ask in (predictor_of(student, ("ct",)), teacher):
        named = {f"it: {way}": [v.numpy()] for way, v in named_lesions(ask, test.batch()).items()}
        found = deciding_result(test, {"ct": named})["inputs"]["ct"]
        chance, own = found[CHANCE]["all"]["mean"], found["it: severity"]["all"]
        assert own["interval95"][0] > chance + 0.1, (chance, own)
        assert list(found)[0] == CHANCE and list(found)[-1] == LIMIT


def test_the_limit_is_the_exact_posterior_by_nodes():
    latents = draw_shared(np.random.default_rng(7))
    while latents.lesions != 3:
        latents = draw_shared(np.random.default_rng(int(1e6 * abs(latents.severity))))
    exact = shared_posterior(latents, ("ct",))[1]
    apart, merged = Truth(latents, torch.tensor([2, 1, 3])), Truth(latents, torch.tensor([1, 1, 2]))
    np.testing.assert_allclose(deciding_limit([apart], "ct", 5)[0], [0, exact[1], exact[0], exact[2], 0], atol=1e-9)
    np.testing.assert_allclose(deciding_limit([merged], "ct", 3)[0], [0, exact[0] + exact[1], exact[2]], atol=1e-9)
    hidden = Truth(latents, torch.tensor([0, 1, 2]))
    assert deciding_limit([hidden], "ct", 3)[0, 0] == 0


def test_the_best_guess_is_right_at_the_rate_of_the_biology():
    """61 % by CT and 72 % by all images, of 500 livers with several lesions: within two and a half standard errors."""
    rng = np.random.default_rng(0)
    drawn = [latents for latents in (draw_shared(rng) for _ in range(900)) if latents.lesions > 1][:500]
    truths = [Truth(latents, torch.arange(1, latents.lesions + 1)) for latents in drawn]
    for inputs, rate in (("ct", 0.61), ("ct+fdg+acetate", 0.72)):
        best = deciding_limit(truths, inputs, 7).argmax(axis=1)
        right = np.mean([b == truth.deciding_node for b, truth in zip(best, truths, strict=True)])
        assert right == pytest.approx(rate, abs=0.055), (inputs, right)


def test_the_limit_of_lesions_is_that_of_each_patients_heterogeneity():
    latents = [draw_shared(np.random.default_rng(n), h) for n, h in ((3, 0.6), (4, 0.2), (5, 0.6))]
    truths = [Truth(own, torch.arange(1, 1 + own.lesions)) for own in latents]
    found = deciding_limit(truths, "ct", 7)
    for row, own in zip(found, latents):
        np.testing.assert_allclose(row[1 : 1 + own.lesions], shared_posterior(own, ("ct",))[1])


def test_hits_are_counted_over_livers_and_networks_and_by_grade(table):
    truth = table.deciding.numpy()
    wrong = np.where(truth == 1, 2, 1)
    found = deciding_result(table, {"ct": {"it": [truth, wrong]}})
    asked = has_known_deciding_lesion(table)
    own = found["inputs"]["ct"]
    assert found["cases"] == asked.sum() and own["it"]["all"]["mean"] == 0.5
    counts = (table.rows[0].sum(dim=1) - 1).numpy()[asked]
    assert own[CHANCE]["all"]["mean"] == pytest.approx((1 / counts).mean())
    assert sum(own["it"][g]["cases"] for g in ("well", "moderate", "poor")) == asked.sum()
    rows = deciding_table(found, {"ct": "CT"})
    assert rows[0] == ["the lesion named", "CT"] and rows[2] == ["it", "50 % (50-50)"]
    assert whole_table(found, "ct")[2][:2] == ["it", "50 % (50-50)"] and len(whole_table(found, "ct")[0]) == 5
    figure = Figure()
    draw_deciding(figure, found, {"ct": "CT"})
    assert figure.axes[0].get_title() == "CT"
