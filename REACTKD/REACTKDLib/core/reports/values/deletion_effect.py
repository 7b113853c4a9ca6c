"""Decrease of the predicted probability if only this region is left out."""

from __future__ import annotations

from REACTKDLib.core.reports.region_value import PageColumn, RegionValue
from REACTKDLib.core.text import tr as _

VALUE = RegionValue(
    "deletion_effect",
    lambda votes, predicted, _regions: votes.deletion_effect(predicted),
    title=_("Left out"),
    tip=_(
        "Decrease of the grade's probability without the region, in percentage points; small if "
        "other regions lead to the same grade."
    ),
    choice=_("Change when left out"),
    legend=_("change when left out, percentage points"),
    percent=True,
    signed=True,
    description="Probability of the predicted grade minus the same without the region",
    page=PageColumn(
        "Left out",
        1,
        percent=True,
        note='Left out: by how many percentage points "{grade}" would be less probable without the region; small if '
        "other regions lead to the same grade.",
    ),
    overlay="effect",
    scale=0.4,
    rank=10,
)
