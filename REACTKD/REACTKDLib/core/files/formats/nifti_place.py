"""The position of a NIfTI image: its header states voxel sizes, a qform and an sform, which may disagree.

If both forms are given: the sform if its code is 1 (scanner), else the qform, as in ITK and 3D Slicer. If the lengths
of the sform's columns differ from the voxel sizes: the sform's matrix, as in nibabel and SPM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.files.headers import (
    LPS_TO_RAS,
    check_axes,
    check_origin,
    incomplete_geometry,
    unreadable_header,
)
from REACTKDLib.core.files.straight_axes import NEAREST_ROTATION, nearest_rotation, not_perpendicular, skew_of
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.grid import farthest_apart
from REACTKDLib.core.text import tr as _

EXACT = 1e-4  # ITK's tolerance for an sform; above it, ITK uses a qform if there is one
SAME_SIZE = 1e-4  # relative
ROUNDING = 1e-6  # relative, of single precision
SAME_PLACE_VOXELS = 0.1
SCANNER = 1


@dataclass(frozen=True, eq=False)
class StatedPlaces:
    """The geometry that the header states, mm.

    sizes: pixdim 1 to 3. quatern: b, c, d. qfac: sign of the k axis. srow: (3, 4).
    """

    sizes: np.ndarray
    qfac: float
    qform_code: int
    quatern: np.ndarray
    qoffset: np.ndarray
    sform_code: int
    srow: np.ndarray


Place = tuple[np.ndarray, tuple[Finding, ...], tuple[np.ndarray, ...]]


def place_of(stated: StatedPlaces, sizes: Sequence[int], role: str) -> Place:
    """Return ijk_to_ras (4, 4), findings about it, and other matrices that the header states.

    sizes: voxels along i, j, k.

    Raises: BadSpacing, SingularDirection, SkewedAxes.
    """
    qform = _qform(stated, role)
    if stated.sform_code <= 0 or (qform is not None and not stated.srow[:, :3].any()):
        if qform is None:
            return _without_forms(stated, role)
        return qform, (), ()
    try:
        check_axes(stated.srow[:, :3], role)
        check_origin(stated.srow[:, 3], role)
    except ReactkdError:
        if stated.qform_code <= 0 or qform is None:
            raise
        return qform, (_unusable(_("lie in one plane or are no numbers"), role),), ()
    return _by_sform(stated, qform, sizes, role)


def _by_sform(stated: StatedPlaces, qform: np.ndarray | None, sizes: Sequence[int], role: str) -> Place:
    lengths = np.linalg.norm(stated.srow[:, :3], axis=0)
    unit = stated.srow[:, :3] / lengths
    skew = skew_of(unit)
    if skew > NEAREST_ROTATION:
        if qform is None:
            raise not_perpendicular(role)
        return qform, (_unusable(_("are not perpendicular"), role),), (_matrix(stated.srow[:, :3], stated.srow[:, 3]),)
    lengths = _evened(lengths)
    if skew > EXACT:
        unit = nearest_rotation(unit)
    sform, mixed = (_matrix(unit * length, stated.srow[:, 3]) for length in (lengths, stated.sizes))  # mixed: ITK's
    if np.abs(lengths / stated.sizes - 1).max() > SAME_SIZE:
        others = (mixed,) if qform is None else (mixed, qform)
        return sform, (_two_sizes(stated.sizes, lengths, role),), others
    if qform is None:
        return mixed, (), ()
    by_sform = stated.sform_code == SCANNER and skew <= EXACT
    apart = farthest_apart(tuple(sizes[::-1]), qform, mixed)
    taken, other = (mixed, qform) if by_sform else (qform, mixed)
    if apart < SAME_PLACE_VOXELS * stated.sizes.min():
        return taken, (), ()
    return taken, (_two_places(by_sform, apart, role),), (other,)


def _matrix(axes: np.ndarray, origin: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes, origin
    return matrix


def _evened(lengths: np.ndarray) -> np.ndarray:
    """Make lengths equal that differ by single-precision rounding only: ties between distances depend on it."""
    return np.array([np.mean(lengths[np.abs(lengths / length - 1) < ROUNDING]) for length in lengths])


def _qform(stated: StatedPlaces, role: str) -> np.ndarray | None:
    """Return the qform's matrix, None if none is stated. Raises: BadSpacing if it is the only form and is invalid."""
    if stated.qform_code <= 0:
        return None
    b, c, d = (float(v) for v in stated.quatern)
    squares = b * b + c * c + d * d
    if not np.isfinite(squares) or squares > 1.001 or not np.isfinite(stated.qoffset).all():
        if stated.sform_code > 0 and stated.srow[:, :3].any():
            return None
        raise unreadable_header(role)
    if squares > 1 - 1e-7:  # a half turn; rounding must not leave a fourth component
        b, c, d = (v / np.sqrt(squares) for v in (b, c, d))
        a = 0.0
    else:
        a = float(np.sqrt(1 - squares))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    check_origin(stated.qoffset, role)
    axes = (rotation * [1, 1, stated.qfac] * stated.sizes).astype(np.float32).astype(np.float64)  # with ITK's rounding
    return _matrix(axes / np.linalg.norm(axes, axis=0) * stated.sizes, stated.qoffset)


def _without_forms(stated: StatedPlaces, role: str) -> Place:
    """Neither form is stated: the axes are taken as in ITK, to the left, posterior and superior."""
    place = LPS_TO_RAS @ _matrix(np.diag(stated.sizes), np.zeros(3))
    return place, (incomplete_geometry([_("where its axes point (neither qform nor sform)")], role),), ()


def _two_sizes(sizes: np.ndarray, lengths: np.ndarray, role: str) -> Finding:
    first, second = (" x ".join(f"{v:.6g}" for v in values) for values in (sizes, lengths))
    text = _(
        "{role} states two voxel sizes, {first} mm (pixdim) and {second} mm (sform); the sform "
        "was taken, so check the volumes in the report."
    )
    return Finding("two-voxel-sizes", "warning", text, role=role, first=first, second=second)


def _two_places(by_sform: bool, apart: float, role: str) -> Finding:
    taken, other = ("sform", "qform") if by_sform else ("qform", "sform")
    text = _(
        "{role} states two positions, up to {apart} mm apart; its {taken} was used and its "
        "{other} was not, so check that images and masks are aligned."
    )
    return Finding("two-places", "warning", text, role=role, apart=f"{apart:.3g}", taken=taken, other=other)


def _unusable(what: str, role: str) -> Finding:
    return Finding(
        "sform-not-used", "warning", _("The axes of {role}'s sform {what}; its qform was used."), role=role, what=what
    )
