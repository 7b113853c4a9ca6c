"""Both stages on tiny phantoms: they learn, leave frozen weights unchanged, and never use forbidden data."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import make_distiller
from REACTKDTrainLib.distillation.methods import METHODS
from REACTKDTrainLib.models.node_batches import fit_teacher_scales, start_heads, student_heads, teacher_heads
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.models.student_graph import fit_fused_scale, fit_student_scales, predict_views, student_forward
from REACTKDTrainLib.models.teacher import Teacher
from REACTKDTrainLib.models.teacher_config import TeacherConfig
from REACTKDTrainLib.training.config import LossConfig, StageConfig
from REACTKDTrainLib.training.stages import (
    Learner,
    StudentStage,
    TeacherHeadsStage,
    TeacherStage,
    consistency,
    drawn_presence,
    dropped_lesions,
    share_cbam,
)
from REACTKDTrainLib.training.trainer import Sample, Stage, Trainer
from support.tiny_phantoms import fold_data, tiny_cases

LOSS = LossConfig()
TEACHER = TeacherConfig(
    feature_size=6, heads=(1, 1, 2, 2), depths=(1, 1, 1, 1), window=2, patch=4, width=8, dropout=0.1
)
STUDENT = StudentConfig(filters=4, widths=(4, 8, 8), cbam=True)
SAID: dict[tuple[str, str, bool], GraphOutput] = {}  # by a teacher's weights, the view, and whether with maps


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return fold_data(tmp_path_factory.mktemp("data"), tiny_cases(12), views=2)


@pytest.fixture(scope="module")
def fitted_teacher(data) -> Teacher:
    torch.manual_seed(0)
    teacher = Teacher(TEACHER)
    fit_teacher_scales(teacher, [data.light(n) for n in range(len(data))])
    return teacher


@pytest.fixture
def teacher(fitted_teacher) -> Teacher:
    torch.manual_seed(0)
    return copy.deepcopy(fitted_teacher)


@pytest.fixture(scope="module")
def fitted_student(data) -> Student:
    torch.manual_seed(0)
    student = Student(STUDENT)
    fit_student_scales(student, [data.light(n) for n in range(len(data))])
    fit_fused_scale(student, [data.view(n) for n in range(len(data))])
    return student


@pytest.fixture
def student(fitted_student) -> Student:
    torch.manual_seed(0)
    return copy.deepcopy(fitted_student)


def samples(n: int, first: int = 0) -> list[Sample]:
    return [Sample(i, 1000 + first + i) for i in range(n)]


def train(stage: Stage, folder, **config) -> None:
    Trainer(stage, StageConfig(**({"epochs": 1, "batch": 4, "lr": 3e-3} | config)), folder, 0, "b").run()
    stage.module.eval()


def digest(module: torch.nn.Module) -> str:
    weights = b"".join(value.numpy().tobytes() for value in module.state_dict().values())
    return hashlib.sha256(weights).hexdigest()


def accuracy(logits: torch.Tensor, data) -> float:
    grades = torch.tensor([case.grade for case in data.cases])
    return float((logits.argmax(dim=1) == grades).double().mean())


def student_stage(student: Student, teacher: Teacher | None, data, method: str = "react-kd", **loss) -> StudentStage:
    distiller = make_distiller(method, DistillationConfig(), STUDENT.widths[-1], TEACHER.width)

    weights = "" if teacher is None else digest(teacher)

    def targets_of(sample: Sample) -> GraphOutput:
        view = data.of(sample)
        key = weights, view.key, distiller.needs_maps
        if key not in SAID:
            with torch.no_grad():
                SAID[key] = teacher.eval()([view]).as_targets(distiller.needs_maps)
        return SAID[key]

    config = LossConfig(**loss)
    return StudentStage(
        Learner(student, distiller), data, data, config, targets_of if distiller.needs_teacher else None
    )


def test_a_student_of_one_pet_is_validated_with_it(data) -> None:
    """It has none of the sets of images that are scored otherwise: CT, both PETs, all."""
    student = Student(replace(STUDENT, modalities=("fdg",))).eval()
    stage = StudentStage(Learner(student, make_distiller("none", DistillationConfig(), 1, 1)), data, data, LOSS)
    for stage.encode in (False, True):
        logits = [
            found["fdg"]
            for found in predict_views(student, [data.view(n) for n in range(len(data))], [("fdg",)], stage.encode)
        ]
        grades = torch.tensor([case.grade for case in data.cases])
        wanted = -torch.nn.functional.cross_entropy(torch.stack(logits).double(), grades)
        assert stage.validate()["score"] == pytest.approx(float(wanted), abs=1e-6)


# -- learning


@pytest.mark.slow
def test_the_teacher_overfits_twelve_phantoms_within_60_and_60_steps(data, teacher, tmp_path) -> None:
    train(TeacherHeadsStage(teacher, data, data, LOSS), tmp_path / "heads", batch=12, steps=60, every=100)
    train(TeacherStage(teacher, data, data, LOSS), tmp_path / "whole", epochs=20, every=20)
    with torch.no_grad():
        logits = torch.cat([teacher([data.view(n)]).logits for n in range(len(data))])
    assert accuracy(logits, data) > 0.95


@pytest.mark.slow
def test_the_student_overfits_twelve_phantoms_within_100_and_60_steps(data, teacher, student, tmp_path) -> None:
    train(TeacherHeadsStage(teacher, data, data, LOSS), tmp_path / "teacher", batch=12, steps=60, every=100)
    share_cbam(student, teacher.cbam)
    start_heads(student)
    stage = student_stage(student, teacher.requires_grad_(False), data)
    stage.encode = False
    train(stage, tmp_path / "heads", batch=12, steps=100, every=100, lr=1e-2)
    stage.encode = True
    train(stage, tmp_path / "whole", epochs=20, every=20)
    logits = [next(predict_views(student, [data.view(n)]))["ct+fdg+acetate"] for n in range(len(data))]
    assert accuracy(torch.stack(logits), data) > 0.95


@pytest.mark.slow
def test_both_learn_from_images_alone_without_fixed_vectors(data, tmp_path) -> None:
    """No block of fixed moments: everything is learned through the encoders, in 600 steps each."""
    torch.manual_seed(1)
    teacher = Teacher(replace(TEACHER, blocks=(), dropout=0.0))
    fit_teacher_scales(teacher, [data.light(n) for n in range(len(data))])
    train(TeacherStage(teacher, data, data, LOSS), tmp_path / "t", epochs=200, every=200)
    with torch.no_grad():
        assert accuracy(torch.cat([teacher([data.view(n)]).logits for n in range(len(data))]), data) > 0.95
    student = Student(replace(STUDENT, blocks=("encoder",), dropout=0.0))
    fit_student_scales(student, [data.light(n) for n in range(len(data))])
    fit_fused_scale(student, [data.view(n) for n in range(len(data))])
    share_cbam(student, teacher.cbam)
    stage = student_stage(student, teacher.requires_grad_(False), data, modality_dropout=0.0, node_dropout=0.0)
    train(stage, tmp_path / "s", epochs=200, every=200)
    logits = [next(predict_views(student, [data.view(n)]))["ct+fdg+acetate"] for n in range(len(data))]
    assert accuracy(torch.stack(logits), data) > 0.95


# -- what stays unchanged


@pytest.mark.parametrize("method", sorted(METHODS))
def test_stage_2_moves_the_encoder_and_never_the_teacher_or_the_shared_cbam(method, data, teacher, student, tmp_path):
    share_cbam(student, teacher.cbam)
    before = copy.deepcopy(teacher.state_dict())
    encoder = copy.deepcopy(student.encoders.state_dict())
    train(student_stage(student, teacher.requires_grad_(False), data, method), tmp_path, steps=3)
    assert all(torch.equal(v, before[k]) for k, v in teacher.state_dict().items())
    assert all(torch.equal(v, before[f"cbam.{k}"]) for k, v in student.cbam.state_dict().items())
    moved = [k for k, v in student.encoders.state_dict().items() if not torch.equal(v, encoder[k])]
    assert len(moved) > len(encoder) / 2


@pytest.mark.parametrize("term", ["logits", "node", "edge", "gw"])
def test_each_term_of_distillation_reaches_the_encoder_and_nothing_that_is_frozen(term, data, teacher, student) -> None:
    share_cbam(student, teacher.cbam)
    stage = student_stage(student, teacher.requires_grad_(False), data)
    views = [data.view(n, 1) for n in range(len(data))]  # with another annotator's masks, so graphs differ
    said = GraphOutput.joined([stage.targets_of(Sample(n, 1)) for n in range(len(data))])
    stage.module.distiller(student_forward(student, views), said, views)[term].backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in student.encoders.parameters())
    assert all(p.grad is None for p in (*teacher.parameters(), *student.cbam.parameters()))


def test_a_branch_that_dropped_out_of_a_whole_step_keeps_its_weights(data, student) -> None:
    stage = student_stage(student, None, data, "none")
    own = {"fdg": torch.ones(4), "ct": torch.ones(4), "acetate": torch.zeros(4)}
    output = student_forward(student, [data.view(n) for n in range(4)], own)
    output.logits.sum().backward()
    lonely = [n for n, p in stage.module.named_parameters() if "acetate" in n]
    assert lonely and all(p.grad is None for n, p in stage.module.named_parameters() if n in lonely)
    optimizer = torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], lr=1.0, weight_decay=0.5)
    before = copy.deepcopy(student.state_dict())
    optimizer.step()
    for name, value in student.state_dict().items():
        if "acetate" in name:
            assert torch.equal(value, before[name])


def test_modality_dropout_never_drops_everything_and_keeps_its_rate(data) -> None:
    views = [data.light(n % 12) for n in range(600)]
    presence = drawn_presence(views, [Sample(0, n) for n in range(600)], ("ct", "fdg", "acetate"), 0.6)
    kept = torch.stack(list(presence.values()))
    assert (kept.sum(dim=0) >= 1).all()
    rates = kept.mean(dim=1)  # P(kept | at least one is) = 0.4 / (1 - 0.6^3)
    assert torch.allclose(rates, torch.full((3,), 0.4 / (1 - 0.6**3)), atol=0.07)


def test_a_missing_modality_is_never_marked_as_present(data) -> None:
    view = data.light(0)
    ct_only = replace(view, images={"ct": view.images["ct"]})
    presence = drawn_presence([ct_only] * 20, samples(20), ("ct", "fdg", "acetate"), 0.9)
    assert presence["ct"].all() and not presence["fdg"].any()


def test_lesion_dropout_spares_parenchyma_and_the_largest_lesion() -> None:
    dropped = [dropped_lesions(6, Sample(0, seed), 0.5) for seed in range(200)]
    assert all(not {0, 1} & set(d) for d in dropped)
    assert sum(map(len, dropped)) / (200 * 4) == pytest.approx(0.5, abs=0.08)


# -- independent of the grouping into batches


def test_the_loss_of_a_batch_is_the_mean_of_its_parts(data, teacher, student) -> None:
    """This makes two processes equivalent to one with twice the batch size."""
    teacher.train(), student.train()
    for stage in (
        TeacherStage(teacher, data, data, LOSS),
        TeacherHeadsStage(teacher, data, data, LOSS),
        student_stage(student, teacher, data),
    ):
        whole = stage.loss(samples(4))
        parts = [stage.loss(samples(4)[n : n + 2]) for n in (0, 2)]
        for name, value in whole.items():
            torch.testing.assert_close(value, (parts[0][name] + parts[1][name]) / 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "none"])
def test_only_methods_that_compare_cases_are_not_the_mean_of_their_parts(method, data, teacher, student):
    """As stated in the documentation of the setting accumulate."""
    stage = student_stage(student, teacher, data, method)
    stage.module.eval()  # so that no memory is updated between the calls
    whole = stage.loss(samples(4))
    parts = [stage.loss(samples(4)[n : n + 2]) for n in (0, 2)]
    apart = [n for n, v in whole.items() if not torch.isclose(v, (parts[0][n] + parts[1][n]) / 2, rtol=1e-3, atol=1e-5)]
    named = re.search(r"except for (.*?), which compare", StageConfig.__doc__)[1].split(" and ")
    assert bool(apart) is (method in named), apart


def test_heads_give_the_same_output_in_a_batch_and_one_by_one(data, teacher, student) -> None:
    views = [data.light(n, n % 2) for n in range(6)]
    teacher.eval(), student.eval()
    start_heads(student)
    batch = teacher_heads(teacher, views, [0] * 6)
    single = [teacher_heads(teacher, [view], [0]) for view in views]
    torch.testing.assert_close(batch.logits, torch.cat([s.logits for s in single]))
    for name, value in batch.branch_logits.items():
        torch.testing.assert_close(value, torch.cat([s.branch_logits[name] for s in single]))
    presence = drawn_presence(views, samples(6), STUDENT.modalities, 0.3)
    drops: Sequence[list[int]] = [[] if len(v.masks) < 3 else [2] for v in views]
    ours = student_heads(student, views, presence, range(6), drops).logits
    for n, view in enumerate(views):
        own = {m: v[n : n + 1] for m, v in presence.items()}
        torch.testing.assert_close(student_heads(student, [view], own, [n], drops[n : n + 1]).logits[0], ours[n])


@pytest.mark.parametrize("encode", [True, False])
def test_views_give_the_same_prediction_in_batches_and_one_by_one(encode: bool, data, student, monkeypatch) -> None:
    student.eval()
    voxels = data.view(0).images["ct"].numel()
    monkeypatch.setattr("REACTKDTrainLib.models.student_graph.BATCH_VOXELS", 5 * voxels)  # 12 views: 5, 5 and 2
    views = [data.view(n) for n in range(len(data))]
    views[3] = replace(views[3], images={"ct": views[3].images["ct"]})
    together = list(predict_views(student, views, encode=encode))
    assert len(together) == len(views) and set(together[3]) == {"ct"} and len(together[0]) == 7
    for view, found in zip(views, together, strict=True):
        for name, logits in next(predict_views(student, [view], encode=encode)).items():
            torch.testing.assert_close(found[name], logits, rtol=1e-4, atol=1e-5)


def test_dropout_of_heads_belongs_to_the_case_and_not_to_the_batch(data, teacher) -> None:
    teacher.train()
    views = [data.light(n) for n in range(4)]
    whole = teacher_heads(teacher, views, [5, 6, 7, 8]).logits
    part = teacher_heads(teacher, views[2:], [7, 8]).logits
    torch.testing.assert_close(whole[2:], part)
    assert not torch.allclose(part, teacher_heads(teacher, views[2:], [9, 10]).logits)


# -- consistency


def test_consistency_is_0_for_the_same_scan_and_pulls_the_degraded_toward_the_native() -> None:
    native = GraphOutput(torch.tensor([[2.0, 0.0, 0.0]]), [torch.eye(3)], [], torch.zeros(1, 1))
    assert float(consistency(native, native)) == pytest.approx(0, abs=1e-6)
    logits = torch.tensor([[0.0, 2.0, 0.0]], requires_grad=True)
    nodes = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]], requires_grad=True)
    value = consistency(native, GraphOutput(logits, [nodes], [], torch.zeros(1, 1)))
    p = torch.softmax(native.logits, dim=1)
    kl = float((p * (p.log() - torch.log_softmax(logits.detach(), dim=1))).sum())
    assert float(value.detach()) == pytest.approx(kl + 2 / 3, abs=1e-5)  # two of three nodes are orthogonal
    value.backward()
    assert logits.grad[0, 0] < 0 < logits.grad[0, 1] and nodes.grad.abs().sum() > 0


def test_consistency_reaches_the_dose_branch_alone(data, teacher) -> None:
    noisy = lambda view, seed: view.images["ct"] + 0.3  # noqa: E731
    stage = TeacherStage(teacher, data, data, LOSS, None, data, noisy)
    stage._consistency(samples(2)).backward()
    reached = {n for n, p in teacher.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert any(n.startswith("encoders.dose") for n in reached) or any(n.startswith("heads.dose") for n in reached)
    assert not any(n.startswith(("encoders.fdg", "encoders.acetate", "heads.fused")) for n in reached)
    assert "consistency" in stage.loss(samples(2))


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_overfits_twelve_phantoms(method, data, teacher, student, tmp_path) -> None:
    train(TeacherHeadsStage(teacher, data, data, LOSS), tmp_path / "teacher", batch=12, steps=60, every=100)
    share_cbam(student, teacher.cbam)
    start_heads(student)
    stage = student_stage(student, teacher.requires_grad_(False), data, method)
    stage.encode = False
    train(stage, tmp_path / "heads", batch=12, steps=100, every=100, lr=1e-2)
    stage.encode = True
    train(stage, tmp_path / "whole", epochs=20, every=20)
    logits = [next(predict_views(student, [data.view(n)]))["ct+fdg+acetate"] for n in range(len(data))]
    assert accuracy(torch.stack(logits), data) > 0.95
