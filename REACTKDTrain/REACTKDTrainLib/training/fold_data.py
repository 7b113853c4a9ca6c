"""The views of one part of a split, opened on demand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from REACTKDLib.core.memo import Memo
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.data.view_maker import ViewMaker
from REACTKDTrainLib.training.trainer import Sample

#: number of voxels of the views kept in memory: about 2 GB of images and masks
ROOM_VOXELS = 60_000_000


@dataclass(eq=False)
class FoldData:
    """Cases, and the construction of their views. views: number of training views per case. room_voxels: total size of
    the views kept in memory; at least one view is kept.
    """

    cases: Sequence[CohortCase]
    store: PreparedStore
    maker: ViewMaker
    views: int = 1
    room_voxels: int = ROOM_VOXELS
    _light: dict[tuple[int, int], View] = field(default_factory=dict)
    _recent: Memo | None = None  # created with the first view, which determines its size

    def __len__(self) -> int:
        return len(self.cases)

    def _make(self, index: int, number: int) -> View:
        return self.maker(self.store.get(self.cases[index]), number)

    def view(self, index: int, number: int = 0) -> View:
        """Return view `number` of case `index`. Raises: see `PreparedStore.get`."""
        if self._recent is None:
            view = self._make(index, number)
            self._recent = Memo(max(self.room_voxels // math.prod(view.shape), 1))
            return self._recent.of((index, number), lambda: view)
        return self._recent.of((index, number), lambda: self._make(index, number))

    def of(self, sample: Sample) -> View:
        """Return the view of a training sample: one of `views`, chosen by its seed."""
        return self.view(sample.index, sample.seed % self.views)

    def light(self, index: int, number: int = 0) -> View:
        """Return view `number` of case `index` without voxels; it is kept in memory."""
        if (index, number) not in self._light:
            self._light[index, number] = self._make(index, number).without_voxels()
        return self._light[index, number]

    def light_of(self, sample: Sample) -> View:
        """As `of`, without voxels."""
        return self.light(sample.index, sample.seed % self.views)
