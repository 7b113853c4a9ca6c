"""Two finished runs on the same unseen cases: the paired difference of macro AUC, with its interval.

python -m REACTKDTrainLib.evaluation.compare RUN_A RUN_B [--inputs ct] [--cases external]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import ReactkdError, UsageError
from REACTKDLib.core.files.tables import read_table
from REACTKDLib.core.grades import GRADES
from REACTKDTrainLib.evaluation.intervals import paired_auc_difference

Rows = dict[str, tuple[int, np.ndarray]]


def read_probabilities(run: Path, inputs: str, cases: str = "external", model: str = "student") -> Rows:
    """case -> (grade, probabilities (3,)) of a run's predictions with these inputs ('ct+fdg').

    cases: 'external' or 'folds', which unseen cases. Cases without a grade are left out. Raises: UsageError.
    """
    name = "predictions_external_by_inputs.csv" if cases == "external" else "predictions_by_inputs.csv"
    path = Path(run) / name
    if not path.is_file():
        raise UsageError(f"The run {Path(run).name} has no {name}; let it finish, or give it an external cohort.")
    out: Rows = {}
    for row in read_table(path, f"the file {name}", ("case", "model", "inputs", "grade", *GRADES)).rows:
        if row["model"] == model and row["inputs"] == inputs and row["grade"]:
            out[row["case"]] = GRADES.index(row["grade"]), np.array([float(row[g]) for g in GRADES])
    if not out:
        raise UsageError(f"The run {Path(run).name} predicted no graded case with the inputs {inputs!r}.")
    return out


def compare(run_a: Path, run_b: Path, inputs: str, cases: str = "external", draws: int = 2000) -> dict:
    """Macro AUC of each run, and `paired_auc_difference` of A minus B, on the cases of both.

    Raises: UsageError when the runs predicted different cases.
    """
    a, b = (read_probabilities(run, inputs, cases) for run in (run_a, run_b))
    if set(a) != set(b):
        raise UsageError("The two runs predicted different cases; compare runs with the same cohorts.")
    names = sorted(a)
    grades = np.array([a[n][0] for n in names])
    of_a, of_b = (np.stack([rows[n][1] for n in names]) for rows in (a, b))
    from REACTKDTrainLib.evaluation.auc import macro_auc

    told = paired_auc_difference(grades, of_a, of_b, draws=draws)
    return {"inputs": inputs, "macro_auc": [macro_auc(grades, of_a), macro_auc(grades, of_b)], **told}


def main(arguments: Sequence[str]) -> int:
    """Print the comparison as JSON, a line for each set of inputs. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="REACTKDTrainLib.evaluation.compare", description=__doc__.split("\n")[0])
    parser.add_argument("run_a", type=Path, help="the output folder of a run")
    parser.add_argument("run_b", type=Path, help="of the run that it is compared with")
    parser.add_argument("--inputs", nargs="+", default=["ct", "fdg+acetate", "ct+fdg+acetate"], help="such as ct+fdg")
    parser.add_argument("--cases", choices=("external", "folds"), default="external", help="which unseen cases")
    options = parser.parse_args(arguments)
    try:
        for inputs in options.inputs:
            print(json.dumps(compare(options.run_a, options.run_b, inputs, options.cases)), flush=True)
    except ReactkdError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
