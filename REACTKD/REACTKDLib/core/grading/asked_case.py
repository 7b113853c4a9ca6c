"""Adapts a case to a model: the model's task, with lesions counted as part of the organ."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from REACTKDLib.core.errors import TaskMismatch
from REACTKDLib.core.images.case import LIVER_IS_WHOLE, Case
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.masks.lesions import empty_organ
from REACTKDLib.core.task import UNNAMED
from REACTKDLib.core.text import tr as _

if TYPE_CHECKING:
    from REACTKDLib.core.student.bundle import Bundle


def for_task(case: Case, bundle: Bundle) -> Case:
    """Return the case with the model's task.

    For an older model, which describes its organ only in words, these are used.

    Raises: TaskMismatch if the masks of the case are of another organ.
    """
    if case.task == bundle.task:
        return case
    if UNNAMED in (case.task.name, bundle.task.name):
        return replace(case, task=bundle.task)
    text = _(
        "The case was read for the task '{own}' where the model answers '{asked}'; read the case for the task of the "
        "model, or choose another model."
    )
    raise TaskMismatch(text, own=case.task.name, asked=bundle.task.name)


def whole_organ(case: Case) -> Case:
    """Return the case with lesions counted as part of the organ. Raises: NoLiver if the organ's mask is empty."""
    if LIVER_IS_WHOLE in case.derived:  # then it is not empty either
        return case
    if not case.liver.any():
        raise empty_organ(case.task)
    box = bounding_box(case.tumor)
    if box is None or not (case.tumor[box] & ~case.liver[box]).any():
        return case
    return case.with_masks(liver=case.liver | case.tumor)
