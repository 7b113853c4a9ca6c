"""The unit of a volume node, read from its unit code, and written to it."""

from __future__ import annotations

import re
from typing import Any

import slicer

from REACTKDLib.core.images.volume import Unit

# UCUM codes as written by Slicer's DICOM and PET readers, in their possible spellings.
_SPELLINGS = {
    "[hnsf'u]": Unit.HU,
    "hu": Unit.HU,
    "hounsfield unit": Unit.HU,
    "hounsfield units": Unit.HU,
    "{suvbw}g/ml": Unit.SUVBW,
    "suvbw": Unit.SUVBW,
    "g/ml{suvbw}": Unit.SUVBW,
    "bq/ml": Unit.BQML,
    "bqml": Unit.BQML,
    "becquerels/milliliter": Unit.BQML,
}
_CODES = {
    Unit.HU: ("[hnsf'U]", "UCUM", "Hounsfield unit"),
    Unit.SUVBW: ("{SUVbw}g/ml", "UCUM", "Standardized Uptake Value body weight"),
    Unit.BQML: ("Bq/ml", "UCUM", "Becquerels/milliliter"),
}
_ATTRIBUTES = ("DICOM.MeasurementUnitsCodeValue", "DICOM.Units", "DICOM.RescaleType", "Units")
# PETDICOMExtension gives every kind of SUV the unit code of SUVbw; only node names distinguish them.
_OTHER_SUV = re.compile(r"suv[\W_]?(lbm|ibw|bsa)|(lean|ideal)[\W_]body|body[\W_]surface", re.I)


def unit_of(node: Any) -> Unit:
    """Return the unit that a volume node states: by its voxel value unit code, else by attributes, else unknown."""
    return stated_unit(node) or Unit.UNKNOWN


def stated_unit(node: Any) -> Unit | None:
    """Return the unit that a volume node states: UNKNOWN for an unsupported one (SUVlbm), None if it states none.

    A stated but unknown unit must not be guessed from the values; a missing one may be.
    """
    code = node.GetVoxelValueUnits()
    coded = [] if code is None else [code.GetCodeValue(), code.GetCodeMeaning()]
    for spelling in filter(None, (*coded, *(node.GetAttribute(name) for name in _ATTRIBUTES))):
        unit = _SPELLINGS.get(spelling.strip().lower())
        if unit is not None:
            other = unit is Unit.SUVBW and _OTHER_SUV.search(node.GetName() or "")
            return Unit.UNKNOWN if other else unit
    return Unit.UNKNOWN if any(coded) else None


def write_unit(node: Any, unit: Unit) -> None:
    """Write `unit` to a volume node; an unknown unit leaves the node unchanged."""
    if unit not in _CODES:
        return
    code = slicer.vtkCodedEntry()
    code.SetValueSchemeMeaning(*_CODES[unit])
    node.SetVoxelValueUnits(code)
