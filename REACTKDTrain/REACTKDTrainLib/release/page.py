"""The page about the shipped student: its tables from the numbers in its own metadata."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

NAMES = {
    "ct": "CT",
    "fdg": "FDG",
    "acetate": "acetate",
    "ct+fdg": "CT + FDG",
    "ct+acetate": "CT + acetate",
    "fdg+acetate": "PET (FDG + acetate)",
    "ct+fdg+acetate": "all",
}


def _cell(entry: dict) -> str:
    low, high = entry["interval95"]
    return f"{entry['auc']:.3f} ({low:.3f}-{high:.3f})"


def auc_table(evaluation: dict) -> str:
    """Macro AUC with interval: one row a rung, one column a subset of inputs; the last row is the limit."""
    subsets = list(evaluation["subsets"])
    rungs = [r for r in evaluation["subsets"][subsets[0]] if not r.startswith("Bayes")] + [
        "Bayes limit",
        "Bayes limit with masks",
    ]
    lines = [
        "| macro AUC, 95 % interval | " + " | ".join(NAMES[s] for s in subsets) + " |",
        "| --- " * (len(subsets) + 1) + "|",
    ]
    for rung in rungs:
        lines.append(f"| {rung} | " + " | ".join(_cell(evaluation["subsets"][s][rung]) for s in subsets) + " |")
    share = " | ".join(f"{100 * evaluation['subsets'][s]['student']['share_of_the_way']:.0f} %" for s in subsets)
    lines.append(f"| *the student's way from 0.5 to the limit with masks* | {share} |")
    return "\n".join(lines)


def gain_table(evaluation: dict) -> str:
    """The student minus each rung, paired on the same patients."""
    subsets = list(evaluation["gains"])
    lines = ["| student minus | " + " | ".join(NAMES[s] for s in subsets) + " |", "| --- " * (len(subsets) + 1) + "|"]
    for rung in evaluation["gains"][subsets[0]]:
        cells = []
        for s in subsets:
            found = evaluation["gains"][s][rung]
            low, high = found["interval95"]
            cells.append(f"{found['difference']:+.3f} ({low:+.3f} to {high:+.3f})")
        lines.append(f"| {rung} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def masks_table(evaluation: dict) -> str:
    """Macro AUC over another annotator's masks, and the gain of the distillation there. Empty for a model without."""
    found = evaluation.get("other_masks")
    if not found:
        return ""
    rows = [name for name in next(iter(found.values())) if name != "gain"]
    lines = [
        "| macro AUC over another annotator's masks | " + " | ".join(found) + " |",
        "| --- " * (len(found) + 1) + "|",
    ]
    lines += [f"| {row} | " + " | ".join(f"{found[s][row]:.3f}" for s in found) + " |" for row in rows]
    gains = []
    for subset in found.values():
        low, high = subset["gain"]["interval95"]
        gains.append(f"{subset['gain']['difference']:+.3f} ({low:+.3f} to {high:+.3f})")
    return "\n".join([*lines, "| *gain, 95 % interval* | " + " | ".join(gains) + " |"])


def main() -> None:
    """`python -m REACTKDTrainLib.release.page BUNDLE`: print the tables of a bundle's metadata as Markdown."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("bundle", type=Path)
    options = parser.parse_args()
    metadata = json.loads((options.bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
    evaluation = metadata["reactkd"]["evaluation"]
    print(auc_table(evaluation), gain_table(evaluation), masks_table(evaluation), sep="\n\n")


if __name__ == "__main__":
    main()
