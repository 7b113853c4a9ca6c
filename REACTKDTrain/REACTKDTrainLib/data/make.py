"""Computes the arrays of a prepared case, with the same steps that a reader's case goes through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from REACTKDLib.core.images.case import Case, organ_mean_hu
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.masks.placement import Placement, place_regions
from REACTKDLib.core.masks.regions import Box, RegionSet, regions_of
from REACTKDLib.core.student.prepare import Preparation
from REACTKDTrainLib.cohorts.sizes import padding_of
from REACTKDTrainLib.data.annotators import MaskPerturbation, Outlines
from REACTKDTrainLib.data.scan_content import scan_contents
from REACTKDTrainLib.data.truth import lesion_nodes_of

ALIGN = 8  # boxes start and end at multiples of this, so that they are aligned at 1/2, 1/4 and 1/8 too


def make_arrays(
    case: Case,
    preparation: Preparation,
    variants: int,
    perturbation: MaskPerturbation,
    seed: list[int],
    whole_grid: bool,
) -> dict[str, np.ndarray]:
    """Prepare images, the expert's regions and `variants` perturbed ones; see `PreparedCase` for their meaning.

    perturbation, seed: of the perturbed masks. whole_grid: keep the network's whole grid, not only the regions' box.

    CT is stored in HU: the window's center and scale belong to the training fold. Raises: NoLiver, PetOffLiver.
    """
    grid, _ = preparation.grid_for(case)
    in_hu = replace(preparation, ct_center_hu=0.0, ct_scale_hu=1.0)
    prepared = in_hu(case, grid)
    matrix = case.reference.ijk_to_ras
    expert = regions_of(case)
    sets = [expert]
    if variants:
        outlines = Outlines(case.liver, case.tumor, expert.spacing[::-1], perturbation)
        sets += [
            RegionSet.from_masks(*outlines.drawn(np.random.default_rng([*seed, n])), matrix) for n in range(variants)
        ]
    placements = [place_regions(regions, grid, shapes=True) for regions in sets]
    box = tuple(slice(0, n) for n in grid.shape) if whole_grid else _case_box(placements, grid)
    arrays = {
        "modalities": np.array([m.value for m in prepared.images]),
        "scans": np.array(list(scan_contents(case).items()), dtype=np.str_).reshape(-1, 2),
        "organ_hu": np.array(organ_mean_hu(case, preparation.ct_clip_hu), dtype=np.float64),  # None becomes NaN
        "start": np.array([s.start for s in box]),
        "grid_shape": np.array(grid.shape),
        "n_masks": np.int64(len(sets)),
        **{f"image_{m.value}": image[box].astype(np.float16) for m, image in prepared.images.items()},
    }
    nodes = lesion_nodes_of(case, expert)
    arrays |= {} if nodes is None else {"lesion_nodes": nodes}
    for n, (regions, placement) in enumerate(zip(sets, placements, strict=True)):
        arrays |= {f"{name}{n}": value for name, value in _mask_arrays(placement, box).items()}
        arrays |= _lesion_arrays(placement, box, n)
        arrays[f"volumes{n}"] = np.array([region.volume_ml for region in regions.regions])
        arrays[f"matches{n}"] = matches(regions, expert)
    return arrays


def matches(regions: RegionSet, expert: RegionSet) -> np.ndarray:
    """(n,) int64: the expert's region that each region overlaps most; lesions are matched to lesions if possible."""
    out = np.zeros(len(regions.regions), dtype=np.int64)
    for n, region in enumerate(regions.lesions, start=1):
        where = regions.labels[region.box] == region.label
        counts = np.bincount(expert.labels[region.box][where], minlength=2)[2:]
        out[n] = 1 + int(counts.argmax()) if counts.size and counts.max() > 0 else 0
    return out


def _case_box(placements: list[Placement], grid: Grid) -> Box:
    """Return the box that contains the regions of every variant, with padding."""
    pad = padding_of(grid.shape)
    out = []
    for axis, n in enumerate(grid.shape):
        low = min(p.box[axis].start for p in placements) - pad
        high = max(p.box[axis].stop for p in placements) + pad
        out.append(slice(max(low // ALIGN * ALIGN, 0), min(-(-high // ALIGN) * ALIGN, n)))
    return tuple(out)


def _bytes(weights: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(weights, 0, 1)).astype(np.uint8)


def _mask_arrays(placement: Placement, box: Box) -> dict[str, np.ndarray]:
    parenchyma = np.zeros([s.stop - s.start for s in box], dtype=np.uint8)
    own = tuple(slice(p.start - b.start, p.stop - b.start) for p, b in zip(placement.box, box, strict=True))
    parenchyma[own] = _bytes(placement.occupancy[0])
    return {"parenchyma": parenchyma, "topology": placement.topology, "shape": placement.shape}


def _lesion_arrays(placement: Placement, box: Box, n: int) -> dict[str, np.ndarray]:
    """Return each lesion's mask and shells, cropped to their bounding box."""
    arrays = {}
    for index, (where, shells) in enumerate(placement.shells, start=1):
        weights = np.concatenate([placement.occupancy[(slice(index, index + 1), *where)], shells])
        cut = bounding_box((weights > 0).any(axis=0)) or (slice(0, 1),) * 3
        arrays[f"lesion{n}_{index}"] = _bytes(weights[(slice(None), *cut)])
        arrays[f"start{n}_{index}"] = np.array(
            [p.start + w.start + c.start - b.start for p, w, c, b in zip(placement.box, where, cut, box, strict=True)]
        )
    return arrays
