"""The paper's three representations of a case: normalized volume, intensity-masked map, raw lesion crop.

The student uses only the first. The other two are for the compared methods and for radiomics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.masks.regions import Region, regions_of
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.student.prepare import Preparation

MARGIN_MM = 10.0
#: the paper's literal form: whole volume resampled to a fixed matrix, z-score and percentiles (method of 2508.02104)
PAPER = Preparation(shape=(64, 224, 224), field="volume", ct="z-score", pet="percentile")


@dataclass(frozen=True, eq=False)
class Representations:
    """volumes: {(modality, kind): Volume}; kind is 'normalized', 'masked' or 'lesion_<n>'.

    lesion_masks: {n: Volume} on the reference grid, at the position of the lesion crops. findings: of the preparation.
    """

    volumes: dict[tuple[Modality, str], Volume]
    lesion_masks: dict[int, Volume]
    findings: tuple[Finding, ...]


def represent(case: Case, preparation: Preparation) -> Representations:
    """Return the three representations of every modality of a checked case.

    normalized: the network's grid and normalization. masked: the same with everything outside the liver (half a cell or
    more, by area) set to the image's lowest value, so that the outside cannot be mistaken for tissue, as 0 can after a
    z-score. lesion_<n>: the original values in the box of lesion n and 10 mm around it, on the image's own grid;
    omitted for a PET that does not cover the lesion.
    """
    regions = regions_of(case)
    network = preparation(case)
    liver = regions.occupancy(network.grid).sum(axis=0) >= 0.5
    volumes: dict[tuple[Modality, str], Volume] = {}
    for modality, image in network.images.items():
        masked = np.where(liver, image, image.min())
        for kind, array in (("normalized", image), ("masked", masked)):
            volumes[modality, kind] = Volume(array, network.grid.ijk_to_ras, Unit.UNKNOWN, kind)
        for n, lesion in enumerate(regions.lesions, start=1):
            crop = lesion_crop(case.volumes[modality], lesion, regions.ijk_to_ras)
            if crop is not None:
                volumes[modality, f"lesion_{n}"] = crop
    masks = {}
    for n, lesion in enumerate(regions.lesions, start=1):
        whole = Volume(regions.labels == lesion.label, regions.ijk_to_ras, Unit.UNKNOWN, "mask")
        masks[n] = lesion_crop(whole, lesion, regions.ijk_to_ras)
    return Representations(volumes, masks, network.findings)


def lesion_crop(volume: Volume, lesion: Region, ijk_to_ras: np.ndarray) -> Volume | None:
    """Return the part of `volume` around `lesion`, on the volume's own grid with its own position, or None.

    The part reaches `MARGIN_MM` beyond `lesion.box`. ijk_to_ras: of the grid in which that box is given.
    """
    edges = np.array([[s.start - 0.5, s.stop - 0.5] for s in lesion.box])[::-1]  # i, j, k
    pad = MARGIN_MM / np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    edges += np.stack([-pad, pad], axis=1)
    corners = np.array([[edges[0, a], edges[1, b], edges[2, c], 1] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    index = (np.linalg.inv(volume.ijk_to_ras) @ ijk_to_ras @ corners.T)[:3]
    low = np.maximum(np.floor(index.min(axis=1) + 0.5).astype(int), 0)
    high = np.minimum(np.ceil(index.max(axis=1) - 0.5).astype(int) + 1, volume.shape[::-1])
    if np.any(low >= high):
        return None
    array = volume.array[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, :3] @ low
    return Volume(array, matrix, volume.unit, volume.name)
