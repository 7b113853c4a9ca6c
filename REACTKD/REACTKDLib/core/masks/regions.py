"""Regions: the parenchyma and every lesion, each with its mask, volume and position.

These are the nodes of the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from REACTKDLib.core.images.case import Case, liver_box
from REACTKDLib.core.images.geometry import apply_separable, area_weights, bounding_box, center_of, to_ras_order
from REACTKDLib.core.images.grid import Box, Grid, joined
from REACTKDLib.core.masks.components import LESIONS, Components, components_of
from REACTKDLib.core.masks.lesions import separate
from REACTKDLib.core.text import tr as _


@dataclass(frozen=True, eq=False)
class Region:
    """One node. label: its value in `RegionSet.labels`. touches_border: cut by the field of view."""

    name: str
    kind: Literal["parenchyma", "tumor"]
    label: int
    voxels: int
    volume_ml: float
    centroid_ras: tuple[float, float, float]
    touches_border: bool
    box: Box


class _Counted(NamedTuple):
    """A region that has no index yet: its box, its bool mask there, its number of voxels, and their centroid (k, j,
    i).
    """

    box: Box
    mask: np.ndarray
    voxels: int
    center: np.ndarray

    @classmethod
    def of(cls, box: Box, mask: np.ndarray) -> _Counted:
        count, center = center_of(mask)
        return cls(box, mask, count, center + [part.start for part in box] if count else center)

    def named(self, label: int, name: str, kind: str, shape: tuple[int, ...], ijk_to_ras: np.ndarray) -> Region:
        ras = ijk_to_ras[:3, :3] @ self.center[::-1] + ijk_to_ras[:3, 3]
        border = any(s.start == 0 or s.stop == n for s, n in zip(self.box, shape, strict=True))
        volume = float(self.voxels * abs(np.linalg.det(ijk_to_ras[:3, :3])) / 1000)
        return Region(name, kind, label, self.voxels, volume, tuple(float(v) for v in ras), border, self.box)


def _in_order(whole: Components | None, lesions: np.ndarray | None, ijk_to_ras: np.ndarray) -> list[_Counted]:
    """Return the lesions of a tumor mask in the order of `RegionSet.from_masks`.

    whole: its components; `lesions` as there.
    """
    if whole is None:
        return []
    box = whole.box
    voxel_ml = abs(np.linalg.det(ijk_to_ras[:3, :3])) / 1000
    parts = separate(whole, None if lesions is None else lesions[box], voxel_ml)
    found = [_Counted.of(where, mask) for where, mask in parts.found]
    ras = np.round((np.array([f.center for f in found]) - [s.start for s in box])[:, ::-1] @ ijk_to_ras[:3, :3].T, 2)
    order = sorted(range(len(found)), key=lambda n: (-found[n].voxels, *ras[n][::-1]))
    return [found[n] for n in order]


@dataclass(frozen=True, eq=False)
class RegionSet:
    """Node 0 is the parenchyma (liver minus tumors), then one node for each lesion, largest first.

    labels: (D, H, W) on the reference grid, uint8 or, for more than 254 lesions, uint16: 0 outside, 1 parenchyma, 2 and
    up lesions.
    """

    labels: np.ndarray
    ijk_to_ras: np.ndarray
    regions: tuple[Region, ...]

    @classmethod
    def from_masks(
        cls,
        liver: np.ndarray,
        tumor: np.ndarray,
        ijk_to_ras: np.ndarray,
        lesions: np.ndarray | None = None,
        known: tuple[Box | None, Components | None] | None = None,
    ) -> RegionSet:
        """Split masks into regions: lesions are the 26-connected components of `tumor`; all are kept.

        liver, tumor: bool (D, H, W). lesions: divides components where separate lesions touch, see `Case`. Lesions of
        equal size are ordered from inferior to superior, then by A, then R. known: the box of the liver and the
        components of the tumor, if already computed.
        """
        box, parts = known or (bounding_box(liver), components_of(tumor))
        whole = box or (slice(0, 0),) * 3
        drawn = _in_order(parts, lesions, ijk_to_ras)
        kind = np.min_scalar_type(1 + len(drawn))
        labels = np.zeros(liver.shape, dtype=kind)  # pages of memory never written cost nothing: fill only the box
        labels[whole] = liver[whole]
        for label, lesion in enumerate(drawn, start=2):
            np.copyto(labels[lesion.box], kind.type(label), where=lesion.mask)
        placed = liver.shape, ijk_to_ras
        regions = [_Counted.of(whole, labels[whole] == 1).named(1, _("Parenchyma"), "parenchyma", *placed)]
        for n, lesion in enumerate(drawn, start=1):
            regions.append(lesion.named(n + 1, _("Lesion {number}").format(number=n), "tumor", *placed))
        return cls(labels, np.asarray(ijk_to_ras, dtype=np.float64), tuple(regions))

    @property
    def lesions(self) -> tuple[Region, ...]:
        """The tumor regions, largest first."""
        return self.regions[1:]

    @property
    def box(self) -> Box:
        """The smallest box that contains every region; one voxel if all are empty.

        It is stored, not searched for: most memory pages of the labels were never written, and reading them all takes a
        tenth of a second for a large CT.
        """
        boxes = [region.box for region in self.regions if region.voxels]
        return joined(boxes) if boxes else (slice(0, 1),) * 3

    @property
    def spacing(self) -> np.ndarray:
        """(3,) mm: i, j, k."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    def mask(self, index: int) -> np.ndarray:
        """Bool (D, H, W) of region `index`."""
        return self.labels == self.regions[index].label

    def occupancy(self, grid: Grid) -> np.ndarray:
        """Return the fraction of each grid cell that each region fills: (n, D, H, W) float32, area-averaged.

        The grid runs along the reference volume's own axes in nearest RAS order (see `Preparation.grid_for`), so the
        averages are exact products of overlaps along the axes: volume is conserved and no lesion in the grid is lost.
        """
        out = np.zeros((len(self.regions), *grid.shape), dtype=np.float32)
        for n, region in enumerate(self.regions):
            mask = self.labels[region.box] == region.label
            average_to_grid(mask, region.box, self.ijk_to_ras, grid, out[n])
        return out


def regions_of(case: Case) -> RegionSet:
    """Return the parenchyma and every lesion of the case's masks, computed once for these masks."""
    if "regions" not in case.derived:
        known = (liver_box(case), case.derived.pop(LESIONS)) if LESIONS in case.derived else None
        placed = case.reference.ijk_to_ras, case.lesions
        case.derived["regions"] = RegionSet.from_masks(case.liver, case.tumor, *placed, known)
    return case.derived["regions"]


def average_to_grid(mask: np.ndarray, box: Box, ijk_to_ras: np.ndarray, grid: Grid, out: np.ndarray) -> None:
    """Add the area average of one mask, given on a box of the reference grid, to `out` (D, H, W) on `grid`."""
    if mask.size == 0:
        return
    view, matrix = to_ras_order(mask, Grid(mask.shape, ijk_to_ras).part(box).ijk_to_ras)
    directions = grid.ijk_to_ras[:3, :3] / grid.spacing
    first = np.linalg.solve(directions, grid.ijk_to_ras[:3, 3] - matrix[:3, 3])  # mm along the R, A, S axes
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    weights, window = [], []
    for axis in (2, 1, 0):
        w = area_weights(view.shape[2 - axis], spacing[axis], first[axis], grid.shape[2 - axis], grid.spacing[axis])
        used = np.flatnonzero(w.any(axis=1))
        if used.size == 0:
            return
        window.append(slice(int(used[0]), int(used[-1]) + 1))
        weights.append(w[window[-1]])
    out[tuple(window)] += apply_separable(view, tuple(weights))
