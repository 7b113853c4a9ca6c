"""Grades given by readers: their agreement, and the effect of showing the model's prediction in a reader study.

A reader gives a grade and no probability, so the score of grade c is -|g - c|: the closer to the reader's grade g, the
higher. With this score the one-vs-rest AUC of each grade and their mean are those of `auc.class_aucs`; ties count half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from REACTKDLib.core.grades import GRADES
from REACTKDTrainLib.evaluation.auc import class_aucs
from REACTKDTrainLib.evaluation.bootstrap import bootstrap_weights, interval95
from REACTKDTrainLib.evaluation.checks import number_or_none
from REACTKDTrainLib.evaluation.intervals import bootstrap_p
from REACTKDTrainLib.evaluation.measures import confusion, table_measures
from REACTKDTrainLib.evaluation.significance import mcnemar


@dataclass(frozen=True)
class StudyReading:
    """One case of one reader in a study. Grades are class indices of the task. model: the prediction shown, or None."""

    case: str
    unaided: int
    aided: int
    unaided_seconds: float | None = None
    aided_seconds: float | None = None
    model: int | None = None


def scores_of(grades: np.ndarray, classes: int = len(GRADES)) -> np.ndarray:
    """Return scores (n, classes) of grades (n,): -|g - c| for each grade c."""
    return -np.abs(np.asarray(grades)[:, None] - np.arange(classes)[None, :]).astype(np.float64)


def weighted_kappa(a: np.ndarray, b: np.ndarray, weights: np.ndarray, classes: int = len(GRADES)) -> dict[str, Any]:
    """Return 'value' and 'interval95' of the quadratic weighted kappa (Cohen 1968) of grades a and b, (n,) each.

    weights: (draws, n) of the bootstrap. None if both give one and the same grade everywhere.
    """
    value = table_measures(confusion(a, b, np.ones((1, len(a))), classes))["quadratic_kappa"][0]
    spread = table_measures(confusion(a, b, weights, classes))["quadratic_kappa"]
    return {"value": number_or_none(value), "interval95": interval95(spread)}


def agreement(
    grades: Mapping[str, Mapping[str, int]], draws: int = 2000, seed: int = 0, classes: int = len(GRADES)
) -> list[dict[str, Any]]:
    """Return the agreement of each pair of readers, on the cases that both graded.

    grades: reader -> {case: class index, below `classes`}. Each entry has 'readers', 'cases', 'same' (the share of
    cases with the same grade) and 'kappa' (see `weighted_kappa`), with a bootstrap interval over cases; a pair without
    a case in common has only 'readers' and 'cases', which is 0.
    """
    found = []
    for one, other in combinations(grades, 2):
        common = [case for case in grades[one] if case in grades[other]]
        entry: dict[str, Any] = {"readers": [one, other], "cases": len(common)}
        if common:
            a, b = (np.array([grades[reader][case] for case in common]) for reader in (one, other))
            weights = bootstrap_weights(np.zeros(len(common), int), draws=draws, seed=seed)
            entry |= {"same": float((a == b).mean()), "kappa": weighted_kappa(a, b, weights, classes)}
        found.append(entry)
    return found


def reader_study(
    readings: Mapping[str, list[StudyReading]],
    truth: Mapping[str, tuple[int, str]],
    draws: int = 2000,
    seed: int = 0,
    classes: int = len(GRADES),
) -> dict[str, Any]:
    """Return the measures of a study, ready for JSON.

    readings: reader -> finished readings. truth: case -> (grade, patient), with grades below `classes`; readings of
    other cases are excluded and counted in 'without_truth'. 'readers' holds `of_reader` for each; 'mean' is the mean
    over the readers on the cases that all of them read. Its bootstrap interval is over patients, stratified by grade,
    with the readers fixed: it generalizes to other patients, not to other readers.
    """
    known = {reader: [r for r in own if r.case in truth] for reader, own in readings.items()}
    each = {reader: of_reader(own, truth, draws, seed, classes) for reader, own in known.items() if own}
    common = [case for case in truth if all(any(r.case == case for r in own) for own in known.values())]
    lost = sum(len(own) for own in readings.values()) - sum(len(own) for own in known.values())
    mean = None
    if len(each) > 1 and len(each) == len(readings) and common:
        by_case = {reader: {r.case: r for r in own} for reader, own in known.items()}
        mean = {"readers": len(each), "cases": len(common)}
        mean |= _compared([[own[case] for case in common] for own in by_case.values()], truth, draws, seed, classes)
    return {"readers": each, "mean": mean, "without_truth": lost, "draws": draws, "seed": seed}


def of_reader(
    own: list[StudyReading], truth: Mapping[str, tuple[int, str]], draws: int, seed: int, classes: int
) -> dict[str, Any]:
    """Return the effect of the model's prediction on one reader.

    'auc_*' and 'accuracy_*', 'unaided', 'aided' and the 'difference' with its p-value; 'kappa_truth_*' against the
    truth; 'changed', 'better' (closer to the truth), 'worse', 'toward_model'; 'mcnemar' of correct and wrong, over
    patients; 'kappa_model_*' on the cases whose prediction is known; median seconds.
    """
    grade, patients = (np.array(of_case) for of_case in zip(*(truth[r.case] for r in own)))
    unaided, aided = np.array([r.unaided for r in own]), np.array([r.aided for r in own])
    weights = _weights(own, truth, draws, seed)
    before, after = np.abs(unaided - grade), np.abs(aided - grade)
    changed = int((unaided != aided).sum())
    moves = {"changed": changed, "better": int((after < before).sum()), "worse": int((after > before).sum())}
    return {
        "cases": len(own),
        **_compared([own], truth, draws, seed, classes),
        "kappa_truth_unaided": weighted_kappa(grade, unaided, weights, classes),
        "kappa_truth_aided": weighted_kappa(grade, aided, weights, classes),
        **moves,
        "mcnemar": mcnemar(aided == grade, unaided == grade, patients),
        **_with_model(own, truth, draws, seed, classes),
        "unaided_seconds": _median([r.unaided_seconds for r in own]),
        "aided_seconds": _median([r.aided_seconds for r in own]),
    }


def _with_model(own: list[StudyReading], truth: Mapping, draws: int, seed: int, classes: int) -> dict[str, Any]:
    """Agreement with the predictions that were shown, and the number of changes toward them."""
    known = [r for r in own if r.model is not None]
    if not known:
        return {"answers_known": 0, "toward_model": None, "kappa_model_unaided": None, "kappa_model_aided": None}
    model, unaided, aided = (np.array([getattr(r, name) for r in known]) for name in ("model", "unaided", "aided"))
    weights = _weights(known, truth, draws, seed)
    return {
        "answers_known": len(known),
        "toward_model": int((np.abs(aided - model) < np.abs(unaided - model)).sum()),
        "kappa_model_unaided": weighted_kappa(model, unaided, weights, classes),
        "kappa_model_aided": weighted_kappa(model, aided, weights, classes),
    }


def _compared(readers: list[list[StudyReading]], truth: Mapping, draws: int, seed: int, classes: int) -> dict[str, Any]:
    """Macro AUC and accuracy, unaided and aided, and their differences: means over readers of the same cases."""
    cases = readers[0]
    grade = np.array([truth[r.case][0] for r in cases])
    weights = _weights(cases, truth, draws, seed)
    once = np.ones((1, len(cases)))
    out: dict[str, Any] = {}
    for name, measure in (("auc", partial(_macro_auc, classes)), ("accuracy", _accuracy)):
        found = {}
        for stage in ("unaided", "aided"):
            grades = [np.array([getattr(r, stage) for r in own]) for own in readers]
            value = np.mean([measure(grade, g, once) for g in grades], axis=0)[0]
            found[stage] = value, np.mean([measure(grade, g, weights) for g in grades], axis=0)
            out[f"{name}_{stage}"] = {"value": number_or_none(value), "interval95": interval95(found[stage][1])}
        value, spread = (after - before for before, after in zip(found["unaided"], found["aided"]))
        difference = {"difference": number_or_none(value), "interval95": interval95(spread), "p": bootstrap_p(spread)}
        out[f"{name}_difference"] = difference
    return out


def _macro_auc(classes: int, grade: np.ndarray, given: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return class_aucs(grade, scores_of(given, classes), weights).mean(axis=1)


def _accuracy(grade: np.ndarray, given: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weights @ (grade == given).astype(np.float64) / weights.sum(axis=1)


def _weights(own: list[StudyReading], truth: Mapping, draws: int, seed: int) -> np.ndarray:
    """(draws, n): patients drawn within their grade."""
    grade, patient = zip(*(truth[r.case] for r in own))
    return bootstrap_weights(np.array(grade), np.array(patient), draws, seed)


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
