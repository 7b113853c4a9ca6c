"""The shipped student, distilled: an ensemble of teachers, then heads that go on from the student shipped before.

Its encoder stays as it is; heads learn from node vectors of the large cohort, with the masks of annotators who err,
while modalities and lesions drop out. All choices are made on validation cases; the test cases are looked at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import numpy as np
import torch

from REACTKDLib.core.student.bundle import Bundle, shipped_bundle_folder
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.cohorts.phantom import phantom_case
from REACTKDTrainLib.cohorts.sizes import preparation_of
from REACTKDTrainLib.data.normalization import LiverWindow
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import make_distiller
from REACTKDTrainLib.distillation.targets import TeacherTargets
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.nodes.node_store import NodeStore, encoder_hash
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.teacher import Ensemble, targets_of
from REACTKDTrainLib.nodes.train import Recipe, predict, train_student, train_teacher
from REACTKDTrainLib.release.card import card
from REACTKDTrainLib.release.rungs import MOMENT_RUNGS
from REACTKDTrainLib.release.ship import NAMED, evaluate, gain, save
from REACTKDTrainLib.release.tables import Table

MASK_VARIANTS = 3
#: what is tried on the validation cases: (steps, dropout) of teachers, (method, graph weight, rate, steps) of students
TEACHERS = tuple((steps, dropout) for steps in (300, 600) for dropout in (0.3, 0.5))
STUDENTS = tuple(
    (method, graph, rate, steps)
    for method, graph in (("none", 0.0), ("kd", 0.0), ("react-kd", 0.3), ("react-kd", 1.0))
    for rate, steps in ((3e-4, 200),)
)
#: how far from the weights it departed from, 1 all the way; hundreds of patients must not undo what thousands taught
SHARES = (0.25, 0.5, 0.75, 1.0)
_MEMBERS = 5
#: the shipped student's teachers saw the expert's masks alone, whole; hundreds of patients need no more
_TEACHER = {"expert": 1.0, "node_dropout": 0.0}
_NAMES = ("method", "graph", "rate", "steps", "share")
_RUNG_STEPS = (400, 800)


def node_store(folder: Path, bundle: Bundle) -> NodeStore:
    """Node vectors of full-size phantoms, with the moments of this bundle's encoder."""
    prepared = PreparedStore(Path(folder), preparation_of("full"), variants=MASK_VARIANTS)
    return NodeStore(Path(folder), prepared, LiverWindow(), bundle.student.eval(), encoder_hash(bundle.student))


def load(store: NodeStore, seeds: range, made_only: bool) -> NodeTable:
    """Patients of the cohort `large` by number; made now where they are not there, or left out with `made_only`."""
    cases = []
    for seed in seeds:
        case = phantom_case("large", seed)
        if store.path(case).exists() or not made_only:
            cases.append(store.get(case))
    print(f"{len(cases)} patients of {seeds.start} to {seeds.stop - 1}", file=sys.stderr, flush=True)
    return NodeTable.of(cases)


def likelihood(logits: torch.Tensor, grade: torch.Tensor) -> float:
    """Mean log likelihood."""
    return float(torch.log_softmax(logits.double(), dim=1).gather(1, grade[:, None]).mean())


def best_teacher(train: NodeTable, validation: NodeTable) -> tuple[Ensemble, dict]:
    """Choose steps and dropout by validation likelihood, then average `_MEMBERS` seeds."""
    found = []
    everyone = validation.batch()
    for steps, dropout in TEACHERS:
        teacher = train_teacher(train, Recipe(steps=steps, **_TEACHER), dropout=dropout)
        with torch.no_grad():
            found.append((likelihood(teacher(everyone).logits, validation.grade), steps, dropout))
        print(f"teacher: {steps} steps, dropout {dropout}: {found[-1][0]:.4f}", file=sys.stderr, flush=True)
    _, steps, dropout = max(found)
    recipes = [Recipe(steps=steps, seed=seed, **_TEACHER) for seed in range(_MEMBERS)]
    ensemble = Ensemble([train_teacher(train, recipe, dropout=dropout) for recipe in recipes]).eval()
    with torch.no_grad():
        p = torch.softmax(ensemble(everyone).logits, dim=1)
    told = {"steps": steps, "dropout": dropout, "members": _MEMBERS}
    return ensemble, told | {"validation_auc": round(macro_auc(validation.grade.numpy(), p.numpy()), 4)}


def score(student: Student, table: NodeTable) -> float:
    """Mean macro AUC over CT, PET and all inputs, with the expert's masks and with an annotator's."""
    grade = table.grade.numpy()
    values = [
        macro_auc(grade, predict(student, table, subset, variant).numpy())
        for subset in NAMED.values()
        for variant in range(2)
    ]
    return float(np.mean(values))


def calibrated(student: Student, table: NodeTable) -> float:
    """Scale the class scores by one temperature for CT, PET and all inputs, either set of masks; return it.

    Fitted for all inputs alone it would leave CT too sure of itself. Contributions still add up.
    """
    logs = [torch.log(predict(student, table, s, v).clamp_min(1e-12)) for s in NAMED.values() for v in range(2)]
    candidates = np.geomspace(0.3, 3.0, 116)
    best = max(candidates, key=lambda t: sum(likelihood(log / t, table.grade) for log in logs))
    with torch.no_grad():
        student.head.classify.weight /= best
        student.head.bias /= best
    return float(best)


def trained(train: NodeTable, targets: TeacherTargets, initial: Student, choice: tuple, teacher_width: int) -> Student:
    """One candidate, going on from `initial`."""
    method, graph, rate, steps = choice
    recipe = Recipe(steps=steps, rate=rate, batch=128, modality_dropout=0.5, auxiliary=0.5)
    config = DistillationConfig(width=32, graph=graph)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        distiller = None if method == "none" else make_distiller(method, config, initial.config.hidden, teacher_width)
    return train_student(train, recipe, None, distiller, targets, initial)


def blended(initial: Student, tuned: Student, share: float) -> Student:
    """A student between the two, `share` of the way (Wortsman et al. 2022, robust fine-tuning by weight averaging)."""
    before, after = initial.state_dict(), tuned.state_dict()
    student = Student(initial.config)
    student.load_state_dict({k: before[k].lerp(after[k], share) for k in before})
    return student.eval()


def as_table(nodes: NodeTable) -> Table:
    """The expert's side of a table of nodes, as rungs and measures read it."""
    seeds = np.array([int(case.rsplit("-", 1)[1]) for case in nodes.ids])
    fixed = {m: x[0] for m, x in nodes.fixed.items()}
    return Table(fixed, nodes.rows[0], nodes.topology[0], nodes.grade, nodes.truth, seeds)


def expert_moments(nodes: NodeTable) -> dict[str, torch.Tensor]:
    """Encoder moments over the expert's masks: subset -> (N, n, F)."""
    return {s: x[0] for s, x in nodes.fused.items()}


def rungs(train: NodeTable, validation: NodeTable) -> dict[str, tuple[Student, None]]:
    """Students without an encoder and without a teacher, each the best of two lengths on the validation cases."""
    out = {}
    for name, blocks in MOMENT_RUNGS.items():
        config = StudentConfig(blocks=blocks, dropout=0.3)
        recipes = [Recipe(steps=steps, batch=128, modality_dropout=0.5, auxiliary=0.5) for steps in _RUNG_STEPS]
        students = [train_student(train, recipe, config) for recipe in recipes]
        out[name] = (max(students, key=lambda s: score(s, validation)), None)
    return out


def with_other_masks(test: NodeTable, students: Mapping[str, Student]) -> dict:
    """Macro AUC over the masks of an annotator with errors: inputs -> student -> AUC; and the last minus the first."""
    grade, out = test.grade.numpy(), {}
    first, *_, last = students
    for name, subset in NAMED.items():
        p = {who: predict(student, test, subset, 1).numpy() for who, student in students.items()}
        out[name] = {who: round(macro_auc(grade, value), 4) for who, value in p.items()}
        out[name]["gain"] = gain(grade, p[last], p[first])
    return out


def seeds_of(text: str) -> range:
    """'2500:3400' -> range(2500, 3400)."""
    first, last = (int(part) for part in text.split(":"))
    return range(first, last)


def distilled(train: NodeTable, validation: NodeTable, initial: Student) -> tuple[Student, dict[str, Student], dict]:
    """The best distilled student by validation, the one tuned alike without a teacher, and what was tried."""
    teacher, told = best_teacher(train, validation)
    targets = targets_of(teacher, train)
    tried: list[dict] = []
    best: dict[str, tuple[float, Student, tuple]] = {}
    for choice in STUDENTS:
        tuned = trained(train, targets, initial, choice, teacher.hidden)
        kind = "undistilled" if choice[0] == "none" else "distilled"
        for share in SHARES:
            student = blended(initial, tuned, share)
            value = score(student, validation)
            tried.append({**dict(zip(_NAMES, (*choice, share), strict=True)), "score": round(value, 4)})
            print(f"student: {tried[-1]}", file=sys.stderr, flush=True)
            if kind not in best or value > best[kind][0]:
                best[kind] = value, student, (*choice, share)
    chosen = dict(zip(_NAMES, best["distilled"][2], strict=True))
    tried.append({"before": round(score(initial, validation), 4)})
    others = {"tuned without a teacher": best["undistilled"][1], "before distillation": initial}
    return best["distilled"][1], others, {"teacher": told, "chosen": chosen, "tried": tried}


def main(arguments: list[str] | None = None) -> None:
    """`python -m REACTKDTrainLib.release.distill --nodes FOLDER --output BUNDLE`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--nodes", type=Path, required=True, help="where node vectors are kept")
    parser.add_argument("--initial", type=Path, default=shipped_bundle_folder(), help="the model to go on from")
    parser.add_argument("--output", type=Path, required=True, help="the new model folder")
    parser.add_argument("--train", type=seeds_of, default=range(2500, 5200))
    parser.add_argument("--validation", type=seeds_of, default=range(2000, 2300))
    parser.add_argument("--test", type=seeds_of, default=range(2000))
    parser.add_argument("--made-only", action="store_true", help="use patients whose node vectors are there")
    options = parser.parse_args(arguments)
    bundle = Bundle.load(options.initial)
    store = node_store(options.nodes, bundle)
    train, validation, test = (
        load(store, s, options.made_only) for s in (options.train, options.validation, options.test)
    )
    student, others, told = distilled(train, validation, bundle.student)
    temperature = calibrated(student, validation)
    moments = expert_moments(test)
    students: Mapping[str, tuple] = rungs(train, validation) | {n: (s, moments) for n, s in others.items()}
    evaluation = evaluate({**students, "student": (student, moments)}, as_table(train), as_table(test))
    evaluation["other_masks"] = with_other_masks(test, {"before distillation": bundle.student, "student": student})
    training = dict(bundle.info["training"]) | {
        "distillation": told,
        "distillation_cases": len(train),
        "validation_cases": len(validation),
        "distillation_seeds": [int(as_table(train).seed.min()), int(as_table(train).seed.max())],
        "test_seeds": [int(as_table(test).seed.min()), int(as_table(test).seed.max())],
        "recipe": asdict(replace(Recipe(), batch=128, modality_dropout=0.5, auxiliary=0.5)),
        "temperature": round(temperature, 3),
        "made": date.today().isoformat(),
        "how": bundle.info["training"]["how"].replace("; no teacher, no distillation", "")
        + "; then heads distilled from an ensemble of teachers that see all images and the expert's masks",
    }
    save(options.output, student, training, evaluation, version="1.1.0")
    write_text(options.output / "docs" / "README.md", card(training, evaluation))


if __name__ == "__main__":
    main()
