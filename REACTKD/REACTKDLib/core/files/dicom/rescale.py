"""Rescaling of stored values to HU or activity: slope and intercept of each slice, which are never guessed.

CT needs both (the intercept makes a difference of 1,024 HU), PET its slope; the intercept of a PET is zero by the
standard (DICOM PS3.3, C.8.9.4.1.7). Elements that change the meaning of the values must be equal in all slices of a
series.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from REACTKDLib.core.errors import BadRescale, MixedSeries
from REACTKDLib.core.files.dicom.header import number, raw, text
from REACTKDLib.core.text import quoted
from REACTKDLib.core.text import tr as _

# Scanners write no slopes outside these limits: 16 bits would not cover the range of HU, or of possible activities.
SLOPES = {"CT": (1e-4, 1e3), "PT": (1e-9, 1e9)}
LARGEST_INTERCEPT = {"CT": 1e5, "PT": 1e9}  # representable in 32 bits
ONE_KIND = {"CT": {"RescaleType": "rescale types"}, "PT": {"Units": "units", "SUVType": "kinds of SUV"}}
JUMP_HU = 100.0  # mean difference of voxels between two slices of a CT
UNLIKE = 1000.0  # times the largest value of other PET slices; a bladder is a hundred times as bright as noise
_DEFAULTS = {"RescaleType": "HU"}  # may be omitted if it is HU


def rescale_of(dataset: Any, modality: str, role: str) -> tuple[float, float]:
    """Return slope and intercept of one slice. modality: 'CT' or 'PT'.

    Raises: BadRescale if one is missing, is not a number, or is outside what any scanner writes.
    """
    slope, intercept = (_stated(dataset, k, role) for k in ("RescaleSlope", "RescaleIntercept"))
    if slope is None or (intercept is None and modality == "CT"):
        name = "slope" if slope is None else "intercept"
        message = _(
            "{role} does not state the rescale {name} of every slice, so its values mean nothing; "
            "export the series again from the archive."
        )
        raise BadRescale(message, role=role, name=name)
    low, high = SLOPES.get(modality, SLOPES["PT"])
    if not low <= slope <= high:
        shown = "zero" if slope == 0 else f"{slope:.4g}"
        message = _("{role} states a rescale slope of {shown}, which no scanner writes; export the series again.")
        raise BadRescale(message, role=role, shown=shown)
    if intercept is not None and abs(intercept) > LARGEST_INTERCEPT.get(modality, LARGEST_INTERCEPT["PT"]):
        raise BadRescale(
            _("{role} states a rescale intercept of {intercept}, which no scanner writes; export the series again."),
            role=role,
            intercept=f"{intercept:.4g}",
        )
    return slope, intercept or 0.0


def check_alike(headers: Sequence[Any], modality: str, role: str) -> None:
    """Raise MixedSeries if slices of one series state different units, kinds of SUV or rescale types."""
    for keyword, name in ONE_KIND.get(modality, {}).items():
        seen = {text(header, keyword).upper() or _DEFAULTS.get(keyword, "none") for header in headers}
        if len(seen) > 1:
            message = _("{role} mixes slices of different {name} ({values}); give a folder with one volume.")
            raise MixedSeries(message, role=role, name=name, values=quoted(sorted(seen), 4))


def check_neighbors(planes: Sequence[np.ndarray], headers: Sequence[Any], modality: str, role: str) -> None:
    """Raise BadRescale if a slice's own slope or intercept sets it apart from its neighbors.

    CT: voxel values jump where slope or intercept changes. PET: a slice is a thousand times as bright as the others, or
    as dark as background between two bright ones. planes: rescaled, in order.
    """
    odd = _jump(planes, headers) if modality == "CT" else _unlike_in_brightness(planes)
    if odd is not None:
        message = _(
            "{role} states a rescale slope or intercept that cannot be true for slice {slice} of "
            "{count}, as its values do not fit those beside it; export the series again."
        )
        raise BadRescale(message, role=role, slice=odd + 1, count=len(planes))


def _jump(planes: Sequence[np.ndarray], headers: Sequence[Any]) -> int | None:
    stated = [(number(header, "RescaleSlope"), number(header, "RescaleIntercept")) for header in headers]
    changes = [n for n in range(1, len(planes)) if stated[n] != stated[n - 1]]
    if not changes:
        return None
    differences = [_difference(planes[n], planes[n - 1]) for n in range(1, len(planes))]
    usual = np.percentile(differences, 25)  # a wrong slice in a short series affects half of them
    for n in changes:
        if differences[n - 1] > max(JUMP_HU, 3 * usual):
            return n if stated[n] != stated[0] else n - 1
    return None


def _difference(plane: np.ndarray, before: np.ndarray) -> float:
    """Return the mean difference between the voxels of two slices."""
    return float(np.abs(np.asarray(plane, np.float32) - np.asarray(before, np.float32)).mean())


def _unlike_in_brightness(planes: Sequence[np.ndarray]) -> int | None:
    brightest = np.array([float(plane.max()) for plane in planes])
    lit = brightest[brightest > 0]
    if lit.size < 3:
        return None
    above = np.flatnonzero(brightest > UNLIKE * np.median(lit))
    if above.size:
        return int(above[0])
    beside = np.minimum(brightest[:-2], brightest[2:])
    below = np.flatnonzero(UNLIKE * brightest[1:-1] < beside)
    return int(below[0]) + 1 if below.size else None


def _stated(dataset: Any, keyword: str, role: str) -> float | None:
    """Return a number, or None if it is missing; raise BadRescale if it is not a number."""
    value = number(dataset, keyword)
    if value is None and raw(dataset, keyword) is not None:
        name = keyword.removeprefix("Rescale").lower()
        raise BadRescale(
            _("{role} states a rescale {name} that is no finite number; export the series again."), role=role, name=name
        )
    return value
