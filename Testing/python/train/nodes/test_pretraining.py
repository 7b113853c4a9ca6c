"""Pretraining on cases without a grade: what is learned, which normalization is kept, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from REACTKDLib.core.modality import MODALITIES
from REACTKDLib.core.phantom.biology_shared import draw_shared
from REACTKDTrainLib.data.truth import Truth
from REACTKDTrainLib.nodes.pretrain import fitted_to, pretrained_student
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.train import Recipe, presence_of, train_student
from support.node_cases import cases

RECIPE = Recipe(steps=60, batch=32, lr=1e-2)


def without_grades(n: int, seed: int = 0) -> list:
    """Phantoms of the shared biology with CT only, in which a CT column shows the lesions' t."""
    out = []
    for number, case in enumerate(cases(n, seed)):
        nodes = len(case.regions[0])
        latents = draw_shared(np.random.default_rng([seed, number]))
        latents = replace(latents, each=(latents.each * nodes)[: nodes - 1])
        known = Truth(latents, torch.arange(1, nodes))
        regions = []
        for own in case.regions:
            ct = own.fixed["ct"].clone()
            ct[1:, 0] = torch.tensor([lesion.t for lesion in latents.each])
            regions.append(replace(own, fixed={"ct": ct}))
        out.append(replace(case, grade=None, regions=tuple(regions), truth=known))
    return out


def told(student, table: NodeTable) -> float:
    """The fraction of the variance of t that lesion embeddings explain: least squares, tested on the other half."""
    batch = table.batch().for_student(student, presence_of(student, ("ct",), len(table)))
    with torch.no_grad():
        wanted, rows = table.lesions_of(torch.arange(len(table)), batch)
        x = student.embed(batch)[rows]
    x, y = torch.cat([x, torch.ones(len(x), 1)], dim=1), wanted[:, :1]
    half = len(x) // 2
    weights = torch.linalg.lstsq(x[:half], y[:half]).solution
    return 1 - float((y[half:] - x[half:] @ weights).square().mean() / y[half:].var())


def test_embeddings_predict_latents_and_no_grade_is_needed():
    table = NodeTable.of(without_grades(200), graded=False)
    assert table.grade.tolist() == [-1] * 200
    student = pretrained_student(table, RECIPE)
    other = NodeTable.of(without_grades(200, seed=1), graded=False)
    assert told(student, other) > 0.9
    graded = replace(table, grade=torch.zeros(200, dtype=torch.int64))
    again = pretrained_student(graded, RECIPE).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in student.state_dict().items())


def test_constants_of_pretrained_images_are_kept_and_the_others_are_those_of_the_training_cases():
    student = pretrained_student(NodeTable.of(without_grades(40), graded=False), RECIPE)
    table = NodeTable.of(cases(60, seed=3))
    fitted = fitted_to(student, table, seen=("ct",))
    assert torch.equal(fitted.fixed_scale["ct"].mean, student.fixed_scale["ct"].mean)
    assert not torch.equal(fitted.fixed_scale["fdg"].mean, student.fixed_scale["fdg"].mean)
    assert not torch.equal(fitted.topology_scale.mean, student.topology_scale.mean)
    for name, value in fitted.named_parameters():
        assert torch.equal(value, student.state_dict()[name])
    before = {name: value.clone() for name, value in fitted.state_dict().items()}
    trained = train_student(table, Recipe(steps=3, batch=16), initial=fitted)
    assert all(torch.equal(value, before[name]) for name, value in fitted.state_dict().items())
    assert torch.equal(trained.fixed_scale["ct"].mean, fitted.fixed_scale["ct"].mean)


def test_patients_and_missing_images_are_refused():
    patients = [replace(case, truth=None) for case in without_grades(4)]
    with pytest.raises(ValueError, match="only digital phantoms"):
        pretrained_student(NodeTable.of(patients, graded=False), RECIPE)
    with pytest.raises(ValueError, match="without a grade"):
        NodeTable.of(without_grades(4))
    ct_only = NodeTable.of(without_grades(4), graded=False)
    student = pretrained_student(ct_only, replace(RECIPE, steps=1, batch=2))
    with pytest.raises(ValueError, match="have no fdg"):
        ct_only.batch().for_student(student, dict.fromkeys(MODALITIES, torch.ones(4)))
