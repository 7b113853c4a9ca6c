"""Findings on images that the model cannot use, and on combinations and CT values that it never saw in training."""

from __future__ import annotations

from collections.abc import Sequence

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case, center_of_organ, organ_mean_hu
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


#: HU by which the organ may differ from all training cases: scanners differ by some HU, masks by vessels and rims
MARGIN_HU = 15.0


def unlike_training(case: Case, used: Sequence[Modality], bundle: Bundle) -> tuple[Finding, ...]:
    """Return a warning if the organ on the CT is darker or brighter than in all training cases, as in another phase.

    Lesions of the same biology, drawn into CTs without contrast, kept their order but were predicted less malignant
    (docs/results/real_scans.md).
    """
    seen = bundle.trained_on
    if Modality.CT not in used or seen is None or seen.organ_hu is None:
        return ()
    mean = organ_mean_hu(case, bundle.preparation.ct_clip_hu)
    least, most = seen.organ_hu
    if mean is None or least - MARGIN_HU <= mean <= most + MARGIN_HU:
        return ()
    text = _(
        "The {organ} has {mean} HU on this CT, but {least} to {most} HU in the training of the model. A CT without "
        "contrast or of another phase differs in this way. The probabilities may be shifted; check the grade with care."
    )
    return (
        Finding(
            "ct-unlike-training",
            "warning",
            text,
            center_of_organ(case),
            organ=case.task.organ.name,
            mean=f"{mean:.0f}",
            least=f"{least:.0f}",
            most=f"{most:.0f}",
        ),
    )
