"""Share of the region in each grade's probability: which grades it supports and which it opposes."""

from __future__ import annotations

from REACTKDLib.core.reports.region_value import RegionValue
from REACTKDLib.core.student.shares import shares_of
from REACTKDLib.core.text import tr as _

VALUE = RegionValue(
    "share_by_grade",
    lambda votes, _predicted, _regions: shares_of(votes).values,
    title=_("Share of {grade}"),
    tip=_("Share of the region in the probability of each grade; the shares of a region add up to 0."),
    choice=_("Share of {grade}"),
    legend=_("share of {grade}, percentage points"),
    percent=True,
    signed=True,
    per_class=True,
    files_only=True,
    rank=6,
)
