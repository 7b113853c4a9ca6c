"""The test sets of the dose-degradation table: native, mild, severe, stress; folders of volumes with sidecars."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.json_once import parse_json
from REACTKDTrainLib.low_dose.calibration import METHOD
from REACTKDTrainLib.low_dose.physics import check_dose
from REACTKDTrainLib.low_dose.randomness import check_seed
from REACTKDTrainLib.low_dose.sidecar import kept, sidecar_of, write_sidecar
from REACTKDTrainLib.low_dose.volumes import SCHEMA, Simulators, content_hash, degrade

LEVELS: Mapping[str, float] = MappingProxyType({"native": 1.0, "mild": 0.25, "severe": 0.10, "stress": 0.05})
"""Dose fractions of the published levels."""

TEST_SEEDS = (9001, 9002, 9003)
"""Published seeds of the test sets; training never uses them (see `training_fields`)."""


def case_seed(seed: int, case_id: str) -> int:
    """Seed of one case: two patients never share a noise pattern, and a case keeps its own in any cohort."""
    digest = hashlib.sha256(case_id.encode("utf-8", "surrogatepass")).digest()
    return int(np.random.SeedSequence((seed, int.from_bytes(digest[:8], "little"))).generate_state(1)[0])


class DoseTestSets:
    """Writes and finds `<folder>/<level>/<case>_seed<seed>.nii.gz`; the native level has no seed.

    levels: name -> dose fraction. calibrate: fit the photon budget to each scan. Files that an earlier run completed
    with the same request are kept. Raises: UsageError, DoseOutOfRange.
    """

    def __init__(
        self,
        folder: Path | str,
        levels: Mapping[str, float] = LEVELS,
        seeds: Iterable[int] = TEST_SEEDS,
        mode: str = "log",
        calibrate: bool = False,
        device: str = "cpu",
    ) -> None:
        self.folder = Path(folder)
        self.levels = {name: check_dose(dose) for name, dose in levels.items()}
        self.seeds = tuple(map(check_seed, seeds))
        if not self.levels or not self.seeds:
            raise UsageError("The test sets need at least one level and one seed.")
        self.mode, self.calibrate = mode, calibrate
        self._simulators = Simulators(device)

    def path(self, level: str, case_id: str, seed: int) -> Path:
        """Return the path of a case's volume; `seed` is ignored at native dose. Raises: UsageError."""
        if level not in self.levels:
            raise UsageError(f"There is no level '{level}'; choose one of {', '.join(self.levels)}.")
        if not case_id or Path(case_id).name != case_id:
            raise UsageError(f"The case identifier '{case_id}' cannot be a file name; use one without separators.")
        name = case_id if self.levels[level] == 1.0 else f"{case_id}_seed{seed}"
        return self.folder / level / f"{name}.nii.gz"

    def write(self, case_id: str, ct: Volume, thickness_mm: float | None = None) -> list[Path]:
        """Write all missing levels and seeds of one case; return all its paths.

        Raises: see `degrade`; OutputNotWritable.
        """
        paths, source = [], content_hash(ct)
        for level, dose in self.levels.items():
            for seed in self.seeds[:1] if dose == 1.0 else self.seeds:
                path = self.path(level, case_id, seed)
                paths.append(path)
                request = self._request(case_id, source, level, seed, thickness_mm)
                if kept(path, request) is None:
                    self._make(path, ct, request)
        return paths

    def table(self) -> list[dict]:
        """Rows (case, level, dose, seed, added std in soft tissue, HU) of all finished volumes, sorted."""
        rows = []
        for level in self.levels:
            for sidecar in sorted((self.folder / level).glob("*.json")):
                content = parse_json(sidecar.read_text(encoding="utf-8"))
                row = {key: content["request"][key] for key in ("case", "level", "dose", "seed")}
                rows.append({**row, "added_std_hu": content["added_std_hu"]["soft_tissue"]})
        return rows

    def _request(self, case_id: str, source: str, level: str, seed: int, thickness_mm: float | None) -> dict:
        dose = self.levels[level]
        return {
            "schema": SCHEMA,
            "case": case_id,
            "level": level,
            "dose": dose,
            "seed": None if dose == 1.0 else seed,
            "mode": self.mode,
            "calibrate": self.calibrate and METHOD,
            "thickness_mm": thickness_mm,
            "input_sha256": source,
        }

    def _make(self, path: Path, ct: Volume, request: dict) -> None:
        low, record = degrade(
            ct,
            request["dose"],
            case_seed(request["seed"] or 0, request["case"]),
            mode=self.mode,
            thickness_mm=request["thickness_mm"],
            calibrate=self.calibrate and request["dose"] < 1.0,
            simulators=self._simulators,
        )
        sidecar_of(path).unlink(missing_ok=True)
        write_sidecar(write_volume(low, path), record.to_json(), request)
