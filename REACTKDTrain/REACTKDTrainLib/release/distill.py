"""The students of a release: baselines, the student with the encoder, and the distilled student.

The encoder is not changed; heads are trained on node vectors with perturbed masks and dropout of modalities and
lesions. All choices are made on validation cases; the test cases are evaluated once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from REACTKDLib.core.modality import INPUTS
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import make_distiller
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.evaluation.intervals import paired_auc_difference
from REACTKDTrainLib.models.node_batches import start_heads
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.teacher import Ensemble, targets_of
from REACTKDTrainLib.nodes.train import Recipe, fit_learned_scale, predict, train_student, train_teacher
from REACTKDTrainLib.release.recipe import Candidate, ReleaseRecipe
from REACTKDTrainLib.training.calibration import apply_temperature, fit_temperature
from REACTKDTrainLib.training.randomness import seeded

_WIDTH = 32  # dimension of the common space of node vectors


@dataclass(frozen=True, eq=False)
class Distilled:
    """student: the best by validation; undistilled: tuned equally without a teacher. record: the trials, for JSON."""

    student: Student
    undistilled: Student
    record: dict


def likelihood(logits: torch.Tensor, grade: torch.Tensor) -> float:
    """Mean log likelihood."""
    return float(torch.log_softmax(logits.double(), dim=1).gather(1, grade[:, None]).mean())


def _answers(student: Student, table: NodeTable) -> list[torch.Tensor]:
    """Probabilities for CT, PET and all inputs, with the expert's masks and, if available, an annotator's."""
    variants = range(min(2, table.encoded if student.fused_size else table.variants))
    return [predict(student, table, subset, variant) for subset in INPUTS for variant in variants]


def score(student: Student, table: NodeTable) -> float:
    """Mean macro AUC over `_answers`: the criterion of all choices, on validation cases only."""
    grade = table.grade.numpy()
    return float(np.mean([macro_auc(grade, p.numpy()) for p in _answers(student, table)]))


def calibrate(student: Student, table: NodeTable) -> float:
    """Divide the class scores by one temperature fitted on all of `_answers`; return it.

    A temperature fitted on all inputs only would leave CT overconfident. Contributions still add up.
    """
    logits = torch.log(torch.cat(_answers(student, table)).clamp_min(1e-12))
    temperature = fit_temperature(logits, table.grade.repeat(len(logits) // len(table)))
    apply_temperature(student, temperature)
    return temperature


def best_baseline(
    blocks: tuple[str, ...], train: NodeTable, validation: NodeTable, recipe: ReleaseRecipe
) -> tuple[Student, dict]:
    """Return a student without an encoder, the best of the trials by validation, and its training settings.

    blocks: of its node vectors. All baselines have the same budget, `recipe.trials`.
    """
    found = []
    for steps, modality_dropout, dropout in recipe.trials:
        own = replace(recipe.heads, steps=steps, modality_dropout=modality_dropout)
        student = train_student(train, own, replace(recipe.student, blocks=blocks, dropout=dropout))
        found.append((score(student, validation), student, {**asdict(own), "dropout": dropout}))
    value, student, chosen = max(found, key=lambda each: each[0])
    return student, chosen | {"score": round(value, 4)}


def with_encoder(
    base: Student, encoder: Mapping[str, torch.Tensor], train: NodeTable, recipe: ReleaseRecipe
) -> Student:
    """Add a trained encoder to a head on fixed moments, and tune the head on its moments of whole volumes.

    The weights of the encoder's input to the head start at zero, so the tuning starts at the baseline. encoder: the
    state dict of a student, of which only the encoders are used.
    """
    student = Student(replace(recipe.student, dropout=base.config.dropout))
    own = {k: v for k, v in encoder.items() if k.startswith("encoders.")}
    student.load_state_dict({**base.state_dict(), **own}, strict=False)
    start_heads(student)
    fit_learned_scale(student, train)
    return train_student(train, recipe.opened, initial=student)


def encoder_gain(
    base: Student, encoder: Mapping[str, torch.Tensor], train: NodeTable, validation: NodeTable, recipe: ReleaseRecipe
) -> dict:
    """Measure the gain in macro AUC that an encoder gives with CT on validation patients: both students are tuned
    equally from `base`, with the expert's masks.

    train, validation: with the encoder's moments, see `crops.table_with_moments`. Returns 'difference', 'interval95',
    'cases', 'least' and 'ships': True if the gain is large enough to include the encoder.
    """
    own = replace(recipe, opened=replace(recipe.opened, expert=1.0))
    joined = with_encoder(base, encoder, train, own)
    alone = train_student(train, own.opened, initial=base)
    grade = validation.grade.numpy()
    a, b = (predict(student, validation, ("ct",)).numpy() for student in (joined, alone))
    found = paired_auc_difference(grade, a, b, draws=recipe.draws)
    gain, (low, high) = float(found["difference"]), map(float, found["interval95"])
    out = {"difference": round(gain, 4), "interval95": [round(low, 4), round(high, 4)], "cases": len(validation)}
    least = recipe.encoder_gain
    return out | {"least": least, "ships": least is None or (gain >= least and low > 0)}


def best_teacher(train: NodeTable, validation: NodeTable, recipe: ReleaseRecipe) -> tuple[Ensemble, dict]:
    """Choose steps and dropout by validation likelihood, then average several seeds.

    These teachers are trained with the expert's masks only, without dropping lesions: with thousands of patients, that
    is enough.
    """
    base = Recipe(expert=1.0, node_dropout=0.0, posterior=recipe.heads.posterior)
    found, everyone = [], validation.batch()
    for steps, dropout in recipe.teachers:
        teacher = train_teacher(train, replace(base, steps=steps), dropout=dropout)
        with torch.no_grad():
            found.append((likelihood(teacher(everyone).logits, validation.grade), steps, dropout))
    _, steps, dropout = max(found)
    members = [train_teacher(train, replace(base, steps=steps, seed=n), dropout=dropout) for n in range(recipe.members)]
    ensemble = Ensemble(members).eval()
    with torch.no_grad():
        p = torch.softmax(ensemble(everyone).logits, dim=1)
    auc = round(macro_auc(validation.grade.numpy(), p.numpy()), 4)
    return ensemble, {"steps": steps, "dropout": dropout, "members": recipe.members, "validation_auc": auc}


def blended(initial: Student, tuned: Student, share: float) -> Student:
    """Interpolate between two students, `share` of the way (Wortsman et al. 2022, robust fine-tuning by weight
    averaging).
    """
    before, after = initial.state_dict(), tuned.state_dict()
    student = Student(initial.config)
    student.load_state_dict({k: before[k].lerp(after[k], share) for k in before})
    return student.eval()


def _tuned(
    train: NodeTable, targets: GraphOutput, initial: Student, candidate: Candidate, width: int, recipe: ReleaseRecipe
) -> Student:
    weights = {"graph": candidate.graph, "logits": candidate.logits}
    config = DistillationConfig(width=_WIDTH, **weights, scores=candidate.scores, attention=candidate.scores)
    with seeded(0):
        distiller = make_distiller(candidate.method, config, initial.config.hidden, width)
    return train_student(train, replace(recipe.opened, steps=candidate.steps), None, distiller, targets, initial)


def distill(train: NodeTable, validation: NodeTable, initial: Student, recipe: ReleaseRecipe) -> Distilled:
    """Continue from `initial` with every candidate, then interpolate with `initial`, so that tuning on hundreds of
    patients does not undo what was learned from thousands.
    """
    teacher, said = best_teacher(train, validation, recipe)
    targets = targets_of(teacher, train)
    tried: list[dict] = []
    best: dict[bool, tuple[float, Student, dict]] = {}
    for candidate in recipe.candidates:
        tuned = _tuned(train, targets, initial, candidate, teacher.hidden, recipe)
        for share in recipe.shares:
            student = blended(initial, tuned, share)
            value = score(student, validation)
            choice = asdict(candidate) | {"lr": recipe.opened.lr, "share": share}
            tried.append({**choice, "score": round(value, 4)})
            taught = candidate.method != "none"
            if taught not in best or value > best[taught][0]:
                best[taught] = value, student, choice
    tried.append({"before": round(score(initial, validation), 4)})
    record = {"teacher": said, "chosen": best[True][2], "tried": tried}
    return Distilled(best[True][1], best[False][1], record)
