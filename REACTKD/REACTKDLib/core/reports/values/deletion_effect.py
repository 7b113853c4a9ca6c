"""What the predicted probability loses without the region: what the colors of the regions show at first."""

from __future__ import annotations

from REACTKDLib.core.reports.region_value import PageColumn, RegionValue
from REACTKDLib.core.text import tr as _

VALUE = RegionValue(
    "deletion_effect",
    lambda votes, predicted, _regions: votes.deletion_effect(predicted),
    title=_("Effect %"),
    tip=_("By how many percent points the grade's probability would change without the region."),
    choice=_("Effect of leaving it out"),
    legend=_("effect on it"),
    percent=True,
    signed=True,
    description="Probability of the predicted grade minus the same without the region",
    page=PageColumn(
        "Effect",
        0,
        percent=True,
        note='Effect: how much less probable "{grade}" would be without the region (percentage points; below zero: '
        "more probable).",
    ),
    overlay="effect",
    rank=10,
)
