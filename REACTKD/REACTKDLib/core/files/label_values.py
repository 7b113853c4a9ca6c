"""Interpretation of the values of a label file: integers are labels, fractions are refused, for every reader alike."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.errors import NotASegmentation
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.text import tr as _

#: A scale in the header, or resampling in single precision, leaves values this close to the intended label.
NEAR = 0.02
# Files with at least this many values may be maps of 0 to 255 or 0 to 100 percent.
_FEW = 8


def whole_labels(array: np.ndarray, role: str) -> tuple[np.ndarray, tuple[Finding, ...]]:
    """Return the labels of any array as integers of the same shape, and findings on the conversion.

    Values within 0.02 of an integer are taken as that integer: 0.996 or 1.0000153, which scaled integers give, cannot
    mean anything else. role: the name of the file in messages.

    Raises: NotASegmentation for fractions, for negative values, and for values too large for a label.
    """
    findings: tuple[Finding, ...] = ()
    if array.dtype.kind not in "iufb":
        text = _("{role} holds values that are no labels (of the type {kind}); give whole numbers, or True and False.")
        raise NotASegmentation(text, role=role, kind=array.dtype.name)
    if array.min(initial=0) <= -0.5:  # checked first: if the file is an image, fractions are not the main fault
        raise NotASegmentation(_("{role} holds values below zero; give a label map, not an image."), role=role)
    if array.dtype.kind == "f":
        labels = np.rint(array)
        if not np.isfinite(array).all() or np.abs(labels).max(initial=0) >= 2**31:
            text = _("{role} holds values that are no labels (infinite or above two billion); give a label map.")
            raise NotASegmentation(text, role=role)
        away = float(np.abs(array - labels).max(initial=0))
        if away > NEAR:
            text = _(
                "{role} holds values that are not whole numbers, as a map of probabilities or a mask "
                "resampled linearly does; cut it at one half and save it as a label map."
            )
            raise NotASegmentation(text, role=role)
        array = labels.astype(np.int32)
        if away:
            text = _("{role} holds values up to {away} off whole numbers, which were rounded to labels.")
            findings = (Finding("labels-rounded", "info", text, role=role, away=f"{away:.2g}"),)
    return array, findings


def mask_of(array: np.ndarray, role: str) -> tuple[np.ndarray, tuple[Finding, ...]]:
    """Return the mask, bool, of a file with one mask, which is nonzero where the mask is, and findings.

    Raises: NotASegmentation as `whole_labels` does, and for fractions stored as 0 to 255 or 0 to 100.
    """
    if array.ndim != 3:
        raise NotASegmentation(
            _("{role} holds several values in each voxel; give a label map of one value."), role=role
        )
    labels, findings = whole_labels(array, role)
    if _is_graded(labels):
        text = _(
            "{role} rises from 0 to {highest} in steps, as probabilities stored as whole numbers "
            "do; cut it at one half and save it as a label map."
        )
        raise NotASegmentation(text, role=role, highest=int(labels.max()))
    return labels > 0, findings


def _is_graded(labels: np.ndarray) -> bool:
    """Return True if many values lead up to the highest: numbered lesions are apart, probabilities pass through all
    values.
    """
    top = int(labels.max(initial=0))
    if top <= _FEW or np.unique(labels[labels > 0]).size <= _FEW:
        return False
    highest, between, beside = labels == top, 0, 0
    for axis in range(labels.ndim):
        first = np.moveaxis(labels, axis, 0)
        mark = np.moveaxis(highest, axis, 0)
        for values, here, there in ((first[1:], mark[:-1], mark[1:]), (first[:-1], mark[1:], mark[:-1])):
            rim = here & ~there
            beside += np.count_nonzero(rim)
            between += np.count_nonzero(values[rim])
    return between > 0.5 * beside
