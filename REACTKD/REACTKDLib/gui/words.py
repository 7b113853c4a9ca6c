"""Display names for codes of core: grades, images, units; and errors with advice for the panel."""

from __future__ import annotations

from slicer.i18n import tr as _

from REACTKDLib.core.errors import AmbiguousSegment, ReactkdError
from REACTKDLib.core.files.recognition import NOT_RECOGNIZED
from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import sentence
from REACTKDLib.gui.plain_text import escaped
from REACTKDLib.scene.case import NO_IMAGE_CHOSEN, NO_SEGMENTATION_CHOSEN
from REACTKDLib.scene.input_info import VolumeInfo
from REACTKDLib.scene.overlay import Overlay
from REACTKDLib.scene.translation import translated


def grade_words(grade: str, task: Task) -> str:
    """Return a grade for display; a class unknown to the task is shown under the model's name for it."""
    known = task.class_of(grade)
    return grade if known is None else translated(known.title)


def short_grade(grade: str, task: Task) -> str:
    """Return a grade for the label of a bar."""
    known = task.class_of(grade)
    return grade if known is None else translated(known.short)


def clinical_use_words(text: str) -> str:
    """Return a model's intended use, translated if it is the shipped model's text."""
    known = {
        "trained on digital phantoms: not for clinical use": _("trained on digital phantoms: not for clinical use")
    }
    return known.get(text, text)


def image_words(modality: Modality | str) -> str:
    """Return an input for display."""
    return {
        Modality.CT: _("CT"),
        Modality.FDG: _("FDG PET"),
        Modality.ACETATE: _("acetate PET"),
    }[Modality(modality)]


def short_image(modality: Modality | str) -> str:
    """Return an input in the title of a section."""
    return {Modality.CT: _("CT"), Modality.FDG: _("FDG"), Modality.ACETATE: _("acetate")}[Modality(modality)]


def joined(words: list[str]) -> str:
    """Return "CT, FDG PET and acetate PET"."""
    if len(words) < 2:
        return "".join(words)
    return _("{first} and {last}").format(first=", ".join(words[:-1]), last=words[-1])


def volume_words(info: VolumeInfo | None, modality: Modality) -> str:
    """Return the line below a selector: size, spacing, unit, and for a PET whether it is SUV."""
    if info is None:
        return _("This volume holds no image.")
    size = " x ".join(str(n) for n in info.size)
    spacing = " x ".join(f"{value:.3g}" for value in info.spacing)
    if info.unit is Unit.HU:
        unit = _("Hounsfield units")
    elif info.unit is Unit.SUVBW:
        unit = _("SUV (body weight)")
    elif info.unit is Unit.BQML:
        unit = _("Bq/ml, not SUV")
    else:
        unit = _("unit unknown, not SUV")
    if not info.stated and info.unit is not Unit.UNKNOWN and modality is not Modality.CT:
        unit = _("{unit} by its values, as the unit is not stated").format(unit=unit)
    return _("{size} voxels of {spacing} mm; {unit}.").format(size=size, spacing=spacing, unit=unit)


def overlay_words(overlay: Overlay, grade: str | None, task: Task) -> str:
    """Return the panel's name of an overlay. grade: the predicted one."""
    value = overlay.value
    if value is None:
        return _("Voxel map")
    return translated(value.choice.format(grade=short_grade(overlay.grade or grade or "", task).lower()))


def color_words(overlay: Overlay, task: Task) -> str:
    """Return what the colors of the views represent, as the beginning of a sentence."""
    if overlay.value is None:
        return _("The brighter a spot of the map, the more it speaks for the grade")
    if overlay.one_sided:
        return _("Violet has much attention, gray little, which speaks neither for the grade nor against it")
    if overlay.grade is not None:
        text = _("Orange adds to the score of {grade}, blue takes from it")
        return text.format(grade=short_grade(overlay.grade, task).lower())
    return _("Orange speaks for the grade, blue against it")


def what_if_words(report: GradeReport, other: GradeReport) -> str:
    """Return rich text: the probabilities of a report beside those of `other`, the result without some parts."""
    if other.grade is None:
        return f"<div>{_('Without these there is no grade.')}</div>"
    rows = "".join(
        f"<tr><td>{escaped(short_grade(name, report.task))}</td><td align='right'>&nbsp;{100 * before:.1f} %</td>"
        f"<td align='right'>&nbsp;{100 * other.probabilities[name]:.1f} %</td></tr>"
        for name, before in report.probabilities.items()
    )
    head = "".join(f"<td align='right'>&nbsp;{words}</td>" for words in (_("with all"), _("without")))
    grade = escaped(grade_words(other.grade, other.task).lower())
    if other.grade == report.grade:
        verdict = _("The grade stays: {grade}.").format(grade=grade)
    else:
        verdict = _("The grade would be: {grade}.").format(grade=f"<b>{grade}</b>")
    return f"<table><tr><td></td>{head}</tr>{rows}</table>{verdict}"


def plain(error: ReactkdError, task: Task = HCC_GRADE) -> str:
    """Return the sentence of an error, with the remedy that the panel offers."""
    organ, lesions = translated(task.organ.name), translated(task.lesion.many)
    words = {"organ": organ, "lesions": lesions, "title": sentence(organ)}
    if error.template == NO_IMAGE_CHOSEN:
        return _("Choose a segmentation and at least one image.")
    if error.template == NO_SEGMENTATION_CHOSEN:
        return _("Choose the segmentation with the {organ} and its {lesions}.").format(**words)
    if error.template == NOT_RECOGNIZED:
        text = _("No segment is recognized as the {organ}. Choose it in Inputs beside {title}, or draw it.")
        return text.format(**words)
    if error.code == AmbiguousSegment.code:
        text = _("Several segments look like the {organ}. Choose the right one in Inputs beside {title}.")
        return text.format(**words)
    return translated(str(error))
