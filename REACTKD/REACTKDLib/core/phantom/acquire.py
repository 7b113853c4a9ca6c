"""Simulated scans of a phantom patient: a `Case` as from a hospital, and the ground truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.phantom.ct_scanner import CtProtocol, add_ct_noise, blur_slices, draw_ct_protocol, scan_slices
from REACTKDLib.core.phantom.fields import ct_field, empty_mask, masks
from REACTKDLib.core.phantom.lattice import Lattice
from REACTKDLib.core.phantom.organs.body import Body
from REACTKDLib.core.phantom.patient import COHORTS, Patient
from REACTKDLib.core.phantom.pet_scanner import draw_pet_protocol, scan_pet
from REACTKDLib.core.phantom.truth import truth_of

#: size -> (pixels a side, smallest slice thickness in mm); PET voxels grow with the smaller sizes
SIZES = {"full": (512, 2.5, 1.0), "small": (128, 5.0, 1.4), "tiny": (64, 9.0, 2.2)}
_MARGIN_MM = 28.0


@dataclass(frozen=True, eq=False)
class PhantomCase:
    """case: volumes and masks, oblique, in a scanner's axis order. truth: grade, latents, posteriors, protocol."""

    case: Case
    truth: dict


def _tilt(rng: np.random.Generator) -> np.ndarray:
    """A rigid (4, 4) placement of the patient in the scanner's world: a few degrees and centimeters."""
    ax, ay, az = np.deg2rad(rng.uniform(-9, 9, 3))
    rx = np.array([[1, 0, 0], [0, np.cos(ax), -np.sin(ax)], [0, np.sin(ax), np.cos(ax)]])
    ry = np.array([[np.cos(ay), 0, np.sin(ay)], [0, 1, 0], [-np.sin(ay), 0, np.cos(ay)]])
    rz = np.array([[np.cos(az), -np.sin(az), 0], [np.sin(az), np.cos(az), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = rz @ ry @ rx
    matrix[:3, 3] = rng.uniform(-60, 60, 3)
    return matrix


def _volume(array: np.ndarray, lattice: Lattice, world: np.ndarray, unit: Unit, name: str) -> Volume:
    """Store in a scanner's axis order: columns run to the patient's left, rows to the back, slices upward."""
    sx, sy, sz = lattice.spacing
    own = np.diag([-sx, -sy, sz, 1.0])
    own[:3, 3] = lattice.x[-1], lattice.y[-1], lattice.z[0]
    return Volume(np.ascontiguousarray(array[:, ::-1, ::-1]), world @ own, unit, name)


def _coverage(patient: Patient) -> tuple[float, float]:
    """Lowest and highest z (mm) of a scan of the upper abdomen."""
    low, high = patient.liver.bounds()
    for lesion in patient.lesions:
        l_low, l_high = lesion.bounds()
        low, high = np.minimum(low, l_low), np.maximum(high, l_high)
    return float(low[2]) - _MARGIN_MM, float(high[2]) + _MARGIN_MM


def ct_lattice(patient: Patient, protocol: CtProtocol, size: str) -> Lattice:
    """The voxel centers of the CT of `size`, in patient coordinates."""
    matrix, thinnest, _ = SIZES[size]
    pixel = max(protocol.pixel_mm, 0.76) * protocol.matrix / matrix
    if isinstance(patient.anatomy, Body):  # the field of view is fitted to the patient, with 15 to 45 mm on each side
        pixel = (2 * max(patient.anatomy.half) + 30 + 214 * (protocol.pixel_mm - 0.72)) / matrix
    slice_mm = max(protocol.slice_mm, thinnest)
    low, high = _coverage(patient)
    count = int(np.ceil((high - low) / slice_mm))
    corner = np.array([-pixel * (matrix - 1) / 2, -pixel * (matrix - 1) / 2, low])
    return Lattice.regular(corner, np.array([pixel, pixel, slice_mm]), (count, matrix, matrix))


def _scan_ct(
    patient: Patient, protocol: CtProtocol, lattice: Lattice, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the image and the liver without lesions."""
    liver = empty_mask(lattice)
    field = ct_field(patient, lattice, max(1.2, float(lattice.spacing[0])), liver)
    if isinstance(patient.anatomy, Body):
        slices = scan_slices(field, lattice, protocol, rng)
    else:
        slices = add_ct_noise(blur_slices(field, lattice, float(lattice.spacing[2])), lattice, protocol, rng)
    stored = np.empty(field.shape, dtype=np.int16)
    turned = np.empty(field[0].size, dtype=np.float32)
    for own, kept in zip(slices, stored, strict=True):  # a slice fits in the processor's cache, an image does not
        np.rint(own.ravel()[::-1], out=turned)
        turned.clip(-1024, 3071, out=turned)
        kept.ravel()[:] = turned
    stored = stored[:, ::-1, ::-1]  # in the memory order that `_volume` needs
    if protocol.padded and field.shape[1] == field.shape[2]:
        outside = lattice.x[None, :] ** 2 + lattice.y[:, None] ** 2 > lattice.x[-1] ** 2
        stored[:, outside] = -2048
    return stored, liver


def _pet_lattice(patient: Patient, voxel_mm: tuple[float, float, float], coarser: float) -> Lattice:
    voxel = np.asarray(voxel_mm) * coarser
    low, high = _coverage(patient)
    half = np.array([a + 25.0 for a in patient.anatomy.half])
    corner = np.array([-half[0], -half[1], low - 12.0])
    shape = np.ceil((np.array([half[0], half[1], high + 12.0]) - corner) / voxel).astype(int)
    return Lattice.regular(corner, voxel, tuple(int(n) for n in shape[::-1]))


def _around(patient: Patient, lattice: Lattice, margin_mm: float) -> Lattice:
    """Crop a CT lattice to the liver and its lesions, with a margin."""
    bounds = np.array([s.bounds() for s in (patient.liver, *patient.lesions)])
    box = lattice.box(bounds[:, 0].min(axis=0), bounds[:, 1].max(axis=0), margin_mm)
    return Lattice(lattice.x[box[2]], lattice.y[box[1]], lattice.z[box[0]])


def acquire(patient: Patient, size: str = "full", seed: int = 0, around_liver_mm: float | None = None) -> PhantomCase:
    """Scan a patient: CT in HU (int16), FDG and acetate PET in SUVbw (float32), masks on the CT grid.

    size: 'full' is the size of clinical scans (512 x 512), 'small' about a quarter and 'tiny' an eighth of each side.
    seed: another scan of the same patient. around_liver_mm: the CT covers only the liver and this margin (for training
    sets: the same image at a fraction of the cost, with different noise). External and unlabeled cohorts have a CT
    only. Repeated calls give identical bits; on a processor with other instructions, results differ by rounding.

    Raises: UsageError for an unknown size.
    """
    if size not in SIZES:
        raise UsageError(f"There is no phantom size {size!r}; choose one of {', '.join(SIZES)}.")
    rng = np.random.default_rng([patient.seed, COHORTS.index(patient.cohort), 77, int(seed)])
    protocol, world = draw_ct_protocol(rng, patient.cohort), _tilt(rng)
    lattice = ct_lattice(patient, protocol, size)
    if around_liver_mm is not None:
        lattice = _around(patient, lattice, around_liver_mm)
    ct, liver = _scan_ct(patient, protocol, lattice, rng)
    volumes = {Modality.CT: _volume(ct, lattice, world, Unit.HU, "CT")}
    pet = {}
    if patient.cohort not in ("external", "unlabeled"):
        for modality in (Modality.FDG, Modality.ACETATE):
            pet[modality.value] = draw_pet_protocol(rng)
            grid = _pet_lattice(patient, pet[modality.value].voxel_mm, SIZES[size][2])
            image = scan_pet(patient, grid, modality.value, pet[modality.value], rng)
            volumes[modality] = _volume(image, grid, world, Unit.SUVBW, modality.value.upper())
    liver, tumor = (m[:, ::-1, ::-1] for m in masks(patient, lattice, liver))
    case = Case(f"phantom-{patient.cohort}-{patient.seed:05d}", volumes, liver, tumor)
    truth = truth_of(patient, world) | {
        "size": size,
        "ct_protocol": asdict(protocol) | {"slice_mm": float(lattice.spacing[2])},
        "pet_protocol": {name: asdict(p) for name, p in pet.items()},
    }
    return PhantomCase(case, truth)
