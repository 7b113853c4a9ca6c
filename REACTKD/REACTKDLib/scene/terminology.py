"""Terminology codes of segments: which say liver or tumor, and writing ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import slicer

from REACTKDLib.core.recognition import Kind

SCT = "SCT"
LIVER = ("10200004", "Liver")
MASS = ("4147007", "Mass")
_ANATOMICAL_STRUCTURE = ("123037004", "Anatomical Structure")
_ALTERED_STRUCTURE = ("49755003", "Morphologically Altered Structure")
_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
_REGIONS = "Anatomic codes - DICOM master list"

# (scheme, code): SNOMED CT, and the older SNOMED RT codes that archives still hold.
_LIVER_CODES = {("SCT", "10200004"), ("SRT", "T-62000")}
_TUMOR_CODES = {
    ("SCT", "4147007"),  # Mass
    ("SCT", "108369006"),  # Neoplasm
    ("SCT", "86049000"),  # Neoplasm, primary
    ("SCT", "14799000"),  # Neoplasm, secondary
    ("SCT", "27925004"),  # Nodule
    ("SCT", "52988006"),  # Lesion
    ("SCT", "25370001"),  # Hepatocellular carcinoma
    ("SCT", "109841003"),  # Liver cell carcinoma
    ("SRT", "M-03000"),  # Mass
    ("SRT", "M-01000"),  # Lesion
    ("SRT", "M-80003"),  # Neoplasm, primary
    ("SRT", "M-80006"),  # Neoplasm, secondary
}
# A code that says no more than that there is something: a new segment is tagged Tissue.
_SAYS_NOTHING = {("", ""), ("SCT", "85756007"), ("SRT", "T-D0050"), ("SCT", "123037004"), ("SCT", "49755003")}


@dataclass(frozen=True)
class CodeVerdict:
    """kind: what the code says, or None for something else. says_nothing: the code leaves it open."""

    kind: Kind | None
    says_nothing: bool


def recognize_code(segment: Any) -> CodeVerdict:
    """Return what the terminology code of a segment says. A tumor whose region code is another organ is none here."""
    entry = slicer.vtkSlicerTerminologyEntry()
    text = segment.GetTerminology()
    if not text or not slicer.vtkSlicerTerminologiesModuleLogic.DeserializeTerminologyEntry(text, entry):
        return CodeVerdict(None, True)
    code = _code(entry.GetTypeObject())
    if code in _SAYS_NOTHING:
        return CodeVerdict(None, True)
    if code in _LIVER_CODES:
        return CodeVerdict("liver", False)
    region = _code(entry.GetRegionObject() if hasattr(entry, "GetRegionObject") else entry.GetAnatomicRegionObject())
    if code in _TUMOR_CODES and (region in _SAYS_NOTHING or region in _LIVER_CODES):
        return CodeVerdict("tumor", False)
    return CodeVerdict(None, False)


def tag(segment: Any, kind: Kind) -> None:
    """Write the code for liver, or for a mass in the liver, on a segment."""
    category, type_ = (_ANATOMICAL_STRUCTURE, LIVER) if kind == "liver" else (_ALTERED_STRUCTURE, MASS)
    region = ("", "", "") if kind == "liver" else (LIVER[0], SCT, LIVER[1])
    segment.SetTerminology(
        slicer.vtkSlicerTerminologiesModuleLogic.SerializeTerminologyEntry(
            _CONTEXT,
            *(category[0], SCT, category[1]),
            *(type_[0], SCT, type_[1]),
            *("", "", ""),
            _REGIONS,
            *region,
            *("", "", ""),
        )
    )


def _code(coded: Any) -> tuple[str, str]:
    if coded is None:
        return ("", "")
    return (coded.GetCodingSchemeDesignator() or "", coded.GetCodeValue() or "")
