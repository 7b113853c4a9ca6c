"""Low-dose CT: the noise that a lower dose would have added, made in the sinogram and reconstructed alone.

The anatomy never passes through a projector, so nothing is blurred: HU_low = HU + FBP(noise). See
`docs/explanation/low_dose.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDTrainLib.low_dose.calibration import calibrated_budget
from REACTKDTrainLib.low_dose.gridding import PolarGeometry
from REACTKDTrainLib.low_dose.inputs import check_slices, check_spacing
from REACTKDTrainLib.low_dose.line_integrals import COARSE, MODES, CoarseLineIntegrals, centered, noisy_sinograms
from REACTKDTrainLib.low_dose.physics import (
    FLUENCE,
    MU_WATER_PER_MM,
    PADDING_BELOW_HU,
    REFERENCE_SIGMA_E,
    PhotonBudget,
    added_std,
    check_dose,
    check_positive,
    electronic_std,
    quantum_std,
)
from REACTKDTrainLib.low_dose.projection import BackProjector
from REACTKDTrainLib.low_dose.randomness import DIRECT, ELECTRONIC, QUANTUM, WhiteNoise, check_seed, overlap_kernel

Slices = TypeVar("Slices", np.ndarray, torch.Tensor)
Bowtie = Callable[[np.ndarray], np.ndarray]


class LowDoseCT:
    """Simulates CT at a fraction of its dose, on whole slices in HU on their native grid.

    size: side in pixels of the largest slice (a multiple of 4); smaller slices are surrounded by air. views: over 180
    degrees (a multiple of 4). window, cutoff_per_mm: of the reconstruction filter. fluence: photons per mm^2 of
    detector in half a turn. device: for the computation; random numbers are always drawn on the CPU. bowtie: relative
    fluence (above 0) as a function of the distance of a ray from the center in mm, or None. batch: number of slices
    processed at a time; it limits the memory and does not change the result.

    Raises: UsageError, PhotonBudgetInvalid.

    >>> low = LowDoseCT(size=128, views=180)(hu, spacing_mm=2.8, thickness_mm=3.0, dose=0.25)  # doctest: +SKIP
    """

    def __init__(
        self,
        size: int = 512,
        views: int = 720,
        window: str = "hann",
        cutoff_per_mm: float = 0.8,
        mu_water: float = MU_WATER_PER_MM,
        fluence: float = FLUENCE,
        device: torch.device | str = "cpu",
        bowtie: Bowtie | None = None,
        batch: int = 4,
    ) -> None:
        for name, value in (("size", size), ("views", views)):
            if value < 4 * COARSE or value % COARSE:
                raise UsageError(f"The {name} is {value}, but it must be a multiple of {COARSE}, {4 * COARSE} or more.")
        if batch < 1:
            raise UsageError(f"The batch is {batch}, but it must be at least one slice.")
        self.geometry = PolarGeometry(size, views)
        self.mu_water = check_positive(mu_water, "attenuation of water")
        self.fluence = check_positive(fluence, "fluence")
        self.window, self.cutoff_per_mm = window, check_positive(cutoff_per_mm, "cut-off in cycles/mm")
        self.device, self.batch = torch.device(device), batch
        self._bowtie = bowtie
        self._line_integrals = CoarseLineIntegrals(self.geometry, self.mu_water, self.device)
        self._back_projector = BackProjector(self.geometry, self.device)
        self._filter(1.0)  # raises for an unknown window here, not at the first slice

    def budget(
        self, spacing_mm: float, thickness_mm: float, sigma_e: float = REFERENCE_SIGMA_E, i0: float | None = None
    ) -> PhotonBudget:
        """Photon budget of a native-dose scan with this geometry. Raises: PhotonBudgetInvalid."""
        return PhotonBudget.of_bin(
            spacing_mm, thickness_mm, self.geometry.views, fluence=self.fluence, sigma_e=sigma_e, i0=i0
        )

    def __call__(
        self,
        hu: Slices,
        spacing_mm: float | tuple[float, float],
        thickness_mm: float,
        dose: float = 0.25,
        sigma_e: float = REFERENCE_SIGMA_E,
        seed: int = 0,
        mode: str = "log",
        i0: float | None = None,
        first_slice: int = 0,
        increment_mm: float | None = None,
        on_progress: OnProgress = no_progress,
    ) -> Slices:
        """Return the scan at fraction `dose` of its dose: (D, H, W) HU in, float32 HU of the same shape and type out.

        hu: whole axial slices; values below -1024 are padding and unchanged. spacing_mm: in-plane, one number or two
        equal ones. thickness_mm: of a slice; increment_mm: distance between slices if smaller (overlapping slices share
        noise). sigma_e: electronic noise, counts rms in the reference bin. mode: `log` floors starved rays and keeps
        their bias, `linear` is exactly linear in the noise. i0: counts in a bin instead of those from the fluence
        (`calibrate`). first_slice: index of hu[0] in its scan, so that a part gets the same noise as in the whole scan.
        Values are not clipped. dose = 1 returns the input's values exactly.

        on_progress: called after each block of slices; it cancels by raising.

        Raises: DoseOutOfRange, PhotonBudgetInvalid, UsageError, NotThreeDimensional, NotFinite, BadSpacing,
        NotHounsfield, NoTissue, TruncatedFieldOfView.
        """
        dose, seed, spacing = check_dose(dose), check_seed(seed), check_spacing(spacing_mm)
        if mode not in MODES:
            raise UsageError(f"The mode '{mode}' is not known; choose one of {', '.join(MODES)}.")
        check_slices(hu, self.geometry.size)
        budget = self.budget(spacing, thickness_mm, sigma_e, i0)
        noise = WhiteNoise(self._shape, seed, DIRECT, self._kernel(thickness_mm, increment_mm))
        out = _float32(hu)
        if dose < 1.0:
            counts, filter_ = self._counts(budget, spacing), self._filter(spacing)
            for start, block in self._blocks(out, on_progress):
                std = added_std(self._line_integrals(block, spacing), dose, counts, budget.sigma_e)
                block += self._image(noisy_sinograms(std, noise, first_slice + start, mode), filter_, block)
        return _like(hu, out)

    def fields(
        self,
        hu: Slices,
        spacing_mm: float | tuple[float, float],
        thickness_mm: float,
        seed: int = 0,
        sigma_e: float = REFERENCE_SIGMA_E,
        i0: float | None = None,
        first_slice: int = 0,
        increment_mm: float | None = None,
        on_progress: OnProgress = no_progress,
    ) -> tuple[Slices, Slices]:
        """Unit quantum and electronic noise of the scan, (D, H, W) float32 HU each; no dose in them.

        HU(a) = HU + sqrt((1-a)/a) q + sqrt((1-a^2)/a^2) e for any dose fraction a, equal in law to `linear` mode (see
        `training_fields`). 0 in padding. Arguments and errors as in `__call__`.
        """
        seed, spacing = check_seed(seed), check_spacing(spacing_mm)
        check_slices(hu, self.geometry.size)
        budget = self.budget(spacing, thickness_mm, sigma_e, i0)
        kernel = self._kernel(thickness_mm, increment_mm)
        whites = [WhiteNoise(self._shape, seed, stream, kernel) for stream in (QUANTUM, ELECTRONIC)]
        counts, filter_ = self._counts(budget, spacing), self._filter(spacing)
        source = _float32(hu)
        fields = [torch.zeros(source.shape, device=source.device) for _ in whites]
        for start, block in self._blocks(source, on_progress):
            p = self._line_integrals(block, spacing)
            stds = quantum_std(p, counts), electronic_std(p, counts, budget.sigma_e)
            for field, std, white in zip(fields, stds, whites):
                sinograms = noisy_sinograms(std, white, first_slice + start, "linear")
                field[start : start + len(block)] = self._image(sinograms, filter_, block)
        return _like(hu, fields[0]), _like(hu, fields[1])

    def calibrate(
        self,
        hu: Slices,
        spacing_mm: float | tuple[float, float],
        thickness_mm: float,
        seed: int = 0,
        sigma_e: float = REFERENCE_SIGMA_E,
    ) -> float:
        """Return the I0 at which the simulated native noise, quantum and electronic, equals that of the scan's soft
        tissue.

        Limited to a factor of 10 around the default budget. sigma_e: as in `__call__`. Errors as there, and NoTissue
        without soft tissue to measure in.
        """
        spacing = check_spacing(spacing_mm)
        check_slices(hu, self.geometry.size)
        default = self.budget(spacing, thickness_mm).i0
        return calibrated_budget(hu, default, lambda part: self.fields(part, spacing, thickness_mm, seed, sigma_e))

    def reconstruct(self, sinograms: torch.Tensor, spacing_mm: float) -> torch.Tensor:
        """Filtered back-projection of line integrals (S, M, B) without unit to (S, N, N) HU above air."""
        return self._back_projector(sinograms, self._filter(spacing_mm))

    @property
    def _shape(self) -> tuple[int, int]:
        return self.geometry.views, self.geometry.bins

    def _kernel(self, thickness_mm: float, increment_mm: float | None) -> np.ndarray:
        increment = thickness_mm if increment_mm is None else check_positive(increment_mm, "slice increment in mm")
        return overlap_kernel(thickness_mm, increment)

    def _filter(self, spacing: float) -> torch.Tensor:
        scale = 1000.0 / (self.mu_water * spacing)
        return self._back_projector.filter(self.window, self.cutoff_per_mm * spacing, scale)

    def _counts(self, budget: PhotonBudget, spacing: float) -> float | torch.Tensor:
        """I0 of each coarse bin, (B/4,), or one number without a bowtie filter."""
        if self._bowtie is None:
            return budget.i0
        distances = self._line_integrals.bin_distances_mm(spacing).numpy()
        profile = np.asarray(self._bowtie(distances), dtype=np.float32)
        if profile.shape != distances.shape or not np.all(np.isfinite(profile)) or profile.min() <= 0.0:
            raise UsageError("The bowtie must give one positive number for each distance; correct the function.")
        return torch.from_numpy(profile * budget.i0).to(self.device)

    def _blocks(self, volume: torch.Tensor, on_progress: OnProgress) -> Iterator[tuple[int, torch.Tensor]]:
        """Views of `batch` slices with the index of their first."""
        for start in range(0, len(volume), self.batch):
            block = volume[start : start + self.batch]
            yield start, block
            done = start + len(block)
            on_progress(done / len(volume), f"slice {done} of {len(volume)}")

    def _image(self, sinograms: torch.Tensor, filter_: torch.Tensor, block: torch.Tensor) -> torch.Tensor:
        """Noise image in HU for the slices `block` (S, H, W), on their device; 0 in their padding."""
        top, left = (centered(self.geometry.size, extent) for extent in block.shape[1:])
        image = self._back_projector(sinograms, filter_)
        image = image[:, top : top + block.shape[1], left : left + block.shape[2]].to(block.device)
        return image.masked_fill_(block < PADDING_BELOW_HU, 0.0)


def _float32(hu: Slices) -> torch.Tensor:
    """A float32 copy, also of read-only arrays and of types that torch does not know."""
    if isinstance(hu, torch.Tensor):
        return hu.to(torch.float32, copy=True)
    return torch.from_numpy(np.array(hu, dtype=np.float32))


def _like(original: Slices, result: torch.Tensor) -> Slices:
    return result if isinstance(original, torch.Tensor) else result.numpy()
