"""Contribution of the region to the logit of each class; with the baseline these add up to the logits."""

from __future__ import annotations

from REACTKDLib.core.reports.region_value import PageColumn, RegionValue
from REACTKDLib.core.text import tr as _

VALUE = RegionValue(
    "contribution",
    lambda votes, _predicted, _regions: votes.contributions,
    title=_("Adds to {grade}"),
    tip=_("What the region adds to the logit of the predicted grade."),
    choice=_("Contribution to {grade} (logit)"),
    legend=_("adds to the logit of {grade}"),
    decimals=3,
    signed=True,
    per_class=True,
    of_logits=True,
    page=PageColumn(
        "For {grade}",
        2,
        note="For {grade}: what the region adds to the score (the logit) of the grade; with the baseline of {baseline} "
        "these numbers add up to the score.",
    ),
    rank=30,
)
