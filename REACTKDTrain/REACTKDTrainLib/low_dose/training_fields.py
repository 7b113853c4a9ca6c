"""Noise fields for training: any dose on the prepared grid with two multiply-adds, exact on every crop.

Simulation needs the full field of view, but training uses a crop on another grid. Noise inserted in `linear` mode is
linear in two dose-free fields, and linear resampling preserves this. The fields are therefore computed once on the
scan, resampled like the image, and stored as float16.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.student.prepare import resample_along_axes
from REACTKDTrainLib.low_dose.cohort import TEST_SEEDS, case_seed
from REACTKDTrainLib.low_dose.physics import check_dose, electronic_factor, quantum_factor
from REACTKDTrainLib.low_dose.randomness import check_seed
from REACTKDTrainLib.low_dose.volumes import Scan, Simulators

LOWEST_DOSE = 0.1


def draw_dose(rng: np.random.Generator) -> float:
    """Draw a dose fraction, log-uniform in [`LOWEST_DOSE`, 1]."""
    return float(math.exp(rng.uniform(math.log(LOWEST_DOSE), 0.0)))


def draw_signs(rng: np.random.Generator) -> tuple[int, int]:
    """Draw signs of the two fields: four equally valid realizations from one, since `linear` noise is symmetric."""
    quantum, electronic = rng.choice((-1, 1), size=2)
    return int(quantum), int(electronic)


@dataclass(frozen=True, eq=False)
class NoiseFields:
    """Unit quantum and electronic noise, HU, float16 (D, H, W) on the grid of a resampled image."""

    quantum: np.ndarray
    electronic: np.ndarray

    def add_to(
        self,
        hu: np.ndarray,
        dose: float,
        signs: tuple[int, int] = (1, 1),
        part: tuple[slice, ...] = (slice(None),) * 3,
    ) -> np.ndarray:
        """Return the image at fraction `dose` of its dose: hu + s1 sqrt((1-a)/a) q + s2 sqrt((1-a^2)/a^2) e, float32.

        hu: HU with the shape of the fields or of their `part`, not yet normalized; clipped beforehand only if the
        fields were computed for this (`FieldMaker`). dose = 1 returns the values of `hu` exactly.
        Raises: DoseOutOfRange, UsageError.
        """
        dose = check_dose(dose)
        quantum, electronic = self.quantum[part], self.electronic[part]
        if hu.shape != quantum.shape:
            raise UsageError(f"The image is {hu.shape} but its noise is {quantum.shape}; take the same part of both.")
        out = np.array(hu, dtype=np.float32)
        if dose < 1.0:
            out += np.float32(signs[0] * quantum_factor(dose)) * quantum
            out += np.float32(signs[1] * electronic_factor(dose)) * electronic
        return out


@dataclass(eq=False)
class FieldMaker:
    """Computes `NoiseFields` of scans.

    calibrate: fit the photon budget to each scan. clip: the range in HU to which the image is clipped before it is
    resampled, as in `Preparation`; voxels of the scan outside it then carry no noise, as it would be clipped away.
    None: the image is resampled unclipped, and clipped after noise was added.
    """

    calibrate: bool = False
    clip: tuple[float, float] | None = None
    simulators: Simulators = field(default_factory=Simulators)

    def __call__(
        self,
        case_id: str,
        ct: Volume,
        grid: Grid,
        seed: int,
        thickness_mm: float | None = None,
    ) -> NoiseFields:
        """Return the fields of `ct` on `grid` (along the CT's own axes).

        ct: the full field of view on its native grid. Raises: UsageError for a seed of the test sets; see
        `LowDoseCT.fields`.
        """
        if check_seed(seed) in TEST_SEEDS:
            raise UsageError(f"Seed {seed} belongs to the test sets; train with another one.")
        scan = Scan.of(ct, thickness_mm)
        simulator = self.simulators.of(scan)
        place = dict(spacing_mm=scan.spacing_mm, thickness_mm=scan.thickness_mm)
        i0 = simulator.calibrate(scan.hu, **place) if self.calibrate else None
        fields = simulator.fields(
            scan.hu,
            **place,
            seed=case_seed(seed, case_id),
            i0=i0,
            increment_mm=scan.increment_mm,
        )
        placed = (
            resample_along_axes(ct.with_array(self._seen(scan.restored(field), ct.array)), grid, fill=0.0)
            for field in fields
        )
        return NoiseFields(*(field.astype(np.float16) for field in placed))

    def _seen(self, field: np.ndarray, hu: np.ndarray) -> np.ndarray:
        """Return the noise of the voxels that `clip` does not change."""
        return field if self.clip is None else np.where((hu >= self.clip[0]) & (hu <= self.clip[1]), field, 0)
