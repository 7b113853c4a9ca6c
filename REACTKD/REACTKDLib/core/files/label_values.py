"""What the values of a label file mean: whole numbers are labels, fractions are refused, the same for every reader."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.errors import NotASegmentation
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.text import tr as _

#: A header's scale, or a resampling of single precision, leaves values this close to the label that was meant.
NEAR = 0.02
# Labels of this many values and more may be a map of 0 to 255 or 0 to 100 percent.
_FEW = 8


def whole_labels(array: np.ndarray, role: str) -> tuple[np.ndarray, tuple[Finding, ...]]:
    """Return the labels of any array as integers of the same shape, and what was done to get them.

    Values within 0.02 of a whole number are that number: nothing else can be meant by 0.996 or 1.0000153, which scaled
    integers give. role: the words for the file.

    Raises: NotASegmentation for fractions, for values below zero, and for such as no label has.
    """
    findings: tuple[Finding, ...] = ()
    if array.dtype.kind not in "iufb":
        text = _("{role} holds values that are no labels (of the type {kind}); give whole numbers, or True and False.")
        raise NotASegmentation(text, role=role, kind=array.dtype.name)
    if array.min(initial=0) <= -0.5:  # asked first: of an image the fractions are not what is wrong
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
    """Return where a file of one mask, whose labels may be any above 0, is not 0: bool, and findings.

    Raises: NotASegmentation as `whole_labels` does, and for fractions that are stored as 0 to 255 or 0 to 100.
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
    """True when many values lead up to the highest: lesions with numbers lie apart, probabilities pass through all."""
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
