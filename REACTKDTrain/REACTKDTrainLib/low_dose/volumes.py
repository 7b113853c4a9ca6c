"""Simulation of a whole CT volume at a lower dose, with a record of the settings."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import numpy as np

from REACTKDLib import __version__
from REACTKDLib.core.errors import NotHounsfield
from REACTKDLib.core.images.geometry import nearest_ras_axes
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDTrainLib.low_dose.calibration import measured_slices, soft_tissue
from REACTKDTrainLib.low_dose.field_of_view import TISSUE_ABOVE_HU, edge_contact
from REACTKDTrainLib.low_dose.inputs import check_slices, check_spacing
from REACTKDTrainLib.low_dose.physics import PADDING_BELOW_HU, REFERENCE_SIGMA_E, check_dose
from REACTKDTrainLib.low_dose.simulator import LowDoseCT

SCHEMA = "reactkd-low-dose/1"
LARGEST_SLICE = 4096
"""Maximum side of a slice in pixels; a scan has 512, rarely 1,024."""
SIZE_STEP = 32
"""Slices are padded to a multiple of this, which keeps the Fourier transforms fast."""
WRITTEN_HU = (-1024, 3071)
"""The range of a scanner's 12-bit images."""


@dataclass(frozen=True)
class Scan:
    """A CT volume as axial slices: (D, H, W) HU, in-plane spacing, slice thickness and increment in mm.

    axis: the array axis of the volume that runs from slice to slice (0 for axially stored volumes).
    """

    hu: np.ndarray
    spacing_mm: float
    thickness_mm: float
    increment_mm: float
    axis: int

    @staticmethod
    def of(volume: Volume, thickness_mm: float | None = None) -> Scan:
        """View `volume` along the patient's long axis, in any storage order. thickness_mm: the increment by default.

        Raises: NotHounsfield, BadSpacing; see `inputs.check_slices`.
        """
        if volume.unit not in (Unit.HU, Unit.UNKNOWN):
            raise NotHounsfield(f"The image is in {volume.unit.value}, not in Hounsfield units; give the CT instead.")
        axis = 2 - nearest_ras_axes(volume.ijk_to_ras)[0][2]
        spacing = volume.spacing[::-1]
        in_plane = check_spacing(tuple(np.delete(spacing, axis)))
        hu = np.ascontiguousarray(np.moveaxis(volume.array, axis, 0))
        check_slices(hu, LARGEST_SLICE)
        increment = float(spacing[axis])
        return Scan(hu, in_plane, increment if thickness_mm is None else thickness_mm, increment, axis)

    def restored(self, slices: np.ndarray) -> np.ndarray:
        """Return `slices` (D, H, W) with the axes in the storage order of the volume."""
        return np.ascontiguousarray(np.moveaxis(slices, 0, self.axis))

    @property
    def side(self) -> int:
        """Return the size of the simulator that these slices need."""
        return -(-max(self.hu.shape[1:]) // SIZE_STEP) * SIZE_STEP


class Simulators:
    """One simulator for each slice size, shared by the cases of a cohort, because creating one takes a second."""

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._by_side: dict[int, LowDoseCT] = {}

    def of(self, scan: Scan) -> LowDoseCT:
        """Return a simulator large enough for `scan`."""
        if scan.side not in self._by_side:
            self._by_side[scan.side] = LowDoseCT(size=scan.side, device=self._device)
        return self._by_side[scan.side]


@dataclass(frozen=True)
class DoseRecord:
    """Record of a low-dose volume, the content of its sidecar. Noise in HU, lengths in mm.

    i0: counts in a bin at native dose; sigma_e: electronic noise of that bin, counts rms. added_std_hu: standard
    deviation of the added noise, in even soft tissue and in the body; mean_shift_hu: its mean in even soft tissue.
    edge_contact: share of the image's edge that shows body or table, in the median and in the worst slice.
    """

    dose: float
    seed: int
    mode: str
    i0: float
    sigma_e: float
    calibrated: bool
    pixel_mm: float
    thickness_mm: float
    increment_mm: float
    views: int
    window: str
    cutoff_per_mm: float
    mu_water_per_mm: float
    added_std_hu: dict[str, float | None]
    mean_shift_hu: float | None
    edge_contact: dict[str, float]
    input_sha256: str
    version: str = __version__
    schema: str = SCHEMA

    def to_json(self) -> dict:
        """Return the sidecar's content."""
        return asdict(self)


def degrade(
    volume: Volume,
    dose: float,
    seed: int = 0,
    *,
    mode: str = "log",
    thickness_mm: float | None = None,
    calibrate: bool = False,
    sigma_e: float = REFERENCE_SIGMA_E,
    simulators: Simulators | None = None,
    on_progress: OnProgress = no_progress,
) -> tuple[Volume, DoseRecord]:
    """Return `volume` at fraction `dose` of its dose, at the same position and as int16 HU, with its record.

    Axial slices are found from the geometry. calibrate: fit the photon budget to the noise of the scan itself. Padding
    (below -1024) is unchanged; everything else is clipped to -1024..3071 (or the input's own maximum). thickness_mm: of
    the slices as reconstructed; by default the distance between slices.
    Raises: see `LowDoseCT.__call__` and `Scan.of`.
    """
    dose = check_dose(dose)
    scan = Scan.of(volume, thickness_mm)
    simulator = (simulators or Simulators()).of(scan)
    place = dict(spacing_mm=scan.spacing_mm, thickness_mm=scan.thickness_mm)
    i0 = simulator.calibrate(scan.hu, **place) if calibrate else None
    low = simulator(
        scan.hu,
        **place,
        increment_mm=scan.increment_mm,
        dose=dose,
        sigma_e=sigma_e,
        seed=seed,
        mode=mode,
        i0=i0,
        on_progress=on_progress,
    )
    budget = simulator.budget(**place, sigma_e=sigma_e, i0=i0)
    added, shift = measure_added(scan.hu, low)
    contact = edge_contact(scan.hu)
    record = DoseRecord(
        dose=dose,
        seed=seed,
        mode=mode,
        i0=budget.i0,
        sigma_e=budget.sigma_e,
        calibrated=calibrate,
        pixel_mm=scan.spacing_mm,
        thickness_mm=scan.thickness_mm,
        increment_mm=scan.increment_mm,
        views=simulator.geometry.views,
        window=simulator.window,
        cutoff_per_mm=simulator.cutoff_per_mm,
        mu_water_per_mm=simulator.mu_water,
        added_std_hu=added,
        mean_shift_hu=shift,
        edge_contact={"median": contact.typical, "largest": contact.largest},
        input_sha256=content_hash(volume),
    )
    return volume.with_array(scan.restored(as_written(scan.hu, low)), Unit.HU), record


def as_written(original: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Round `low` to int16 HU, clipped to -1024..3071 or the maximum of `original`; its padding is unchanged."""
    highest = min(max(WRITTEN_HU[1], float(original.max())), np.iinfo(np.int16).max)
    written = np.clip(np.rint(low), WRITTEN_HU[0], highest)
    return np.where(original < PADDING_BELOW_HU, original, written).astype(np.int16)


def measure_added(original: np.ndarray, low: np.ndarray) -> tuple[dict[str, float | None], float | None]:
    """Std of `low` - `original` (D, H, W) in even soft tissue and in the body, and its mean in soft tissue, HU.

    Measured on up to 16 slices spread over the volume; None if there is no such tissue.
    """
    chosen = measured_slices(len(original))
    before = original[chosen].astype(np.float32)
    added = low[chosen] - before
    masks = {"soft_tissue": soft_tissue(before), "body": before > TISSUE_ABOVE_HU}
    found = {name: added[mask] for name, mask in masks.items()}
    stds = {name: float(values.std()) if values.size else None for name, values in found.items()}
    return stds, float(found["soft_tissue"].mean()) if found["soft_tissue"].size else None


def content_hash(volume: Volume) -> str:
    """SHA-256 of the voxels and the geometry; the same for the same scan in another file format."""
    digest = hashlib.sha256(repr(volume.shape).encode())
    digest.update(np.round(volume.ijk_to_ras, 4).astype("<f8").tobytes())
    digest.update(np.ascontiguousarray(volume.array, dtype="<f4"))
    return digest.hexdigest()
