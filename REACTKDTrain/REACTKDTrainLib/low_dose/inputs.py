"""Checks of the simulator's input: whole slices in HU with square pixels. Each error message states the remedy."""

from __future__ import annotations

import numpy as np
import torch

from REACTKDLib.core.errors import BadSpacing, NotFinite, NotHounsfield, NotThreeDimensional, UsageError
from REACTKDLib.core.images.hounsfield import check_hounsfield
from REACTKDTrainLib.low_dose.field_of_view import EdgeContact, check_field_of_view

SPACING_TOLERANCE = 5e-3
"""Relative difference of the two in-plane spacings below which it is rounding in a file, not anisotropy."""
LUNG_HU = -500.0
"""Lung and air are below this value; a CT whose minimum is above it shows neither."""
WINDOWED_SHARE = 0.005
"""Share of voxels at the minimum above which the image was clipped by a window; noise alone gives fewer."""


def check_spacing(spacing_mm: float | tuple[float, float]) -> float:
    """Return the in-plane spacing in mm. Raises: BadSpacing if it is not positive or differs between the axes."""
    spacings = np.atleast_1d(np.asarray(spacing_mm, dtype=np.float64))
    if spacings.size not in (1, 2) or not np.all(np.isfinite(spacings)) or spacings.min() <= 0.0:
        raise BadSpacing(f"The in-plane spacing is {spacing_mm}, but it must be above 0 mm; correct it.")
    if np.ptp(spacings) > SPACING_TOLERANCE * spacings.min():
        raise BadSpacing(
            f"The pixels are {spacings[0]:.3f} by {spacings[1]:.3f} mm, but the simulation needs square ones; use the "
            "CT as the scanner reconstructed it, or resample it in-plane to square pixels first."
        )
    return float(spacings.mean())


def check_slices(hu: np.ndarray | torch.Tensor, largest: int) -> EdgeContact:
    """Accept (D, H, W) CT slices in HU with the whole body in view; one slice is enough, since noise is made per slice.

    largest: most pixels a side. Returns the contact of the body with the edge.
    Raises: NotThreeDimensional, NotFinite, NotHounsfield, NoTissue, TruncatedFieldOfView, UsageError.
    """
    array = hu.detach().cpu().numpy() if isinstance(hu, torch.Tensor) else np.asarray(hu)
    if array.ndim != 3 or array.size == 0:
        raise NotThreeDimensional(
            f"The CT has {array.ndim} dimensions and {array.size} values where slices (D, H, W) are needed; "
            "split a time series into single volumes, and give a single slice as (1, H, W)."
        )
    if array.dtype.kind not in "iuf":
        raise NotHounsfield(f"The CT's values are of type {array.dtype}, not numbers in HU; export it again.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise NotFinite("The CT holds NaN or infinite voxels; replace them by -1024 and save it again.")
    if max(array.shape[1:]) > largest:
        raise UsageError(
            f"The slices are {array.shape[1]} by {array.shape[2]} pixels, but this simulator was made for {largest}; "
            "make it with a larger size."
        )
    _check_unit(array)
    return check_field_of_view(array)


def _check_unit(array: np.ndarray) -> None:
    """Raise for values that are not in HU, and for images clipped at the lower end of a window."""
    check_hounsfield(array)
    lowest = array.min()
    if lowest > LUNG_HU and np.count_nonzero(array == lowest) > WINDOWED_SHARE * array.size:
        raise NotHounsfield(
            f"The CT is cut off at {lowest:g} HU, so air cannot be told from tissue; use the CT before it was windowed."
        )
