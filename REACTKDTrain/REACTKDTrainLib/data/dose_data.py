"""What the dose branch of the teacher sees: CT at a dose drawn for each step, from fields made once for each scan.

Noise is simulated on the whole field of view of the scan and carried to the network's grid as two fields; any dose is
then two multiply-adds (see `low_dose.training_fields`). A prepared CT was clipped to what the window shows before it
was resampled, so air and bone beyond the window give no noise to the fields; what noise lifts over its ends is clipped
again. So the branch sees what a scan at that dose would have become by the same preparation, and at full dose the
native image bit by bit. A scan whose field of view cuts the body off gives no true noise: the branch sees it at its own
dose.
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

SEED = 100  # of the noise; the numbers of the test sets are others
FORMAT = "reactkd-noise-fields/4"  # raised when fields are made differently, so that old ones are not taken for new


def prepare_fields(folder: Path, store: PreparedStore, case: CohortCase) -> None:
    """Make the fields of one case on the box of its prepared images, if they are not there, and keep them in `folder`.

    The photon budget is fitted to the noise of each scan.
    Raises: TruncatedFieldOfView and others of `low_dose` for a CT that cannot be simulated, and why.
    """
    files, key = ContentStore(folder), _key(store, case)
    if files.has(key):
        return
    files.put(key, fields_of(store, case, store.get(case)))


def fields_of(store: PreparedStore, case: CohortCase, prepared: PreparedCase) -> dict[str, np.ndarray]:
    """The fields of one case on the box of its prepared images, as `prepare_fields` keeps them. Raises: as it does."""
    opened = case.load()
    grid, _ = store.preparation.grid_for(opened)
    make = FieldMaker(calibrate=True, clip=store.preparation.ct_clip_hu)
    whole = make(case.id, opened.volumes[Modality.CT], grid, SEED)
    box = tuple(slice(a, a + n) for a, n in zip(prepared.start, prepared.shape, strict=True))
    return {"quantum": whole.quantum[box], "electronic": whole.electronic[box]}


def prepare_fields_or_note(folder: Path, store: PreparedStore, case: CohortCase) -> None:
    """Like `prepare_fields`; a scan that is cut off is noted (see `at_native_dose`) in place of raising."""
    if _note(folder, store, case):
        return
    try:
        prepare_fields(folder, store, case)
    except TruncatedFieldOfView as error:
        ContentStore(folder).put(_key(store, case, "cut off"), {"reason": np.array(str(error))})


def at_native_dose(folder: Path, store: PreparedStore, cases: Sequence[CohortCase]) -> dict[str, str]:
    """Case id -> why the dose branch sees it at its own dose alone. Raises: TruncatedFieldOfView if most CTs are so."""
    scans = [case for case in cases if "ct" in case.modalities]
    found = {case.id: note for case in scans if (note := _note(folder, store, case))}
    check_crops(list(found), len(scans))
    return found


def check_crops(cut_off: Sequence[str], scans: int) -> None:
    """Raise TruncatedFieldOfView if most of so many CTs are cut off. cut_off: the ids of their cases."""
    if 2 * len(cut_off) > scans:
        raise TruncatedFieldOfView(
            f"{len(cut_off)} of {scans} CT scans are crops of the body (the first: {cut_off[0]}), from which "
            "no low dose can be simulated; give the full fields of view, or train without doses (setting data.doses)."
        )


def _note(folder: Path, store: PreparedStore, case: CohortCase) -> str:
    """Why no low dose can be made of a scan; empty where it can, or was not tried."""
    found = ContentStore(folder).get(_key(store, case, "cut off"))
    return "" if found is None else str(found["reason"])


def _key(store: PreparedStore, case: CohortCase, kind: str = "fields") -> str:
    return content_key({"format": FORMAT, "kind": kind, "prepared": store.key(case), "seed": SEED})


ROOM_VOXELS = 100_000_000  # of fields kept in memory as they lie in views: about 0.4 GB


@dataclass(eq=False)
class DoseSource:
    """keys: case id -> key of its fields in `files`, which are warped as the view is; a case without them keeps its own
    dose.
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
        """For cases that went through `prepare_fields_or_note` with this folder and store.

        window: of the training fold; augmentation: of the views.
        """
        keys = {case.id: _key(store, case) for case in cases if not _note(folder, store, case)}
        return cls(ContentStore(folder), keys, window, augmentation)

    def __call__(self, view: View, seed: int) -> Tensor:
        """The CT of a view at a dose log-uniform in [0.1, 1] and with signs drawn from `seed`: (d, h, w), as the view's
        own CT windowed and with the constant that augmentation added to it.
        """
        if view.case not in self.keys:
            return view.images["ct"]
        rng = np.random.default_rng(seed)
        dose, signs = draw_dose(rng), draw_signs(rng)
        low = self.window(torch.from_numpy(self.fields(view).add_to(view.hu.numpy(), dose, signs)))
        return low + view.levels["ct"] if view.levels else low

    def fields(self, view: View) -> NoiseFields:
        """The two fields of a view's scan, as the view lies."""
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
