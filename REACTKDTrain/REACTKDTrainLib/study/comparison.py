"""Is the distilled student better than the same student without distillation? Both are trained, in the same folds, and
asked about the same unseen cases.

python -m REACTKDTrainLib.study.comparison --output comparison [--page docs/training.md]

Runs that are there already are finished or taken as they are, so what was ended goes on with the same command. The
answer is in `comparison.json` and, as a table, in `comparison.md`; --page puts the table between the two marks of a
page.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import ReactkdError, UsageError
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.evaluation.intervals import (
    auc_difference_over_runs,
    paired_auc_difference,
    share_in_common,
)
from REACTKDTrainLib.training.experiment import run_experiment
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.predictions import Prediction, read_rows
from REACTKDTrainLib.training.record import RECORD
from REACTKDTrainLib.training.telling import Teller

#: what the answers are named by -> the method of its run
METHODS = {"distilled": "react-kd", "plain": "none"}
INPUTS = ("ct", "fdg+acetate", "ct+fdg+acetate")
MARKS = ("<!-- comparison: made by REACTKDTrainLib.study.comparison -->", "<!-- end of comparison -->")
HEAD = ("images given", "unseen cases", "distilled", "without", "difference (95 % interval)")


@dataclass(frozen=True)
class Comparison:
    """cohort: trained on in `folds` folds; external: large, and seen by neither; config: a file of settings or None;
    output: the folder of both runs and of the answer.
    """

    cohort: str
    external: str
    output: Path
    config: Path | None = None
    folds: int = 3

    def options(self, name: str) -> RunOptions:
        """Of one of the two runs; both share prepared cases."""
        folder = Path(self.output) / name
        return RunOptions(
            cohort=self.cohort,
            external=self.external,
            output=folder,
            method=METHODS[name],
            folds=self.folds,
            config=self.config,
            device="cpu",
            cache=Path(self.output) / "cache",
            resume=(folder / RECORD).exists(),
        )

    def run(self, teller: Teller | None = None) -> dict:
        """Train what is not finished, compare, write the answer. Raises: what `run_experiment` raises."""
        for name in METHODS:
            if not (Path(self.output) / name / "metrics.json").exists():
                run_experiment(self.options(name), *([teller] if teller else []))
        told = self.compare()
        write_text(Path(self.output) / "comparison.json", json.dumps(told, indent=2, allow_nan=False) + "\n")
        write_text(Path(self.output) / "comparison.md", page(told) + "\n")
        return told

    def compare(self) -> dict:
        """The answer from the files of two finished runs. Raises: UsageError when they do not fit together."""
        runs = {name: Path(self.output) / name for name in METHODS}
        records = {name: json.loads((run / RECORD).read_text(encoding="utf-8")) for name, run in runs.items()}
        settings = [{**record["configuration"], "method": None} for record in records.values()]
        if settings[0] != settings[1] or records["distilled"]["cohorts"] != records["plain"]["cohorts"]:
            raise UsageError("The two runs differ in settings or cases; give the comparison a folder of its own.")
        cohorts = records["distilled"]["cohorts"]
        rows = {name: {part: of_folds(run, part) for part in ("external", "test")} for name, run in runs.items()}
        shared = share_in_common(training_patients(rows["plain"]["test"]))
        return {
            "digital_phantom": cohorts["cohort"]["digital_phantom"] and cohorts["external"]["digital_phantom"],
            "patients": cohorts["cohort"]["patients"],
            "cohort": cohorts["cohort"]["name"],
            "external": cohorts["external"]["name"],
            "folds": self.folds,
            "configuration": records["distilled"]["configuration"],
            "on_the_external": {
                i: external_difference(*(rows[n]["external"] for n in METHODS), i, shared) for i in INPUTS
            },
            "out_of_fold": {i: pooled_difference(*(rows[n]["test"] for n in METHODS), i) for i in INPUTS},
            "teachers_on_the_external": teachers(rows["distilled"]["external"]),
        }


def of_folds(run: Path, part: str) -> list[list[Prediction]]:
    """Rows of each fold. part: 'test' or 'external'. Raises: UsageError when the run is not finished."""
    paths = sorted(run.glob(f"fold*/{part}.json"))
    if not paths:
        raise UsageError(f"The run {run.name} has predicted nothing; let it finish first.")
    return [read_rows(path) for path in paths]


def _of(rows: Sequence[Prediction], model: str, inputs: str) -> dict[str, Prediction]:
    return {r.case: r for r in rows if r.model == model and r.inputs == inputs and r.grade is not None}


def training_patients(folds: Sequence[Sequence[Prediction]]) -> list[set[str]]:
    """Of each fold the patients that it trained on: those whom another fold tested."""
    tested = [{row.patient for row in rows} for rows in folds]
    return [set().union(*tested) - own for own in tested]


def external_difference(
    a: Sequence[Sequence[Prediction]], b: Sequence[Sequence[Prediction]], inputs: str, shared: float = 0.0
) -> dict:
    """Mean over the folds' students of the macro AUC of a minus that of b, on cases that none of them saw.

    shared: what the folds' training patients have in common. The interval is over other training folds and other
    patients (`auc_difference_over_runs`).
    """
    found = [[_of(rows, "student", inputs) for rows in side] for side in (a, b)]
    names = sorted(found[0][0])
    grades = np.array([found[0][0][n].grade for n in names])
    ours, plain = (np.array([[fold[n].probabilities for n in names] for fold in side]) for side in found)
    told = auc_difference_over_runs(grades, ours, plain, shared=shared)
    return {"macro_auc": [float(np.mean([macro_auc(grades, p) for p in side])) for side in (ours, plain)], **told}


def pooled_difference(a: Sequence[Sequence[Prediction]], b: Sequence[Sequence[Prediction]], inputs: str) -> dict:
    """The same on the cohort itself, each case graded by the student whose fold it was not in."""
    ours, plain = (_of([row for fold in side for row in fold], "student", inputs) for side in (a, b))
    names = sorted(ours)
    grades = np.array([ours[n].grade for n in names])
    p, q = (np.array([side[n].probabilities for n in names]) for side in (ours, plain))
    return {"macro_auc": [macro_auc(grades, p), macro_auc(grades, q)], **paired_auc_difference(grades, p, q)}


def teachers(folds: Sequence[Sequence[Prediction]]) -> dict[str, float]:
    """Mean macro AUC over folds of each teacher on the external cases: what there was to be learned."""
    out = {}
    for model in sorted({row.model for row in folds[0]} - {"student"}):
        each = []
        for rows in folds:
            own = [r for r in rows if r.model == model and r.grade is not None]
            each.append(macro_auc(np.array([r.grade for r in own]), np.array([r.probabilities for r in own])))
        out[model] = float(np.mean(each))
    return out


# -- for people


def page(told: Mapping) -> str:
    """Markdown: the table, and the sentence that its numbers allow."""
    lines = [f"| {' | '.join(HEAD)} |", "| --- " * len(HEAD) + "|"]
    for where, part in (("the external cohort", told["on_the_external"]), ("out of fold", told["out_of_fold"])):
        lines += [_row(f"{inputs}, {where}", found) for inputs, found in part.items()]
    known = ", ".join(f"{name} {auc:.3f}" for name, auc in told["teachers_on_the_external"].items())
    kind = "Digital phantoms: " if told["digital_phantom"] else ""
    about = (
        f"{kind}{told['patients']} patients of {told['cohort']}, {told['folds']} folds, tested on "
        f"{told['on_the_external']['ct']['cases']} of {told['external']}; macro AUC, mean of the folds' students. "
        f"The teachers on the same cases: {known}."
    )
    return "\n".join([about, "", *lines, "", verdict(told["on_the_external"]["ct"])])


def _row(name: str, found: Mapping) -> str:
    a, b = found["macro_auc"]
    low, high = found["interval95"]
    return f"| {name} | {found['cases']} | {a:.3f} | {b:.3f} | {found['difference']:+.3f} ({low:+.3f} to {high:+.3f}) |"


def verdict(found: Mapping) -> str:
    """What the difference on CT alone says, and no more."""
    low, high = found["interval95"]
    value = f"{found['difference']:+.3f} ({low:+.3f} to {high:+.3f})"
    if low > 0:
        return f"With CT alone the distilled student was better: {value}."
    if high < 0:
        return f"With CT alone the distilled student was worse: {value}."
    return f"With CT alone no difference was shown: {value}; a gain beyond {high:+.3f} is unlikely."


def put_into(path: Path, text: str, marks: tuple[str, str] = MARKS) -> None:
    """Replace what stands between the two marks of a page. Raises: UsageError for a page without them."""
    old = Path(path).read_text(encoding="utf-8")
    before, first, rest = old.partition(marks[0])
    _, last, after = rest.partition(marks[1])
    if not first or not last:
        raise UsageError(f"The page {Path(path).name} has no place for the comparison; add the lines {marks}.")
    write_text(path, f"{before}{first}\n\n{text}\n\n{last}{after}")


def main(arguments: Sequence[str]) -> int:
    """Run from the command line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="REACTKDTrainLib.study.comparison", description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="the folder of both runs and of the answer")
    parser.add_argument("--cohort", default="phantom:hospital?size=small", help="what both are trained on")
    parser.add_argument("--external", default="phantom:large?cases=500&size=small", help="what both are asked about")
    parser.add_argument("--config", type=Path, help="a JSON file of settings for both")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--page", type=Path, help="a Markdown page to put the table into")
    options = parser.parse_args(arguments)
    teller = Teller(sys.stdout, "terminal" if sys.stdout.isatty() else "file")
    try:
        told = Comparison(options.cohort, options.external, options.output, options.config, options.folds).run(teller)
        if options.page:
            put_into(options.page, page(told))
    except (ReactkdError, OSError) as error:
        teller.end()
        print(error, file=sys.stderr)
        return 2
    teller.end(page(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
