"""What is said of the shipped student: its card and the tables of its page, from the numbers in its own metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from REACTKDLib.core.student.monai_files import USE
from REACTKDTrainLib.results.tables import difference_cell, markdown, value_cell

NAMES = {
    "ct": "CT",
    "fdg": "FDG",
    "acetate": "acetate",
    "ct+fdg": "CT + FDG",
    "ct+acetate": "CT + acetate",
    "fdg+acetate": "PET (FDG + acetate)",
    "ct+fdg+acetate": "all",
}
_CARD = """# reactkd-phantom

Grades hepatocellular carcinoma (well, moderately, poorly differentiated) from CT, FDG PET and 11C-acetate PET in any
combination, with the masks of the liver and its tumors. **Trained on digital phantoms: not for clinical use.**

## Use

Input: images as a scanner gives them (HU; PET in any unit) and two masks. Output: three probabilities, and one
contribution of each region that add up to them. Meant for trying out the software and for research on it; nothing is
known of patients.

## Training

{how}.

- Cohort: {cohort}; {cases} patients ({encoder_cases} of them for the encoder), then {distillation_cases} for the
  distillation, with the masks of annotators who err beside the expert's; every choice on {validation_cases} others.
- Teacher: {members} heads on node vectors of all images over the expert's masks, averaged; macro AUC {teacher_auc} on
  the validation cases.
- Student: method `{method}`, graph weight {graph}, {steps} steps, then {share} of the way from the weights it departed
  from.

## How good it is

On {test_cases} digital phantoms that it never saw (macro one-vs-rest AUC, 95 % bootstrap over patients).

{auc}

{gains}

Over masks as another annotator would have drawn them (borders moved, lesions merged or missed):

{masks}

## Limits

Simulated images follow the same formulas as the Bayes limit. One scanner's physics, one disease, no treated liver.
Files of another origin than the training's are outside of what was measured.

{use}
"""


def card(training: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """Markdown. training, evaluation: of the bundle's metadata, as `release.make` writes them."""
    distillation = training["distillation"]
    return _CARD.format(
        **{k: training[k] for k in ("cohort", "cases", "encoder_cases", "distillation_cases", "validation_cases")},
        how=training["how"][0].upper() + training["how"][1:],
        members=distillation["teacher"]["members"],
        teacher_auc=distillation["teacher"]["validation_auc"],
        **{k: distillation["chosen"][k] for k in ("method", "graph", "steps", "share")},
        test_cases=evaluation["cases"],
        auc=auc_table(evaluation),
        gains=gain_table(evaluation),
        masks=masks_table(evaluation),
        use=USE.rstrip(),
    )


def auc_table(evaluation: dict) -> str:
    """Macro AUC with interval: one row a baseline, one column a subset of inputs; the last row is the limit."""
    subsets = evaluation["subsets"]
    names = [r for r in next(iter(subsets.values())) if not r.startswith("Bayes")]
    rows = [["macro AUC, 95 % interval", *(NAMES[s] for s in subsets)]]
    for name in (*names, "Bayes limit", "Bayes limit with masks"):
        rows.append([name, *(value_cell(found[name], 3, "auc") for found in subsets.values())])
    share = [f"{100 * found['student']['share_of_the_way']:.0f} %" for found in subsets.values()]
    return markdown([*rows, ["*the student's way from 0.5 to the limit with masks*", *share]])


def gain_table(evaluation: dict) -> str:
    """The student minus each baseline, paired on the same patients."""
    gains = evaluation["gains"]
    rows = [["student minus", *(NAMES[s] for s in gains)]]
    for name in next(iter(gains.values())):
        rows.append([name, *(difference_cell(found[name], 3) for found in gains.values())])
    return markdown(rows)


def masks_table(evaluation: dict) -> str:
    """Macro AUC over another annotator's masks, and the gain of the distillation there. Empty for a model without."""
    found = evaluation.get("other_masks")
    if not found:
        return ""
    rows = [["macro AUC over another annotator's masks", *found]]
    for name in next(iter(found.values())):
        if name != "gain":
            rows.append([name, *(f"{of[name]:.3f}" for of in found.values())])
    return markdown([*rows, ["*gain, 95 % interval*", *(difference_cell(of["gain"], 3) for of in found.values())]])


def tables_of(evaluation: dict) -> str:
    """All three, as Markdown."""
    return "\n\n".join([auc_table(evaluation), gain_table(evaluation), masks_table(evaluation)])
