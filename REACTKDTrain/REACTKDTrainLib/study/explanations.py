"""Does the explanation name what decides? The shipped student on unseen phantoms, through the grader that users have.

Four questions, of each case: does taking regions out in the order of their contribution lower the answer faster than
in a random order; do contribution and measured effect rank the regions alike; does a lesion's deletion from the graph
agree with its occlusion in the images; and is a network of the same make with shuffled weights explained otherwise?
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import binary_dilation

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.grading.session import Session
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.regrid import mask_on_grid
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.student.bundle import Bundle, shipped_bundle_folder
from REACTKDLib.core.student.explain import softmax
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.cohorts.phantom import phantom_case
from REACTKDTrainLib.evaluation.faithfulness import deletion_gain, mean_over_cases, rank_correlation
from REACTKDTrainLib.results.pages import fill_page
from REACTKDTrainLib.results.tables import NOTHING, markdown

GROUP = "explanations"  # of the marks that the table stands between on a page: <!-- explanations:questions -->
QUESTIONS = {
    "gain_contribution": "area that the deletion curve gains over random order, by contribution",
    "gain_attention": "the same, by attention weight",
    "gain_shuffled": "the same, by the contributions of the network with shuffled weights",
    "rank_effect": "rank correlation, contribution and measured effect of deletion",
    "rank_occlusion": "rank correlation, effect of a lesion's deletion and of its occlusion in all images",
    "rank_shuffled": "rank correlation, contributions of the network and of the one with shuffled weights",
}


def shuffled(bundle: Bundle, seed: int = 0) -> Bundle:
    """The same network, the values of each weight tensor in random order (Adebayo et al. 2018, arXiv 1810.03292)."""
    student, draw = copy.deepcopy(bundle.student), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in student.parameters():
            value.copy_(value.flatten()[torch.randperm(value.numel(), generator=draw)].view_as(value))
    return replace(bundle, student=student)


def occluded(case: Case, lesion: np.ndarray) -> Case:
    """The case with one lesion (bool, on the reference grid) painted over in every image; the masks stay.

    What is painted is the median of the parenchyma, and one voxel of each image more than the lesion on every side.
    """
    parenchyma = case.liver & ~case.tumor
    volumes = {}
    for modality, volume in case.volumes.items():
        grid = Grid(volume.shape, volume.ijk_to_ras)
        own, rest = (mask_on_grid(mask, case.reference.ijk_to_ras, grid) for mask in (lesion, parenchyma))
        array = np.array(volume.array)
        array[binary_dilation(own, np.ones((3, 3, 3), dtype=bool))] = np.median(array[rest])
        volumes[modality] = replace(volume, array=array)
    return replace(case, volumes=volumes)


def explained(session: Session, control: Session, grader: Grader) -> dict[str, float | None]:
    """Answers to `QUESTIONS` of one case; None where it has too few regions. control: of the shuffled network."""
    result = session.grade()
    rows = result.report.regions
    grade = max(result.report.probabilities, key=result.report.probabilities.get)
    predicted = list(result.report.probabilities).index(grade)

    def answer(deleted: frozenset[int]) -> float:
        # Of the votes, not of a report: without any lesion a report claims no grade, and here the number is wanted.
        return float(softmax(result.votes.muted(sorted(deleted)).logits)[predicted])

    answers = Memo(2**12)

    def remembered(deleted: frozenset[int]) -> float:
        return answers.of(deleted, lambda: answer(deleted))

    contribution = np.array([row.contribution[grade] for row in rows])
    other = np.array([row.contribution[grade] for row in control.grade().report.regions])
    effect = np.array([row.deletion_effect for row in rows])
    lesions = [n for n, row in enumerate(rows) if row.kind == "tumor"]
    hidden = []
    for n in lesions if len(lesions) > 1 else ():
        without = grader.open(occluded(session.case, result.regions.mask(n))).grade()
        hidden.append(remembered(frozenset()) - float(without.report.probabilities[grade]))
    return {
        "gain_contribution": deletion_gain(remembered, contribution),
        "gain_attention": deletion_gain(remembered, np.array([row.weight for row in rows])),
        "gain_shuffled": deletion_gain(remembered, other),
        "rank_effect": rank_correlation(contribution, effect),
        "rank_occlusion": rank_correlation(effect[lesions], np.array(hidden)) if hidden else None,
        "rank_shuffled": rank_correlation(contribution, other),
    }


def measure(bundle: Bundle, cases: Sequence[Case], on_progress=lambda n: None) -> dict:
    """Means over cases with their intervals, see `mean_over_cases`; cases without a lesion are left out."""
    grader, control = Grader(bundle, "cpu"), Grader(shuffled(bundle), "cpu")
    answers = []
    for n, case in enumerate(cases):
        session = grader.open(case)
        if session.grade().report.probabilities is not None:
            answers.append(explained(session, control.open(case), grader))
        on_progress(n + 1)
    return {
        "model": {key: bundle.info[key] for key in ("name", "version") if key in bundle.info},
        "cases": len(answers),
        "answers": {name: mean_over_cases([a[name] for a in answers]) for name in QUESTIONS},
    }


def page(found: dict) -> str:
    """Markdown: a row for each question."""
    rows = [["question", "mean", "95 % over cases", "above 0", "cases"]]
    for name, words in QUESTIONS.items():
        own = found["answers"][name]
        cells = [*[NOTHING] * 3, "0"]
        if own["mean"] is not None:
            low, high = own["interval95"]
            cells = [f"{own['mean']:+.3f}", f"{low:+.3f} to {high:+.3f}", f"{own['above_0']:.0%}", str(own["cases"])]
        rows.append([words, *cells])
    return f"Digital phantoms: {found['cases']} unseen ones, all images given.\n\n{markdown(rows)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m REACTKDTrainLib.study.explanations --output FILE.json`. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="REACTKDTrainLib.study.explanations", description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=60, help="phantoms of the cohort 'large', from number 0")
    parser.add_argument("--size", default="full", help="of the phantoms: tiny, small, full")
    parser.add_argument("--bundle", type=Path, help="a model folder, instead of the shipped one")
    parser.add_argument("--output", type=Path, required=True, help="a .json file; the table goes beside it as .md")
    parser.add_argument("--page", type=Path, help="a Markdown page to put the table into")
    options = parser.parse_args(arguments)
    try:
        bundle = Bundle.load(options.bundle or shipped_bundle_folder())
        cases = (phantom_case("large", n, options.size, biology="independent").load() for n in range(options.cases))
        found = measure(bundle, cases, lambda n: print(f"{n} of {options.cases}", flush=True) if n % 10 == 0 else None)
        if options.page:
            fill_page(options.page, GROUP, {"questions": page(found)})
    except ReactkdError as error:
        print(error, file=sys.stderr)
        return 2
    write_text(options.output, json.dumps(found, indent=1) + "\n")
    write_text(options.output.with_suffix(".md"), page(found) + "\n")
    print(page(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
