"""The model card of the shipped student, from the numbers in its own metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from REACTKDTrainLib.release.page import auc_table, gain_table, masks_table

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
    )
