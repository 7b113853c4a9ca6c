"""The check that a CT is in Hounsfield units.

A CT that was exported for display (0..255), scaled for a network (0..1, z-scores) or never had its rescale intercept
applied (air at 0) would be graded wrongly without any warning. The presence of air cannot be required, since a liver
crop has no air and no fat. After excluding padding (values at or below -1500, such as -2048 and -3024), the rule
refuses:

1. one value everywhere, or a range of less than 20: a mask, 0..1, or z-scores;
2. nothing below zero, and a. a median below 10: a PET in SUV, since a crop without air and fat contains tissue above
   that; or b. values up to 255 with at least 0.5 % of the voxels at the lowest or at the highest of them: an 8-bit
   picture, clipped at black and white. The histogram of a crop inside the body has tails, not peaks, at its ends; or c.
   values above 600: bone or metal without any surrounding fat or air means a missing intercept, an MR or a PET;
3. more than 10 % of the voxels above 600: a missing intercept with noise around zero, or another quantity;
4. fewer than 2 % of the voxels between -200 and 400, the range of all soft tissue: intercept applied twice.
"""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.errors import NotHounsfield
from REACTKDLib.core.text import measured
from REACTKDLib.core.text import tr as _

PADDING_BELOW = -1500
SMALLEST_RANGE = 20
HEAP_FRACTION = 0.005
BONE = 600
SOFT_TISSUE = (-200, 400)
SOFT_TISSUE_FRACTION = 0.02
LOWEST_TISSUE_MEDIAN = 10
BONE_FRACTION = 0.1
SAMPLE = 2_000_000


def check_hounsfield(array: np.ndarray, role: str = _("the CT")) -> None:
    """Raise NotHounsfield if `array` (any shape) cannot be a CT in HU; the message states what was found and the
    fix.
    """
    fault = hounsfield_fault(array)
    if fault:
        text = _(
            "{role} is not in Hounsfield units: {fault}; export it again with its rescale values "
            "applied, or give a PET as a PET."
        )
        raise NotHounsfield(text, role=role, fault=fault)


def hounsfield_fault(array: np.ndarray) -> str | None:
    """Return the reason why `array` cannot be in HU, worded to follow a colon, or None."""
    sample = np.ravel(array)[:: max(1, array.size // SAMPLE)]
    inside = sample[sample > PADDING_BELOW]
    if inside.size == 0:
        return _("it holds padding only")
    low, high = float(inside.min()), float(inside.max())
    if low == high:
        return _("every voxel is {low}").format(low=f"{low:g}")
    if high - low < SMALLEST_RANGE:
        return _("its values span only {low} to {high}").format(low=measured(low, 3), high=measured(high, 3))
    if low >= 0:
        if float(np.median(inside)) < LOWEST_TISSUE_MEDIAN:
            return _("nothing is below zero and half of its values are below {median}, as in a PET").format(
                median=LOWEST_TISSUE_MEDIAN
            )
        heap = max(np.count_nonzero(inside == low), np.count_nonzero(inside == high))
        if high <= 255 and heap >= max(3, HEAP_FRACTION * inside.size):
            return _("its values run from {low} to {high} like those of a picture").format(
                low=f"{low:g}", high=f"{high:g}"
            )
        if high > BONE:
            return _("its values run from {low} to {high} and air and fat are missing").format(
                low=f"{low:g}", high=f"{high:g}"
            )
    if np.count_nonzero(inside > BONE) > BONE_FRACTION * inside.size:
        return _("too many of its values are above {bone}, where only bone and metal are").format(bone=BONE)
    soft = np.count_nonzero((inside >= SOFT_TISSUE[0]) & (inside <= SOFT_TISSUE[1]))
    if soft < SOFT_TISSUE_FRACTION * inside.size:
        return _("hardly any voxel lies between {lowest} and {highest}, where soft tissue is").format(
            lowest=SOFT_TISSUE[0], highest=SOFT_TISSUE[1]
        )
    return None
