"""Store of prepared cases on disk: each computed once, written atomically, addressed by its content."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch

from REACTKDLib.core.job_engines import HERE, Engine
from REACTKDLib.core.job_pool import JobPool
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.student.prepare import Preparation
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.content_store import ContentStore, content_key
from REACTKDTrainLib.data.annotators import MaskPerturbation
from REACTKDTrainLib.data.case import PreparedCase, RegionMasks, SoftBox
from REACTKDTrainLib.data.make import make_arrays
from REACTKDTrainLib.data.truth import truth_of

#: increased when preparation changes: 2 places masks as for a reader's case, 3 records a phantom's lesions
FORMAT = "reactkd-prepared/4"


@dataclass(frozen=True)
class PreparedStore:
    """Prepares cases and stores them in `folder`.

    variants: number of perturbed sets of masks in addition to the expert's; seed: of their errors. whole_grid: keep the
    network's whole grid, not only the box around the liver (CBAM3D averages over its whole input).
    """

    folder: Path
    preparation: Preparation = field(default_factory=Preparation)
    variants: int = 0
    perturbation: MaskPerturbation = field(default_factory=MaskPerturbation)
    seed: int = 0
    whole_grid: bool = False

    def key(self, case: CohortCase) -> str:
        """Return a hash of the case's content and of all settings of the store."""
        recipe = {
            "format": FORMAT,
            "case": case.fingerprint,
            "preparation": self.preparation.to_metadata(),
            "variants": self.variants,
            "perturbation": asdict(self.perturbation) if self.variants else None,
            "seed": self.seed if self.variants else None,
            "whole_grid": self.whole_grid,
        }
        return content_key(recipe)

    @property
    def files(self) -> ContentStore:
        """Return the store of the arrays."""
        return ContentStore(self.folder)

    def path(self, case: CohortCase) -> Path:
        """Return the path of a case."""
        return self.files.path(self.key(case))

    def get(self, case: CohortCase) -> PreparedCase:
        """Return the case; prepare it first if necessary.

        Raises: see `case.load`; NoLiver, PetOffLiver, OutputNotWritable; on failure no file is left.
        """
        key = self.key(case)
        return self.files.made(key, partial(self._arrays, case), partial(_prepared_from, case=case, key=key))

    def scans(self, case: CohortCase) -> dict[str, str]:
        """Return the `scan_contents` of a prepared case; empty if it is not prepared, or by an earlier release."""
        found = self._stored(case, "scans")
        return {} if found is None else dict(found.tolist())

    def organ_hu(self, case: CohortCase) -> float | None:
        """Return the `organ_mean_hu` of a prepared case, NaN if it has none; None if it is not prepared, or by an
        earlier release.
        """
        found = self._stored(case, "organ_hu")
        return None if found is None else float(found)

    def lesions(self, case: CohortCase) -> int:
        """Return the number of lesions in the expert's masks of a case; of a prepared one the images are not read.

        Raises: see `get`.
        """
        volumes = self._stored(case, "volumes0")
        return len(volumes if volumes is not None else self.get(case).masks[0]) - 1

    def _stored(self, case: CohortCase, name: str) -> np.ndarray | None:
        """Return one array of a prepared case; the others are not read."""
        try:
            with np.load(self.path(case), allow_pickle=False) as file:
                return file[name]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None

    def prepare(
        self, cases: Iterable[CohortCase], on_progress: OnProgress = no_progress, engine: Engine = HERE
    ) -> None:
        """Prepare the missing cases on `engine`. Raises: see `get`, for the first failure."""
        wanted = [case for case in cases if not self.files.has(self.key(case))]
        with JobPool(self._make, engine) as pool:
            for _ in pool.results(wanted, on_progress):
                pass

    def make(self, case: CohortCase) -> PreparedCase:
        """Prepare a case without storing it, with the same bits as `get`. Raises: see `get`."""
        return _prepared_from(self._arrays(case), case, self.key(case))

    def _make(self, case: CohortCase) -> None:
        self.files.put(self.key(case), self._arrays(case))

    def _arrays(self, case: CohortCase) -> dict[str, np.ndarray]:
        rng_seed = [self.seed, int(content_key(case.fingerprint)[:12], 16)]
        return make_arrays(case.load(), self.preparation, self.variants, self.perturbation, rng_seed, self.whole_grid)


def _prepared_from(f: Mapping[str, np.ndarray], case: CohortCase, key: str) -> PreparedCase:
    images = {m: torch.from_numpy(f[f"image_{m}"].astype(np.float32)) for m in f["modalities"].tolist()}
    masks = tuple(_masks(f, n) for n in range(int(f["n_masks"])))
    start, grid_shape = (tuple(int(v) for v in f[name]) for name in ("start", "grid_shape"))
    truth = truth_of(case.truth, f.get("lesion_nodes"))
    mean = float(f.get("organ_hu", np.nan))
    hu = None if np.isnan(mean) else mean
    scans = dict(f["scans"].tolist()) if "scans" in f else {}
    return PreparedCase(case.id, case.patient, case.grade, images, start, grid_shape, masks, truth, key, hu, scans)


def _masks(f: Mapping[str, np.ndarray], n: int) -> RegionMasks:
    volumes = f[f"volumes{n}"]
    lesions = tuple(
        SoftBox(torch.from_numpy(f[f"lesion{n}_{i}"]), tuple(int(v) for v in f[f"start{n}_{i}"]))
        for i in range(1, len(volumes))
    )
    return RegionMasks.from_parts(
        torch.from_numpy(f[f"parenchyma{n}"]),
        lesions,
        torch.from_numpy(f[f"topology{n}"]),
        torch.from_numpy(volumes).float(),
        torch.from_numpy(f[f"matches{n}"]),
        torch.from_numpy(f[f"shape{n}"]),
    )
