"""A case: the volumes of one patient by modality, and the masks of organ and lesions on the reference grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from REACTKDLib.core.errors import GeometryMismatch, NoVolume
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Box
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import tr as _

SAME_PLACE_MM = 1e-4


@dataclass(frozen=True, eq=False)
class Case:
    """One patient, ready for checks and preparation. Frozen: every step creates a new object.

    id: a name for reports, without patient data. volumes: any non-empty subset of the modalities.
    liver: bool (D, H, W) on the reference grid, the whole organ of the task (a liver or another), lesions included.
    tumor: bool (D, H, W), all lesions. task: see `Task`.
    lesions: integers (D, H, W), the lesion segment in which a voxel was drawn, 0 for none; only this separates touching
    lesions. None if it is not known: touching lesions are then one lesion. See `masks.lesions`.
    keep_specks: also grade very small lesions, see `masks.cleaning.clean_masks`.
    derived: cached results for these masks, such as the regions; empty for other masks.

    Raises: NoVolume without any volume; GeometryMismatch if a mask does not have the reference grid's shape.
    """

    id: str
    volumes: Mapping[Modality, Volume]
    liver: np.ndarray
    tumor: np.ndarray
    findings: tuple[Finding, ...] = ()
    keep_specks: bool = False
    lesions: np.ndarray | None = None
    task: Task = HCC_GRADE
    derived: dict[str, Any] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        ordered = {m: self.volumes[m] for m in Modality if self.volumes.get(m) is not None}
        if not ordered:
            raise NoVolume(_("The case has no image; give a CT, or a PET with masks drawn on it."))
        object.__setattr__(self, "volumes", MappingProxyType(ordered))
        for name in ("liver", "tumor"):
            mask = np.asarray(getattr(self, name), dtype=bool)
            if mask.shape != self.reference.shape:
                word = self.task.structure(name).name
                text = _(
                    "The {name} mask has {mask_shape} voxels where the image has {image_shape}; resample "
                    "the mask to the image's grid."
                )
                raise GeometryMismatch(text, name=word, mask_shape=mask.shape, image_shape=self.reference.shape)
            object.__setattr__(self, name, mask)
        if self.lesions is not None and np.shape(self.lesions) != self.reference.shape:
            raise GeometryMismatch(
                _("The map of lesions does not have the image's shape; resample it to the image's grid.")
            )

    @property
    def reference(self) -> Volume:
        """The volume whose grid carries the masks: the CT, else FDG, else acetate."""
        return next(iter(self.volumes.values()))

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities present, in the order of `Modality`."""
        return tuple(self.volumes)

    def has_images_of(self, other: Case) -> bool:
        """True if both have the same images, voxel by voxel, with the same geometry."""
        return self.modalities == other.modalities and all(
            mine.shape == theirs.shape
            and np.allclose(mine.ijk_to_ras, theirs.ijk_to_ras, rtol=0, atol=SAME_PLACE_MM)
            and np.array_equal(mine.array, theirs.array)
            for mine, theirs in zip(self.volumes.values(), other.volumes.values(), strict=True)
        )

    def with_masks(
        self,
        liver: np.ndarray | None = None,
        tumor: np.ndarray | None = None,
        lesions: np.ndarray | None = None,
    ) -> Case:
        """Return the case with corrected masks; None keeps a mask. lesions: those of the new tumor mask."""
        return replace(
            self,
            liver=self.liver if liver is None else liver,
            tumor=self.tumor if tumor is None else tumor,
            lesions=self.lesions if tumor is None else lesions,
        )

    def with_findings(self, *findings: Finding) -> Case:
        """Return the case with additional findings."""
        more = replace(self, findings=(*self.findings, *findings))
        more.derived.update(self.derived)  # valid for the same masks
        return more


#: key in `Case.derived` of the result of `liver_box`
LIVER_BOX = "liver box"
#: key that states that every lesion voxel is also a liver voxel
LIVER_IS_WHOLE = "liver is whole"


#: key of the result of `parenchyma_places`
PARENCHYMA = "parenchyma"
_PER_AXIS = 24  # samples along an axis of a large liver's box, at least


def parenchyma_places(case: Case) -> np.ndarray:
    """Return the indices (k, j, i) of liver voxels outside lesions, (n, 3).

    In a large liver every n-th voxel along each axis is taken, some thousands in all, which suffices for a median.
    Computed once for these masks.
    """
    if PARENCHYMA not in case.derived:
        box = liver_box(case) or (slice(0, 0),) * 3
        found = _places(case, box, [max(1, (part.stop - part.start) // _PER_AXIS) for part in box])
        if not len(found):  # a thin rim between the sampled voxels
            found = _places(case, box, [1, 1, 1])
        case.derived[PARENCHYMA] = found
    return case.derived[PARENCHYMA]


def organ_mean_hu(case: Case, clip_hu: tuple[float, float]) -> float | None:
    """Return the mean HU of the organ without its lesions on the CT, with its values clipped as the network's input.

    Models state it of their training cases, and grading compares it. None without a CT or parenchyma.
    """
    ct, places = case.volumes.get(Modality.CT), parenchyma_places(case)
    if ct is None or not len(places):
        return None
    return float(np.clip(ct.array[tuple(places.T)], *clip_hu).mean())


def _places(case: Case, box: Box, steps: list[int]) -> np.ndarray:
    part = tuple(slice(along.start, along.stop, step) for along, step in zip(box, steps, strict=True))
    return np.argwhere(case.liver[part] & ~case.tumor[part]) * steps + [along.start for along in box]


def liver_box(case: Case) -> Box | None:
    """Return the smallest box (three slices) of the liver, None if it is empty. Computed once for these masks."""
    if LIVER_BOX not in case.derived:
        case.derived[LIVER_BOX] = bounding_box(case.liver)
    return case.derived[LIVER_BOX]


def center_of_organ(case: Case) -> tuple[float, float, float] | None:
    """Return the center of the liver's box, mm RAS; None without a liver."""
    box = liver_box(case)
    if box is None:
        return None
    ijk = [(part.start + part.stop - 1) / 2 for part in box[::-1]]
    return tuple(float(v) for v in case.reference.ijk_to_ras[:3, :3] @ ijk + case.reference.ijk_to_ras[:3, 3])
