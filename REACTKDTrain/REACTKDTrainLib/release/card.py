"""The model card of the shipped student and the tables of its page, generated from the numbers in its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from REACTKDLib.core.student.monai_files import USE
from REACTKDLib.core.text import plural
from REACTKDTrainLib.results.model_card import ModelCard
from REACTKDTrainLib.results.tables import difference_cell, markdown, value_cell
from REACTKDTrainLib.study.deciding import deciding_table
from REACTKDTrainLib.training.outputs import NOT_CLINICAL

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
  distillation, with perturbed masks beside the expert's; all choices were made on {validation_cases} other patients.
- Teacher: {members} heads on node vectors of all images over the expert's masks, averaged; macro AUC {teacher_auc} on
  the validation cases.
{encoder}- Student: method `{method}`, graph weight {graph}, {steps} steps; {share} of the change of the weights is
  kept (interpolation with the weights before distillation)."""
_DETAILS = """A student of REACT-KD (arXiv 2508.02104). Input: CT (HU), FDG PET and 11C-acetate PET (any unit) in any
combination, and masks of the liver and its tumors. Output: three probabilities, and the contribution of each region
to the logits: baseline and contributions add up to them."""
_INTENDED_USE = """Grades hepatocellular carcinoma (well, moderately, poorly differentiated). Meant for trying out the
software and for research on it; it was not evaluated on patients."""
_LIMITATIONS = """Simulated images follow the same formulas as the Bayes limit. One scanner's physics, one disease, no
treated liver, one contrast phase: a CT of another one, or without contrast, may move the probabilities from poor to
well. Images of another origin than those of the training were not tested."""
_EVALUATION = """On {test_cases} digital phantoms that were not used for training or any choice (macro one-vs-rest AUC,
95 % bootstrap over patients).

{auc}

{gains}

With the masks of a simulated second annotator (borders moved, lesions merged or missed):

{masks}
{sets}{deciding}"""


def card(training: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """Return the card in Markdown. training, evaluation: of the bundle's metadata, as written by `release.make`."""
    results = _EVALUATION.format(
        test_cases=evaluation["cases"],
        auc=auc_table(evaluation),
        gains=gain_table(evaluation),
        masks=masks_table(evaluation),
        sets=_sets_section(evaluation, training),
        deciding=_deciding_section(evaluation),
    )
    return str(
        ModelCard(
            "reactkd-phantom",
            NOT_CLINICAL[True],
            details=_DETAILS,
            intended_use=_INTENDED_USE,
            training_data=made(training),
            evaluation=results,
            limitations=_LIMITATIONS,
            more=USE,
        )
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
    return markdown([*rows, ["*student: fraction of the range from 0.5 to the Bayes limit with masks*", *share]])


def summary_table(evaluation: dict) -> str:
    """Table for a first page: input moments, the student and the limit, on the inputs of the paper's tables."""
    subsets = {"CT": "ct", "both PET": "fdg+acetate", "CT + both PET": "ct+fdg+acetate"}
    named = {
        "input moments: means and spreads of the regions": "input moments",
        "**the shipped student**": "student",
        "the best possible (Bayes limit with masks)": "Bayes limit with masks",
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
        f"  on the {decision['cases']} validation cases; required were {decision['least']:.2f} and an interval above "
        f"0, {verdict}.\n"
    )


def _sets_section(evaluation: Mapping, training: Mapping) -> str:
    found = evaluation.get("grade_sets")
    if not found:
        return ""
    return (
        f"\nSets of grades, which are to contain the true grade in at least {found['coverage']:.0%} of cases like "
        "these, on average\nover the patients that determine the thresholds (split conformal on "
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
        "\nThe grade is that of the worst lesion. How often the student's region values identify this lesion in "
        f"{plural(found['cases'], 'liver')}\nwith several (95 % bootstrap over patients):\n\n"
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
