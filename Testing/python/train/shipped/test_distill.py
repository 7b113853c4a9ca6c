"""Distilling the shipped student: choices by validation, an encoder that stays, measures beside every rung."""

from __future__ import annotations

import json

import pytest
import torch

from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.train import new_student, predict
from REACTKDTrainLib.release import distill, ship
from REACTKDTrainLib.release.ship import save
from support.node_cases import cases


@pytest.fixture
def tables(monkeypatch) -> dict[str, NodeTable]:
    monkeypatch.setattr(distill, "TEACHERS", ((40, 0.3),))
    monkeypatch.setattr(distill, "STUDENTS", (("none", 0.0, 3e-3, 10), ("react-kd", 0.3, 3e-3, 40)))
    monkeypatch.setattr(distill, "_MEMBERS", 2)
    monkeypatch.setattr(distill, "SHARES", (0.5, 1.0))
    monkeypatch.setattr(distill, "_RUNG_STEPS", (5,))
    monkeypatch.setattr(ship, "_DRAWS", 20)
    size = Student(StudentConfig()).fused_size
    return {n: NodeTable.of(cases(60, seed, size)) for seed, n in enumerate(("train", "validation", "test"))}


@pytest.mark.slow
def test_the_distilled_student_keeps_its_encoder_and_learns(tables):
    torch.manual_seed(0)
    initial = new_student(tables["train"], StudentConfig()).eval()
    student, others, told = distill.distilled(tables["train"], tables["validation"], initial)
    before, after = initial.state_dict(), student.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before if k.startswith("encoders."))
    auc = [
        macro_auc(tables["test"].grade.numpy(), predict(s, tables["test"], ("fdg",)).numpy())
        for s in (initial, student)
    ]
    assert auc[1] > auc[0] + 0.1
    assert others["before distillation"] is initial and told["chosen"]["method"] == "react-kd"
    assert len(told["tried"]) == 5 and told["teacher"]["members"] == 2


def test_one_temperature_serves_every_subset_of_inputs(tables):
    torch.manual_seed(0)
    student = new_student(tables["train"], StudentConfig()).eval()
    before = [predict(student, tables["test"], s) for s in (("ct",), ("ct", "fdg", "acetate"))]
    t = distill.calibrated(student, tables["validation"])
    assert 0.3 <= t <= 3.0
    for p, q in zip(
        before, [predict(student, tables["test"], s) for s in (("ct",), ("ct", "fdg", "acetate"))], strict=True
    ):
        want = torch.softmax(torch.log(p) / t, dim=1)
        assert torch.allclose(q, want, atol=1e-5)


def test_a_blend_lies_between_its_two_ends(tables):
    torch.manual_seed(0)
    one, other = (Student(StudentConfig()) for _ in range(2))
    half = distill.blended(one, other, 0.5)
    name = "head.classify.weight"
    want = (one.state_dict()[name] + other.state_dict()[name]) / 2
    assert torch.allclose(half.state_dict()[name], want)
    for share, end in ((0.0, one), (1.0, other)):
        blend = distill.blended(one, other, share).state_dict()
        assert all(torch.allclose(v, blend[k]) for k, v in end.state_dict().items())


@pytest.mark.slow
def test_the_command_writes_a_bundle_that_says_how_it_was_made(tables, tmp_path, monkeypatch):
    torch.manual_seed(0)
    training = {"how": "on node vectors", "cohort": "of the test", "cases": 60, "encoder_cases": 0}
    save(tmp_path / "initial", new_student(tables["train"], StudentConfig()), training, {})
    monkeypatch.setattr(distill, "load", lambda store, seeds, made_only: tables[seeds])
    monkeypatch.setattr(distill, "seeds_of", str)
    distill.main(
        ["--nodes", str(tmp_path), "--initial", str(tmp_path / "initial"), "--output", str(tmp_path / "new")]
        + ["--train", "train", "--validation", "validation", "--test", "test"]
    )
    bundle = Bundle.load(tmp_path / "new")
    assert bundle.info["version"] == "1.1.0" and "distilled from an ensemble" in bundle.info["training"]["how"]
    assert bundle.info["training"]["distillation"]["chosen"]["graph"] == 0.3
    for subset in bundle.info["evaluation"]["subsets"].values():
        assert {"student", "before distillation", "tuned without a teacher", "Bayes limit"} <= set(subset)
    assert (
        json.loads((tmp_path / "new" / "configs" / "metadata.json").read_text())["reactkd"]["evaluation"]["cases"] == 60
    )
