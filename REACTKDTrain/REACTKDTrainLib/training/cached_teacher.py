"""The targets of a frozen teacher for every training view, computed once."""

from __future__ import annotations

from collections.abc import Callable

import torch

from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDTrainLib.distillation.targets_cache import TargetCache, weights_hash
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.models.teacher import Teacher
from REACTKDTrainLib.training.fold_data import FoldData
from REACTKDTrainLib.training.processes import Processes
from REACTKDTrainLib.training.trainer import Sample


class CachedTeacher:
    """Targets for the view of a sample, requested by the student's stage. maps: keep the fused maps too, for methods
    that compare maps. branch: the branch that is distilled alone, or 'fused'.
    """

    def __init__(self, teacher: Teacher, data: FoldData, cache: TargetCache, maps: bool = False, branch: str = "fused"):
        self._teacher, self._data, self._cache, self._maps, self._branch = teacher, data, cache, maps, branch
        device = next(teacher.parameters()).device.type  # rounding differs between CPU and GPU
        self._hash = f"{weights_hash(teacher)} {device}" + ("+maps" if maps else "")

    def compute(
        self,
        processes: Processes,
        on_progress: OnProgress = no_progress,
        stop: Callable[[], None] | None = None,
    ) -> None:
        """Compute the targets of every training view, divided among the processes, and wait until all are stored."""
        wanted = [(i, n) for i in range(len(self._data)) for n in range(self._data.views)]
        own = wanted[processes.rank :: processes.world]
        for done, (index, number) in enumerate(own, start=1):
            self._targets(index, number)
            on_progress(done / len(own), "asking the teachers")
            if stop is not None:
                stop()
        processes.wait()

    def __call__(self, sample: Sample) -> GraphOutput:
        """Return the targets of one sample, B = 1."""
        targets = self._targets(sample.index, sample.seed % self._data.views)
        return targets if self._branch == "fused" else targets.of_branch(self._branch)

    def _targets(self, index: int, number: int) -> GraphOutput:
        def asked() -> GraphOutput:
            with torch.no_grad():
                return self._teacher([self._data.view(index, number)]).as_targets(self._maps)

        return self._cache.of(self._hash, self._data.light(index, number), asked)
