"""Check that a PET lies where the CT shows the body: no position beyond the reach of the breath may fit better.

The fit is the mutual information of both images, which needs no common scale (Viola and Wells, 1997). Both are averaged
over about 10 mm and compared on a coarse lattice. Measured on small phantoms with two PETs each and on five parts of a
patient's PET/CT: at the stated position every far one fitted worse by 10 % or more, and up to 25 mm beside it none
fitted better; a shift of 40 mm along the body, which is the hardest to see, was found in 32 of 32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product

import numpy as np

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.grid import Grid, corners_of
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.text import sentence
from REACTKDLib.core.text import tr as _

LATTICE_MM = 20.0
HALF_MM, REACH = 10.0, 8  # shifts of up to 80 mm along each axis, in half steps of the lattice
AVERAGED_MM, STEP_MM = 10.0, 5.0
LEAST_SHIFT_MM = 30.0  # the dome of the liver moves by up to 30 mm with the breath
LEAST_INFORMATION = 0.25  # nat; images of one body have 0.4 to 0.9, unrelated ones less than 0.1
LEAST_POINTS = 300  # of the lattice, 2.4 liters; fewer do not show the shape of a body
LEAST_SHARE = 0.6  # of the points that both images cover as they are placed
_NO_INFORMATION = 0.02  # as found between unrelated images on a few thousand points
AIR_HU, TISSUE_HU = -900.0, -200.0
BRIGHT_AIR = 0.3  # of the median in tissue; scatter and noise give 0.02
_HU = (-900, -600, -300, -120, -60, -20, 10, 40, 70, 110, 200)
_UPTAKE = np.geomspace(0.03, 0.8, 11)  # of the 99th percentile
_CLASSES = len(_HU) + 1  # as many of both
_UNSEEN = -1  # where the PET has no voxel
_AT_ONCE = 100_000  # points of several shifts, a few megabytes
_TOWARD = (
    (_("the patient's left"), _("the patient's right")),
    (_("the back"), _("the front")),
    (_("the feet"), _("the head")),
)


def check_alignment(volumes: Mapping[Modality, Volume]) -> list[Finding]:
    """Return the findings on each PET that is shifted against the CT, or bright in the air around the body.

    Nothing is found without a CT, or if the images share too little to tell.
    """
    ct = volumes.get(Modality.CT)
    if ct is None:
        return []
    lattice = _lattice(ct)
    hu = _sampled(ct, lattice)
    findings = []
    for modality, pet in volumes.items():
        if modality is not Modality.CT:
            uptake = _sampled(pet, _around(lattice))
            findings += [*_bright_air(hu, uptake, ROLES[modality]), *_shifted(hu, uptake, ROLES[modality])]
    return findings


def _bright_air(hu: np.ndarray, uptake: np.ndarray, image: str) -> Iterator[Finding]:
    placed = uptake[_window(hu.shape)]
    air, tissue = (placed[where & np.isfinite(placed)] for where in (hu < AIR_HU, hu > TISSUE_HU))
    if min(air.size, tissue.size) < LEAST_POINTS or np.median(air) <= BRIGHT_AIR * np.median(tissue):
        return
    text = _(
        "{image} is bright in the air around the body, as an image with inverted colors or a wrong rescale intercept "
        "is; export it again with its rescale values, and check that it belongs to this CT."
    )
    yield Finding("pet-bright-air", "warning", sentence(text.format(image=image)))


def _shifted(hu: np.ndarray, uptake: np.ndarray, image: str) -> Iterator[Finding]:
    seen = np.isfinite(uptake)
    if np.count_nonzero(seen) < LEAST_POINTS:
        return
    levels = np.digitize(np.where(seen, uptake, 0), float(np.percentile(uptake[seen], 99)) * _UPTAKE)
    levels[~seen] = _UNSEEN
    placed = _window(hu.shape)
    stated = np.isfinite(hu) & seen[placed]
    points = np.arange(levels.size).reshape(levels.shape)[placed][stated]
    shifts, is_near = _shifts()
    count, here, there = _fits(np.digitize(hu[stated], _HU), levels, points, shifts)
    enough = count >= max(LEAST_POINTS, LEAST_SHARE * len(points))
    gain = there / np.maximum(here, _NO_INFORMATION)
    near = gain[enough & is_near].max(initial=0.0)
    better = np.flatnonzero(enough & ~is_near & (there >= LEAST_INFORMATION) & (gain > near))
    if near == 0 or not better.size:
        return
    best = shifts[better[np.argmax((there * count)[better])]]
    moved = best[::-1] * HALF_MM
    length = float(np.linalg.norm(moved))
    row = int(np.argmax(np.abs(moved)))
    text = _(
        "{image} seems to be shifted by about {distance} cm against the CT, toward {side}; check that both are of one "
        "scan, or register them."
    ).format(image=image, distance=f"{length / 10:.0f}", side=_TOWARD[row][int(moved[row] > 0)])
    yield Finding("pet-shifted", "warning", sentence(text))


def _fits(
    classes: np.ndarray, levels: np.ndarray, points: np.ndarray, shifts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each shift the number of points that are seen there, and the information as stated and as shifted.

    Both positions are compared on the same points: a part of a body may be easier to tell than all of it.

    classes: of the CT at the points, (n,). levels: of the PET around them, (D, H, W). points: indices of the points in
    the flat `levels`, along which a shift moves.
    """
    flat = levels.ravel()
    steps = np.array([levels.shape[1] * levels.shape[2], levels.shape[2], 1])
    rows, as_stated = classes * _CLASSES, flat[points]
    found = []
    for some in np.array_split(shifts @ steps, max(1, len(shifts) * len(points) // _AT_ONCE)):
        shifted = flat[points + some[:, None]]
        both = shifted != _UNSEEN
        found.append((both.sum(axis=1), _information(rows + as_stated, both), _information(rows + shifted, both)))
    count, here, there = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return count, here, there


def _information(pairs: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return the mutual information, in nat, of several lists of pairs of classes, (s,).

    pairs: a class times `_CLASSES` plus the other one, (n,) or (s, n). counted: the pairs to use, (s, n).
    """
    size = _CLASSES**2
    lists = np.arange(len(counted))[:, None] * size
    joint = np.bincount((lists + pairs)[counted], minlength=len(counted) * size).reshape(-1, _CLASSES, _CLASSES)
    joint = joint / np.maximum(counted.sum(axis=1), 1)[:, None, None]
    alone = joint.sum(axis=2, keepdims=True) * joint.sum(axis=1, keepdims=True)
    ratio = np.divide(joint, alone, out=np.ones_like(joint), where=joint > 0)
    return (joint * np.log(ratio)).sum(axis=(1, 2))


def _lattice(volume: Volume) -> Grid:
    """Return a lattice along R, A and S whose center is that of the volume."""
    points = (volume.ijk_to_ras @ corners_of(volume.shape).T)[:3]
    low, high = points.min(axis=1), points.max(axis=1)
    counts = ((high - low) // LATTICE_MM).astype(int) + 1
    matrix = np.diag([LATTICE_MM, LATTICE_MM, LATTICE_MM, 1.0])
    matrix[:3, 3] = (low + high - (counts - 1) * LATTICE_MM) / 2
    return Grid(tuple(int(n) for n in counts[::-1]), matrix)


def _around(lattice: Grid) -> Grid:
    """Return the lattice with half its steps, and `REACH` more points on each side."""
    matrix = lattice.ijk_to_ras @ np.diag([0.5, 0.5, 0.5, 1.0])
    matrix[:3, 3] -= REACH * HALF_MM
    return Grid(tuple(2 * n - 1 + 2 * REACH for n in lattice.shape), matrix)


def _window(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the points of `_around` that lie on a lattice of this shape."""
    return tuple(slice(REACH, REACH + 2 * size - 1, 2) for size in shape)


@cache
def _shifts() -> tuple[np.ndarray, np.ndarray]:
    """Return the shifts to compare, (s, 3) half steps, and which of them are near: each near one, since the position is
    rarely on the lattice, and every other far one.
    """
    every = np.array(list(product(range(-REACH, REACH + 1), repeat=3)))
    near = (every**2).sum(axis=1) * HALF_MM**2 < LEAST_SHIFT_MM**2
    compared = near | (every % 2 == 0).all(axis=1)
    return every[compared], near[compared]


def _sampled(volume: Volume, lattice: Grid) -> np.ndarray:
    """Return the values on a lattice as float32, averaged over `AVERAGED_MM`; NaN outside the volume."""
    from scipy import ndimage

    steps = [max(1, int(STEP_MM // spacing)) for spacing in volume.spacing[::-1]]
    apart = volume.spacing[::-1] * steps
    coarse = volume.array[tuple(slice(None, None, step) for step in steps)].astype(np.float32)
    coarse = ndimage.uniform_filter(coarse, [max(1, round(AVERAGED_MM / mm)) for mm in apart], mode="nearest")
    to_index = np.linalg.inv(volume.ijk_to_ras @ np.diag([*map(float, steps[::-1]), 1.0])) @ lattice.ijk_to_ras
    places = np.indices(lattice.shape).reshape(3, -1)[::-1]
    index = np.rint(to_index[:3, :3] @ places + to_index[:3, 3:]).astype(int)[::-1]
    inside = np.all((index >= 0) & (index < np.array(coarse.shape)[:, None]), axis=0)
    out = np.full(places.shape[1], np.nan, dtype=np.float32)
    out[inside] = coarse[tuple(index[:, inside])]
    return out.reshape(lattice.shape)
