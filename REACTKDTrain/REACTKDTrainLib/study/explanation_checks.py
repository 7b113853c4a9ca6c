"""Faithfulness of the explanations of the shipped student on unseen phantoms, through the grader that users have.

Four questions for each case: does deleting regions in the order of their contribution lower the output faster than in
random order; do contribution and measured effect rank the regions alike; does deleting a lesion from the graph agree
with its occlusion in the images; and do explanations differ for the same network with shuffled weights?
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy.ndimage import binary_dilation

from REACTKDLib.core.grading.grade_result import GradeResult
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.grading.session import Session
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.neighbors import CONNECTED
from REACTKDLib.core.images.regrid import mask_on_grid
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.phantom.biology_shared import SharedLatents
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.explain import softmax
from REACTKDLib.core.text import plural
from REACTKDTrainLib.data.truth import Truth, lesion_nodes_of
from REACTKDTrainLib.evaluation.faithfulness import deletion_gain, mean_over_cases, rank_correlation
from REACTKDTrainLib.results.tables import NOTHING, markdown
from REACTKDTrainLib.study.deciding import counted, deciding_limit, whole_table

MEASURES = {
    "gain_contribution": "area that the deletion curve gains over random order, by contribution",
    "gain_attention": "the same, by attention weight",
    "gain_shuffled": "the same, by the contributions of the network with shuffled weights",
    "rank_effect": "rank correlation, contribution and measured effect of deletion",
    "rank_occlusion": "rank correlation, effect of a lesion's deletion and of its occlusion in all images",
    "rank_shuffled": "rank correlation, contributions of the network and of the one with shuffled weights",
}


def shuffled(bundle: Bundle, seed: int = 0) -> Bundle:
    """Return the network with the values of each weight tensor permuted (Adebayo et al. 2018, arXiv 1810.03292)."""
    student, draw = copy.deepcopy(bundle.student), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in student.parameters():
            value.copy_(value.flatten()[torch.randperm(value.numel(), generator=draw)].view_as(value))
    return replace(bundle, student=student)


def occluded(case: Case, lesion: np.ndarray) -> Case:
    """Return the case with one lesion (bool, on the reference grid) occluded in every image; the masks are unchanged.

    The lesion and a margin of one voxel of each image are replaced by the median of the parenchyma.
    """
    parenchyma = case.liver & ~case.tumor
    volumes = {}
    for modality, volume in case.volumes.items():
        grid = Grid(volume.shape, volume.ijk_to_ras)
        own, rest = (mask_on_grid(mask, case.reference.ijk_to_ras, grid) for mask in (lesion, parenchyma))
        array = np.array(volume.array)
        array[binary_dilation(own, CONNECTED)] = np.median(array[rest])
        volumes[modality] = replace(volume, array=array)
    return replace(case, volumes=volumes)


def explained(session: Session, control: Session, grader: Grader) -> dict[str, float | None]:
    """Return the `MEASURES` for one case; None if it has too few regions. control: the shuffled network."""
    result = session.grade()
    rows = result.report.regions
    grade = max(result.report.probabilities, key=result.report.probabilities.get)
    predicted = list(result.report.probabilities).index(grade)

    def answer(deleted: frozenset[int]) -> float:
        # Uses the raw output, because a report states no grade without lesions, and the number is needed here.
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
    named = named_by(result, grade, dict(zip(lesions, hidden))) if hidden else {}
    return {"named": named} | {
        "gain_contribution": deletion_gain(remembered, contribution),
        "gain_attention": deletion_gain(remembered, np.array([row.weight for row in rows])),
        "gain_shuffled": deletion_gain(remembered, other),
        "rank_effect": rank_correlation(contribution, effect),
        "rank_occlusion": rank_correlation(effect[lesions], np.array(hidden)) if hidden else None,
        "rank_shuffled": rank_correlation(contribution, other),
    }


def named_by(result: GradeResult, grade: str, hidden: Mapping[int, float]) -> dict[str, int]:
    """Return method -> the lesion that it ranks first. hidden: lesion -> decrease of the output by its occlusion."""
    rows, evidence, labels = result.report.regions, result.voxel_map.array, result.regions.labels
    worth = {
        "largest contribution to the predicted grade": {n: rows[n].contribution[grade] for n in hidden},
        "largest attention weight": {n: rows[n].weight for n in hidden},
        "largest change when the lesion is deleted from the graph": {n: rows[n].deletion_effect for n in hidden},
        "largest change when the lesion is painted over in the images": dict(hidden),
        "most of the voxel map (gradient through the feature maps)": {
            n: float(evidence[labels == result.regions.regions[n].label].sum()) for n in hidden
        },
    }
    if {"well", "poor"} <= rows[0].contribution.keys():
        severity = {n: rows[n].contribution["poor"] - rows[n].contribution["well"] for n in hidden}
        worth["largest contribution to poor against well"] = severity
    return {way: max(of, key=of.get) for way, of in worth.items()}


def measure(
    bundle: Bundle,
    cases: Iterable[Case],
    on_progress: Callable[[int], None] = lambda n: None,
    latents: Sequence[SharedLatents] = (),
) -> dict:
    """Means over cases with their intervals, see `mean_over_cases`; cases without a lesion are excluded.

    latents: of phantoms of the shared biology, whose lesion positions are known. 'deciding' is then how often each
    method identifies the deciding lesion, in livers with several, see `study.deciding`.
    """
    grader, control = Grader(bundle, "cpu"), Grader(shuffled(bundle), "cpu")
    answers, named = [], []
    for n, case in enumerate(cases):
        session = grader.open(case)
        result = session.grade()
        if result.report.probabilities is not None:
            answers.append(explained(session, control.open(case), grader))
            if latents and answers[-1]["named"]:
                nodes = lesion_nodes_of(case, result.regions)
                named.append((Truth(latents[n], torch.from_numpy(nodes)), result, answers[-1]["named"]))
        on_progress(n + 1)
    known = [own for own in named if own[0].deciding_node]
    return ({"deciding": _deciding(known)} if known else {}) | {
        "model": {key: bundle.info[key] for key in ("name", "version") if key in bundle.info},
        "cases": len(answers),
        "answers": {name: mean_over_cases([a[name] for a in answers]) for name in MEASURES},
    }


def _deciding(known: Sequence[tuple[Truth, GradeResult, Mapping[str, int]]]) -> dict:
    """Return the result in the form of `deciding_result`; 'cases' are livers with several lesions."""
    truth = [truth.deciding_node for truth, _, _ in known]
    hits = {way: np.array([own[way] == t for (_, _, own), t in zip(known, truth)], dtype=float) for way in known[0][2]}
    lesions = np.array([len(result.regions.lesions) for _, result, _ in known])
    inputs = "+".join(known[0][1].report.inputs)
    best = [deciding_limit([own], inputs, 1 + n)[0].argmax() for (own, _, _), n in zip(known, lesions.tolist())]
    grade = np.array([truth.latents.grade for truth, _, _ in known])
    limit = (np.array(best) == np.array(truth)).astype(float)
    return {"cases": len(known), "inputs": {inputs: counted(hits, lesions, limit, grade)}}


def page(found: dict) -> str:
    """Return Markdown: a row for each measure."""
    rows = [["question", "mean", "95 % over cases", "above 0", "cases"]]
    for name, words in MEASURES.items():
        own = found["answers"][name]
        cells = [*[NOTHING] * 3, "0"]
        if own["mean"] is not None:
            low, high = own["interval95"]
            cells = [f"{own['mean']:+.3f}", f"{low:+.3f} to {high:+.3f}", f"{own['above_0']:.0%}", str(own["cases"])]
        rows.append([words, *cells])
    text = f"Digital phantoms: {found['cases']} unseen ones, all images given.\n\n{markdown(rows)}"
    own = found.get("deciding")
    if not own:
        return text
    about = f"The lesion that decided is named, in {plural(own['cases'], 'liver')} with several:"
    (inputs,) = own["inputs"]
    return f"{text}\n\n{about}\n\n{markdown(whole_table(own, inputs))}"
