"""The exact posterior as a target: its value for each set of images, its loss by hand, and learning from it."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from REACTKDLib.core.modality import MODALITIES
from REACTKDTrainLib.data.limits import limit_of
from REACTKDTrainLib.nodes.posterior import PosteriorTargets
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.train import Recipe, _grade_terms, predict, train_student, train_teacher
from support.node_cases import shared_cases


@pytest.fixture(scope="module")
def table() -> NodeTable:
    return NodeTable.of(shared_cases(160, seed=3))


def test_each_case_has_the_limit_of_the_images_that_it_shows(table):
    targets = PosteriorTargets.of(table, MODALITIES)
    index = torch.tensor([5, 0, 5])
    for subset in (s for n in (1, 2, 3) for s in combinations(MODALITIES, n)):
        expected = limit_of([table.latents[n] for n in index], "+".join(subset))
        presence = {m: torch.full((3,), float(m in subset)) for m in MODALITIES}
        np.testing.assert_allclose(targets.given(index, presence), expected, atol=1e-6)
        np.testing.assert_allclose(targets.all_given(index, subset[::-1]), expected, atol=1e-6)
    mixed = {m: torch.tensor([1.0, 0.0, float(m == "ct")]) for m in MODALITIES} | {"fdg": torch.tensor([1.0, 1.0, 0.0])}
    found = targets.given(index, mixed)
    for row, subset in enumerate((MODALITIES, ("fdg",), ("ct",))):
        assert torch.equal(found[row], targets.all_given(index[row : row + 1], subset)[0])
    assert targets.of_subset[0].isnan().all()  # there is no posterior without images


def test_grades_follow_the_posterior_on_average():
    """Calibration: its mean over many phantoms is the frequency of each grade, whatever images are given."""
    targets = PosteriorTargets.of(NodeTable.of(shared_cases(1500, seed=8)), MODALITIES).of_subset[1:]
    shares = torch.bincount(torch.tensor([c.grade for c in shared_cases(1500, seed=8)]), minlength=3) / 1500
    assert (targets.mean(dim=1) - shares).abs().max() < 0.03  # 2.5 standard errors of a frequency


def test_the_loss_is_cross_entropy_by_hand():
    logits, grade = torch.tensor([[0.0, math.log(2), 0.0]]), torch.tensor([1])  # p = 1/4, 1/2, 1/4
    wanted = torch.tensor([[0.5, 0.5, 0.0]])
    entropy = -(0.5 * math.log(0.25) + 0.5 * math.log(0.5))
    focal = -(0.5**2) * math.log(0.5)
    only = _grade_terms(logits, grade, wanted, Recipe(posterior=1.0))
    assert list(only) == ["posterior"] and float(only["posterior"]) == pytest.approx(entropy)
    both = _grade_terms(logits, grade, wanted, Recipe(posterior=0.25))
    assert float(both["posterior"]) == pytest.approx(0.25 * entropy)
    assert float(both["focal"]) == pytest.approx(0.75 * focal)
    assert {k: float(v) for k, v in _grade_terms(logits, grade, None, Recipe()).items()} == {
        "focal": pytest.approx(focal)
    }


def test_patients_have_no_exact_posterior(table):
    patients = replace(table, truth=(None,) * len(table))
    for train in (train_student, train_teacher):
        with pytest.raises(ValueError, match="only digital phantoms have an exact posterior"):
            train(patients, Recipe(steps=1, posterior=1.0))


def test_a_student_comes_nearer_to_the_posterior_than_by_grades(table):
    """On unseen cases, with the same number of steps."""
    unseen = NodeTable.of(shared_cases(200, seed=4))
    wanted = torch.from_numpy(limit_of(unseen.latents, "ct"))
    far = {}
    for share in (0.0, 1.0):
        recipe = Recipe(steps=120, modality_dropout=0.0, gamma=0.0, posterior=share)
        found = predict(train_student(table, recipe), unseen, ("ct",))
        far[share] = float((wanted * (wanted.clamp_min(1e-9) / found).log()).sum(dim=1).mean())
    assert far[1.0] < 0.8 * far[0.0], far


def test_teachers_learn_the_posterior_too(table):
    unseen = NodeTable.of(shared_cases(200, seed=4))
    wanted = torch.from_numpy(limit_of(unseen.latents, "+".join(MODALITIES)))
    far = {}
    for share in (0.0, 1.0):
        teacher = train_teacher(table, Recipe(steps=120, gamma=0.0, posterior=share))
        with torch.no_grad():
            found = torch.softmax(teacher(unseen.batch()).logits.double(), dim=1)
        far[share] = float((wanted * (wanted.clamp_min(1e-9) / found).log()).sum(dim=1).mean())
    assert far[1.0] < far[0.0], far
