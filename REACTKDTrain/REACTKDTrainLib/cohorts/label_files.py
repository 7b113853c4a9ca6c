"""Cases whose masks are label files under other rules than a reader's segmentation, as the cohort states them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import GeometryMismatch, NoLiver
from REACTKDLib.core.files.given_paths import check_path
from REACTKDLib.core.files.label_values import mask_of, whole_labels
from REACTKDLib.core.files.volumes import RawImage, read_raw, read_volume
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.regrid import has_no_geometry, mask_on_grid
from REACTKDLib.core.images.stated_places import check_images_together, settled_place
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.masks.checks import checked
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.fingerprint import fingerprint_of


@dataclass(frozen=True)
class LabelRule:
    """Which values of a label file are what. None: any whole number above 0; fractions are refused in any case.

    liver, tumor: label values. image_geometry: masks whose shape is the image's lie on the image whatever their own
    header says (LiTS 48-52); otherwise a mask goes where its header puts it.
    """

    liver: tuple[int, ...] | None = None
    tumor: tuple[int, ...] | None = None
    image_geometry: bool = False


@dataclass(frozen=True)
class LabeledImages:
    """What `open_labeled` opens. images: modality -> file; liver, tumor: label files, which may be the same one."""

    id: str
    images: Mapping[str, Path]
    liver: Path
    tumor: Path
    liver_rule: LabelRule = LabelRule()
    tumor_rule: LabelRule = LabelRule()


def labeled_case(files: LabeledImages, patient: str, grade: int | None, provenance: str, *words: str) -> CohortCase:
    """The case of a cohort that `open_labeled` opens. words: choices that change what is read. Raises: OSError."""
    paths = dict.fromkeys([*files.images.values(), files.liver, files.tumor])
    return CohortCase(
        files.id,
        patient,
        grade,
        tuple(files.images),
        partial(open_labeled, files),
        fingerprint_of(paths, *words),
        provenance=provenance,
    )


def open_labeled(files: LabeledImages) -> Case:
    """Read images and masks, put the masks on the reference grid, clean and check: a `Case` like a reader's.

    Raises: what `read_volume`, `read_raw` and `checked` raise; NoLiver; NotASegmentation for a mask of
    fractions; GeometryMismatch for one beside the image.
    """
    masks = {"the liver mask": files.liver, "the tumor mask": files.tumor}
    for role, path in ({ROLES[Modality(m)]: path for m, path in files.images.items()} | masks).items():
        check_path(path, role)
    volumes = {Modality(m): read_volume(path, Modality(m)) for m, path in files.images.items()}
    reference = next(volumes[m] for m in Modality if m in volumes)
    check_images_together({m: volumes[m] for m in Modality if m in volumes})
    raw = read_raw(files.liver, "the liver mask")
    remarks = [*(finding for volume in volumes.values() for finding in volume.findings), *raw.findings]
    mask, rounded = _voxels(raw, files.liver_rule.liver, "the liver mask")
    liver, findings = _on_image(mask, raw, reference, files.liver_rule, "liver")
    remarks += rounded
    if not liver.any():
        raise NoLiver(f"Case {files.id}: the liver mask is empty on its image; check the mask file and its geometry.")
    if files.tumor != files.liver:
        raw = read_raw(files.tumor, "the tumor mask")
        remarks += raw.findings
    mask, rounded = _voxels(raw, files.tumor_rule.tumor, "the tumor mask")
    remarks += rounded if files.tumor != files.liver else ()
    tumor, more = _on_image(mask, raw, reference, files.tumor_rule, "tumor")
    return checked(Case(files.id, volumes, liver | tumor, tumor, (*remarks, *findings, *more)))


def _voxels(raw: RawImage, values: tuple[int, ...] | None, role: str) -> tuple[np.ndarray, tuple[Finding, ...]]:
    if values is None:
        return mask_of(raw.array, role)
    labels, findings = whole_labels(raw.array, role)
    return np.isin(labels, values), findings


def _on_image(
    mask: np.ndarray, raw: RawImage, reference: Volume, rule: LabelRule, name: str
) -> tuple[np.ndarray, list[Finding]]:
    """The mask on the reference grid, and what was done to bring it there."""
    same_shape = mask.shape == reference.shape
    own, image = Grid(mask.shape, raw.ijk_to_ras), Grid(reference.shape, reference.ijk_to_ras)
    place, remarks = settled_place(own, raw.other_places, image, reference.other_places, f"the {name} mask")
    apart = float(np.abs(place - reference.ijk_to_ras).max())
    if same_shape and apart < 1e-3:
        return mask, remarks
    if same_shape and (rule.image_geometry or has_no_geometry(raw.ijk_to_ras)):
        text = f"The {name} mask has the image's shape but another geometry; it was laid on the image."
        return mask, [Finding("mask-geometry-overruled", "warning", text)]
    placed = mask_on_grid(mask, place, image)
    if mask.any() and not placed.any():
        raise GeometryMismatch(
            f"The {name} mask lies beside its image; check that both belong to the same scan, or give the mask the "
            "image's geometry."
        )
    text = f"The {name} mask lies on another grid than the image and was resampled to it (nearest voxel)."
    return placed, [*remarks, Finding("segmentation-resampled", "info", text)]
