"""Checks that values can be those of a PET, and infers their unit.

The grade does not depend on the unit. It matters for the values reported beside the grade, so a unit that is only
inferred is never converted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from REACTKDLib.core.errors import NotPet
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.text import measured
from REACTKDLib.core.text import tr as _

NEGATIVE_SHARE = 0.1  # noise may make reconstructed values slightly negative, but never by a tenth of the uptake
SUV_CEILING = 60.0  # 99.9th percentile; only a few voxels, in bladder and kidneys, exceed 60
BQML_FLOOR = 100.0  # bright tissue in Bq/ml is in the thousands
UNIT_FIELDS = ("units", "unit", "voxelvalueunits", "volumeunits")
#: key under which a reader passes on NRRD's own field for the unit; keys of text fields cannot contain a colon
STANDARD_FIELD = "nrrd:sample units"
# Spellings of the known units in DICOM, UCUM and common use, reduced to letters and digits.
_WORDS = {
    **dict.fromkeys(("suv", "suvbw", "gml", "suvgml", "suvbwgml", "gmlsuvbw", "suvbodyweight"), Unit.SUVBW),
    **dict.fromkeys(("bqml", "bqcc", "becquerelsmilliliter"), Unit.BQML),
}
_OTHER_UNIT = re.compile("suv|bq|becquerel|cnts|counts|cm2ml")  # units of uptake that are not supported: kBq/ml, SUVlbm


def check_pet(array: np.ndarray, role: str = _("the PET")) -> None:
    """Raise NotPet if `array` is empty, constant or strongly negative (a CT given as PET)."""
    low, high = np.percentile(array[::2, ::2, ::2] if array.size > 1_000_000 else array, (1, 99))
    if float(array.max()) <= 0 or float(array.max()) == float(array.min()):
        raise NotPet(_("{role} holds no uptake: every voxel is zero or the same; give another file."), role=role)
    if low < -NEGATIVE_SHARE * max(high, 0.0):
        raise NotPet(
            _("{role} has values far below zero ({low}), as a CT has; check which file is which."),
            role=role,
            low=measured(low, 4),
        )


def infer_pet_unit(array: np.ndarray, fields: Mapping[str, str] | None = None) -> Unit:
    """Return the unit that the header's text fields state, else the unit inferred from the values, else UNKNOWN.

    If the header states another unit, such as kBq/ml or SUVlbm, nothing is inferred: UNKNOWN.

    Inference from values: SUV if the 99.9th percentile is at most 60; Bq/ml if the median of the voxels above 15 % of
    the 99th percentile exceeds 100. Values do not distinguish kBq/ml from SUV, so an inferred unit is shown and never
    converted.
    """
    stated = unit_from_fields(fields or {})
    if stated is not None:
        return stated
    values = np.ravel(array)[:: max(1, array.size // 2_000_000)].astype(np.float32)
    p99, p999 = np.percentile(values, (99, 99.9))
    if 0 < p999 <= SUV_CEILING:
        return Unit.SUVBW
    bright = values[values > 0.15 * p99]
    return Unit.BQML if bright.size and float(np.median(bright)) > BQML_FLOOR else Unit.UNKNOWN


def in_own_unit(volume: Volume, fields: Mapping[str, str] | None = None) -> Volume:
    """Return a PET with the unit from `infer_pet_unit`, marked as inferred if only the values indicate it.

    Raises: NotPet if the header states two units.
    """
    _check_one_unit(fields or {}, volume.name)
    unit = infer_pet_unit(volume.array, fields)
    by_values = unit is not Unit.UNKNOWN and unit_from_fields(fields or {}) is None
    return replace(volume, unit=unit, unit_inferred=by_values)


def _check_one_unit(fields: Mapping[str, str], role: str) -> None:
    own = unit_from_fields({key: value for key, value in fields.items() if key == STANDARD_FIELD})
    other = unit_from_fields({key: value for key, value in fields.items() if key != STANDARD_FIELD})
    if own is not other and None not in (own, other):
        text = _(
            "The header of {role} states one unit of its values in 'sample units' and another one beside it; correct "
            "the header or export the image again."
        )
        raise NotPet(text, role=role)


def unit_from_fields(fields: Mapping[str, str]) -> Unit | None:
    """Return the unit that a text field of the header states: UNKNOWN for an unsupported unit, None if none is
    stated.
    """
    for key, value in fields.items():
        words = "".join(c for c in key.casefold() if c.isalnum())
        text = "".join(c for c in value.casefold() if c.isalnum())
        if not words.endswith(UNIT_FIELDS):
            continue
        if text in _WORDS:
            return _WORDS[text]
        if _OTHER_UNIT.search(text):
            return Unit.UNKNOWN
    return None
