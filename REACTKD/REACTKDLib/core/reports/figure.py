"""A report as a figure for a notebook: the probabilities, and the share of each region."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from REACTKDLib.core.errors import PackagesMissing
from REACTKDLib.core.reports.region_rows import Answer
from REACTKDLib.core.reports.share_words import explained
from REACTKDLib.core.text import isolated, signed
from REACTKDLib.core.text import tr as _

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOR, AGAINST, GRADE = "#c8461e", "#1f6fc4", "#4d4d4d"  # distinguishable with color blindness
WIDTH_IN = 8.0


def draw_report(report: Answer) -> Figure:
    """Draw the probabilities beside the regions' shares in percentage points, with the sentences of `share_words`.

    Returns: a matplotlib figure without pyplot state, which a notebook displays directly.

    Raises: PackagesMissing without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise PackagesMissing(_("A figure needs matplotlib; install it (pip install matplotlib).")) from error
    rows = [row for row in report.regions if row.share is not None]
    figure = Figure(figsize=(WIDTH_IN, 1.9 + 0.3 * max(3, len(rows))), layout="constrained")
    grades, regions = figure.subplots(1, 2, width_ratios=(1, 2))
    if report.grade is None:
        answer = _("no grade is claimed")
    else:
        text = _("predicted grade {grade}, uncertain") if report.uncertain else _("predicted grade {grade}")
        answer = text.format(grade=report.grade)
    figure.suptitle(f"{isolated(report.case)}: {answer}")
    names = list(report.probabilities or {})
    bars = grades.barh(names, [100 * report.probabilities[name] for name in names], color=GRADE)
    grades.bar_label(bars, fmt="%.0f %%", padding=3)
    grades.set(xlim=(0, 120), xticks=(0, 50, 100), xlabel=str(_("probability, %")))
    grades.invert_yaxis()
    points = [100 * row.share for row in rows]
    bars = regions.barh([row.name for row in rows], points, color=[FOR if p > 0 else AGAINST for p in points])
    regions.bar_label(bars, [signed(p, 1) for p in points], padding=3)
    regions.axvline(0, color="0.3", linewidth=0.8)
    regions.margins(x=0.25)
    regions.invert_yaxis()
    regions.set_xlabel(str(_("share of the result, percentage points")))
    for axis in (grades, regions):
        axis.spines[["top", "right"]].set_visible(False)
        axis.axison = bool(rows)
    said = [*explained(report), f"{report.model.name} {report.model.version}: {report.model.clinical_use}."]
    figure.supxlabel("\n".join(fill(str(text), 110) for text in said), fontsize=8, color="0.25", x=0.02, ha="left")
    return figure
