"""Check that the field of view contains the whole patient: attenuation outside a crop is missing in the noise.

A crop of the liver would get a third to a fifth of the correct noise (the rays miss most of the patient), so it is
refused. Real scans touch the edge of the field of view a little (elbows, the table, a wide patient); this is tolerated
and reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.errors import ReactkdError
from REACTKDTrainLib.low_dose.physics import PADDING_BELOW_HU

DIRECTIONS = 720
PROBE_DEPTHS = (2, 3, 4)
"""Pixels from the edge that are averaged, at `FULL_SIDE`; the outermost pixels are interpolated with padding."""
FULL_SIDE = 512
"""Depths are scaled down for smaller images: four pixels of 6 mm would be well inside a patient."""
PROBE_BEYOND = 3
"""Pixels outside the inscribed circle where padding indicates that the scanner reconstructs a disc."""
AIR_BELOW_HU = -850.0
TISSUE_ABOVE_HU = -500.0
LARGEST_SHARE = 0.25
"""Maximum share of the edge, in the median slice. Measured on an abdomen: crops that pass keep at least 0.88 of the
correct noise in the median slice; scans with the table along the border of a tight image reach 0.24 without any loss.
"""


class TruncatedFieldOfView(ReactkdError):
    """The field of view truncates the body."""

    code = "truncated-field-of-view"


class NoTissue(ReactkdError):
    """The image shows only air, or has no soft tissue where some is needed."""

    code = "no-tissue"


@dataclass(frozen=True)
class EdgeContact:
    """Share of the edge of the field of view, by direction, that shows something other than air.

    shares: (D,) by slice; NaN for slices without tissue.
    """

    shares: np.ndarray

    @property
    def typical(self) -> float:
        """Median over the slices that contain tissue."""
        return float(np.nanmedian(self.shares))

    @property
    def largest(self) -> float:
        """Value of the worst slice."""
        return float(np.nanmax(self.shares))

    @property
    def truncated(self) -> bool:
        """True if most slices truncate the body."""
        return self.typical > LARGEST_SHARE


def edge_contact(hu: np.ndarray) -> EdgeContact:
    """Read the last pixels before the edge in all directions from the center of each slice of `hu` (D, H, W).

    The edge is the inscribed circle in directions with padding outside it (values under -1024, or a value that all
    corners of a square image share), otherwise the border of the image. Raises: NoTissue.
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
    """Return the contact of the body with the edge. Raises: TruncatedFieldOfView for a crop, NoTissue."""
    contact = edge_contact(hu)
    if contact.truncated:
        raise TruncatedFieldOfView(
            f"The body runs over {contact.typical:.0%} of the picture's edge, so this is a crop or a truncated scan "
            "and its noise would come out far too low; simulate on the full field of view first and crop afterwards."
        )
    return contact
