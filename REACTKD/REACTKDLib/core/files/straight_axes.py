"""Checks that axes are perpendicular, which all distances on a grid assume, and corrects rounding errors."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.errors import SkewedAxes
from REACTKDLib.core.text import tr as _

NEAREST_ROTATION = 1e-3  # of a cosine: rounding error of oblique axes, 0.26 mm over 256 mm
_SINGLE = 1e-6  # of a cosine: below NIfTI's single precision; such axes are kept bit by bit


def skew_of(axes: np.ndarray) -> float:
    """Return the largest cosine, 0 to 1, between two columns of `axes` (3, 3), whatever their lengths."""
    unit = axes / np.linalg.norm(axes, axis=0)
    return float(np.abs(unit.T @ unit - np.eye(3)).max())


def nearest_rotation(axes: np.ndarray) -> np.ndarray:
    """Return the nearest perpendicular unit columns to `axes` (3, 3) (the polar decomposition), with the same
    handedness.
    """
    left, _singular, right = np.linalg.svd(axes / np.linalg.norm(axes, axis=0))
    return left @ right


def straightened(ijk_to_ras: np.ndarray) -> np.ndarray:
    """Return a matrix (4, 4), mm, with the nearest perpendicular axes of the same lengths and the same origin."""
    if skew_of(ijk_to_ras[:3, :3]) < _SINGLE:
        return ijk_to_ras
    out = ijk_to_ras.copy()
    out[:3, :3] = nearest_rotation(ijk_to_ras[:3, :3]) * np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    return out


def check_straight(ijk_to_ras: np.ndarray, role: str) -> None:
    """Raise SkewedAxes unless the axes of a matrix (4, 4) are perpendicular to within `NEAREST_ROTATION`.

    role: the name of the image in the message.
    """
    if skew_of(ijk_to_ras[:3, :3]) > NEAREST_ROTATION:
        raise not_perpendicular(role)


def not_perpendicular(role: str) -> SkewedAxes:
    """Return the error for an image with sheared axes."""
    text = _(
        "The axes of {role} are not perpendicular (a tilted gantry); resample it to straight axes in 3D Slicer, or "
        "load its DICOM series there, which straightens it, and save it as NRRD."
    )
    return SkewedAxes(text, role=role)
