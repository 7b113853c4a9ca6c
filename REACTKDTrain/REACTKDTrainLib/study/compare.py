"""The distilled student against the same student without distillation: patients of a hospital, tested on many others.

In every fold a teacher learns from its training patients alone, then three students with the same seed and order of
cases: none, logits, and logits with region graphs. All are asked about the same unseen patients, with CT alone among
others; the difference comes with an interval over folds and patients.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.cohorts.folds import make_folds
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import make_distiller
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.evaluation.intervals import auc_difference_over_runs, share_in_common
from REACTKDTrainLib.nodes.node_store import NodeStore
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.teacher import targets_of
from REACTKDTrainLib.nodes.training import HeadsRecipe, predict, train_student, train_teacher
from REACTKDTrainLib.study.comparison import put_into

METHODS = ("none", "kd", "react-kd")
INPUTS = {"CT": ("ct",), "PET": ("fdg", "acetate"), "all": ("ct", "fdg", "acetate")}
#: what the table stands between on a page
MARKS = ("<!-- made by REACTKDTrainLib.study.compare -->", "<!-- end of heads.compare -->")
_WIDTH, _HIDDEN = 32, 48


def students_of(train: NodeTable, steps: int, seed: int) -> dict:
    """One student for each of `METHODS`, with the same teacher, seed and order of cases."""
    recipe = HeadsRecipe(steps=steps, batch=32, class_weights=(1.5, 1.0, 2.0), seed=seed)
    targets = targets_of(train_teacher(train, recipe), train)
    out = {}
    for method in METHODS:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            config = DistillationConfig(width=_WIDTH)
            distiller = None if method == "none" else make_distiller(method, config, _HIDDEN, _HIDDEN)
        out[method] = train_student(train, recipe, None, distiller, targets)
    return out


def compare(folds: Sequence[NodeTable], test: NodeTable, steps: int, seeds: Sequence[int]) -> dict:
    """Train on each fold's training patients with each seed, and measure on `test`, with either set of masks.

    Returns {'cases', 'training_patients', 'runs', 'inputs': name -> masks -> method -> mean AUC, and 'gains': the two
    methods minus 'none', see `evaluation.intervals.auc_difference_over_runs`}.
    """
    asked = [(name, masks) for name in INPUTS for masks in (0, 1)]
    answers: dict[tuple[str, int], dict[str, list[np.ndarray]]] = {key: {m: [] for m in METHODS} for key in asked}
    for fold in folds:
        for seed in seeds:
            for method, student in students_of(fold, steps, seed).items():
                for name, masks in asked:
                    answers[name, masks][method].append(predict(student, test, INPUTS[name], masks).numpy())
    grade = test.grade.numpy()
    told: dict = {"cases": len(test), "training_patients": [len(fold) for fold in folds], "seeds": list(seeds)}
    told["shared"] = share_in_common([fold.patients for fold in folds])
    told["inputs"] = {name: {} for name in INPUTS}
    of_fold = [n for n in range(len(folds)) for _ in seeds]
    for (name, masks), by in answers.items():
        row: dict = {m: round(float(np.mean([macro_auc(grade, p) for p in by[m]])), 4) for m in METHODS}
        row["gains"] = {m: _gain(grade, by[m], by["none"], of_fold, told["shared"]) for m in METHODS if m != "none"}
        told["inputs"][name]["expert's masks" if masks == 0 else "another annotator's masks"] = row
    return told


def _gain(grade: np.ndarray, a: Sequence, b: Sequence, of_fold: Sequence[int], shared: float) -> dict:
    """Seeds of a fold count as one run, and folds that share patients as less than so many."""
    found = auc_difference_over_runs(grade, np.stack(a), np.stack(b), subsets=of_fold, shared=shared)
    return {k: np.round(found[k], 4).tolist() for k in ("difference", "interval95", "p")}


def as_markdown(told: Mapping) -> str:
    """A row for each set of inputs and masks: the three AUC, and both gains with their intervals."""
    lines = [
        f"Digital phantoms: {told['training_patients']} training patients in the folds, seeds {told['seeds']}, "
        f"tested on {told['cases']} unseen ones.",
        "",
        "| inputs, masks | none | logits (kd) | react-kd | kd minus none | react-kd minus none |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, by in told["inputs"].items():
        for masks, row in by.items():
            gains = []
            for method in METHODS[1:]:
                low, high = row["gains"][method]["interval95"]
                gains.append(f"{row['gains'][method]['difference']:+.3f} ({low:+.3f} to {high:+.3f})")
            values = " | ".join(f"{row[m]:.3f}" for m in METHODS)
            lines.append(f"| {name}, {masks} | {values} | {' | '.join(gains)} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m REACTKDTrainLib.study.compare --nodes FOLDER --output FILE.json`. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="REACTKDTrainLib.study.compare", description=__doc__.split("\n")[0])
    parser.add_argument("--nodes", type=Path, required=True, help="where node vectors are kept")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="a .json file; the table goes beside it as .md; one that is there is not measured again for --page",
    )
    parser.add_argument("--cohort", default="phantom:hospital", help="graded cases to train on")
    parser.add_argument("--test", default="phantom:large?cases=2000&first=0", help="unseen graded cases")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=150, help="of each training")
    parser.add_argument("--page", type=Path, help="a Markdown page to put the table into")
    parser.add_argument("--made-only", action="store_true", help="test on those whose node vectors are there")
    options = parser.parse_args(arguments)
    try:
        if options.page and options.output.is_file():  # measured before
            put_into(options.page, as_markdown(json.loads(options.output.read_text(encoding="utf-8"))).strip(), MARKS)
            return 0
        store = NodeStore.without_encoder(options.nodes)
        cases = open_cohort(options.cohort).graded
        folds = [_table(store, split.train + split.inner) for split in make_folds(cases, options.folds, 0, 0.2)]
        unseen = [c for c in open_cohort(options.test).graded if not options.made_only or store.path(c).exists()]
        told = compare(folds, _table(store, unseen), options.steps, options.seeds)
        if options.page:
            put_into(options.page, as_markdown(told).strip(), MARKS)
    except ReactkdError as error:
        print(error, file=sys.stderr)
        return 2
    write_text(options.output, json.dumps(told, indent=1))
    write_text(options.output.with_suffix(".md"), as_markdown(told))
    print(as_markdown(told), end="")
    return 0


def _table(store: NodeStore, cases: Sequence) -> NodeTable:
    return NodeTable.of([store.get(case) for case in cases])


if __name__ == "__main__":
    sys.exit(main())
