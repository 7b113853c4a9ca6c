"""Noise fields for training: any dose on the prepared grid by two multiply-adds, exact on every crop.

Simulation needs the full field of view; training sees a crop on another grid. Noise inserted in `linear` mode is linear
in two dose-free fields, and linear resampling keeps that; so the fields are made once on the scan, resampled like the
image, and stored as float16 beside the prepared volume.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import NotAnImage, UsageError
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.student.prepare import resample_along_axes
from REACTKDLib.core.writing.atomic import checked_stream, written_beside
from REACTKDTrainLib.low_dose.cohort import TEST_SEEDS, case_seed
from REACTKDTrainLib.low_dose.physics import check_dose, electronic_factor, quantum_factor
from REACTKDTrainLib.low_dose.randomness import check_seed
from REACTKDTrainLib.low_dose.sidecar import kept, write_sidecar
from REACTKDTrainLib.low_dose.simulator import Progress
from REACTKDTrainLib.low_dose.volumes import Scan, Simulators, content_hash

SCHEMA = "reactkd-noise-fields/1"
LOWEST_DOSE = 0.1


def draw_dose(rng: np.random.Generator, lowest: float = LOWEST_DOSE) -> float:
    """A dose fraction, log-uniform in [lowest, 1]. Raises: DoseOutOfRange."""
    return float(math.exp(rng.uniform(math.log(check_dose(lowest)), 0.0)))


def draw_signs(rng: np.random.Generator) -> tuple[int, int]:
    """Random signs of the two fields: four equally valid realizations from one, since `linear` noise is symmetric."""
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
        """The image at fraction `dose` of its dose: hu + s1 sqrt((1-a)/a) q + s2 sqrt((1-a^2)/a^2) e, float32.

        hu: HU of the shape of the fields or of their `part`, not yet normalized; clipped beforehand only if the fields
        were made for that (`TrainingFieldCache`). dose = 1 returns the values of `hu` exactly.
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

    def save(self, path: Path, record: dict, request: dict | None = None) -> Path:
        """Write (2, D, H, W) float16 as `.npy` (so that crops can be read alone) and its sidecar."""
        with written_beside(path) as beside, checked_stream(beside) as stream:
            np.save(stream, np.stack((self.quantum, self.electronic)).astype(np.float16))
        write_sidecar(path, record, request)
        return path

    @staticmethod
    def load(path: Path) -> NoiseFields:
        """Open fields without reading them into memory. Raises: NotAnImage."""
        try:
            both = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise NotAnImage("The noise fields cannot be read; delete the file and make them again.") from error
        if both.ndim != 4 or len(both) != 2:
            raise NotAnImage(f"The noise fields have shape {both.shape}, not (2, D, H, W); make them again.")
        return NoiseFields(both[0], both[1])


class TrainingFieldCache:
    """Makes and keeps `<folder>/<hash of the case>_noise<seed>.npy`, one for each seed, beside the prepared volumes.

    calibrate: fit the photon budget to each scan. clip: the range, HU, to which the image is clipped before it is
    resampled, as `Preparation` does; voxels of the scan outside it then carry no noise, as what is clipped away cannot
    be seen. None: the image is resampled as it is, and clipped after noise was added.
    """

    def __init__(
        self,
        folder: Path | str,
        calibrate: bool = False,
        device: str = "cpu",
        clip: tuple[float, float] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.calibrate, self.clip = calibrate, clip
        self._simulators = Simulators(device)

    def fields(
        self,
        case_id: str,
        ct: Volume,
        grid: Grid,
        seed: int,
        thickness_mm: float | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> NoiseFields:
        """Fields of `ct` on `grid` (along the CT's own axes), from the folder if they are there.

        ct: the full field of view on its native grid. Raises: UsageError for a seed of the test sets; what
        `LowDoseCT.fields` raises.
        """
        if check_seed(seed) in TEST_SEEDS:
            raise UsageError(f"Seed {seed} belongs to the test sets; train with another one.")
        path = self.path(case_id, seed)
        request = {
            "schema": SCHEMA,
            "seed": seed,
            "case_seed": case_seed(seed, case_id),
            "calibrate": self.calibrate,
            "clip": None if self.clip is None else list(self.clip),
            "thickness_mm": thickness_mm,
            "grid_shape": list(grid.shape),
            "grid_ijk_to_ras": np.round(grid.ijk_to_ras, 6).tolist(),
            "input_sha256": content_hash(ct),
        }
        if kept(path, request) is None:
            made, record = self._make(ct, grid, case_seed(seed, case_id), thickness_mm, progress, cancelled)
            made.save(path, record, request)
        return NoiseFields.load(path)

    def path(self, case_id: str, seed: int) -> Path:
        """Where the fields of a scan are kept: named by a hash, since a case is often named for a patient."""
        return self.folder / f"{hashlib.sha256(case_id.encode()).hexdigest()[:40]}_noise{seed}.npy"

    def _make(
        self,
        ct: Volume,
        grid: Grid,
        seed: int,
        thickness_mm: float | None,
        progress: Progress | None,
        cancelled: Callable[[], bool] | None,
    ) -> tuple[NoiseFields, dict]:
        scan = Scan.of(ct, thickness_mm)
        simulator = self._simulators.of(scan)
        place = dict(spacing_mm=scan.spacing_mm, thickness_mm=scan.thickness_mm)
        i0 = simulator.calibrate(scan.hu, **place) if self.calibrate else None
        fields = simulator.fields(
            scan.hu, **place, seed=seed, i0=i0, increment_mm=scan.increment_mm, progress=progress, cancelled=cancelled
        )
        placed = [
            resample_along_axes(ct.with_array(self._seen(scan.restored(field), ct.array)), grid, fill=0.0)
            for field in fields
        ]
        budget = simulator.budget(**place, i0=i0)
        record = {
            "schema": SCHEMA,
            "noise_seed": seed,
            "i0": budget.i0,
            "sigma_e": budget.sigma_e,
            "unit_std_hu": {"quantum": float(placed[0].std()), "electronic": float(placed[1].std())},
        }
        return NoiseFields(*(field.astype(np.float16) for field in placed)), record

    def _seen(self, field: np.ndarray, hu: np.ndarray) -> np.ndarray:
        """The noise of the voxels that `clip` leaves as they are."""
        return field if self.clip is None else np.where((hu >= self.clip[0]) & (hu <= self.clip[1]), field, 0)
