"""Findings on images that the model cannot use, and on combinations and CT values that it never saw in training."""

from __future__ import annotations

from collections.abc import Sequence

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case, center_of_organ, organ_mean_hu
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.text import quoted
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


def unseen_combination(used: Sequence[Modality], models: Sequence[Bundle]) -> tuple[Finding, ...]:
    """Return a warning if a model saw each image in `used` in training, but never this combination.

    models: one, or the members of an ensemble.
    """
    names = [m.value for m in used]
    unaware = [model for model in models if model.trained_on is not None and not model.trained_on.saw(names)]
    if not unaware:
        return ()
    images = " and ".join(names)
    if len(unaware) == len(models) > 1:
        none = _(
            "In training none of the {count} models ever saw a case with {images} and nothing else; check this grade "
            "with care."
        )
        return (Finding("combination-unseen", "warning", none, count=len(models), images=images),)
    some = _("In training {models} never saw a case with {images} and nothing else; check this grade with care.")
    return (Finding("combination-unseen", "warning", some, models=_some_of(unaware, models), images=images),)


#: HU by which the organ may differ from all training cases: scanners differ by some HU, masks by vessels and rims
MARGIN_HU = 15.0


def unlike_training(case: Case, used: Sequence[Modality], models: Sequence[Bundle]) -> tuple[Finding, ...]:
    """Return a warning if the organ on the CT is darker or brighter than in all training cases, as in another phase.

    models: one, or the members of an ensemble; then the warning states how many of them it concerns, with the range of
    their cases, and there is one for those with darker and one for those with brighter cases.

    Lesions of the same biology, drawn into CTs without contrast, kept their order but were predicted less malignant
    (docs/results/real_scans.md).
    """
    unlike: dict[tuple[str, bool], list[Bundle]] = {}
    for model in models if Modality.CT in used else ():
        limits = model.trained_on.organ_hu if model.trained_on is not None else None
        mean = organ_mean_hu(case, model.preparation.ct_clip_hu) if limits is not None else None
        if mean is not None and not limits[0] - MARGIN_HU <= mean <= limits[1] + MARGIN_HU:
            unlike.setdefault((f"{mean:.0f}", mean < limits[0]), []).append(model)
    text = _(
        "The {organ} has {mean} HU on this CT, but {least} to {most} HU in the training of {models}. A CT without "
        "contrast or of another phase differs in this way. The probabilities may be shifted; check the grade with care."
    )
    found = []
    for (mean, _darker), concerned in unlike.items():
        least, most = zip(*(model.trained_on.organ_hu for model in concerned), strict=True)
        told = text.format(
            organ=case.task.organ.name,
            mean=mean,
            least=f"{min(least):.0f}",
            most=f"{max(most):.0f}",
            models=_some_of(concerned, models),
        )
        found.append(Finding("ct-unlike-training", "warning", told, center_of_organ(case)))
    return tuple(found)


def _some_of(some: Sequence[Bundle], models: Sequence[Bundle]) -> str:
    """Return words for some of the models: "the model", "all 3 models", "2 of the 3 models ('a', 'c')"."""
    if len(models) == 1:
        return _("the model")
    if len(some) == len(models) == 2:
        return _("both models")
    if len(some) == len(models):
        return _("all {count} models").format(count=len(models))
    of_them = _("{some} of the {count} models").format(some=len(some), count=len(models))
    names = [model.info["name"] for model in models]
    if len(set(names)) < len(names):  # as those of the folds of a training
        return of_them
    return _("{some} ({names})").format(some=of_them, names=quoted(model.info["name"] for model in some))
