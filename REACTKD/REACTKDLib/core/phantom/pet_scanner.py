"""A PET scanner model: blur, sampling, noise that grows with the mean, a breathing offset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.phantom.anatomy import TRACERS
from REACTKDLib.core.phantom.fields import pet_field
from REACTKDLib.core.phantom.lattice import Lattice
from REACTKDLib.core.phantom.organs.body import Body
from REACTKDLib.core.phantom.patient import Patient

#: standard deviation of the smear at the dome, second edition
BREATHING_MM = 5.0


@dataclass(frozen=True)
class PetProtocol:
    """voxel_mm (x, y, z); fwhm_mm of the blur; noise: relative sd at liver uptake; offset_mm by breathing."""

    voxel_mm: tuple[float, float, float]
    fwhm_mm: float
    noise: float
    offset_mm: tuple[float, float, float]


def draw_pet_protocol(rng: np.random.Generator) -> PetProtocol:
    """Draw a protocol."""
    pixel = float(rng.uniform(3.2, 5.5))
    return PetProtocol(
        voxel_mm=(pixel, pixel, float(rng.uniform(3.0, 5.0))),
        fwhm_mm=float(rng.uniform(6.0, 8.0)),
        noise=float(rng.uniform(0.06, 0.14)),
        offset_mm=tuple(float(v) for v in rng.normal(size=3) * (0.7, 0.7, 1.8)),
    )


def scan_pet(
    patient: Patient, lattice: Lattice, tracer: str, protocol: PetProtocol, rng: np.random.Generator
) -> np.ndarray:
    """Return an SUV image (D, H, W) float32 on `lattice` (PET voxels).

    The ideal image is evaluated at voxel centers with edges as wide as a voxel, and blurred by the whole `fwhm_mm`; the
    effective point spread is therefore 0.3 to 0.8 mm wider than that.
    """
    from scipy.ndimage import gaussian_filter

    offset = np.asarray(protocol.offset_mm, dtype=np.float32)
    moved = Lattice(lattice.x - offset[0], lattice.y - offset[1], lattice.z - offset[2])
    field = pet_field(patient, moved, tracer, edge_mm=float(np.mean(lattice.spacing)))
    if isinstance(patient.anatomy, Body):
        field = _breathed(field, moved, patient.anatomy.dome_mm)
    sigma = protocol.fwhm_mm / 2.3548 / lattice.spacing[::-1]
    field = gaussian_filter(field, sigma, mode="nearest", truncate=3.0)
    white = gaussian_filter(rng.standard_normal(field.shape, dtype=np.float32), 0.5, mode="wrap", truncate=3.0)
    suv = patient.liver_suv[TRACERS.index(tracer)]
    sd = protocol.noise * np.sqrt(np.maximum(field, 0.02 * suv) * suv)
    return np.maximum(field + sd * white / white.std(), 0).astype(np.float32)


def _breathed(field: np.ndarray, lattice: Lattice, dome_mm: float) -> np.ndarray:
    """Blur along the body by breathing: most at the dome of the diaphragm, none 60 mm away."""
    from scipy.ndimage import gaussian_filter1d

    share = np.exp(-(((lattice.z - dome_mm) / 28) ** 2)).astype(np.float32)[:, None, None]
    smeared = gaussian_filter1d(field, BREATHING_MM / lattice.spacing[2], axis=0, mode="nearest", truncate=3.0)
    return field + share * (smeared - field)
