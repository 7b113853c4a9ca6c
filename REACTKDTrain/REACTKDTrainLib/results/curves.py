"""Drawing of ROC and calibration curves, shared by all figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from REACTKDTrainLib.results.figures import look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: style of the upper bound
LIMIT_LOOK = {"color": "0.2", "linestyle": "--"}


def draw_roc(
    figure: Figure, curves: Mapping[str, Mapping[str, Mapping | None]], title: str, band: str = "", limit: str = ""
) -> None:
    """Draw a panel for each grade against the rest.

    Args:
        curves: name -> what `evaluation.roc.roc_curves` returned.
        band: the name whose 95 % band is shown.
        limit: the name that is drawn dashed, as the upper bound.
    """
    grades = list(next(iter(curves.values())))
    axes = figure.subplots(1, len(grades), sharey=True)
    for axis, grade in zip(axes, grades, strict=True):
        axis.plot([0, 1], [0, 1], color="0.8", linewidth=0.8)
        for number, (name, found) in enumerate(curves.items()):
            if found[grade] is None:
                continue
            x, y = found[grade]["false_positive_rate"], found[grade]["true_positive_rate"]
            own = LIMIT_LOOK if name == limit else look(number)
            axis.plot(x, y, **own, label=name)
            if name == band:
                low, high = found[grade]["low"], found[grade]["high"]
                axis.fill_between(x, low, high, color=own["color"], alpha=0.2, linewidth=0)
        axis.set(title=f"{grade} versus rest", xlabel="false positive rate")
        axis.set_box_aspect(1)  # an equal aspect would be applied after the layout, and titles would overlap
    axes[0].set_ylabel("true positive rate")
    axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    figure.suptitle(title, fontsize=11)


def draw_reliability(axis: Axes, curves: Mapping[str, Mapping[str, list]], title: str) -> None:
    """Draw observed against stated frequency, with 95 % intervals. curves: name -> result of `reliability_curve`."""
    axis.plot([0, 1], [0, 1], color="0.8", linewidth=0.8)
    for number, (name, curve) in enumerate(curves.items()):
        low, high = np.array(curve["interval95"]).T
        y = np.array(curve["observed"])
        bars = {"yerr": [y - low, high - y], "marker": "o", "capsize": 2}
        axis.errorbar(curve["stated"], y, **bars, **look(number), label=name)
    axis.set(title=title, xlabel="stated probability of the top grade", xlim=(0.3, 1), ylim=(0, 1))
