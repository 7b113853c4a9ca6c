"""Node vectors of hybrid cases, from unchanged or modified images; computed once by a process pool and stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from REACTKDLib.core.errors import OutputNotWritable, ReactkdError, UsageError
from REACTKDLib.core.job_engines import Engine
from REACTKDLib.core.job_pool import JobPool
from REACTKDLib.core.one_thread import one_thread
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.student.bands import smooth
from REACTKDLib.core.student.bundle import Bundle
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.content_store import content_key
from REACTKDTrainLib.data.case import PreparedCase
from REACTKDTrainLib.data.normalization import LiverWindow
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.nodes.node_store import NodeCase, NodeStore, encoder_hash, node_case

AS_SCANNED = "as scanned"


@dataclass(frozen=True)
class LiverIntensities:
    """Intensities of a liver on the network's grid. level: modality -> median of its parenchyma, CT in HU, PET as
    networks read it. noise: modality -> sd of the parenchyma about a smoothed version of itself, from the median
    absolute deviation, so that vessels have little influence.
    """

    level: Mapping[str, float]
    noise: Mapping[str, float]

    @classmethod
    def of(cls, case: PreparedCase) -> LiverIntensities:
        """Measure the expert's parenchyma."""
        inside = case.parenchyma
        level = {m: float(image[inside].median()) for m, image in case.images.items()}
        return cls(level, {m: _fine_noise(image, inside) for m, image in case.images.items()})

    @classmethod
    def mean(cls, livers: Sequence[LiverIntensities]) -> LiverIntensities:
        """Return the mean of several livers."""
        known = sorted({m for liver in livers for m in liver.level})

        def average(name: str) -> dict[str, float]:
            own = [getattr(liver, name) for liver in livers]
            return {m: float(np.mean([x[m] for x in own if m in x])) for m in known}

        return cls(average("level"), average("noise"))


#: (modality, image, parenchyma, its own intensities, those wanted) -> image
Change = Callable[[str, Tensor, Tensor, LiverIntensities, LiverIntensities], Tensor]


def _levelled(name: str, image: Tensor, inside: Tensor, own: LiverIntensities, wanted: LiverIntensities) -> Tensor:
    """Shift the liver's level to that of the phantoms: removes contrast phase, contrast dose and the scale of a PET."""
    return image + (wanted.level[name] - own.level[name])


def _denoised(name: str, image: Tensor, inside: Tensor, own: LiverIntensities, wanted: LiverIntensities) -> Tensor:
    """Match the fine noise to that of the phantoms: attenuate detail finer than a voxel, or add noise.

    Noise is correlated, so a part of it remains if all fine detail is taken away; less noise than that is not reached.
    """
    target = wanted.noise[name]
    if target > own.noise[name]:
        white = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
        start, detail, most = image, white / _fine_noise(white, inside), target
    else:
        start, most = smooth(image, 1.0), 1.0
        detail = image - start
    low, high = 0.0, most
    for _ in range(12):
        amount = (low + high) / 2
        low, high = (amount, high) if _fine_noise(start + amount * detail, inside) < target else (low, amount)
    return start + high * detail


#: name -> modifications of each image before the network reads it; none of them uses the lesions
CHANGES: Mapping[str, tuple[Change, ...]] = {
    AS_SCANNED: (),
    "liver level": (_levelled,),
    "noise level": (_denoised,),
}


@dataclass(frozen=True)
class HybridNodes:
    """Computes node vectors for the student of a model and stores them, with the prepared images, in `folder`.

    Example:
        >>> nodes = HybridNodes(Path("work"), Bundle.load("model"))
        >>> skipped = nodes.make(cases, workers=2)
        >>> nodes.get(cases[0]).regions[0].fixed["ct"].shape
    """

    folder: Path
    bundle: Bundle

    @cached_property
    def store(self) -> NodeStore:
        """Return the store, with the student's encoder if it has one."""
        student, preparation = self.bundle.student, self.bundle.preparation
        window = LiverWindow.of_preparation(preparation)
        encoded = {"encoder": student, "encoder_key": encoder_hash(student)} if student.fused_size else {}
        return NodeStore(self.folder / "nodes", PreparedStore(self.folder / "prepared", preparation), window, **encoded)

    def make(
        self,
        cases: Sequence[CohortCase],
        changes: Sequence[str] = (AS_SCANNED,),
        wanted: LiverIntensities | None = None,
        workers: int = 1,
        on_progress: OnProgress = no_progress,
    ) -> dict[str, str]:
        """Compute missing node vectors; return case id -> reason for exclusion. wanted: what the changes lead to.

        Raises: OutputNotWritable.
        """
        skipped = {}
        with JobPool(_Making(self, tuple(changes), wanted), Engine(workers)) as pool:
            for case, reason in pool.results(cases, on_progress):
                if reason:
                    skipped[case.id] = reason
        return skipped

    def prepared(self, case: CohortCase) -> PreparedCase:
        """Return images and masks on the network's grid. Raises: see `PreparedStore.get`."""
        return self.store.prepared.get(case)

    def key(self, case: CohortCase, change: str, wanted: LiverIntensities | None) -> str:
        """Return a hash of the case, the student's encoder and the change."""
        own = self.store.key(case)
        if change == AS_SCANNED:
            return own
        # the class was called Look, and stored node vectors have this text in their names
        text = "None" if wanted is None else f"Look(level={wanted.level!r}, noise={wanted.noise!r})"
        return content_key({"nodes": own, "change": change, "wanted": text})

    def get(self, case: CohortCase, change: str = AS_SCANNED, wanted: LiverIntensities | None = None) -> NodeCase:
        """Return node vectors; compute them first if absent. Raises: see `PreparedStore.get`; UsageError."""
        if change not in CHANGES:
            raise UsageError(f"There is no change {change!r}; choose one of {', '.join(CHANGES)}.")
        key = self.key(case, change, wanted)
        return self.store.files.made(key, lambda: self._arrays(case, change, wanted), lambda f: node_case(f, case, key))

    def _arrays(self, case: CohortCase, change: str, wanted: LiverIntensities | None) -> dict[str, np.ndarray]:
        with one_thread(), torch.inference_mode():
            prepared = self.prepared(case)
            if CHANGES[change] and wanted is not None:
                prepared = changed(prepared, CHANGES[change], wanted)
            return self.store.arrays_of(prepared)


@dataclass(frozen=True)
class _Making:
    nodes: HybridNodes
    changes: tuple[str, ...]
    wanted: LiverIntensities | None

    def __call__(self, case: CohortCase) -> str:
        try:
            for change in self.changes:
                self.nodes.get(case, change, self.wanted)
        except OutputNotWritable:  # no fault of the scan
            raise
        except ReactkdError as error:
            return str(error)
        return ""


def changed(case: PreparedCase, changes: Sequence[Change], wanted: LiverIntensities) -> PreparedCase:
    """Return the case after applying changes to its images, in order."""
    own, inside, images = LiverIntensities.of(case), case.parenchyma, dict(case.images)
    for change in changes:
        images = {m: change(m, image, inside, own, wanted) for m, image in images.items()}
    return replace(case, images=images)


def _fine_noise(image: Tensor, inside: Tensor) -> float:
    return _spread((image - smooth(image, 1.0))[inside])


def _spread(values: Tensor) -> float:
    """Standard deviation of normal values, from the median absolute deviation."""
    return float((values - values.median()).abs().median()) * 1.4826
