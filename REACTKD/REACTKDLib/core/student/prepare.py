"""Preparation of the network's input: volumes on one isotropic grid, with normalized values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from REACTKDLib.core.bounds import check_number, check_whole
from REACTKDLib.core.errors import PetOffLiver
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case, liver_box
from REACTKDLib.core.images.geometry import (
    apply_separable,
    box_in_ras_order,
    linear_weights,
    sample_volume,
    to_ras_order,
)
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.masks.lesions import empty_organ
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.student.normalize import CT_CLIP_HU, liver_window, log_pet, percentile_pet, z_score
from REACTKDLib.core.text import tr as _

LATTICE_MM = 8.0
MOST_VOXELS = 50_000_000
_LIMITS = (  # generous: no scanner, window or PET scale exceeds them
    ("spacing_mm", 0.2, 50.0),
    ("ct_center_hu", -1000.0, 3000.0),
    ("ct_scale_hu", 1.0, 4000.0),
    ("pet_floor", 1e-6, 100.0),
    ("pet_gain", 1e-3, 1000.0),
)
_CHOICES = (
    ("field", ("organ", "liver", "volume")),
    ("ct", ("organ-window", "liver-window", "z-score")),
    ("pet", ("log-scale", "percentile")),
)


@dataclass(frozen=True, eq=False)
class NetworkInput:
    """images: modality -> (D, H, W) float32 on `grid`; missing modalities are left out, not filled with zeros."""

    images: Mapping[Modality, np.ndarray]
    grid: Grid
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Preparation:
    """How images are prepared for a model. Part of the bundle's metadata.

    shape: (D, H, W). spacing_mm: of the isotropic grid. field: 'organ' centers the grid on the organ; 'volume'
    stretches `shape` over the whole reference volume (the paper's way). ct: 'organ-window' or 'z-score'. pet:
    'log-scale' or 'percentile'. ct_clip_hu: lowest and highest HU, to which a CT is clipped before it is resampled; the
    default is not written to descriptions and caches. 'liver' and 'liver-window' are older names for 'organ' and
    'organ-window'.
    """

    shape: tuple[int, int, int] = (96, 96, 128)
    spacing_mm: float = 2.5
    field: Literal["organ", "liver", "volume"] = "liver"
    ct: Literal["organ-window", "liver-window", "z-score"] = "liver-window"
    pet: Literal["log-scale", "percentile"] = "log-scale"
    ct_center_hu: float = 107.0
    ct_scale_hu: float = 25.0
    ct_clip_hu: tuple[float, float] = CT_CLIP_HU
    pet_floor: float = 0.1
    pet_gain: float = 2.0

    def __post_init__(self) -> None:
        """Raises: ValueError that names the field."""
        if len(self.shape) != 3:
            raise ValueError(f"shape must be three numbers, not {len(self.shape)}")
        for size in self.shape:
            check_whole("shape", size, 4, 1024)
        if math.prod(self.shape) > MOST_VOXELS:
            raise ValueError(f"shape must hold at most {MOST_VOXELS} voxels")
        for name, least, most in _LIMITS:
            check_number(name, getattr(self, name), least, most)
        if not isinstance(self.ct_clip_hu, (tuple, list)) or len(self.ct_clip_hu) != 2:
            raise ValueError("ct_clip_hu must be two numbers, the lowest and the highest HU")
        for number in self.ct_clip_hu:
            check_number("ct_clip_hu", number, -1100.0, 4000.0)
        if self.ct_clip_hu[0] >= self.ct_clip_hu[1]:
            raise ValueError("ct_clip_hu must begin with the lower number")
        for name, allowed in _CHOICES:
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}")

    @classmethod
    def from_metadata(cls, metadata: Mapping) -> Preparation:
        """Build from the JSON form; unknown keys raise TypeError."""
        clip = {"ct_clip_hu": tuple(metadata["ct_clip_hu"])} if "ct_clip_hu" in metadata else {}
        return cls(**{**metadata, "shape": tuple(metadata["shape"]), **clip})

    def to_metadata(self) -> dict:
        """Return the JSON form."""
        out = {**asdict(self), "shape": list(self.shape), "ct_clip_hu": list(self.ct_clip_hu)}
        if self.ct_clip_hu == CT_CLIP_HU:
            del out["ct_clip_hu"]
        return out

    def grid_for(self, case: Case) -> tuple[Grid, tuple[Finding, ...]]:
        """Return the network's grid for a case, along the reference volume's own axes in nearest RAS order.

        The center of the liver box is snapped to an 8 mm lattice, so that small mask edits keep the grid. If the liver
        does not fit, the spacing is increased and a finding is added. Raises: NoLiver if the liver mask is empty.
        """
        mask, matrix = to_ras_order(case.liver, case.reference.ijk_to_ras)
        sizes = np.linalg.norm(matrix[:3, :3], axis=0)
        directions = matrix[:3, :3] / sizes
        if self.field == "volume":
            extent = np.array(mask.shape[::-1]) * sizes
            step = extent / np.array(self.shape[::-1])
            return self._grid(directions, matrix[:3, 3], (extent - sizes) / 2, step), ()
        found = liver_box(case)  # not on the reoriented view: searching flipped axes takes ten times as long
        if found is None:
            raise empty_organ(case.task)
        box = box_in_ras_order(found, case.liver.shape, case.reference.ijk_to_ras)
        edges = np.array([((s.start - 0.5), (s.stop - 0.5)) for s in box[::-1]]) * sizes[:, None]
        center = np.round(edges.mean(axis=1) / LATTICE_MM - 1e-4) * LATTICE_MM
        need = 2 * np.abs(edges - center[:, None]).max(axis=1)
        room = np.array(self.shape[::-1]) * self.spacing_mm
        scale = float(np.max(need / room))
        findings = ()
        if scale > 1:
            text = _(
                "The {organ} is larger than the network's field; voxels of {coarser} mm instead of {spacing} mm are "
                "used, so small lesions are seen less well."
            )
            coarser, spacing, organ = f"{self.spacing_mm * scale:.2f}", f"{self.spacing_mm:g}", case.task.organ.name
            more = Finding("liver-larger-than-grid", "warning", text, organ=organ, coarser=coarser, spacing=spacing)
            findings = (more,)
        step = np.full(3, self.spacing_mm * max(scale, 1.0))
        return self._grid(directions, matrix[:3, 3], center, step), findings

    def _grid(self, directions: np.ndarray, origin: np.ndarray, center_mm: np.ndarray, step: np.ndarray) -> Grid:
        matrix = np.eye(4)
        matrix[:3, :3] = directions * step
        first = center_mm - step * (np.array(self.shape[::-1]) - 1) / 2
        matrix[:3, 3] = origin + directions @ first
        return Grid(tuple(self.shape), matrix)

    def __call__(self, case: Case, grid: Grid | None = None) -> NetworkInput:
        """Return the normalized images of all modalities of `case`; `grid`: the grid of a case that is already open.

        Raises: NoLiver; PetOffLiver if a PET does not cover any of the liver.
        """
        findings: tuple[Finding, ...] = ()
        if grid is None:
            grid, findings = self.grid_for(case)
        images = {}
        for modality, volume in case.volumes.items():
            if modality is Modality.CT:
                images[modality] = self._ct(volume, grid)
            else:
                images[modality] = self._pet(case, volume, grid, modality)
        return NetworkInput(MappingProxyType(images), grid, findings)

    def _ct(self, volume: Volume, grid: Grid) -> np.ndarray:
        low, high = self.ct_clip_hu
        hu = resample_along_axes(volume, grid, fill=low, clip=(low, high))
        if self.ct == "z-score":
            return z_score((hu - low) / (high - low))
        return liver_window(hu, self.ct_center_hu, self.ct_scale_hu, (low, high))

    def _pet(self, case: Case, volume: Volume, grid: Grid, modality: Modality) -> np.ndarray:
        values, inside = sample_volume(volume, grid, fill=0.0)
        if volume is not case.reference and not _reaches_liver(case, volume):
            text = _(
                "{image} does not overlap the {organ}; check that it belongs to this patient and is registered to "
                "the CT."
            )
            raise PetOffLiver(text, image=ROLES[modality], organ=case.task.organ.name)
        if self.pet == "percentile":
            return percentile_pet(values)
        return log_pet(values, inside, self.pet_floor, self.pet_gain)


def _reaches_liver(case: Case, volume: Volume) -> bool:
    """Return True if at least one sampled voxel of the liver lies inside `volume`."""
    box = liver_box(case)
    if box is None:
        return False
    steps = tuple(slice(s.start, s.stop, max(1, (s.stop - s.start) // 24)) for s in box)
    k, j, i = (axis.ravel() for axis in np.mgrid[steps])
    hit = case.liver[k, j, i]
    to_index = np.linalg.inv(volume.ijk_to_ras) @ case.reference.ijk_to_ras
    index = to_index[:3, :3] @ np.stack([i[hit], j[hit], k[hit]]).astype(float) + to_index[:3, 3:]
    limits = np.array(volume.shape[::-1])[:, None]
    return bool(np.all((index >= -0.5) & (index <= limits - 0.5), axis=0).any())


def resample_along_axes(volume: Volume, grid: Grid, fill: float, clip: tuple[float, float] | None = None) -> np.ndarray:
    """Resample the reference volume to a grid along its own axes, linearly with antialiasing (see `linear_weights`).

    Returns (D, H, W) float32 with `fill` outside. clip: limits to which source values are clipped first, so that
    padding and metal do not affect neighboring cells.
    """
    array, matrix = to_ras_order(volume.array, volume.ijk_to_ras)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    first = np.linalg.solve(matrix[:3, :3] / spacing, grid.ijk_to_ras[:3, 3] - matrix[:3, 3])
    weights, inside, window = [], [], []
    for axis in (2, 1, 0):
        n = 2 - axis
        w = linear_weights(array.shape[n], spacing[axis], first[axis], grid.shape[n], grid.spacing[axis])
        used = np.flatnonzero(w.any(axis=0))
        window.append(slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 1))
        inside.append(w.any(axis=1))
        weights.append(w[:, window[-1]])
    values = apply_separable(array[tuple(window)], tuple(weights), clip)
    seen = inside[0][:, None, None] & inside[1][None, :, None] & inside[2][None, None, :]
    values[~seen] = fill
    return values
