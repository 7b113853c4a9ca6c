"""What the voxels of a volume node mean: read from its unit code, and written there."""

from __future__ import annotations

import re
from typing import Any

import slicer

from REACTKDLib.core.images.volume import Unit

# UCUM codes as Slicer's DICOM and PET readers write them, by how they may be spelled.
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
# PETDICOMExtension gives every kind of SUV the unit code of SUVbw; only the node's name tells them apart.
_OTHER_SUV = re.compile(r"suv[\W_]?(lbm|ibw|bsa)|(lean|ideal)[\W_]body|body[\W_]surface", re.I)


def unit_of(node: Any) -> Unit:
    """Return the unit that a volume node states: by its voxel value unit code, else by attributes, else unknown."""
    return stated_unit(node) or Unit.UNKNOWN


def stated_unit(node: Any) -> Unit | None:
    """Return the unit that a volume node states: UNKNOWN for one that is no `Unit` (SUVlbm), None where it states none.

    What a node says to be of an unknown unit is not to be guessed from its values; what says nothing may be.
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
    """State `unit` on a volume node; an unknown unit leaves the node as it is."""
    if unit not in _CODES:
        return
    code = slicer.vtkCodedEntry()
    code.SetValueSchemeMeaning(*_CODES[unit])
    node.SetVoxelValueUnits(code)
