"""The page about the shipped student: its tables from the numbers in its own metadata."""

from __future__ import annotations

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
