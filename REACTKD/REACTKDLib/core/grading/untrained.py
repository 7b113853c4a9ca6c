"""Findings on images that the model cannot use, and on combinations that it never saw in training."""

from __future__ import annotations

from collections.abc import Sequence

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.text import tr as _


def ignored_inputs(given: Sequence[Modality], bundle: Bundle) -> tuple[Finding, ...]:
    """Return a warning for each given image that `bundle` does not use."""
    unread = _("The model does not read {image}; it was not used.")
    untrained = _("The model was never trained on {image}; it was not used.")
    branches = bundle.info["modalities"]
    return tuple(
        Finding("input-ignored", "warning", untrained if m.value in branches else unread, image=m.value)
        for m in given
        if m not in bundle.modalities
    )


def unseen_combination(used: Sequence[Modality], bundle: Bundle) -> tuple[Finding, ...]:
    """Return a warning if the model saw each image in `used` in training, but never this combination."""
    names = [m.value for m in used]
    if bundle.trained_on is None or bundle.trained_on.saw(names):
        return ()
    text = _("In training the model never saw a case with {images} and nothing else; check this grade with care.")
    return (Finding("combination-unseen", "warning", text, images=" and ".join(names)),)
