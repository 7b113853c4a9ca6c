"""Region scores: hand-worked values, regions matched by overlap, gradients for the student only."""

from __future__ import annotations

from dataclasses import replace
from math import log
from types import SimpleNamespace

import pytest
import torch

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import make_distiller
from REACTKDTrainLib.distillation.methods.react_kd_scores import attention_loss
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.models.student_graph import fit_student_scales, student_forward
from REACTKDTrainLib.models.teacher import Teacher
from REACTKDTrainLib.models.teacher_config import TeacherConfig
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.teacher import Ensemble, targets_of
from REACTKDTrainLib.nodes.train import Recipe, graph_of, new_student, train_student, train_teacher
from support.node_cases import cases
from support.tiny_phantoms import fold_data, tiny_cases

QUICK = Recipe(steps=40, batch=16)
ONLY = DistillationConfig(graph=0.0, logits=0.0)


def output(scores, attention) -> GraphOutput:
    """The output for one case with these regions; everything else is zero."""
    scores = torch.as_tensor(scores, dtype=torch.float64)
    attention = torch.as_tensor(attention, dtype=torch.float64)
    empty = torch.zeros(1, scores.shape[1], dtype=torch.float64)
    nodes = [torch.zeros(len(scores), 4, dtype=torch.float64)]
    return GraphOutput(empty, nodes, scores=[scores], attention=[attention])


def terms(student: GraphOutput, teacher: GraphOutput, *matches: list[int], config=ONLY) -> dict[str, torch.Tensor]:
    views = [SimpleNamespace(masks=SimpleNamespace(matches=torch.tensor(m))) for m in matches]
    return make_distiller("react-kd-scores", config, 4, 4).double()(student, teacher, views)


def kl(p, q) -> float:
    return sum(a * log(a / b) for a, b in zip(p, q, strict=True))


def test_region_scores_agree_with_hand_worked_values():
    """At tau = 4 the teacher's lesions give (3/4, 1/4) and (1/2, 1/2), the student's the reverse."""
    steep, flat = [4 * log(3), 0.0], [0.0, 0.0]
    teacher = output([[9.0, 1.0], steep, flat], [log(2), log(1), log(1)])  # attention 1/2, 1/4, 1/4
    student = output([[0.0, 0.0], flat, steep], [0.0, 0.0, 0.0])  # 1/3 each
    found = terms(student, teacher, [0, 1, 2])
    p, q = (0.75, 0.25), (0.5, 0.5)
    assert found["scores"].item() == pytest.approx(16 * (kl(p, q) + kl(q, p)) / 2)  # the parenchyma is excluded
    assert found["attention"].item() == pytest.approx(kl((0.5, 0.25, 0.25), (1 / 3,) * 3))
    twice = terms(
        student, teacher, [0, 1, 2], config=DistillationConfig(graph=0.0, logits=0.0, scores=2.0, attention=0.0)
    )
    assert twice["scores"].item() == pytest.approx(2 * found["scores"].item()) and "attention" not in twice


def test_lesions_are_matched_by_overlap_and_others_give_no_loss():
    """The student's three lesions match the expert's second, no lesion, and the expert's first."""
    steep, flat, other = [4 * log(3), 0.0], [0.0, 0.0], [7.0, -7.0]
    teacher = output([flat, steep, flat], [log(2), 0.0, 0.0])
    student = output([flat, flat, other, steep], [0.0, 0.0, 5.0, 0.0])
    found = terms(student, teacher, [0, 2, 0, 1])
    assert found["scores"].item() == pytest.approx(0, abs=1e-12)
    assert found["attention"].item() == pytest.approx(kl((0.5, 0.25, 0.25), (1 / 3,) * 3))
    lonely = terms(output([flat, other], [0.0, 1.0]), teacher, [0, 0])
    assert lonely["scores"].item() == 0 and lonely["attention"].item() == pytest.approx(0, abs=1e-12)


def test_lesions_that_one_was_split_into_share_its_attention():
    teacher = torch.tensor([log(2.0), log(4.0), log(2.0)]).double()  # 1/4, 1/2, 1/4
    student = torch.tensor([1.0, 1.0, 1.0, 1.0]).double()
    matches, known = torch.tensor([0, 1, 1, 2]), torch.ones(4, dtype=torch.bool)
    found = attention_loss(student[None], teacher[None], matches[None], known[None])
    assert found.item() == pytest.approx(0, abs=1e-12)


def test_a_batch_is_the_mean_of_its_cases_however_many_regions_each_has():
    draw = torch.Generator().manual_seed(0)
    sizes, alone, rows = ((3, 2), (1, 1), (5, 4)), [], []
    for n, m in sizes:
        said, own = (
            output(torch.randn(k, 2, generator=draw).tolist(), torch.randn(k, generator=draw).tolist()) for k in (m, n)
        )
        matches = [0, *(1 + k % max(m - 1, 1) for k in range(n - 1))]
        rows.append((own, said, matches))
        alone.append(terms(own, said, matches))
    joined = [
        replace(whole[0], scores=[w.scores[0] for w in whole], attention=[w.attention[0] for w in whole])
        for whole in zip(*((own, said) for own, said, _ in rows))
    ]
    views = [SimpleNamespace(masks=SimpleNamespace(matches=torch.tensor(m))) for _, _, m in rows]
    distiller = make_distiller("react-kd-scores", DistillationConfig(graph=0.0, logits=0.0), 1, 1)
    found = distiller(*joined, views)
    for name in ("scores", "attention"):
        assert found[name].item() == pytest.approx(sum(own[name].item() for own in alone) / len(alone)), name


def test_a_lesion_hidden_from_the_head_gives_no_loss():
    steep, flat = [4 * log(3), 0.0], [0.0, 0.0]
    teacher = output([flat, steep, steep], [0.0, 0.0, 3.0])
    student = output([flat, steep, flat], [0.0, 0.0, float("-inf")])
    student.scores[0].requires_grad_(), student.attention[0].requires_grad_()
    found = terms(student, teacher, [0, 1, 2])
    assert found["scores"].item() == pytest.approx(0, abs=1e-12)
    assert found["attention"].item() == pytest.approx(0, abs=1e-12)
    sum(found.values()).backward()
    assert torch.isfinite(student.attention[0].grad).all() and not student.scores[0].grad[2].any()


def test_a_teacher_without_scores_is_refused():
    student = output([[0.0, 0.0]], [0.0])
    with pytest.raises(UsageError, match="no scores of regions"):
        terms(student, replace(student, scores=()), [0])


# ---- on node vectors
@pytest.fixture(scope="module")
def table() -> NodeTable:
    return NodeTable.of(cases(60))


@pytest.fixture(scope="module")
def teacher(table):
    return train_teacher(table, QUICK)


def test_identical_networks_have_no_loss(table):
    student = new_student(table, StudentConfig(blocks=("input", "bands", "shells"), dropout=0.0)).eval()
    whole = {m: torch.ones(len(table)) for m in student.config.modalities}
    said = graph_of(student, table.batch().for_student(student, whole))
    views = [SimpleNamespace(masks=SimpleNamespace(matches=torch.arange(len(s)))) for s in said.scores]
    found = make_distiller("react-kd-scores", DistillationConfig(graph=0.0), 48, 48)(said, said.as_targets(), views)
    assert set(found) == {"logits", "scores", "attention"}
    assert all(abs(value.item()) < 1e-6 for value in found.values())


def test_scores_and_attention_add_up_to_the_logits(table):
    """The teacher's region scores and attention compose its answer, apart from topology and null node."""
    teacher = train_teacher(table, replace(QUICK, steps=2)).eval()
    said, head = teacher(table.batch()), teacher.heads["fused"]
    decision = head.forward_nodes(head.own(table.batch()))
    for row in range(5):
        n = len(said.scores[row])
        assert torch.equal(said.scores[row], decision.scores[row, :n])
        rest = decision.baseline[row] + decision.contributions[row, -1]
        own = torch.softmax(decision.attention[row], dim=0)[:n, None] * said.scores[row]
        torch.testing.assert_close(rest + own.sum(dim=0), said.logits[row], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(said.attention[row], decision.attention[row, :n])


def test_a_student_learns_the_regions_of_its_teacher_and_the_teacher_stays(table, teacher):
    targets = targets_of(teacher, table)
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    told = []
    torch.manual_seed(0)
    distiller = make_distiller("react-kd-scores", DistillationConfig(scores=3.0), 48, teacher.hidden)
    recipe = replace(QUICK, steps=120)
    student = train_student(table, recipe, None, distiller, targets, watch=lambda step, found: told.append(found))
    assert all(torch.equal(v, before[k]) for k, v in teacher.state_dict().items())
    assert sum(t["scores"] for t in told[-20:]) < 0.5 * sum(t["scores"] for t in told[:20])

    def agreement(student: Student) -> float:
        """How often student and teacher agree on the worst lesion, in cases with several."""
        whole = {m: torch.ones(len(table)) for m in student.config.modalities}
        with torch.no_grad():
            said = graph_of(student.eval(), table.batch().for_student(student, whole))
        pairs = [(s[1:, 2], t[1:, 2]) for s, t in zip(said.scores, targets.scores, strict=True) if len(s) > 2]
        return sum(float(s.argmax() == t.argmax()) for s, t in pairs) / len(pairs)

    plain = train_student(table, recipe, None, make_distiller("kd", DistillationConfig(), 48, teacher.hidden), targets)
    assert agreement(student) > agreement(plain)


def test_an_ensemble_gives_the_mean(table, teacher):
    other = train_teacher(table, replace(QUICK, steps=10, seed=1))
    said = [targets_of(t, table) for t in (teacher, other)]
    both = targets_of(Ensemble([teacher, other]), table)
    for row in (0, 7):
        mean = (said[0].scores[row] + said[1].scores[row]) / 2
        torch.testing.assert_close(both.scores[row], mean)
        parts = [torch.log_softmax(t.attention[row], dim=0) for t in said]
        torch.testing.assert_close(both.attention[row], (parts[0] + parts[1]) / 2)


# ---- on volumes
def test_on_volumes_gradients_reach_the_student_alone(tmp_path):
    data = fold_data(tmp_path, tiny_cases(3), views=2)
    views = [data.view(n) for n in range(3)]
    torch.manual_seed(0)
    teacher = Teacher(TeacherConfig.small())
    student = Student(StudentConfig(filters=4, widths=(4, 8, 8), hidden=12))
    fit_student_scales(student, [data.light(n) for n in range(3)])
    said = teacher(views)  # with gradients: the loss itself must stop them
    assert [len(s) for s in said.scores] == [len(v.expert) for v in views] == [len(a) for a in said.attention]
    assert {b: len(s) for b, s in said.branch_scores.items()} == {"structure_function": 3, "dose": 3}
    output = student_forward(student, views, None, None, [[1], [], []])
    assert [len(s) for s in output.scores] == [len(v.masks) for v in views]
    distiller = make_distiller("react-kd-scores", DistillationConfig(), 8, teacher.config.width)
    found = distiller(output, said, views)
    (found["scores"] + found["attention"]).backward()
    assert found["scores"].item() > 0
    assert all(p.grad is None for p in teacher.parameters())
    reached = [name for name, p in student.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert any(name.startswith("encoders") for name in reached) and "head.classify.weight" in reached
    dose = distiller(student_forward(student, views), said.of_branch("dose"), views)
    assert dose["scores"].item() > 0 and dose["attention"].item() >= 0
