"""Share of the region in the predicted grade's probability; the default colors of the regions."""

from __future__ import annotations

from REACTKDLib.core.reports.region_value import PageColumn, RegionValue
from REACTKDLib.core.student.shares import shares_of
from REACTKDLib.core.text import tr as _

VALUE = RegionValue(
    "share",
    lambda votes, predicted, _regions: shares_of(votes).values[:, predicted],
    title=_("Share"),
    tip=_(
        "Percentage points of the grade's probability that are due to the region. The probability without any region "
        "plus all shares is that probability."
    ),
    choice=_("Share of the result"),
    legend=_("share, percentage points"),
    percent=True,
    signed=True,
    description="Share of the region in the predicted grade's probability (Shapley value)",
    page=PageColumn(
        "Share",
        1,
        percent=True,
        note='Share: percentage points of the probability of "{grade}" that are due to the region (Shapley value); '
        "below zero it speaks against the grade.",
    ),
    scale=0.4,
    rank=5,
)
