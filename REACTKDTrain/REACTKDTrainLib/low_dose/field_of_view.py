"""Is the whole patient in the picture? Attenuation that a crop leaves out is attenuation that the noise never sees.

A crop of the liver gets a third or a fifth of the right noise (the rays lose most of the patient), so it is refused.
Real scans touch the edge of the field of view a little (elbows, the table, a wide patient): that is tolerated and
reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.errors import ReactkdError
from REACTKDTrainLib.low_dose.physics import PADDING_BELOW_HU

DIRECTIONS = 720
PROBE_DEPTHS = (2, 3, 4)
"""Pixels inside the edge that are averaged, at `FULL_SIDE`: the outermost hold interpolation with padding."""
FULL_SIDE = 512
"""A coarser picture is read as near to its edge as such a one: four pixels of 6 mm are well inside a patient."""
PROBE_BEYOND = 3
"""Pixels outside the inscribed circle where padding shows that the scanner reconstructs a disc."""
AIR_BELOW_HU = -850.0
TISSUE_ABOVE_HU = -500.0
LARGEST_SHARE = 0.25
"""Of the edge, in the median slice. Measured on an abdomen: cuts that pass keep 0.88 or more of the right noise in the
median slice; scans with the table along the border of a tight picture reach 0.24 without losing any."""


class TruncatedFieldOfView(ReactkdError):
    """The body runs out of the picture."""

    code = "truncated-field-of-view"


class NoTissue(ReactkdError):
    """There is nothing in the picture but air, or no soft tissue where some is needed."""

    code = "no-tissue"


@dataclass(frozen=True)
class EdgeContact:
    """How much of the edge of the field of view shows something other than air, as shares of its directions.

    shares: (D,) by slice; slices without tissue are NaN.
    """

    shares: np.ndarray

    @property
    def typical(self) -> float:
        """Median over the slices that hold tissue."""
        return float(np.nanmedian(self.shares))

    @property
    def largest(self) -> float:
        """Of the worst slice."""
        return float(np.nanmax(self.shares))

    @property
    def truncated(self) -> bool:
        """Whether the body runs out of the picture in most slices."""
        return self.typical > LARGEST_SHARE


def edge_contact(hu: np.ndarray) -> EdgeContact:
    """Look outward from the center of each slice of `hu` (D, H, W) and read the last pixels before the edge.

    The edge is the inscribed circle in the directions in which padding lies beyond it (values under -1024, or the one
    value that all corners of a square picture share), and the border of the picture in the others. Raises: NoTissue.
    """
    depth, height, width = hu.shape
    holds_tissue = np.array([np.any(plane > TISSUE_ABOVE_HU) for plane in hu])
    if not holds_tissue.any():
        raise NoTissue("The CT holds nothing denser than air; check that this is the right file and that it is in HU.")
    angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    direction = np.stack((np.sin(angle), np.cos(angle)))
    half = np.array([(height - 1) / 2, (width - 1) / 2])
    with np.errstate(divide="ignore"):
        to_border = np.min(half[:, None] / np.abs(direction), axis=0)
    to_circle = np.full(DIRECTIONS, half.min())

    def read(radius: np.ndarray) -> np.ndarray:
        y, x = np.rint(half[:, None] + radius * direction).astype(int)
        return hu[:, np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)].astype(np.float32)

    corners = hu[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    flat = height == width and np.ptp(corners) == 0 and corners.flat[0] <= -900
    beyond = read(np.minimum(to_circle + PROBE_BEYOND, to_border))
    padded = (beyond < PADDING_BELOW_HU) | ((beyond == corners.flat[0]) & flat)
    depths = [max(1, round(d * min(height, width, FULL_SIDE) / FULL_SIDE)) for d in PROBE_DEPTHS]
    at_circle = np.mean([read(np.maximum(to_circle - d, 0)) for d in depths], axis=0)
    at_border = np.mean([read(np.maximum(to_border - d, 0)) for d in depths], axis=0)
    shares = (np.where(padded, at_circle, at_border) > AIR_BELOW_HU).mean(axis=1)
    return EdgeContact(np.where(holds_tissue, shares, np.nan))


def check_field_of_view(hu: np.ndarray) -> EdgeContact:
    """Return the contact of the body with the edge, or refuse a crop. Raises: TruncatedFieldOfView, NoTissue."""
    contact = edge_contact(hu)
    if contact.truncated:
        raise TruncatedFieldOfView(
            f"The body runs over {contact.typical:.0%} of the picture's edge, so this is a crop or a truncated scan "
            "and its noise would come out far too low; simulate on the full field of view first and crop afterwards."
        )
    return contact
