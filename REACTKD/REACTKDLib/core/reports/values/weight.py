"""Attention weight of the region."""

from __future__ import annotations

from REACTKDLib.core.reports.region_value import PageColumn, RegionValue
from REACTKDLib.core.text import tr as _

VALUE = RegionValue(
    "weight",
    lambda votes, _predicted, _regions: votes.weights,
    title=_("Weight %"),
    tip=_("The region's attention weight; not a measure of importance."),
    choice=_("Weight (attention)"),
    legend=_("weight, %"),
    percent=True,
    description="Attention weight; not a measure of importance",
    page=PageColumn("Weight", 2, note="Weight: the region's attention weight; not a measure of importance."),
    rank=20,
)
