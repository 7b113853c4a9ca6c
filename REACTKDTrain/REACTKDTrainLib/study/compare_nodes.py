"""The distilled student against the same student without distillation: trained on hospital-size folds, tested on many
other patients.

In every fold a teacher is trained on the training patients alone, then three students with the same seed and order of
cases: none, logits, and logits with region graphs. All are evaluated on the same held-out patients, with CT alone and
other inputs; the difference has an interval over folds and patients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.modality import INPUTS, ROLES, Modality
from REACTKDLib.core.progress import OnProgress, duration, no_progress
from REACTKDLib.core.text import listed
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.folds import make_folds
from REACTKDTrainLib.cohorts.open_cohort import check_map, open_cohort
from REACTKDTrainLib.data.scan_content import known_scans
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import make_distiller
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.evaluation.checks import number_or_none
from REACTKDTrainLib.evaluation.intervals import auc_difference_over_runs, share_in_common
from REACTKDTrainLib.nodes.node_store import NodeCase, NodeStore
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.teacher import targets_of
from REACTKDTrainLib.nodes.train import Recipe, predict, train_student, train_teacher
from REACTKDTrainLib.progress import WeightedProgress
from REACTKDTrainLib.results.tables import difference_cell, markdown, number_cell
from REACTKDTrainLib.training.randomness import seeded
from REACTKDTrainLib.training.run_checks import check_apart, check_scans_apart

METHODS = ("none", "kd", "react-kd")
NAMES = dict(zip(("CT", "PET", "all"), INPUTS, strict=True))
MASKS = ("expert's masks", "another annotator's masks")
_WIDTH, _HIDDEN = 32, 48
#: seconds on one core of 2026, for the first estimate: simulating and pooling a phantom, one training step
DRAWING_S, STEP_S = 5.0, 0.03


def compare_cohorts(
    nodes: Path,
    cohort: str,
    test: str,
    folds: int,
    seeds: Sequence[int],
    steps: int,
    made_only: bool,
    on_progress: OnProgress = no_progress,
    grades: str = "",
) -> dict:
    """Run `compare` on the folds of a cohort, tested on another one. nodes: store of the node vectors.

    made_only: test only on cases whose node vectors exist. grades: the meaning of the cohorts' grades, see
    `open_cohort`.
    Raises: UsageError for a cohort without a grade, or cases with other images; SameScan for a scan in both training
    and test, or of two patients of the cohort;
    errors of opening cohorts and cases.
    """
    check_map(grades, cohort, test)
    store = NodeStore.without_encoder(nodes)
    cohorts = {role: open_cohort(spec, grades=grades) for role, spec in (("cohort", cohort), ("external", test))}
    check_apart(cohorts)
    cases, opened = (own.graded for own in cohorts.values())
    _check_images(cases, opened)
    splits = [split.train + split.validation for split in make_folds(cases, folds, 0, 0.2)]
    unseen = tuple(c for c in opened if not made_only or store.path(c).exists())
    missing = sum(not store.path(case).exists() for case in [*cases, *unseen])
    trainings = len(splits) * len(seeds) * (1 + len(METHODS))
    costs = {"nodes": missing * DRAWING_S, "trainings": trainings * steps * STEP_S}
    whole = WeightedProgress(costs, on_progress)
    about = duration(sum(costs.values()))
    on_progress(0.0, f"{missing} cases to prepare and {trainings} trainings: about {about} on one core")
    table = _Tables(store, len(cases) + len(unseen), whole.part("nodes"))
    tables, tested = [table.of(split) for split in splits], table.of(unseen)
    used = {"cohort": replace(cohorts["cohort"], cases=cases), "external": replace(cohorts["external"], cases=unseen)}
    check_scans_apart(used, lambda _role, case: known_scans(store.scans(case), case))
    return compare(tables, tested, steps, seeds, whole.part("trainings"))


def _check_images(cases: Sequence[CohortCase], asked: Sequence[CohortCase]) -> None:
    """All cases of a cohort share one table, and students can only read the images that they were trained on."""
    for own, which in ((cases, "The cohort"), (asked, "The cohort of the test")):
        if not own:
            raise UsageError(f"{which} has no case with a grade; add grades, or choose another cohort.")
        first = own[0]
        other = next((case for case in own if case.modalities != first.modalities), None)
        if other is not None:
            raise UsageError(
                f"Case {other.id} has {_images(other)} where case {first.id} has {_images(first)}; compare on cases "
                "that all have the same images."
            )
    if not set(asked[0].modalities) <= set(cases[0].modalities):
        raise UsageError(
            f"The cases to be asked about have {_images(asked[0])} where the students learn from {_images(cases[0])}; "
            "leave the other images out of their list."
        )


def _images(case: CohortCase) -> str:
    return listed(ROLES[Modality(name)] for name in case.modalities)


def students_of(train: NodeTable, steps: int, seed: int) -> dict:
    """Train one student for each of `METHODS`, with the same teacher, seed and order of cases."""
    recipe = Recipe(steps=steps, batch=32, class_weights=(1.5, 1.0, 2.0), seed=seed)
    targets = targets_of(train_teacher(train, recipe), train)
    out = {}
    for method in METHODS:
        with seeded(seed):
            config = DistillationConfig(width=_WIDTH)
            distiller = make_distiller(method, config, _HIDDEN, _HIDDEN)
        out[method] = train_student(train, recipe, None, distiller, targets)
    return out


def compare(
    folds: Sequence[NodeTable],
    test: NodeTable,
    steps: int,
    seeds: Sequence[int],
    on_progress: OnProgress = no_progress,
) -> dict:
    """Train on each fold's training patients with each seed, and evaluate on `test`, with either set of masks and those
    of `NAMES` for which it has the images.

    Returns {'cases', 'digital_phantom', 'training_patients', 'seeds', 'shared', 'inputs': name -> masks -> method ->
    mean AUC, and 'gains': the two methods minus 'none', see `evaluation.intervals.auc_difference_over_runs`}; None if a
    grade has no case.
    """
    names = [name for name, subset in NAMES.items() if set(subset) <= set(test.fixed)]
    asked = [(name, masks) for name in names for masks in (0, 1)]
    answers: dict[tuple[str, int], dict[str, list[np.ndarray]]] = {key: {m: [] for m in METHODS} for key in asked}
    turns = [(fold, seed) for fold in folds for seed in seeds]
    for done, (fold, seed) in enumerate(turns):
        on_progress(done / len(turns), f"training students, {done} of {len(turns)} sets")
        for method, student in students_of(fold, steps, seed).items():
            for name, masks in asked:
                answers[name, masks][method].append(predict(student, test, NAMES[name], masks).numpy())
    on_progress(1.0, "measuring")
    grade, patients = test.grade.numpy(), np.array(test.patients)
    training = [len(set(fold.patients)) for fold in folds]
    out: dict = {"cases": len(test), "training_patients": training, "seeds": list(seeds)}
    out["digital_phantom"] = all(truth is not None for table in (*folds, test) for truth in table.truth)
    out["shared"] = share_in_common([fold.patients for fold in folds])
    out["inputs"] = {name: {} for name in names}
    of_fold = [n for n in range(len(folds)) for _ in seeds]
    for (name, masks), by in answers.items():
        means = {m: np.mean([macro_auc(grade, p) for p in by[m]]) for m in METHODS}
        row: dict = {m: number_or_none(round(float(mean), 4)) for m, mean in means.items()}
        row["gains"] = {
            m: _gain(grade, by[m], by["none"], patients, of_fold, out["shared"]) for m in METHODS if m != "none"
        }
        out["inputs"][name][MASKS[masks]] = row
    return out


def _gain(
    grade: np.ndarray, a: Sequence, b: Sequence, patients: np.ndarray, of_fold: Sequence[int], shared: float
) -> dict:
    """Seeds of a fold count as one run; folds that share patients count as fewer independent runs."""
    found = auc_difference_over_runs(grade, np.stack(a), np.stack(b), patients, subsets=of_fold, shared=shared)
    kept = {k: found[k] for k in ("difference", "interval95", "p")}
    return {k: None if value is None else np.round(value, 4).tolist() for k, value in kept.items()}


def page(found: Mapping) -> str:
    """Return Markdown: a row for each set of inputs and masks, with the three AUCs and both gains with intervals."""
    rows = [["inputs, masks", "none", "logits (kd)", "react-kd", "kd minus none", "react-kd minus none"]]
    for name, by in found["inputs"].items():
        for masks, row in by.items():
            gains = [difference_cell(row["gains"][m], 3) for m in METHODS[1:]]
            rows.append([f"{name}, {masks}", *(number_cell(row[m]) for m in METHODS), *gains])
    kind = "Digital phantoms: " if found.get("digital_phantom", True) else ""  # older results are of phantoms
    about = (
        f"{kind}{found['training_patients']} training patients in the folds, seeds {found['seeds']}, "
        f"tested on {found['cases']} unseen cases."
    )
    return f"{about}\n\n{markdown(rows)}"


class _Tables:
    """Tables of node vectors, with progress, because a case that is not in the store takes seconds."""

    def __init__(self, store: NodeStore, total: int, on_progress: OnProgress) -> None:
        self._store, self._total, self._on_progress = store, total, on_progress
        self._seen: set[str] = set()

    def of(self, cases: Sequence[CohortCase]) -> NodeTable:
        return NodeTable.of([self._get(case) for case in cases])

    def _get(self, case: CohortCase) -> NodeCase:
        self._on_progress(len(self._seen) / self._total, f"preparing cases, {len(self._seen)} of {self._total}")
        self._seen.add(case.fingerprint)
        return self._store.get(case)
