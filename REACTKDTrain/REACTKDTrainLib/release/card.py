"""The model card of the shipped student and the tables of its page, generated from the numbers in its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from REACTKDLib.core.student.monai_files import USE
from REACTKDLib.core.text import plural
from REACTKDTrainLib.results.tables import difference_cell, markdown, value_cell
from REACTKDTrainLib.study.deciding import deciding_table

NAMES = {
    "ct": "CT",
    "fdg": "FDG",
    "acetate": "acetate",
    "ct+fdg": "CT + FDG",
    "ct+acetate": "CT + acetate",
    "fdg+acetate": "PET (FDG + acetate)",
    "ct+fdg+acetate": "all",
}
_MADE = """{how}.

- Cohort: {cohort}; {cases} patients{encoder_cases}, then {distillation} for the
  distillation, with the masks of annotators who err beside the expert's; every choice on {validation_cases} others.
- Teacher: {members} heads on node vectors of all images over the expert's masks, averaged; macro AUC {teacher_auc} on
  the validation cases.
{encoder}- Student: method `{method}`, graph weight {graph}, {steps} steps, then {share} of the way from the weights it
  departed from."""
_CARD = """# reactkd-phantom

Grades hepatocellular carcinoma (well, moderately, poorly differentiated) from CT, FDG PET and 11C-acetate PET in any
combination, with the masks of the liver and its tumors. **Trained on digital phantoms: not for clinical use.**

## Use

Input: images as a scanner gives them (HU; PET in any unit) and two masks. Output: three probabilities, and one
contribution of each region that add up to them. Meant for trying out the software and for research on it; nothing is
known of patients.

## Training

{made}

## How good it is

On {test_cases} digital phantoms that it never saw (macro one-vs-rest AUC, 95 % bootstrap over patients).

{auc}

{gains}

Over masks as another annotator would have drawn them (borders moved, lesions merged or missed):

{masks}
{sets}{deciding}
## Limits

Simulated images follow the same formulas as the Bayes limit. One scanner's physics, one disease, no treated liver.
Files of another origin than the training's are outside of what was measured.

{use}
"""


def card(training: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """Return the card in Markdown. training, evaluation: of the bundle's metadata, as written by `release.make`."""
    return _CARD.format(
        made=made(training),
        test_cases=evaluation["cases"],
        auc=auc_table(evaluation),
        gains=gain_table(evaluation),
        masks=masks_table(evaluation),
        sets=_sets_section(evaluation, training),
        deciding=_deciding_section(evaluation),
        use=USE.rstrip(),
    )


def made(training: Mapping[str, Any]) -> str:
    """Return how a model was trained, in Markdown; see `card`."""
    distillation = training["distillation"]
    again = training.get("distillation_seeds") == training.get("seeds")
    return _MADE.format(
        **{k: training[k] for k in ("cohort", "cases", "validation_cases")},
        distillation="the same" if again else training["distillation_cases"],
        encoder_cases=f" ({training['encoder_cases']} of them for the encoder)" if training["encoder_cases"] else "",
        encoder=_encoder_line(training.get("encoder", {})),
        how=training["how"][0].upper() + training["how"][1:],
        members=distillation["teacher"]["members"],
        teacher_auc=distillation["teacher"]["validation_auc"],
        **{k: distillation["chosen"][k] for k in ("method", "graph", "steps", "share")},
    )


def auc_table(evaluation: dict) -> str:
    """Macro AUC with interval: one row per baseline, one column per subset of inputs; the last row is the limit."""
    subsets = evaluation["subsets"]
    names = [r for r in next(iter(subsets.values())) if not r.startswith("Bayes")]
    rows = [["macro AUC, 95 % interval", *(NAMES[s] for s in subsets)]]
    for name in (*names, "Bayes limit", "Bayes limit with masks"):
        rows.append([name, *(value_cell(found[name], 3, "auc") for found in subsets.values())])
    share = [f"{100 * found['student']['share_of_the_way']:.0f} %" for found in subsets.values()]
    return markdown([*rows, ["*the student's way from 0.5 to the limit with masks*", *share]])


def summary_table(evaluation: dict) -> str:
    """Table for a first page: input moments, the student and the limit, on the inputs of the paper's tables."""
    subsets = {"CT": "ct", "both PET": "fdg+acetate", "CT + both PET": "ct+fdg+acetate"}
    named = {
        "input moments: means and spreads of the regions": "input moments",
        "**the shipped student**": "student",
        "the best that is possible (Bayes limit with masks)": "Bayes limit with masks",
    }
    rows = [[f"macro AUC on {evaluation['cases']} unseen digital phantoms (95 % interval)", *subsets]]
    for words, name in named.items():
        rows.append([words, *(value_cell(evaluation["subsets"][s][name], 3, "auc") for s in subsets.values())])
    return markdown(rows)


def gain_table(evaluation: dict) -> str:
    """The student minus each baseline, paired on the same patients."""
    gains = evaluation["gains"]
    rows = [["student minus", *(NAMES[s] for s in gains)]]
    for name in next(iter(gains.values())):
        rows.append([name, *(difference_cell(found[name], 3) for found in gains.values())])
    return markdown(rows)


def masks_table(evaluation: dict) -> str:
    """Macro AUC over another annotator's masks, and the gain from distillation there. Empty without these."""
    found = evaluation.get("other_masks")
    if not found:
        return ""
    rows = [["macro AUC over another annotator's masks", *found]]
    for name in next(iter(found.values())):
        if name != "gain":
            rows.append([name, *(f"{of[name]:.3f}" for of in found.values())])
    return markdown([*rows, ["*gain, 95 % interval*", *(difference_cell(of["gain"], 3) for of in found.values())]])


def sets_table(evaluation: dict) -> str:
    """Coverage and mean size of the sets of grades, one column per subset of inputs. Empty for a model without them."""
    found = evaluation.get("grade_sets")
    if not found:
        return ""
    rows = [["sets of grades", *(NAMES[s] for s in found["expert"])]]
    for kind, words in (("expert", "the expert's masks"), ("other_masks", "another annotator's masks")):
        own = found[kind]
        if own:
            rows.append([f"coverage, {words}", *(_mean_cell(own[s]["coverage"]) for s in own)])
            rows.append([f"mean size, {words}", *(f"{own[s]['size']['mean']:.2f}" for s in own)])
            rows.append([f"one grade alone, {words}", *(f"{own[s]['alone']:.0%}" for s in own)])
    return markdown(rows)


def _mean_cell(found: Mapping) -> str:
    low, high = found["interval95"]
    return f"{found['mean']:.3f} ({low:.3f}-{high:.3f})"


def _encoder_line(decision: Mapping) -> str:
    """Results on the validation patients that determined whether the encoder was kept."""
    if "difference" not in decision:
        return ""
    low, high = decision["interval95"]
    verdict = "so it is a part of the student" if decision["ships"] else "so the student ships without it"
    return (
        f"- Learned encoder: it adds {decision['difference']:+.3f} ({low:+.3f} to {high:+.3f}) to the macro AUC by CT\n"
        f"  on the {decision['cases']} validation cases; needed were {decision['least']:.2f} and an interval above 0, "
        f"{verdict}.\n"
    )


def _sets_section(evaluation: Mapping, training: Mapping) -> str:
    found = evaluation.get("grade_sets")
    if not found:
        return ""
    return (
        f"\nSets of grades, made to hold the true one in at least {found['coverage']:.0%} of cases like these, on "
        "average over the patients\nthat set the thresholds (split conformal on "
        f"{training['conformal_cases']} other phantoms, for each set of inputs):\n\n"
        f"{sets_table(evaluation)}\n"
    )


def named_table(evaluation: dict) -> str:
    """How often explanations identify the deciding lesion, with chance and limit. Empty for a model without this."""
    found = evaluation.get("deciding")
    return markdown(deciding_table(found, NAMES)) if found else ""


def _deciding_section(evaluation: Mapping) -> str:
    found = evaluation.get("deciding")
    if not found:
        return ""
    return (
        f"\nThe grade is that of the worst lesion. In {plural(found['cases'], 'liver')} with several, "
        "what the student says of\nits regions names that lesion so often (95 % bootstrap over patients):\n\n"
        f"{named_table(evaluation)}\n"
    )


def page_texts(about: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of a page by marker name; see `results.pages.fill_page`. about: a bundle's metadata."""
    evaluation = about["evaluation"]
    texts = {
        "summary": summary_table(evaluation),
        "made": made(about["training"]),
        "auc": auc_table(evaluation),
        "gains": gain_table(evaluation),
        "masks": masks_table(evaluation),
        "sets": sets_table(evaluation),
        "deciding": named_table(evaluation),
    }
    return {name: text for name, text in texts.items() if text}


def tables_of(evaluation: dict) -> str:
    """Return all tables in Markdown."""
    made = [auc_table(evaluation), gain_table(evaluation), masks_table(evaluation), sets_table(evaluation)]
    made.append(named_table(evaluation))
    return "\n\n".join(filter(None, made))
