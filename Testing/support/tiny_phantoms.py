"""A few tiny phantoms, prepared, as views; computed once for a test session."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.cohorts.sizes import preparation_of
from REACTKDTrainLib.data.augmentation import Augmentation
from REACTKDTrainLib.data.normalization import LiverWindow
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.data.view_maker import ViewMaker
from REACTKDTrainLib.training.fold_data import FoldData

STILL = Augmentation(rotate_deg=0, shift_voxels=0, scale=0, elastic=0, flip=False, level=0)


def tiny_cases(n: int = 12) -> Sequence[CohortCase]:
    """Return the first n cases of the hospital cohort, with every grade."""
    return open_cohort(f"phantom:hospital?cases={n}&size=tiny").cases


def fold_data(
    folder: Path, cases: Sequence[CohortCase], views: int = 1, augmentation: Augmentation = STILL
) -> FoldData:
    """Return their views, with perturbed masks for the student from view 1 on."""
    store = PreparedStore(folder / "prepared", preparation_of("tiny"), variants=1)
    maker = ViewMaker(LiverWindow.of(map(store.get, cases)), augmentation, folder=folder / "views")
    return FoldData(cases, store, maker, views)
