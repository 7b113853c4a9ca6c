"""What the voxels of a volume node mean: read from its unit code, and written there."""

from __future__ import annotations

from typing import Any

import slicer

from REACTKDLib.core.volume import Unit

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


def unit_of(node: Any) -> Unit:
    """Return the unit that a volume node states: by its voxel value unit code, else by attributes, else unknown."""
    spellings = []
    code = node.GetVoxelValueUnits()
    if code is not None:
        spellings += [code.GetCodeValue(), code.GetCodeMeaning()]
    spellings += [node.GetAttribute(name) for name in _ATTRIBUTES]
    for spelling in filter(None, spellings):
        unit = _SPELLINGS.get(spelling.strip().lower())
        if unit is not None:
            return unit
    return Unit.UNKNOWN


def write_unit(node: Any, unit: Unit) -> None:
    """State `unit` on a volume node; an unknown unit leaves the node as it is."""
    if unit not in _CODES:
        return
    code = slicer.vtkCodedEntry()
    code.SetValueSchemeMeaning(*_CODES[unit])
    node.SetVoxelValueUnits(code)
