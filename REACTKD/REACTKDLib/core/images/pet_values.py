"""What the values of a PET can be: an uptake image at all, and in which unit.

The grade does not depend on the unit. It matters for what is reported beside the grade, so a unit that is only inferred
is never turned into another one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from REACTKDLib.core.errors import NotPet
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.text import tr as _

NEGATIVE_SHARE = 0.1  # reconstructions may dip below zero by noise, never by a tenth of the uptake
SUV_CEILING = 60.0  # 99.9th percentile; bladder and kidneys pass 60 in few voxels only
BQML_FLOOR = 100.0  # the brighter tissue of a PET in Bq/ml is in the thousands
UNIT_FIELDS = ("units", "unit", "voxelvalueunits", "volumeunits")
#: how a reader hands on NRRD's own field for the unit of the values: no key of a text can hold the colon
STANDARD_FIELD = "nrrd:sample units"
# How DICOM, UCUM and people write the units that we know, letters and digits alone.
_WORDS = {
    **dict.fromkeys(("suv", "suvbw", "gml", "suvgml", "suvbwgml", "gmlsuvbw", "suvbodyweight"), Unit.SUVBW),
    **dict.fromkeys(("bqml", "bqcc", "becquerelsmilliliter"), Unit.BQML),
}
_OTHER_UNIT = re.compile("suv|bq|becquerel|cnts|counts|cm2ml")  # of uptake, but none that we know: kBq/ml, SUVlbm


def check_pet(array: np.ndarray, role: str = _("the PET")) -> None:
    """Raise NotPet when `array` is empty, constant or strongly negative (a CT given as PET)."""
    low, high = np.percentile(array[::2, ::2, ::2] if array.size > 1_000_000 else array, (1, 99))
    if float(array.max()) <= 0 or float(array.max()) == float(array.min()):
        raise NotPet(_("{role} holds no uptake: every voxel is zero or the same; give another file."), role=role)
    if low < -NEGATIVE_SHARE * max(high, 0.0):
        raise NotPet(
            _("{role} has values far below zero ({low}), as a CT has; check which file is which."),
            role=role,
            low=f"{low:.4g}",
        )


def infer_pet_unit(array: np.ndarray, fields: Mapping[str, str] | None = None) -> Unit:
    """Return the unit from the header's text fields when one states it, else from the values, else UNKNOWN.

    A header that states a unit of another kind, as kBq/ml or SUVlbm, leaves nothing to infer: UNKNOWN.

    By values: SUV when the 99.9th percentile is at most 60; Bq/ml when the median of the voxels above 15 % of the 99th
    percentile exceeds 100. kBq/ml cannot be told from SUV by values, so an inferred unit is shown and never converted.
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
    """Return a PET in the unit that `infer_pet_unit` gives, marked where nothing but its values says so.

    Raises: NotPet where the header states two units.
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
    """Return the unit that a text field of the header states: UNKNOWN for one that is no `Unit`, None for none."""
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
