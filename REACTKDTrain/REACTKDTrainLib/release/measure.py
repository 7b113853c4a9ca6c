"""Evaluation of a released student on the test phantoms: all baselines and subsets of inputs, and the gains."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from REACTKDLib.core.modality import INPUTS, SUBSETS, subset_name
from REACTKDLib.core.student.grade_sets import GradeSets
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.evaluation.auc import class_aucs, macro_auc
from REACTKDTrainLib.evaluation.bootstrap import bootstrap_weights, interval95
from REACTKDTrainLib.evaluation.conformal import COVERAGE, least_probability, measured_sets
from REACTKDTrainLib.evaluation.intervals import paired_auc_difference
from REACTKDTrainLib.nodes.naming import WAYS, named_lesions, predictor_of
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.train import predict
from REACTKDTrainLib.release.baselines import bayes_limit, hand_logistic
from REACTKDTrainLib.study.deciding import deciding_result, has_known_deciding_lesion

#: names on the model's page of the inputs in the paper's Table III
NAMED = dict(zip(("CT", "PET", "all"), INPUTS))


def describe(grade: np.ndarray, p: np.ndarray, weights: np.ndarray) -> dict:
    """AUC (macro, per class, 95 % interval) and accuracy of probabilities (N, K). weights: of the bootstrap."""
    each = class_aucs(grade, p)
    return {
        "auc": round(float(each.mean()), 4),
        "interval95": _rounded(interval95(class_aucs(grade, p, weights).mean(axis=1))),
        "auc_per_class": _rounded(each),
        "accuracy": round(float((p.argmax(axis=1) == grade).mean()), 4),
    }


def gain(grade: np.ndarray, a: np.ndarray, b: np.ndarray, draws: int) -> dict:
    """Macro AUC of a minus that of b on the same patients, with its 95 % interval."""
    found = paired_auc_difference(grade, a, b, draws=draws)
    return {key: _rounded(found[key]) for key in ("difference", "interval95")}


def _rounded(values) -> float | list[float]:
    return np.round(values, 4).tolist()


def evaluate(students: Mapping[str, Student], train: NodeTable, test: NodeTable, draws: int) -> dict:
    """Return the evaluation for a bundle's metadata: {cases, subsets, gains}. students: by name, one of them 'student'.

    Every student, the limits and a logistic regression on hand-crafted features on every subset, and the gain of
    'student' over each on the inputs of `NAMED`. 'share_of_the_way': from 0.5 to the limit with masks.
    """
    grade = test.grade.numpy()
    weights = bootstrap_weights(grade, draws=draws)
    result: dict = {"cases": len(test), "subsets": {}, "gains": {}}
    for subset in SUBSETS:
        name = subset_name(subset)
        p = {
            "Bayes limit": bayes_limit(test, subset),
            "Bayes limit with masks": bayes_limit(test, subset, masks=True),
            **{who: predict(student, test, subset).numpy() for who, student in students.items()},
            "logistic regression by hand": hand_logistic(train, test, subset),
        }
        rows = {who: describe(grade, value, weights) for who, value in p.items()}
        limit = rows["Bayes limit with masks"]["auc"]
        for row in rows.values():
            row["share_of_the_way"] = round((row["auc"] - 0.5) / max(limit - 0.5, 1e-6), 4)
        result["subsets"][name] = rows
        if subset in INPUTS:
            others = [who for who in p if who != "student"]
            result["gains"][name] = {who: gain(grade, p["student"], p[who], draws) for who in others}
    return result


def with_other_masks(test: NodeTable, students: Mapping[str, Student], draws: int) -> dict:
    """Macro AUC over perturbed masks: inputs -> student -> AUC; and the last student minus the first."""
    grade, out = test.grade.numpy(), {}
    first, *_, last = students
    for name, subset in NAMED.items():
        p = {who: predict(student, test, subset, 1).numpy() for who, student in students.items()}
        out[name] = {who: round(macro_auc(grade, value), 4) for who, value in p.items()}
        out[name]["gain"] = gain(grade, p[last], p[first], draws)
    return out


def sets_of(student: Student, held_out: NodeTable) -> GradeSets:
    """Sets of grades for every subset of images, from patients used for no choice, with the expert's masks."""
    grade = held_out.grade.numpy()
    least = {subset_name(s): least_probability(predict(student, held_out, s).numpy(), grade) for s in SUBSETS}
    return GradeSets(COVERAGE, least)


def with_sets(student: Student, test: NodeTable, sets: GradeSets) -> dict:
    """Coverage and size of the sets on the test patients: subset -> see `measured_sets`; also with another annotator's
    masks, under 'other_masks', where coverage is not guaranteed.
    """
    grade = test.grade.numpy()
    variants = range(min(2, test.encoded if student.fused_size else test.variants))
    found = [
        {
            subset_name(s): measured_sets(predict(student, test, s, v).numpy(), grade, sets.least[subset_name(s)])
            for s in SUBSETS
        }
        for v in variants
    ]
    return {"coverage": sets.coverage, "expert": found[0], "other_masks": found[1] if len(found) > 1 else {}}


def deciding_of(student: Student, test: NodeTable) -> dict:
    """How often the student's region values identify the deciding lesion, see `study.deciding`. Empty if the phantoms
    are of the independent biology, or no test patient has several lesions.
    """
    if not has_known_deciding_lesion(test).any():
        return {}
    named = {
        subset_name(s): {
            WAYS[way]: [nodes.numpy()] for way, nodes in named_lesions(predictor_of(student, s), test.batch()).items()
        }
        for s in INPUTS
    }
    return deciding_result(test, named)
