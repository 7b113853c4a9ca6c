"""A case for tests of milliseconds: an ellipsoid liver with ball lesions, a CT and two PETs, on oblique grids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations, product

import numpy as np

from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.modality import Modality

LIVER_CENTER = np.array([10.0, -5.0, 20.0])
LIVER_AXES = np.array([62.0, 48.0, 42.0])
# (center mm RAS relative to the liver's, radius mm)
TWO_LESIONS = (((25.0, 5.0, -5.0), 14.0), ((-28.0, -8.0, 10.0), 9.0))

Ball = tuple[tuple[float, float, float], float]


def rotation(degrees: Sequence[float]) -> np.ndarray:
    """(3, 3) rotation about x, then y, then z."""
    ax, ay, az = np.deg2rad(degrees)
    rx = np.array([[1, 0, 0], [0, np.cos(ax), -np.sin(ax)], [0, np.sin(ax), np.cos(ax)]])
    ry = np.array([[np.cos(ay), 0, np.sin(ay)], [0, 1, 0], [-np.sin(ay), 0, np.cos(ay)]])
    rz = np.array([[np.cos(az), -np.sin(az), 0], [np.sin(az), np.cos(az), 0], [0, 0, 1]])
    return rz @ ry @ rx


def rigid(degrees: Sequence[float], shift_mm: Sequence[float]) -> np.ndarray:
    """(4, 4) rigid transform."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(degrees)
    matrix[:3, 3] = shift_mm
    return matrix


def placed(shape: Sequence[int], spacing: Sequence[float], center: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return the (4, 4) matrix of a (D, H, W) grid with `spacing` (i, j, k) around `center`, mm RAS."""
    matrix = np.eye(4)
    matrix[:3, :3] = directions * np.asarray(spacing)
    matrix[:3, 3] = center - matrix[:3, :3] @ ((np.asarray(shape[::-1]) - 1) / 2)
    return matrix


def world(shape: Sequence[int], matrix: np.ndarray) -> np.ndarray:
    """Return voxel centers (D, H, W, 3), mm RAS."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    return np.stack([i, j, k], -1) @ matrix[:3, :3].T + matrix[:3, 3]


def small_case(
    lesions: Sequence[Ball] = TWO_LESIONS,
    modalities: Sequence[Modality] = tuple(Modality),
    seed: int = 0,
    shift: Sequence[float] = (0.0, 0.0, 0.0),
) -> Case:
    """Return a case of about 40 voxels per side. shift: moves the CT's field of view, in mm, to cut the liver.

    Without CT the masks are on the grid of the first PET.
    """
    rng = np.random.default_rng(seed)
    directions = rotation((6.0, -9.0, 12.0))
    center = LIVER_CENTER + np.asarray(shift)
    volumes = {}
    ct_grid = (36, 40, 44), placed((36, 40, 44), (4.0, 4.0, 3.5), center, directions)
    pet_grid = (30, 30, 32), placed((30, 30, 32), (5.5, 5.5, 5.0), center + 2.0, rotation((-4.0, 3.0, -7.0)))
    for modality, (inside, around, noise), unit, (shape, matrix) in (
        (Modality.CT, (85.0, 110.0, 9.0), Unit.HU, ct_grid),
        (Modality.FDG, (5.0, 2.5, 0.2), Unit.SUVBW, pet_grid),
        (Modality.ACETATE, (4.0, 6.0, 0.3), Unit.SUVBW, pet_grid),
    ):
        if modality not in modalities:
            continue
        liver, tumor = _masks(world(shape, matrix), lesions)
        array = np.where(tumor, inside, np.where(liver, around, 0.2 * around)) + noise * rng.standard_normal(shape)
        volumes[modality] = Volume(array.astype(np.float32), matrix, unit, modality.value)
    reference = next(iter(volumes.values()))
    liver, tumor = _masks(world(reference.shape, reference.ijk_to_ras), lesions)
    return Case("small", volumes, liver | tumor, tumor)


def _masks(points: np.ndarray, lesions: Sequence[Ball]) -> tuple[np.ndarray, np.ndarray]:
    from_center = points - LIVER_CENTER
    liver = ((from_center / LIVER_AXES) ** 2).sum(-1) <= 1
    tumor = np.zeros(liver.shape, dtype=bool)
    for ball, radius in lesions:
        tumor |= ((from_center - np.asarray(ball)) ** 2).sum(-1) <= radius**2
    return liver, tumor


def stored(volume: Volume, order: Sequence[int], flips: Sequence[bool]) -> Volume:
    """Return the same image stored with its index axes (i, j, k) in `order`, reversed where `flips` is True."""
    array = restored(volume.array, order, flips)
    matrix = np.eye(4)
    matrix[:3, :3] = volume.ijk_to_ras[:3, list(order)]
    matrix[:3, 3] = volume.ijk_to_ras[:3, 3]
    for axis, flip in enumerate(flips):
        if flip:
            matrix[:3, 3] += matrix[:3, axis] * (array.shape[2 - axis] - 1)
            matrix[:3, axis] *= -1
    return Volume(array, matrix, volume.unit, volume.name)


def restored(array: np.ndarray, order: Sequence[int], flips: Sequence[bool]) -> np.ndarray:
    """Return a (D, H, W) array with its index axes reordered and reversed, as `stored` does."""
    array = np.transpose(array, [2 - order[2 - axis] for axis in range(3)])
    return np.ascontiguousarray(array[tuple(slice(None, None, -1 if flips[2 - axis] else 1) for axis in range(3))])


def storage_variants() -> Iterator[tuple[tuple[int, ...], tuple[bool, ...]]]:
    """Yield all 48 ways to order and reverse three axes."""
    return product(permutations(range(3)), product((False, True), repeat=3))


def case_stored(case: Case, order: Sequence[int], flips: Sequence[bool], transform: np.ndarray) -> Case:
    """Return `case` in another storage order, with every image moved by the rigid `transform`."""
    volumes = {}
    for modality, volume in case.volumes.items():
        other = stored(volume, order, flips)
        volumes[modality] = Volume(other.array, transform @ other.ijk_to_ras, other.unit, other.name)
    return Case(case.id, volumes, restored(case.liver, order, flips), restored(case.tumor, order, flips))
