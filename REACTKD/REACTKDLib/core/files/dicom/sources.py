"""Finds the DICOM files of one case and compares their headers before pixels are read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.files.dicom.images import find_image
from REACTKDLib.core.files.dicom.index import Series
from REACTKDLib.core.files.dicom.opened import opened_slice
from REACTKDLib.core.files.dicom.origin import TAGS, Origin, check_origins, origin_of
from REACTKDLib.core.files.dicom.seg_objects import segmentation_objects
from REACTKDLib.core.files.dicom.series import is_dicom_source
from REACTKDLib.core.files.given_paths import PathLike
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.modality import ROLES, Modality


def find_images(
    given: Mapping[Modality, PathLike], segmentation: PathLike | None = None, different_patients_ok: bool = False
) -> tuple[dict[Modality, Series], list[Finding]]:
    """Return the series of the images that are DICOM, and findings against the files being of one case.

    segmentation: a DICOM SEG; if a folder contains several series, the one on which it was drawn is chosen.
    different_patients_ok: see `check_origins`.

    Raises: what `find_image` raises; PatientMismatch.
    """
    masks = _mask_origins(segmentation)
    drawn_on = tuple(dict.fromkeys(uid for mask in masks for uid in mask.referenced))
    series = {m: find_image(path, m, preferred=drawn_on) for m, path in given.items() if is_dicom_source(path)}
    images = [_image_origin(series[m], ROLES[m]) if m in series else Origin(ROLES[m]) for m in given]
    return series, check_origins(images, masks, different_patients_ok) if series else []


def check_together(image: Series, modality: Modality, segmentation: PathLike, ok: bool = False) -> list[Finding]:
    """Return findings against an image and its segmentation being of one case. ok, raises: see `check_origins`."""
    return check_origins([_image_origin(image, ROLES[modality])], _mask_origins(segmentation), ok)


def referenced_series(segmentation: PathLike) -> tuple[str, ...]:
    """Return the UIDs of the series on which the SEG, or those in a folder, were drawn; none if not stated."""
    return tuple(dict.fromkeys(uid for mask in _mask_origins(segmentation) for uid in mask.referenced))


def _mask_origins(segmentation: PathLike | None) -> Sequence[Origin]:
    if segmentation is None or not os.path.exists(segmentation) or not is_dicom_source(segmentation):
        return ()
    try:
        return [thing.origin for thing in segmentation_objects(segmentation)]
    except ReactkdError:  # raised when the masks are read
        return ()


def _image_origin(series: Series, role: str) -> Origin:
    header = opened_slice(series.slices[0].path, role, stop_before_pixels=True, specific_tags=list(TAGS))
    return origin_of(header, role, (piece.uid for piece in series.slices))
