"""Heads trained on node tables: they learn the signal, graphs teach, and the same call gives the same bits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.data.fixed_nodes import FIXED_BLOCKS
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import make_distiller
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.models.node_batches import teacher_heads
from REACTKDTrainLib.models.teacher import Teacher
from REACTKDTrainLib.models.teacher_config import TeacherConfig
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.teacher import Ensemble, NodeTeacher, targets_of
from REACTKDTrainLib.nodes.train import Recipe, new_student, predict, train_student, train_teacher
from support.node_cases import cases, view_of

QUICK = Recipe(steps=150, batch=32)
ALL = ("ct", "fdg", "acetate")


@pytest.fixture(scope="module")
def table() -> NodeTable:
    return NodeTable.of(cases())


@pytest.fixture(scope="module")
def teacher(table) -> NodeTeacher:
    return train_teacher(table, QUICK)


def auc(student, table, subset, variant=0) -> float:
    return macro_auc(table.grade.numpy(), predict(student, table, subset, variant).numpy())


def test_a_table_has_the_content_of_its_cases():
    own = cases(9)
    table = NodeTable.of(own)
    assert len(table) == 9 and table.variants == 2
    for row, case in enumerate(own):
        for variant, regions in enumerate(case.regions):
            assert int(table.rows[variant, row].sum()) == len(regions)
            assert torch.equal(table.fixed["fdg"][variant, row, : len(regions)], regions.fixed["fdg"])
            assert not table.fixed["fdg"][variant, row, len(regions) :].any()
    by_mask = table.pick([n in (1, 4) for n in range(len(table))])  # a mask used to be read as the indices 0 and 1
    assert by_mask.ids == table.pick([1, 4]).ids
    some = table.pick([4, 1])
    assert some.ids == ("case-4", "case-1") and torch.equal(some.fixed["ct"][:, 0], table.fixed["ct"][:, 4])


@pytest.mark.parametrize(
    "wrong, says",
    [
        (lambda own: [], "at least one"),
        (lambda own: [replace(own[0], grade=None)], "without a grade"),
        (lambda own: [own[0], replace(own[1], regions=own[1].regions[:1])], "the same images"),
    ],
)
def test_cases_that_do_not_fit_one_table_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        NodeTable.of(wrong(cases(3)))


def test_a_student_learns_from_the_present_images(table):
    test = NodeTable.of(cases(300, seed=1))
    student = train_student(table, QUICK)
    assert auc(student, test, ALL) > 0.8
    assert 0.5 < auc(student, test, ("ct",)) < auc(student, test, ("fdg",)) - 0.05


def test_a_teacher_learns_from_other_annotators_masks_and_from_fewer_lesions(table):
    """The annotator's masks here carry no information on the grade: a teacher that sees only these learns nothing."""
    blank = {m: torch.cat([x[:1], torch.zeros_like(x[1:])]) for m, x in table.fixed.items()}
    rows = torch.cat([table.rows[:1], table.rows[1:] & (torch.arange(table.rows.shape[2]) < 2)])
    topology = torch.cat([table.topology[:1], torch.zeros_like(table.topology[1:])])
    blind = replace(table, fixed=blank, rows=rows, topology=topology)
    test = NodeTable.of(cases(300, seed=1))

    def auc_of(**changes) -> float:
        said = targets_of(train_teacher(blind, replace(QUICK, **changes)), test)
        return macro_auc(test.grade.numpy(), torch.softmax(said.logits.double(), dim=1).numpy())

    seeing, blinded = auc_of(expert=1.0), auc_of(expert=0.0)
    assert seeing > 0.65 and abs(blinded - 0.5) < 0.12, (seeing, blinded)
    whole, fewer = (train_teacher(table, replace(QUICK, steps=5, node_dropout=d)) for d in (0.0, 0.9))
    assert not torch.equal(targets_of(whole, test).logits, targets_of(fewer, test).logits)


def test_the_same_call_gives_the_same_bits_and_keeps_the_random_state(table):
    before = torch.get_rng_state()
    first, again = (train_student(table, replace(QUICK, steps=20)) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    other = train_student(table, replace(QUICK, steps=20, seed=1))
    assert not torch.equal(first.head.bias, other.head.bias)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["kd", "react-kd"])
def test_a_student_learns_from_its_teacher_alone(table, teacher, method):
    """Without the focal loss (class weights of 0), the student learns only from the teacher."""
    targets = targets_of(teacher, table)
    distiller = make_distiller(method, DistillationConfig(width=16), 48, teacher.hidden)
    recipe = replace(QUICK, class_weights=(0.0, 0.0, 0.0))
    student = train_student(table, recipe, None, distiller, targets)
    assert auc(student, NodeTable.of(cases(300, seed=1)), ALL) > 0.75


@pytest.mark.slow
def test_graphs_pull_the_students_nodes_to_the_teachers(table, teacher):
    targets = targets_of(teacher, table)
    losses: dict[float, list[float]] = {}
    for weight in (0.0, 3.0):
        config = DistillationConfig(width=16, graph=1.0, node=max(weight, 1e-6), edge=weight, gw=weight)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            distiller = make_distiller("react-kd", config, 48, teacher.hidden)
        told: list[dict] = []

        def watch(step, terms, told=told):
            told.append(terms)

        train_student(table, replace(QUICK, steps=80), None, distiller, targets, watch=watch)
        losses[weight] = [terms["node"] / max(weight, 1e-6) for terms in told]
    assert sum(losses[3.0][-10:]) < 0.6 * sum(losses[0.0][-10:])


def test_the_teacher_stays_as_it_was(table, teacher):
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    distiller = make_distiller("react-kd", DistillationConfig(width=16), 48, teacher.hidden)
    train_student(table, replace(QUICK, steps=10), None, distiller, targets_of(teacher, table))
    assert all(torch.equal(v, before[k]) for k, v in teacher.state_dict().items())


def test_teachers_are_the_heads_of_the_whole_teacher():
    """The same weights on the same vectors give the same logits as `Teacher` without its encoders."""
    own = cases(7)
    table = NodeTable.of(own)
    torch.manual_seed(0)
    whole = Teacher(replace(TeacherConfig.small(), blocks=FIXED_BLOCKS)).eval()
    teacher = NodeTeacher(whole.config.hidden).eval()
    for name, head in teacher.heads.items():
        given = {k: v for k, v in whole.heads[name].state_dict().items() if not k.startswith("map_in")}
        if name == "dose":
            given = {k.replace("fixed_in.dose", "fixed_in.ct").replace("fixed_scale.dose", "fixed_scale.ct"): v for k, v in given.items()}  # fmt: skip  # noqa: E501
        if name == "fused":  # the whole teacher adds the dose branch's CT to the fused head; here it is zeroed
            given = {k: v for k, v in given.items() if ".dose" not in k}
            torch.nn.init.zeros_(whole.heads[name].fixed_in["dose"].weight)
            torch.nn.init.zeros_(whole.heads[name].fixed_in["dose"].bias)
        missing = head.load_state_dict(given, strict=False).missing_keys
        assert all(k.startswith("map_in") for k in missing)
    views = [view_of(case) for case in own]
    with torch.no_grad():
        want = teacher_heads(whole, views, [0] * len(views))
        got = teacher(table.batch())
    assert torch.allclose(got.logits, want.logits, atol=1e-5)
    for branch, logits in want.branch_logits.items():
        assert torch.allclose(got.branch_logits[branch], logits, atol=1e-5)


def test_an_ensemble_is_the_mean_of_log_probabilities(table, teacher):
    other = train_teacher(table, replace(QUICK, steps=20, seed=5))
    batch = table.batch(torch.arange(4))
    with torch.no_grad():
        both = Ensemble([teacher, other]).eval()(batch).logits
        want = (torch.log_softmax(teacher(batch).logits, 1) + torch.log_softmax(other(batch).logits, 1)) / 2
    assert torch.allclose(both, want)


def test_targets_of_a_subset_equal_the_subset_of_targets(table, teacher):
    targets = targets_of(teacher, table)
    index = torch.tensor([5, 0])
    some = targets.taken(index)
    assert torch.equal(some.logits, targets.logits[index]) and some.nodes[0] is targets.nodes[5]


def test_an_encoder_that_is_given_stays_as_it_is():
    size = Student(StudentConfig()).fused_size
    table = NodeTable.of(cases(40, fused=size))
    student = new_student(table, StudentConfig()).requires_grad_(False)  # as loaded from a model folder
    before = {k: v.clone() for k, v in student.state_dict().items()}
    tuned = train_student(table, replace(QUICK, steps=10), initial=student)
    after = tuned.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before if k.startswith("encoders."))
    assert not torch.equal(before["fused_in.weight"], after["fused_in.weight"])
    assert not torch.equal(before["head.classify.weight"], after["head.classify.weight"])
    assert all(torch.equal(v, student.state_dict()[k]) for k, v in before.items())  # the initial student was copied
    with pytest.raises(ValueError, match="no encoder moments"):
        predict(tuned, NodeTable.of(cases(5)), ALL)


def test_each_row_reads_the_moments_of_its_own_images():
    size = Student(StudentConfig()).fused_size
    table = NodeTable.of(cases(6, fused=size))
    student = new_student(table, StudentConfig()).eval()
    batch = table.batch()
    mixed = {"ct": torch.ones(6), "fdg": torch.tensor([0.0, 1, 0, 1, 0, 1]), "acetate": torch.zeros(6)}
    with torch.no_grad():
        got = student.forward_nodes(batch.for_student(student, mixed)).logits
        ct = student.forward_nodes(batch.for_student(student, {**mixed, "fdg": torch.zeros(6)})).logits
        both = student.forward_nodes(batch.for_student(student, {**mixed, "fdg": torch.ones(6)})).logits
    assert torch.allclose(got[::2], ct[::2], atol=1e-6) and torch.allclose(got[1::2], both[1::2], atol=1e-6)


def test_invalid_trainings_are_refused(table, teacher):
    distiller = make_distiller("kd", DistillationConfig(), 48, 48)
    with pytest.raises(ValueError, match="needs the teacher's targets"):
        train_student(table, QUICK, distiller=distiller)
    distiller.needs_maps = True
    with pytest.raises(ValueError, match="whole maps"):
        train_student(table, QUICK, distiller=distiller, targets=targets_of(teacher, table))


@pytest.mark.parametrize("field, value", [("steps", 0), ("lr", 0.0), ("expert", 1.5), ("modality_dropout", 1.0)])
def test_a_wrong_recipe_field_is_named(field, value):
    with pytest.raises(ValueError, match=field):
        Recipe(**{field: value})
