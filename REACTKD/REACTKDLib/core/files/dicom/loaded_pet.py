"""Interprets images loaded by another program, with the DICOM files of a PET for its unit and tracer.

Slicer's own reader leaves a PET in the file's units (Bq/ml, counts) without stating them; PETDICOMExtension converts it
to SUV and states so. A PET may also have been scaled by hand, cropped or resampled since. A slice is therefore compared
with its file: only values that are still as stored are converted, and nothing is converted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from REACTKDLib.core.errors import MixedSeries, NotAnImage, PackagesMissing
from REACTKDLib.core.files.dicom import suv
from REACTKDLib.core.files.dicom.images import multiplied, suv_of, tracer_findings
from REACTKDLib.core.files.dicom.index import series_of_file
from REACTKDLib.core.files.dicom.opened import opened
from REACTKDLib.core.files.dicom.rescale import ONE_KIND, check_alike, rescale_of
from REACTKDLib.core.files.dicom.series import plane_of
from REACTKDLib.core.findings import Finding, merged
from REACTKDLib.core.images.hounsfield import check_hounsfield
from REACTKDLib.core.images.pet_values import check_pet, in_own_unit
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.text import measured
from REACTKDLib.core.text import tr as _

ALIKE = 1e-3  # of the slice's largest value: readers round differently
SAME_SUV = 0.02  # of a factor: rules for the scan time differ by seconds
OF_EACH_IMAGE = [*suv.OF_EACH_IMAGE, "RescaleSlope", "RescaleIntercept", *ONE_KIND["PT"]]


def loaded_image(
    volume: Volume, stated: Unit | None, files: Sequence[str], modality: Modality, remarks: Iterable[Finding] = ()
) -> tuple[Volume, list[Finding]]:
    """Return an image that another program has loaded, after checking its modality, and findings.

    A CT must be in HU, whatever unit is stated; for a PET see `understood`, also for stated and files. remarks: of that
    program.

    Raises: NotHounsfield, NotPet; and what `understood` raises.
    """
    role = ROLES[modality]
    if modality is Modality.CT:
        check_hounsfield(volume.array, role)
        return replace(volume, unit=Unit.HU), list(remarks)
    check_pet(volume.array, role)
    volume, more = understood(volume, stated, files, modality)
    return volume, list(merged(remarks, more))


def understood(
    volume: Volume, stated: Unit | None, files: Sequence[str], modality: Modality
) -> tuple[Volume, list[Finding]]:
    """Return a loaded PET in SUVbw if this can be determined, else in its own unit; and findings.

    stated: the unit that the loading program states; UNKNOWN for an unsupported one, None for none. files: the files it
    was loaded from, one for each slice; empty if unknown.

    Raises: WrongTracer if the files state another tracer; PetUnitRefused for units that do not measure uptake;
    BadRescale; MixedSeries for slices of different units.
    """
    headers = headers_of(files)
    if not headers:
        return _as_loaded(volume, stated), []
    findings = tracer_findings(headers[0], modality)
    for header in headers:
        rescale_of(header, "PT", ROLES[modality])
    check_alike(headers, "PT", ROLES[modality])
    factor, unit, more = suv_of(headers, ROLES[modality])
    ratio = ratio_to_files(volume.array, files)
    if stated is Unit.SUVBW:
        return volume, [*findings, *_other_suv(factor, ratio, ROLES[modality])]
    if ratio is not None and abs(ratio - 1) < ALIKE:  # unchanged values
        return multiplied(volume, factor, unit), [*findings, *more]
    if None not in (factor, ratio) and abs(ratio / factor - 1) < SAME_SUV:  # already converted
        return volume.with_array(volume.array, Unit.SUVBW), findings
    return _as_loaded(volume, stated), findings


def _as_loaded(volume: Volume, stated: Unit | None) -> Volume:
    return in_own_unit(volume) if stated is None else volume.with_array(volume.array, stated)


def headers_of(files: Sequence[str]) -> list[Any]:
    """Return the first file's header, and the elements of the others that may differ; empty if one cannot be read."""
    try:
        return [
            opened(file, stop_before_pixels=True, specific_tags=OF_EACH_IMAGE if n else None)
            for n, file in enumerate(files)
        ]
    except Exception:  # moved, deleted, or damaged since loading: then only the image itself is used
        return []


def ratio_to_files(array: np.ndarray, files: Sequence[str]) -> float | None:
    """Return the ratio of the middle slice of `array` (D, H, W) to its file's stored values x slope + intercept.

    None if it is not a multiple, as after cropping, resampling or filtering.
    """
    if len(files) != len(array):
        return None
    middle = len(files) // 2
    try:
        series = series_of_file(files[middle])
        plane = plane_of(series.slices[0], series, _("the PET")).astype(np.float64)
    except (NotAnImage, MixedSeries, PackagesMissing):
        return None
    for k in {middle, len(files) - 1 - middle}:  # some readers list files in reverse order
        if array[k].shape != plane.shape or not plane.any():
            continue
        own = array[k].astype(np.float64)
        ratio = float((own * plane).sum() / (plane * plane).sum())
        if ratio > 0 and np.abs(own - ratio * plane).max() <= ALIKE * np.abs(own).max():
            return ratio
    return None


def _other_suv(factor: float | None, ratio: float | None, role: str) -> list[Finding]:
    if factor is None or ratio is None or abs(ratio / factor - 1) < SAME_SUV:
        return []
    message = _(
        "{role} was loaded with SUVs that are {factor} times what its DICOM header gives by "
        "the QIBA rules; the grade does not depend on it."
    )
    return [Finding("suv-differs", "warning", message, role=role, factor=measured(ratio / factor, 3))]
