"""Conventional measurements of each region: longest axial diameter, and uptake in each PET."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from REACTKDLib.core.images.case import Case
from REACTKDLib.core.masks.diameter import longest_axial_diameter
from REACTKDLib.core.masks.regions import Region, RegionSet
from REACTKDLib.core.masks.uptake import RegionUptake, uptake_of
from REACTKDLib.core.memo import Memo


@dataclass(frozen=True)
class RegionMeasures:
    """The measurements of one region.

    longest_axial_diameter_mm: of a lesion, None for the parenchyma. uptake: modality -> its `RegionUptake`.
    """

    longest_axial_diameter_mm: float | None = None
    uptake: Mapping[str, RegionUptake] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the entries for a region in the report's JSON."""
        return {
            "longest_axial_diameter_mm": _rounded(self.longest_axial_diameter_mm, 2),
            "uptake": {
                name: {key: v if isinstance(v, bool) else _rounded(v, 4) for key, v in asdict(entry).items()}
                for name, entry in self.uptake.items()
            },
        }

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> RegionMeasures | None:
        """Return the measurements from the form of `to_dict`; None if a report has none, as in versions before this
        edition.
        """
        if "longest_axial_diameter_mm" not in entry:
            return None
        names = [part.name for part in fields(RegionUptake)]  # fields of a newer version are ignored
        uptake = {
            image: RegionUptake(*(values[name] for name in names)) for image, values in entry.get("uptake", {}).items()
        }
        return cls(entry["longest_axial_diameter_mm"], uptake)


def measures_of(case: Case, regions: RegionSet, memo: Memo | None = None) -> tuple[RegionMeasures, ...]:
    """Return the measurements of each region of a case.

    memo: cache for these images; a lesion with unchanged voxels is not measured again.
    """
    memo = memo or Memo()
    keys = {lesion.label: _key(regions, lesion) for lesion in regions.lesions}
    uptake = uptake_of(case, regions, keys, memo)
    found = []
    for n, region in enumerate(regions.regions):
        known = {name: entries[n] for name, entries in uptake.items() if entries[n] is not None}
        diameter = None
        if region.kind == "tumor":
            key = ("diameter", keys[region.label])
            diameter = memo.of(key, lambda region=region: _diameter(regions, region))
        found.append(RegionMeasures(diameter, known))
    return tuple(found)


def _diameter(regions: RegionSet, region: Region) -> float:
    return longest_axial_diameter(regions.labels[region.box] == region.label, regions.ijk_to_ras)


def _key(regions: RegionSet, region: Region) -> bytes:
    """Return a hash of a region's voxels and their position on the reference grid."""
    digest = hashlib.blake2b(repr(region.box).encode(), digest_size=16)
    digest.update(np.packbits(regions.labels[region.box] == region.label))
    return digest.digest()


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)
