"""Effect of distillation on whole volumes: the student trained twice in the same folds, with and without it.

Both are evaluated on a large external cohort, and out of fold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.worker.training_run import RECORD, fold_files
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.cohorts.listed import MISSING
from REACTKDTrainLib.cohorts.open_cohort import PREFIX, open_cohort, size_of
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.evaluation.checks import number_or_none
from REACTKDTrainLib.evaluation.intervals import auc_difference_over_runs, share_in_common
from REACTKDTrainLib.results.tables import difference_cell, markdown, number_cell
from REACTKDTrainLib.study.compare_runs import Answer, Answers, aligned, paired, reported
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.experiment import run_experiment
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.predictions import Prediction, read_rows
from REACTKDTrainLib.training.record import (
    cohorts_differ,
    completed,
    describe_cohort,
    difference,
    recorded_settings,
)

#: prefix of the results -> the method of the run
METHODS = {"distilled": "react-kd", "plain": "none"}
HEAD = ["images given", "unseen cases", "distilled", "without", "difference (95 % interval)"]


@dataclass(frozen=True)
class ComparedMethods:
    """cohort: for training in `folds` folds, 0 for the number in the settings; external: large, used by neither in
    training; config: a file of settings or None; output: the folder of both runs and of the result; grades: the meaning
    of the cohorts' grades, see `open_cohort`.
    """

    cohort: str
    external: str
    output: Path
    config: Path | None = None
    folds: int = 0
    grades: str = ""

    def options(self, name: str) -> RunOptions:
        """Return the options of one of the two runs; both share prepared cases."""
        folder = Path(self.output) / name
        return RunOptions(
            cohort=self.cohort,
            map=self.grades,
            external=self.external,
            output=folder,
            method=METHODS[name],
            folds=self.folds,
            config=self.config,
            device="cpu",
            cache=Path(self.output) / "cache",
            resume=(folder / RECORD).exists(),
        )

    def run(self, on_progress: OnProgress = no_progress) -> dict:
        """Train what is not finished, compare, write the result.

        Raises: see `run_experiment`; UsageError for settings of a third method, and for a finished run with other
        settings or cases than requested.
        """
        self._check_method()
        for name in METHODS:
            if (Path(self.output) / name / "metrics.json").exists():
                self._check_run(name)
        for name in METHODS:
            if not (Path(self.output) / name / "metrics.json").exists():
                run_experiment(self.options(name), on_progress)
        found = self.compare()
        write_text(Path(self.output) / "comparison.json", json.dumps(found, indent=2, allow_nan=False) + "\n")
        write_text(Path(self.output) / "comparison.md", page(found) + "\n")
        return found

    def _check_method(self) -> None:
        """Raise UsageError if the settings file is for a third method, which was probably not meant to be compared
        here.
        """
        named = TrainingConfig().method if self.config is None else TrainingConfig.read(self.config).method
        if named not in METHODS.values():
            raise UsageError(
                f"The settings name the method {named}; compare methods trains {' and '.join(METHODS.values())}: take "
                "the method out of the file."
            )

    def _check_run(self, name: str) -> None:
        """Check that a finished run used the requested settings and cases. Cohorts with missing files are taken as
        equal.
        """
        options = self.options(name)
        config = options.training_config(size_of(self.cohort))
        record = parse_json((options.output / RECORD).read_text(encoding="utf-8"))
        both = completed(record["configuration"]), recorded_settings(config)
        changed = difference(*({key: own[key] for key in record["configuration"]} for own in both))
        cohorts = {}
        for role, spec in (("cohort", self.cohort), ("external", self.external)):
            if spec.startswith(PREFIX) or Path(spec).exists():
                opened = open_cohort(spec, config.data.size, config.data.doses, grades=self.grades)
                opened = opened.graded_alone() if role == "cohort" else opened
                cohorts[role] = describe_cohort(opened)
                if any(case.fingerprint.startswith(MISSING) for case in opened.cases):
                    del cohorts[role]["content"]
        changed = changed or cohorts_differ({role: record["cohorts"][role] for role in cohorts}, cohorts)
        if changed:
            raise UsageError(
                f"The run {name} in the output folder was trained on something else ({changed}); use the "
                "same settings and cases, or choose another output folder."
            )

    def compare(self) -> dict:
        """Return the result from the files of two finished runs. Raises: UsageError if they do not match."""
        runs = {name: Path(self.output) / name for name in METHODS}
        records = {name: parse_json((run / RECORD).read_text(encoding="utf-8")) for name, run in runs.items()}
        settings = [{**record["configuration"], "method": None} for record in records.values()]
        if settings[0] != settings[1] or cohorts_differ(*(record["cohorts"] for record in records.values())):
            raise UsageError("The two runs differ in settings or cases; give the comparison a folder of its own.")
        cohorts = records["distilled"]["cohorts"]
        rows = {name: {part: of_folds(run, part) for part in ("external", "test")} for name, run in runs.items()}
        shared = share_in_common(training_patients(rows["plain"]["test"]))
        return {
            "digital_phantom": cohorts["cohort"]["digital_phantom"] and cohorts["external"]["digital_phantom"],
            "patients": cohorts["cohort"]["patients"],
            "cohort": cohorts["cohort"]["name"],
            "external": cohorts["external"]["name"],
            "folds": len(rows["plain"]["test"]),
            "configuration": records["distilled"]["configuration"],
            "on_the_external": {
                i: external_difference(*(rows[n]["external"] for n in METHODS), i, shared)
                for i in inputs_of(rows["plain"]["external"])
            },
            "out_of_fold": {
                i: pooled_difference(*(rows[n]["test"] for n in METHODS), i) for i in inputs_of(rows["plain"]["test"])
            },
            "teachers_on_the_external": teachers(rows["distilled"]["external"]),
        }


def of_folds(run: Path, part: str) -> list[list[Prediction]]:
    """Return the rows of each fold. part: 'test' or 'external'. Raises: UsageError if the run is not finished."""
    paths = fold_files(run, f"{part}.json").values()
    if not paths:
        raise UsageError(f"The run {run.name} has predicted nothing; let it finish first.")
    return [read_rows(path) for path in paths]


def _answers_of(rows: Sequence[Prediction], inputs: str) -> Answers:
    own = [r for r in rows if r.model == "student" and r.inputs == inputs and r.grade is not None]
    return {r.case: Answer(r.patient, r.grade, np.array(r.probabilities)) for r in own}


def inputs_of(folds: Sequence[Sequence[Prediction]]) -> list[str]:
    """Return the `INPUTS` with predictions for graded cases; if there are none, all inputs with predictions."""
    return reported({r.inputs for rows in folds for r in rows if r.model == "student" and r.grade is not None})


def training_patients(folds: Sequence[Sequence[Prediction]]) -> list[set[str]]:
    """Return for each fold its training patients: those in the test part of another fold."""
    tested = [{row.patient for row in rows} for rows in folds]
    return [set().union(*tested) - own for own in tested]


def external_difference(
    a: Sequence[Sequence[Prediction]], b: Sequence[Sequence[Prediction]], inputs: str, shared: float = 0.0
) -> dict:
    """Mean over the folds' students of the macro AUC of a minus that of b, on cases unseen in training.

    shared: the share of training patients that the folds have in common. The interval is over other training folds and
    other patients (`auc_difference_over_runs`).
    """
    sides = [_answers_of(rows, inputs) for rows in (*a, *b)]
    grades, patients, probabilities = aligned(sides, GRADES)
    p, q = probabilities[: len(a)], probabilities[len(a) :]
    difference = auc_difference_over_runs(grades, p, q, patients, shared=shared)
    means = [number_or_none(np.mean([macro_auc(grades, x) for x in side])) for side in (p, q)]
    return {"macro_auc": means, **difference}


def pooled_difference(a: Sequence[Sequence[Prediction]], b: Sequence[Sequence[Prediction]], inputs: str) -> dict:
    """As `external_difference`, on the cohort itself: each case is graded by the student that it was held out from."""
    return paired(*(_answers_of([row for fold in side for row in fold], inputs) for side in (a, b)))


def teachers(folds: Sequence[Sequence[Prediction]]) -> dict[str, float | None]:
    """Mean macro AUC over folds of each teacher on the graded external cases: the knowledge that could be distilled."""
    out = {}
    for model in sorted({row.model for row in folds[0] if row.grade is not None} - {"student"}):
        each = []
        for rows in folds:
            own = [r for r in rows if r.model == model and r.grade is not None]
            each.append(macro_auc(np.array([r.grade for r in own]), np.array([r.probabilities for r in own])))
        out[model] = number_or_none(np.mean(each))
    return out


# -- for display


def page(found: Mapping) -> str:
    """Return Markdown: the table, and the conclusion that its numbers support."""
    rows = [HEAD]
    for where, part in (("the external cohort", found["on_the_external"]), ("out of fold", found["out_of_fold"])):
        for inputs, own in part.items():
            aucs = [number_cell(auc) for auc in own["macro_auc"]]
            rows.append([f"{inputs}, {where}", str(own["cases"]), *aucs, difference_cell(own, 3)])
    known = ", ".join(f"{name} {number_cell(auc)}" for name, auc in found["teachers_on_the_external"].items())
    kind = "Digital phantoms: " if found["digital_phantom"] else ""
    unseen = max((own["cases"] for own in found["on_the_external"].values()), default=0)
    about = (
        f"{kind}{found['patients']} patients of {found['cohort']}, {found['folds']} folds, tested on {unseen} of "
        f"{found['external']}; macro AUC, mean of the folds' students. The teachers on the same cases: {known or '-'}."
    )
    return "\n\n".join([about, markdown(rows), verdict(found["on_the_external"].get("ct"))])


def verdict(found: Mapping | None) -> str:
    """Return the conclusion from the difference on CT alone. found: None without external cases with grade and CT."""
    if found is None:
        return "No graded case of the external cohort has a CT, so nothing is said of CT alone."
    if found["interval95"] is None:
        return "With CT alone the difference is not known: a grade has no case in the external cohort."
    low, high = found["interval95"]
    value = difference_cell(found, 3)
    if low > 0:
        return f"With CT alone the distilled student was better: {value}."
    if high < 0:
        return f"With CT alone the distilled student was worse: {value}."
    return f"With CT alone no difference was shown: {value}; a gain beyond {high:+.3f} is unlikely."
