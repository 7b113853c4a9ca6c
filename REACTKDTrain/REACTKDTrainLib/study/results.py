"""results.json: all numbers of the tables and figures, computed from the files of the runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from REACTKDLib.core.modality import INPUT_NAMES
from REACTKDTrainLib.data.limits import latents_of, limit_of, prior_of
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import make_distiller
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.evaluation.checks import number_or_none
from REACTKDTrainLib.evaluation.intervals import auc_difference_over_runs
from REACTKDTrainLib.evaluation.metrics import summarize_seeds
from REACTKDTrainLib.evaluation.significance import paired_tests_against
from REACTKDTrainLib.nodes.naming import WAYS
from REACTKDTrainLib.study.deciding import deciding_result, has_known_deciding_lesion
from REACTKDTrainLib.study.external import ExternalStudy
from REACTKDTrainLib.study.hospital import HospitalStudy
from REACTKDTrainLib.study.nodes import TEACHERS, NodeStudy, at_edge
from REACTKDTrainLib.study.presets import ON_NODES
from REACTKDTrainLib.study.runs import Run, RunFiles

LIMIT = "Bayes limit"
OURS, RIVAL, SCORES = "react-kd", "kd", "react-kd-scores"
#: comparisons on node vectors: the primary one first, then the secondary one. Other methods of the study follow, each
#: compared with logits
PAIRS = ((OURS, RIVAL), (SCORES, RIVAL), (RIVAL, "none"), (OURS, "none"), (SCORES, "none"))


def label_of(method: str) -> str:
    """Return the name in tables."""
    return make_distiller(method, DistillationConfig(), 1, 1).label


def by_row(runs: Sequence[Run], files: RunFiles, folds: int) -> dict[str, dict[int, list[dict[str, np.ndarray]]]]:
    """Return row -> seed -> its folds; only seeds with all folds."""
    out: dict[str, dict[int, dict[int, dict]]] = {}
    for run in runs:
        found = files.get(run)
        if found is not None:
            out.setdefault(run.row, {}).setdefault(run.seed, {})[run.fold] = found
    whole = {r: {s: [f[n] for n in range(folds)] for s, f in sd.items() if len(f) == folds} for r, sd in out.items()}
    return {row: seeds for row, seeds in whole.items() if seeds}


def method_table(level: HospitalStudy, files: RunFiles, runs: Sequence[Run]) -> dict:
    """Tables I and III: row -> inputs -> measures; the limit last; tests of REACT-KD against the others."""
    rows = by_row(runs, files, len(level.splits))
    draws = level.preset.draws
    out = {"rows": _measured_rows(level, rows), "tests": {}, "labels": {row: label_of(row) for row in rows}}
    for row, seeds in rows.items():
        out["rows"][row]["seeds"] = sorted(seeds)
    if OURS in rows:
        for inputs in INPUT_NAMES:
            answers = {row: pooled(_first(seeds), f"p_{inputs}") for row, seeds in rows.items()}
            if np.isfinite(answers[OURS]["p"]).all():
                own, others = answers[OURS], {r: a["p"] for r, a in answers.items() if r != OURS}
                tests = paired_tests_against(own["grade"], own["p"], others, own["patient"], draws) if others else {}
                out["tests"][inputs] = tests
    return out


def ablation_table(level: HospitalStudy, files: RunFiles, runs: Sequence[Run]) -> dict:
    """Table II: the rows in order, then the limit; 'parts': which parts each row has, by display name."""
    rows = by_row(runs, files, len(level.splits))
    measured = _measured_rows(level, {name: rows[name] for name in level.ablations if name in rows})
    return {"rows": measured, "parts": dict(level.PARTS)}


def teacher_table(level: HospitalStudy, files: RunFiles, runs: Sequence[Run]) -> dict:
    """Knowledge available for distillation: the fused teacher and its branches on held-out cases."""
    rows = by_row(runs, files, len(level.splits))
    folds = _first(rows["teachers"]) if "teachers" in rows else []
    names = [k for k in (folds[0] if folds else ()) if k.startswith("p_") and all(k in f for f in folds)]
    return {"rows": {name[2:]: _measured([folds], name, level.preset.draws) for name in names}}


def external_table(external: ExternalStudy, files: RunFiles, runs: Sequence[Run]) -> dict:
    """Table IV: row -> dose -> measures of the folds' mean probabilities on CT."""
    rows = by_row(runs, files, len(external.hospital.splits))
    draws = external.hospital.preset.draws
    out: dict = {"rows": {}, "labels": {}}
    for name, seeds in rows.items():
        method, level = name.split("@")
        folds = _first(seeds)
        p = np.mean([f["p_ct"] for f in folds], axis=0)
        out["rows"].setdefault(method, {})[level] = summarize_seeds(folds[0]["grade"], [p], folds[0]["patient"], draws)
        out["labels"][method] = label_of(method)
    latents = latents_of(external.cohort.cases) if rows else None
    if latents is not None:
        grades = np.array([case.grade for case in external.cohort.cases])
        who = np.array([case.patient for case in external.cohort.cases])
        measured = summarize_seeds(grades, [limit_of(latents, "ct", prior_of(external.cohort))], who, draws)
        out["rows"][LIMIT] = {level: measured for level in next(iter(out["rows"].values()))}
    return out


def node_table(level: NodeStudy, files: RunFiles, runs: Sequence[Run], draws: int) -> dict:
    """The primary comparison: mean macro AUC of each row for each size, and paired differences over subsets."""
    grades, latents = level.truth()
    held: dict[str, dict[int, dict]] = {}
    for run in runs:
        if (found := files.get(run)) is not None:
            held.setdefault(run.row, {})[run.fold] = found
    out: dict = {"sizes": {}, "cases": {k: len(v) for k, v in level.cases.items()}, "drawn": level.config.drawn}
    out["limit"] = {i: macro_auc(grades, limit_of(latents, i)) for i in INPUT_NAMES}
    for size in level.sizes:
        own = {row.rsplit("/", 1)[0]: found for row, found in held.items() if row.endswith(f"/{size}")}
        columns = [*INPUT_NAMES, *(f"ct_masks{v}" for v in range(1, level.config.variants + 1))]
        shared = partial(level.shared, size)
        table = {
            row: {c: [macro_auc(grades, f[f"p_{c}"]) for f in found.values() if f"p_{c}" in f] for c in columns}
            for row, found in own.items()
        }
        pairs, others = {}, [m for m in level.config.methods if m not in ON_NODES]
        for teacher in TEACHERS:
            for a, b in (*PAIRS, *((m, RIVAL) for m in others)):
                left, right = f"{a}/{teacher}", f"{b}/{teacher}" if b != "none" else "none/same"
                if left in own and right in own:
                    pairs[f"{left} - {right}"] = {
                        c: _difference(grades, own[left], own[right], f"p_{c}", draws, shared) for c in columns
                    }
        chosen = {f"{m}/{t}": level.chosen(files, m, t) for m, t in level.rows()}
        edges = {row: at_edge(row.split("/")[0], level.config.trials, choice) for row, choice in chosen.items()}
        out["sizes"][str(size)] = {"auc": table, "differences": pairs, "chosen": chosen, "at_edge": edges}
    return out


def named_table(level: NodeStudy, files: RunFiles, runs: Sequence[Run]) -> dict | None:
    """How often explanations identify the deciding lesion, see `deciding_result`; None if the truth does not define
    one.

    For the teacher of the pool, and for students of the largest training subsets.
    """
    table = level.table("test")
    if not has_known_deciding_lesion(table).any():
        return None
    named: dict[str, dict[str, list]] = {}
    for run in runs:
        found = files.get(run) or {}
        method, teacher = run.row.split("/")[:2]
        who = "teacher" if method == "teacher" else label_of(method)
        who += " (teacher of the pool)" if teacher == "large" and method != "teacher" else ""
        for key, value in found.items():
            if key.startswith("named_"):
                _, inputs, way = key.split("_")
                named.setdefault(inputs, {}).setdefault(f"{who}: {WAYS[way]}", []).append(value)
    named = {inputs: named[inputs] for inputs in INPUT_NAMES if inputs in named}
    return deciding_result(table, named) if named else None


def _difference(
    grades: np.ndarray,
    a: Mapping[int, dict],
    b: Mapping[int, dict],
    name: str,
    draws: int,
    shared: Callable[[Sequence[int]], float],
) -> dict | None:
    both = [n for n in sorted(set(a) & set(b)) if name in a[n] and name in b[n]]
    if not both:
        return None
    left, right = (np.stack([_summing(x[n][name]) for n in both]) for x in (a, b))
    return auc_difference_over_runs(grades, left, right, draws=draws, shared=shared(both))


def _summing(p: np.ndarray) -> np.ndarray:
    """Normalize rows to sum to 1, since they were stored as float32."""
    p = p.astype(np.float64)
    return p / p.sum(axis=1, keepdims=True)


def _measured(seeds: Sequence[Sequence[Mapping[str, np.ndarray]]], name: str, draws: int) -> dict | None:
    """Measures of pooled out-of-fold predictions, and each fold's own macro AUC (whose spread is no error bar)."""
    answers = [pooled(folds, name) for folds in seeds]
    if not all(np.isfinite(t["p"]).all() for t in answers):
        return None
    first = answers[0]
    out = summarize_seeds(first["grade"], [t["p"] for t in answers], first["patient"], draws)
    by_fold = [
        [macro_auc(t["grade"][t["fold"] == f], t["p"][t["fold"] == f]) for f in np.unique(t["fold"])] for t in answers
    ]
    out["macro_auc"]["of_each_fold"] = [[number_or_none(v) for v in row] for row in by_fold]
    return out


def _measured_rows(level: HospitalStudy, rows: Mapping[str, Mapping[int, list]]) -> dict:
    """Row -> inputs -> measures over all its seeds; the limit last."""
    draws = level.preset.draws
    out = {
        row: {inputs: _measured(list(seeds.values()), f"p_{inputs}", draws) for inputs in INPUT_NAMES}
        for row, seeds in rows.items()
    }
    if rows:
        out[LIMIT] = _limit(level, pooled(_first(next(iter(rows.values()))), "p_ct"), draws)
    return out


def _limit(level: HospitalStudy, first: Mapping[str, np.ndarray], draws: int) -> dict:
    cases = {case.id: case for case in level.cohort.cases}
    latents = latents_of([cases[name] for name in first["case"]])
    if latents is None:
        return dict.fromkeys(INPUT_NAMES)
    return {
        inputs: summarize_seeds(
            first["grade"], [limit_of(latents, inputs, prior_of(level.cohort))], first["patient"], draws
        )
        for inputs in INPUT_NAMES
    }


def _first(seeds: Mapping[int, list]) -> list:
    return seeds[min(seeds)]


def pooled(folds: Sequence[Mapping[str, np.ndarray]], name: str) -> dict[str, np.ndarray]:
    """Cases of all folds sorted by name: 'case', 'patient', 'grade', 'fold', 'p' (n, 3) of `name`."""
    out = {key: np.concatenate([f[key] for f in folds]) for key in ("case", "patient", "grade")}
    out["fold"] = np.concatenate([np.full(len(f["case"]), n) for n, f in enumerate(folds)])
    out["p"] = np.concatenate([f[name] for f in folds])
    order = np.argsort(out["case"], kind="stable")
    return {key: value[order] for key, value in out.items()}
