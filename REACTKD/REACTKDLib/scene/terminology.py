"""Terminology codes of segments: read through Slicer, and written in the form of core."""

from __future__ import annotations

from typing import Any

import slicer

from REACTKDLib.core.files.recognition import Code, Kind
from REACTKDLib.core.files.segments import terminology_entry
from REACTKDLib.core.task import Task


def codes_of(segment: Any) -> tuple[Code, Code]:
    """Return the (scheme, value) of type and anatomic region of a segment; ("", "") if it states none."""
    entry = slicer.vtkSlicerTerminologyEntry()
    text = segment.GetTerminology()
    if not text or not slicer.vtkSlicerTerminologiesModuleLogic.DeserializeTerminologyEntry(text, entry):
        return ("", ""), ("", "")
    return _code(entry.GetTypeObject()), _code(entry.GetRegionObject())


def tag(segment: Any, kind: Kind, task: Task) -> None:
    """Write the code for the task's organ, or for a lesion in it, on a segment."""
    segment.SetTerminology(terminology_entry(kind, task))


def _code(coded: Any) -> Code:
    if coded is None:
        return ("", "")
    return (coded.GetCodingSchemeDesignator() or "", coded.GetCodeValue() or "")
