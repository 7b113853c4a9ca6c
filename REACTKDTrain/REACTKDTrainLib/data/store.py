"""Prepared cases on disk: each made once, in a file that appears whole or not at all, found again by its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from REACTKDLib.core.student.prepare import Preparation
from REACTKDLib.core.writing.atomic import written_beside
from REACTKDLib.core.writing.kept_files import is_whole, kept
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.data.annotators import MaskPerturbation
from REACTKDTrainLib.data.case import PreparedCase, RegionMasks, SoftBox
from REACTKDTrainLib.data.make import make_arrays

FORMAT = "reactkd-prepared/1"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PreparedStore:
    """Makes and keeps `<folder>/<key>.npz`.

    variants: how many perturbed sets of masks beside the expert's; seed: of their errors. whole_grid: keep the
    network's whole grid, not the box around the liver (CBAM3D averages over all that it sees).
    """

    folder: Path
    preparation: Preparation = field(default_factory=Preparation)
    variants: int = 0
    perturbation: MaskPerturbation = field(default_factory=MaskPerturbation)
    seed: int = 0
    whole_grid: bool = False

    def key(self, case: CohortCase) -> str:
        """A hash of the case's content and of every choice made here."""
        told = {
            "format": FORMAT,
            "case": case.fingerprint,
            "preparation": self.preparation.to_metadata(),
            "variants": self.variants,
            "perturbation": asdict(self.perturbation) if self.variants else None,
            "seed": self.seed if self.variants else None,
            "whole_grid": self.whole_grid,
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def path(self, case: CohortCase) -> Path:
        """Where a case is kept: under a hash, since a case is often named for a patient and caches are handed on."""
        return Path(self.folder) / f"{self.key(case)[:40]}.npz"

    def get(self, case: CohortCase) -> PreparedCase:
        """Return the case, prepared now if it was not before.

        Raises: what `case.load` raises, NoLiver, PetOffLiver, OutputNotWritable; and then nothing is left.
        """
        path, key = self.path(case), self.key(case)
        found = kept(path, lambda whole: load_prepared(whole, case, key))
        if found is None:  # absent, or damaged since
            self._make(case)
            found = load_prepared(path, case, key)
        return found

    def prepare(self, cases: Iterable[CohortCase], progress: Progress | None = None, workers: int = 1) -> None:
        """Prepare those that are not there yet, in `workers` processes. Raises: what `get` raises, for the first."""
        wanted = [case for case in cases if not is_whole(self.path(case))]
        done = 0
        if workers <= 1 or len(wanted) < 2:
            for case in wanted:
                self._make(case)
                done += 1
                if progress is not None:
                    progress(done, len(wanted))
            return
        import multiprocessing

        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            futures = [pool.submit(self._make, case) for case in wanted]
            try:
                for future in as_completed(futures):
                    future.result()
                    done += 1
                    if progress is not None:
                        progress(done, len(wanted))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def make(self, case: CohortCase) -> PreparedCase:
        """Prepare a case and keep nothing: the same bits as `get` gives. Raises: what `get` raises."""
        return _prepared_from(self._arrays(case), case, self.key(case))

    def _make(self, case: CohortCase) -> None:
        arrays = self._arrays(case)
        with written_beside(self.path(case)) as beside:
            np.savez(beside, **arrays)

    def _arrays(self, case: CohortCase) -> dict[str, np.ndarray]:
        rng_seed = [self.seed, int(hashlib.sha256(case.fingerprint.encode()).hexdigest()[:12], 16)]
        return make_arrays(case.load(), self.preparation, self.variants, self.perturbation, rng_seed, self.whole_grid)


def load_prepared(path: Path, case: CohortCase, key: str) -> PreparedCase:
    """Read one prepared case; `case` says who it is."""
    with np.load(path, allow_pickle=False) as f:
        return _prepared_from(f, case, key)


def _prepared_from(f: Mapping[str, np.ndarray], case: CohortCase, key: str) -> PreparedCase:
    images = {m: torch.from_numpy(f[f"image_{m}"].astype(np.float32)) for m in f["modalities"].tolist()}
    masks = tuple(_masks(f, n) for n in range(int(f["n_masks"])))
    start, grid_shape = (tuple(int(v) for v in f[name]) for name in ("start", "grid_shape"))
    latents = None if case.truth is None else case.truth.get("latents")
    truth = None if latents is None else torch.tensor(latents, dtype=torch.float32)
    return PreparedCase(case.id, case.patient, case.grade, images, start, grid_shape, masks, truth, key)


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
    )
