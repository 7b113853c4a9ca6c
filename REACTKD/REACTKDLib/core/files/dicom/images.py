"""Reads a CT or PET of a case from DICOM: the volume in HU or SUVbw, and findings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from REACTKDLib.core.errors import PetUnitRefused, SuvRefused, WrongTracer
from REACTKDLib.core.files.dicom.ct_kind import check_ct_kind
from REACTKDLib.core.files.dicom.index import Series, Slice
from REACTKDLib.core.files.dicom.multiframe import read_multiframe
from REACTKDLib.core.files.dicom.remarks import remarks_on
from REACTKDLib.core.files.dicom.series import find_series, one_phase, read_stack
from REACTKDLib.core.files.dicom.suv import PetHeader, suv_factor
from REACTKDLib.core.files.dicom.tracer import recognize_tracer
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.hounsfield import check_hounsfield
from REACTKDLib.core.images.pet_values import check_pet
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.progress import OnProgress
from REACTKDLib.core.text import tr as _


def read_dicom_volume(source: str | os.PathLike, modality: Modality) -> tuple[Volume, list[Finding]]:
    """Read the series of `modality` in a folder, or the one to which a file belongs.

    CT is returned in HU; PET in SUVbw if the header allows it, else in its own unit, with a finding that explains why
    there is no SUV. Raises: what `find_series`, `one_phase`, `read_series`, `read_multiframe` raise.
    """
    return read_image(find_image(source, modality), modality)


def find_image(
    source: str | os.PathLike,
    modality: Modality,
    on_progress: OnProgress | None = None,
    preferred: Sequence[str] = (),
) -> Series:
    """Return the series of `modality` in a folder, or the one to which a file belongs. Raises: see `find_series`."""
    return find_series(source, "CT" if modality is Modality.CT else "PT", ROLES[modality], on_progress, preferred)


def read_image(series: Series, modality: Modality) -> tuple[Volume, list[Finding]]:
    """Read a series that `find_image` found: see `read_dicom_volume`."""
    role = ROLES[modality]
    if series.multiframe and modality is Modality.CT:
        volume = read_multiframe(series, role)
        check_hounsfield(volume.array, role)
        return volume.with_array(volume.array, Unit.HU), [*volume.findings, *remarks_on(series, series.slices, role)]
    return read_series(series, one_phase(series, role), modality)


def read_series(series: Series, slices: Sequence[Slice], modality: Modality) -> tuple[Volume, list[Finding]]:
    """Read one acquisition of a series as `modality`.

    Raises: what `read_stack` raises; NotHounsfield; NotPet; PetUnitRefused for units that do not measure uptake;
    WrongTracer if the header states another tracer.
    """
    role = ROLES[modality]
    volume, findings, headers = read_stack(series, slices, role)
    if modality is Modality.CT:
        findings += check_ct_kind(headers, role)
        check_hounsfield(volume.array, role)
        return volume.with_array(volume.array, Unit.HU), findings
    findings += tracer_findings(headers[0], modality)
    check_pet(volume.array, role)
    volume, more = in_suv(volume, headers, role)
    return volume, [*findings, *more]


def in_suv(volume: Volume, headers: Sequence[Any], role: str) -> tuple[Volume, list[Finding]]:
    """Convert rescaled values to SUVbw; if the headers do not allow it, keep them. See `suv_of`."""
    factor, unit, findings = suv_of(headers, role)
    return multiplied(volume, factor, unit), findings


def multiplied(volume: Volume, factor: float | None, unit: Unit) -> Volume:
    """Return a PET in `unit`, its values times `factor`; None leaves them unchanged."""
    return volume.with_array(volume.array if factor in (None, 1.0) else volume.array * np.float32(factor), unit)


def suv_of(headers: Sequence[Any], role: str) -> tuple[float | None, Unit, list[Finding]]:
    """Return the factor from rescaled values to SUVbw and the resulting unit; without SUV: None, the unit of the
    values, and a finding with the reason.

    headers: of all images of the series, the first one whole (see `PetHeader.of`).
    Raises: PetUnitRefused for units that do not measure uptake.
    """
    header = PetHeader.of(headers)
    try:
        return suv_factor(header), Unit.SUVBW, []
    except PetUnitRefused as error:
        raise PetUnitRefused(
            _("{role} cannot be used: {error}; give the corrected series in Bq/ml."), role=role, error=error
        ) from error
    except SuvRefused as error:
        unit = Unit.BQML if header.units == "BQML" else Unit.UNKNOWN
        message = _("{role} has no SUV, since {error}; the grade does not depend on it.")
        return None, unit, [Finding("suv-refused", "warning", message, role=role, error=error)]


def tracer_findings(header: Any, modality: Modality) -> list[Finding]:
    """Return findings on the tracer of a PET that was given as `modality`.

    Raises: WrongTracer if the header states another one.
    """
    tracer, role = recognize_tracer(header), ROLES[modality]
    if tracer.modality not in (None, modality):
        option = f"--{tracer.modality.value}"
        text = _("{role} states {tracer} in its header; give it as that tracer ({option}), or check the file.")
        raise WrongTracer(text, role=role, tracer=tracer.name, option=option)
    if tracer.modality is None and tracer.basis in ("code", "text"):
        raise WrongTracer(
            _("{role} states another tracer in its header ({tracer}); check the file."), role=role, tracer=tracer.name
        )
    if tracer.modality is None:
        why = (
            _("says nothing about it")
            if tracer.name == "unknown"
            else _("contradicts itself ({tracer})").format(tracer=tracer.name)
        )
        message = _("{role} was taken as given; its header {reason}.")
        return [Finding("tracer-unknown", "warning", message, role=role, reason=why)]
    if tracer.basis == "half-life":
        message = _("The tracer of {role} is known only by its half-life or nuclide ({nuclide}).")
        return [Finding("tracer-by-half-life", "info", message, role=role, nuclide=tracer.nuclide)]
    return []
