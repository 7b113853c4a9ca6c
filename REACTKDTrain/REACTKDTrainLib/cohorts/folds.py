"""Splits by patient: folds, and within each training fold a validation part on which all choices are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.bounds import LARGEST_SEED
from REACTKDLib.core.errors import ReactkdError, UsageError
from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.text import plural, quoted
from REACTKDTrainLib.cohorts.base import CohortCase


class FoldsImpossible(ReactkdError):
    """The cohort cannot be split as requested."""

    code = "folds-impossible"


@dataclass(frozen=True)
class Split:
    """train: fits weights and normalization; validation: stopping, selection, calibration; test: evaluated once."""

    train: tuple[CohortCase, ...]
    validation: tuple[CohortCase, ...]
    test: tuple[CohortCase, ...]


def make_folds(cases: Sequence[CohortCase], folds: int, seed: int = 0, validation: float = 0.2) -> list[Split]:
    """Split graded cases by patient, stratified by grade; all cases of a patient stay together.

    folds: 1 uses all cases for training and none for the test. If the cases have a `fold`, these are the test folds.
    validation: share of the training patients.

    Raises: UsageError for a case without a grade, fewer than one fold, or an invalid seed; FoldsImpossible for fewer
    patients than folds, a fold that lacks a grade, a patient with two grades, or given folds that do not cover all
    cases, are not 0 .. folds - 1, or separate the cases of a patient.
    """
    if folds < 1:
        raise UsageError(f"Cases cannot be divided into {folds} folds; give 1 or more.")
    if not 0 <= seed <= LARGEST_SEED:
        raise UsageError(f"The seed of the folds is {seed}; give a whole number from 0 to {LARGEST_SEED}.")
    patients = _patients(cases)
    if folds > len(patients):
        raise FoldsImpossible(
            f"The cohort has {len(patients)} patients, fewer than {folds} folds; choose fewer folds or more patients."
        )
    tests = [()] if folds == 1 else _test_folds(cases, patients, folds, seed)
    out = []
    for number, test in enumerate(tests):
        rest = [p for p in patients if p not in set(test)]
        chosen = set(_validation_part(rest, patients, len(_classes(cases)), validation, seed + 1 + number))
        split = Split(*(_cases_of(cases, part) for part in (set(rest) - chosen, chosen, set(test))))
        _check(split, number, folds)
        out.append(split)
    return out


def _classes(cases: Sequence[CohortCase]) -> tuple[str, ...]:
    """Return the classes of the task; all cases of a cohort have the same task."""
    return cases[0].classes if cases else GRADES


def _patients(cases: Sequence[CohortCase]) -> dict[str, int]:
    """Return patient -> grade, sorted by name."""
    grades: dict[str, int] = {}
    for case in cases:
        if case.grade is None:
            raise UsageError(f"Case {case.id} has no grade and cannot be trained on; give only graded cases.")
        if grades.setdefault(case.patient, case.grade) != case.grade:
            raise FoldsImpossible(
                f"The patient {quoted([case.patient])} has cases of two grades; a patient needs one grade: correct the "
                "list, or leave one case out."
            )
    return dict(sorted(grades.items()))


def _test_folds(cases: Sequence[CohortCase], patients: dict[str, int], folds: int, seed: int) -> list[tuple[str, ...]]:
    without = [case.id for case in cases if case.fold is None]
    if not without:
        return _given_folds(cases, folds)
    others = len(cases) - len(without)
    if others:
        first = quoted(without[:1])
        raise FoldsImpossible(
            f"Case {first} of the list has no fold where {others} others have one; give a fold to every graded case, "
            "or to none."
        )
    from sklearn.model_selection import StratifiedKFold

    names, grades = np.array(list(patients)), np.array(list(patients.values()))
    fewest, grade = min((int((grades == g).sum()), g) for g in range(len(_classes(cases))))
    if fewest < folds:
        few, have = plural(fewest, "patient"), "has" if fewest == 1 else "have"
        raise FoldsImpossible(
            f"Only {few} {have} the grade {_classes(cases)[grade]}, so with {folds} folds one would lack it; choose "
            "fewer folds or more patients."
        )
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return [tuple(names[test].tolist()) for _, test in splitter.split(names, grades)]


def _given_folds(cases: Sequence[CohortCase], folds: int) -> list[tuple[str, ...]]:
    known: dict[str, int] = {}
    for case in cases:
        if known.setdefault(case.patient, case.fold) != case.fold:
            raise FoldsImpossible(
                f"The list puts the patient {quoted([case.patient])} into two folds; all cases of a patient belong "
                "into one."
            )
    if sorted(set(known.values())) != list(range(folds)):
        raise FoldsImpossible(
            f"The list has the folds {', '.join(map(str, sorted(set(known.values()))))} where {folds} were asked for "
            f"(0 to {folds - 1}); correct the list or the number of folds."
        )
    return [tuple(p for p, f in sorted(known.items()) if f == number) for number in range(folds)]


def _validation_part(names: list[str], patients: dict[str, int], classes: int, share: float, seed: int) -> list[str]:
    """Select about `share` of each grade's patients, at least one if a grade has two."""
    rng = np.random.default_rng(seed)
    chosen = []
    for grade in range(classes):
        own = [p for p in names if patients[p] == grade]
        n = min(max(round(share * len(own)), 1), len(own) - 1)
        chosen += rng.choice(own, max(n, 0), replace=False).tolist() if own else []
    return chosen


def _cases_of(cases: Sequence[CohortCase], patients: set[str]) -> tuple[CohortCase, ...]:
    return tuple(case for case in cases if case.patient in patients)


def _check(split: Split, number: int, folds: int) -> None:
    parts = {"training": split.train, "validation": split.validation} | ({"test": split.test} if folds > 1 else {})
    classes = _classes(split.train)
    for name, cases in parts.items():
        lacking = set(range(len(classes))) - {case.grade for case in cases}
        if lacking:
            where, fewer = (f"of fold {number} ", "choose fewer folds or ") if folds > 1 else ("", "")
            raise FoldsImpossible(
                f"The {name} part {where}has no patient of the grade {classes[min(lacking)]}; {fewer}"
                "give more patients."
            )
