"""CT for the dose branch of the teacher, at a dose drawn in each step, from noise fields computed once for each scan.

Noise is simulated on the whole field of view of the scan and resampled to the network's grid as two fields; any dose
then costs two multiply-adds (see `low_dose.training_fields`). A prepared CT was clipped to the window before it was
resampled, so air and bone outside the window contribute no noise to the fields; values that noise moves outside the
window are clipped again. The branch therefore sees what the same preparation would give for a scan at that dose, and at
full dose the original image, bit-identical. If the field of view of a scan truncates the body, its noise cannot be
simulated correctly, and the branch sees it at its original dose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.modality import Modality
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.content_store import ContentStore, content_key
from REACTKDTrainLib.data.augmentation import Augmentation, warp_like
from REACTKDTrainLib.data.case import PreparedCase
from REACTKDTrainLib.data.normalization import LiverWindow
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.low_dose.field_of_view import TruncatedFieldOfView
from REACTKDTrainLib.low_dose.training_fields import FieldMaker, NoiseFields, draw_dose, draw_signs

SEED = 100  # of the noise; test sets use other numbers
FORMAT = "reactkd-noise-fields/4"  # increased when the computation changes, so that old fields are not reused


def prepare_fields(folder: Path, store: PreparedStore, case: CohortCase) -> None:
    """Compute the fields of one case on the box of its prepared images and store them in `folder`, if they are absent.

    The photon budget is fitted to the noise of each scan.
    Raises: TruncatedFieldOfView and other errors of `low_dose` for a CT that cannot be simulated, with the reason.
    """
    files, key = ContentStore(folder), _key(store, case)
    if files.has(key):
        return
    files.put(key, fields_of(store, case, store.get(case)))


def fields_of(store: PreparedStore, case: CohortCase, prepared: PreparedCase) -> dict[str, np.ndarray]:
    """Return the fields of one case on the box of its prepared images, unsaved. Raises: see `prepare_fields`."""
    opened = case.load()
    grid, _ = store.preparation.grid_for(opened)
    make = FieldMaker(calibrate=True, clip=store.preparation.ct_clip_hu)
    whole = make(case.id, opened.volumes[Modality.CT], grid, SEED)
    box = tuple(slice(a, a + n) for a, n in zip(prepared.start, prepared.shape, strict=True))
    return {"quantum": whole.quantum[box], "electronic": whole.electronic[box]}


def prepare_fields_or_note(folder: Path, store: PreparedStore, case: CohortCase) -> None:
    """As `prepare_fields`, but a truncated scan is recorded (see `at_native_dose`) instead of raising."""
    if _note(folder, store, case):
        return
    try:
        prepare_fields(folder, store, case)
    except TruncatedFieldOfView as error:
        ContentStore(folder).put(_key(store, case, "cut off"), {"reason": np.array(str(error))})


def at_native_dose(folder: Path, store: PreparedStore, cases: Sequence[CohortCase]) -> dict[str, str]:
    """Case id -> why the dose branch uses only its original dose. Raises: TruncatedFieldOfView if most are so."""
    scans = [case for case in cases if "ct" in case.modalities]
    found = {case.id: note for case in scans if (note := _note(folder, store, case))}
    check_crops(list(found), len(scans))
    return found


def check_crops(cut_off: Sequence[str], scans: int) -> None:
    """Raise TruncatedFieldOfView if most of `scans` CTs are truncated. cut_off: the ids of their cases."""
    if 2 * len(cut_off) > scans:
        raise TruncatedFieldOfView(
            f"{len(cut_off)} of {scans} CT scans are crops of the body (the first: {cut_off[0]}), from which "
            "no low dose can be simulated; give the full fields of view, or train without doses "
            '({"data": {"doses": false}} in a file for --config).'
        )


def _note(folder: Path, store: PreparedStore, case: CohortCase) -> str:
    """Return why no low dose of a scan can be simulated; empty if it can, or was not tried."""
    found = ContentStore(folder).get(_key(store, case, "cut off"))
    return "" if found is None else str(found["reason"])


def _key(store: PreparedStore, case: CohortCase, kind: str = "fields") -> str:
    return content_key({"format": FORMAT, "kind": kind, "prepared": store.key(case), "seed": SEED})


ROOM_VOXELS = 100_000_000  # of warped fields kept in memory: about 0.4 GB


@dataclass(eq=False)
class DoseSource:
    """keys: case id -> key of its fields in `files`, which are warped like the view; a case without fields keeps its
    original dose.
    """

    files: ContentStore
    keys: Mapping[str, str]
    window: LiverWindow
    augmentation: Augmentation
    _kept: dict[tuple[str, int | None], np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        folder: Path,
        store: PreparedStore,
        cases: Sequence[CohortCase],
        window: LiverWindow,
        augmentation: Augmentation,
    ) -> DoseSource:
        """Create for cases that were processed by `prepare_fields_or_note` with this folder and store.

        window: of the training fold; augmentation: of the views.
        """
        keys = {case.id: _key(store, case) for case in cases if not _note(folder, store, case)}
        return cls(ContentStore(folder), keys, window, augmentation)

    def __call__(self, view: View, seed: int) -> Tensor:
        """Return the CT of a view (d, h, w) at a dose log-uniform in [0.1, 1], with signs, both drawn from `seed`;
        windowed like the view's own CT, with the constant that augmentation added to it.
        """
        if view.case not in self.keys:
            return view.images["ct"]
        rng = np.random.default_rng(seed)
        dose, signs = draw_dose(rng), draw_signs(rng)
        low = self.window(torch.from_numpy(self.fields(view).add_to(view.hu.numpy(), dose, signs)))
        return low + view.levels["ct"] if view.levels else low

    def fields(self, view: View) -> NoiseFields:
        """Return the two fields of a view's scan, warped like the view."""
        key = view.case, view.warp_seed
        if key not in self._kept:
            own = self.files.get(self.keys[view.case])
            if own is None:
                raise UsageError("The noise of a scan is no longer in the cache; start the run again, and it is made.")
            both = torch.from_numpy(np.stack([own["quantum"], own["electronic"]]).astype(np.float32))
            lying = warp_like(view.warp_seed, self.augmentation, both).numpy().astype(np.float16)
            while self._kept and (len(self._kept) + 1) * lying.size > 2 * ROOM_VOXELS:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = lying
        return NoiseFields(*self._kept[key])
