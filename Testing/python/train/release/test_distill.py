"""Distilling a released student: choices by validation, a frozen encoder, one temperature, baselines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from REACTKDLib.core.student.config import ALL_BLOCKS, StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.data.fixed_nodes import FIXED_BLOCKS
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.train import Recipe, new_student, predict
from REACTKDTrainLib.release import distill
from REACTKDTrainLib.release.baselines import bayes_limit, hand_features, hand_logistic
from REACTKDTrainLib.release.recipe import Candidate, ReleaseRecipe
from support.node_cases import cases

QUICK = replace(
    ReleaseRecipe(),
    teachers=((40, 0.3),),
    members=2,
    candidates=(Candidate("none", 10), Candidate("react-kd", 40, 0.3)),
    shares=(0.5, 1.0),
    opened=Recipe(lr=3e-3, batch=64),
)


@pytest.fixture
def tables() -> dict[str, NodeTable]:
    size = Student(StudentConfig()).fused_size
    return {n: NodeTable.of(cases(60, seed, size)) for seed, n in enumerate(("train", "validation", "test"))}


@pytest.mark.slow
def test_the_distilled_student_keeps_its_encoder_and_learns(tables):
    torch.manual_seed(0)
    initial = new_student(tables["train"], StudentConfig()).eval()
    found = distill.distill(tables["train"], tables["validation"], initial, QUICK)
    before, after = initial.state_dict(), found.student.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before if k.startswith("encoders."))
    auc = [
        macro_auc(tables["test"].grade.numpy(), predict(s, tables["test"], ("fdg",)).numpy())
        for s in (initial, found.student)
    ]
    assert auc[1] > auc[0] + 0.1
    assert found.record["chosen"]["method"] == "react-kd" and found.undistilled is not found.student
    assert len(found.record["tried"]) == 5 and found.record["teacher"]["members"] == 2


def test_adding_an_encoder_does_not_change_the_baseline(tables):
    """Before the head is tuned, the weights of its encoder input are zero."""
    recipe = replace(QUICK, opened=Recipe(steps=1, lr=1e-12, weight_decay=0.0, modality_dropout=0.0))
    base = new_student(tables["train"], StudentConfig(blocks=FIXED_BLOCKS)).eval()
    encoder = Student(StudentConfig(blocks=ALL_BLOCKS)).state_dict()
    joined = distill.with_encoder(base, encoder, tables["train"], recipe)
    for subset in (("ct",), ("fdg", "acetate")):
        assert torch.allclose(predict(joined, tables["test"], subset), predict(base, tables["test"], subset), atol=1e-5)
    own = joined.state_dict()
    assert all(torch.equal(v, own[k]) for k, v in encoder.items() if k.startswith("encoders."))


def test_an_encoder_ships_if_it_adds_enough(tables):
    """The encoder moments determine the grade where FDG is given; with CT alone they carry no information."""
    base = new_student(tables["train"], StudentConfig(blocks=FIXED_BLOCKS)).eval()
    encoder = Student(StudentConfig(blocks=ALL_BLOCKS)).state_dict()
    recipe = replace(QUICK, opened=Recipe(lr=3e-3, batch=64, steps=30), draws=100)
    found = distill.encoder_gain(base, encoder, tables["train"], tables["validation"], recipe)
    assert not found["ships"] and found["least"] == 0.01 and found["cases"] == 60
    telling = {
        part: replace(t, fused={s: t.fused["fdg"] if s == "ct" else v for s, v in t.fused.items()})
        for part, t in tables.items()
    }
    found = distill.encoder_gain(base, encoder, telling["train"], telling["validation"], recipe)
    assert found["ships"] and found["interval95"][0] > 0 and found["difference"] > 0.1


def test_limits_and_hand_features():
    train, test = NodeTable.of(cases(400)), NodeTable.of(cases(100, seed=2))
    assert np.allclose(bayes_limit(test, ("ct",)).sum(axis=1), 1)
    assert hand_features(test, ("ct",)).shape[0] == 100
    assert macro_auc(test.grade.numpy(), hand_logistic(train, test, ("fdg",))) > 0.8


def test_one_temperature_serves_every_subset_of_inputs(tables):
    torch.manual_seed(0)
    student = new_student(tables["train"], StudentConfig()).eval()
    before = [predict(student, tables["test"], s) for s in (("ct",), ("ct", "fdg", "acetate"))]
    t = distill.calibrate(student, tables["validation"])
    assert 0.3 <= t <= 3.0
    for p, q in zip(
        before, [predict(student, tables["test"], s) for s in (("ct",), ("ct", "fdg", "acetate"))], strict=True
    ):
        want = torch.softmax(torch.log(p) / t, dim=1)
        assert torch.allclose(q, want, atol=1e-5)


def test_a_blend_lies_between_its_two_ends():
    torch.manual_seed(0)
    one, other = (Student(StudentConfig()) for _ in range(2))
    half = distill.blended(one, other, 0.5)
    name = "head.classify.weight"
    want = (one.state_dict()[name] + other.state_dict()[name]) / 2
    assert torch.allclose(half.state_dict()[name], want)
    for share, end in ((0.0, one), (1.0, other)):
        blend = distill.blended(one, other, share).state_dict()
        assert all(torch.allclose(v, blend[k]) for k, v in end.state_dict().items())
