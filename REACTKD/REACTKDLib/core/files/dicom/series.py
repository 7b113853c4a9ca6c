"""Reads a CT or PET series as a `Volume`: slices in spatial order, each with its own rescale values."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from REACTKDLib.core.errors import AmbiguousSeries, MixedSeries, NotAnImage, StackedPhases
from REACTKDLib.core.files.dicom.decoding import check_decoded_size, is_compressed, loss_findings, why_not_decoded
from REACTKDLib.core.files.dicom.geometry import Stack, stack_slices
from REACTKDLib.core.files.dicom.index import Series, Slice, files_below, index_folder, series_of_file
from REACTKDLib.core.files.dicom.members import NOT_A_VOLUME, slices_text
from REACTKDLib.core.files.dicom.opened import begins_as_dicom, opened_slice
from REACTKDLib.core.files.dicom.phases import split_phases
from REACTKDLib.core.files.dicom.remarks import remarks_on
from REACTKDLib.core.files.dicom.rescale import check_alike, check_neighbors, rescale_of
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.progress import OnProgress
from REACTKDLib.core.text import quoted
from REACTKDLib.core.text import tr as _

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
WORDS = {
    "CT": "CT", "PT": "PET", "SEG": "segmentation", "RTSTRUCT": _("RT structure set (RTSTRUCT)"),
    "RTDOSE": _("RT dose (RTDOSE)"), "RTPLAN": _("RT plan (RTPLAN)"), "SR": _("structured report (SR)"),
}  # fmt: skip


def is_dicom_source(path: str | os.PathLike) -> bool:
    """Return True for a folder, and for a file that begins as DICOM, with or without preamble."""
    return os.path.isdir(path) or begins_as_dicom(path)


def check_folder(path: str | os.PathLike, role: str) -> None:
    """Check that a folder holds a DICOM file; of each file only the first bytes are read, up to the first that is one.

    Raises: NotAnImage.
    """
    if os.path.isdir(path) and not any(begins_as_dicom(file) for file in files_below(Path(path))):
        raise _no_images(role)


def _no_images(role: str) -> NotAnImage:
    text = _("The folder given for {role} holds no DICOM images; give a file, or the folder of a DICOM series.")
    return NotAnImage(text, role=role)


def find_series(
    source: str | os.PathLike,
    modality: str,
    role: str,
    on_progress: OnProgress | None = None,
    preferred: Sequence[str] = (),
) -> Series:
    """Return the one series of `modality` in a folder, or the series and acquisition to which a file belongs.

    Series of scouts, projections, report pages or a single image are ignored. preferred: UIDs of series (those on which
    a segmentation was drawn), one of which is chosen if there are several.

    Raises: FileMissing; NotAnImage if there is none; AmbiguousSeries, which lists the choices; MixedSeries if a file of
    another modality is given.
    """
    source = Path(source)
    if not os.path.isdir(source):
        return _series_around(source, modality, role)
    index = index_folder(source, on_progress)
    candidates = [s for s in index.of_modality(modality) if not NOT_A_VOLUME & set(s.image_type)]
    if not candidates:
        others = sorted({s.modality for s in index.series if s.modality})
        if not others:
            raise _no_images(role)
        seen = _("it holds {others}").format(others=quoted(others))
        if any(s.modality == modality for s in index.series):
            seen = _("only localizers or projections")
        text = _("The folder given for {role} has no {kind} series ({seen}); give the series' own folder.")
        raise NotAnImage(text, role=role, kind=WORDS.get(modality, modality), seen=seen)
    candidates = [s for s in candidates if _may_be_volume(s, candidates)] or candidates
    named = [s for s in candidates if s.uid in preferred]
    if len(candidates) > 1 and len(named) == 1:
        return named[0]
    if len(candidates) > 1:
        raise AmbiguousSeries(
            _(
                "The folder given for {role} holds {count} {kind} series: {series}; give the folder of "
                "one, or one file of it."
            ),
            role=role,
            count=len(candidates),
            kind=WORDS.get(modality, modality),
            series=quoted(s.title for s in candidates),
        )
    return candidates[0]


def _may_be_volume(series: Series, others: Sequence[Series]) -> bool:
    """Return False for a series of report pages, and for a single image that is not a slice of another series.

    A single image that looks like the slices of another series may be one of them with a damaged UID.
    """
    look = series.slices[0].look
    if series.modality == "SEG" or look.frames > 1:
        return True
    if look.stated_foreign:
        return False
    return len(series.slices) > 1 or any(look.is_like(o.slices[0].look) for o in others if o is not series)


def _series_around(path: Path, modality: str, role: str) -> Series:
    one = series_of_file(path)
    if one.modality != modality:
        wanted, found = WORDS.get(modality, modality), WORDS.get(one.modality, one.modality or _("unknown"))
        text = _("{role} should be a {wanted} series but is {found}; check which file is which.")
        raise MixedSeries(text, role=role, wanted=wanted, found=found)
    # A hidden file is found only by its name: an index ignores it.
    whole = next((s for s in index_folder(path.parent).of_modality(modality) if s.uid == one.uid), one)
    if any(os.path.samefile(piece.path, path) for piece, _why in whole.left_out):
        text = _(
            "The file given for {role} is no slice of its series but a foreign image in it; give one of its slices."
        )
        raise NotAnImage(text, role=role)
    phases = [] if whole.multiframe else split_phases(whole, role)
    if len(phases) > 1:
        own = [p for p in phases if any(os.path.samefile(s.path, path) for s in p)]
        whole.slices = own[0] if own else whole.slices
    return whole


def one_phase(series: Series, role: str) -> Sequence[Slice]:
    """Return the slices of a series with a single acquisition. Raises: StackedPhases for several, MixedSeries."""
    if series.multiframe:
        text = _("{role} is a multi-frame DICOM file; for a PET or a DICOM report give the series as single slices.")
        raise MixedSeries(text, role=role)
    phases = split_phases(series, role)
    if len(phases) > 1:
        sizes = " + ".join(str(len(p)) for p in phases)
        text = _(
            "{role} holds {count} acquisitions in one series ({sizes} images: contrast phases or "
            "time frames); give one file of the one that is meant instead of the folder."
        )
        raise StackedPhases(text, role=role, count=len(phases), sizes=sizes)
    return phases[0]


def read_stack(series: Series, slices: Sequence[Slice], role: str) -> tuple[Volume, list[Finding], list[Any]]:
    """Read the pixels of one acquisition: volume, findings, and the slices' headers without pixels, in order.

    Duplicates with equal pixels are left out and reported, as are foreign images. Values are stored values x slope +
    intercept of each slice; integers stay int16.

    Raises: what `stack_slices` raises; MixedSeries for slices of different units; StackedPhases for duplicates that
    differ; BadRescale; NotAnImage for pixels that cannot be decoded.
    """
    stack = stack_slices(series, slices, role)
    headers, planes = [], []
    for piece in stack.slices:
        dataset, plane = _read_plane(piece, series, role)
        headers.append(dataset)
        planes.append(plane)
    check_alike(headers, series.modality, role)
    check_neighbors(planes, headers, series.modality, role)
    findings = [
        *remarks_on(series, slices, role),
        *_check_doubles(stack, planes, series, role),
        *loss_findings(headers, role),
    ]
    array = np.stack(planes)
    if array.dtype != np.int16:
        array = array.astype(np.float32)
    return Volume(array, stack.ijk_to_ras, name=role), findings, headers


def source_headers(series: Series, role: str) -> list[Any]:
    """Return the headers of the one acquisition of a series, without pixels, in the order of `read_stack`.

    Raises: what `one_phase` and `stack_slices` raise; NotAnImage.
    """
    stack = stack_slices(series, one_phase(series, role), role)
    return [opened_slice(piece.path, role, stop_before_pixels=True) for piece in stack.slices]


def plane_of(piece: Slice, series: Series, role: str) -> np.ndarray:
    """Return the rescaled values (H, W) of one slice. Raises: MixedSeries, NotAnImage."""
    return _read_plane(piece, series, role)[1]


def _check_doubles(stack: Stack, planes: Sequence[np.ndarray], series: Series, role: str) -> list[Finding]:
    if not stack.doubles:
        return []
    at = {piece.position: n for n, piece in enumerate(stack.slices)}
    for double in stack.doubles:
        nearest = min(at, key=lambda p: sum((a - b) ** 2 for a, b in zip(p, double.position)))
        if not np.array_equal(_read_plane(double, series, role)[1], planes[at[nearest]]):
            text = _(
                "{role} has different images at the same place and nothing that tells them apart; give "
                "a folder with one acquisition."
            )
            raise StackedPhases(text, role=role)
    text = _("{role} holds {slices} twice; the duplicates were left out.")
    return [Finding("slices-doubled", "info", text, role=role, slices=slices_text(len(stack.doubles)))]


def _read_plane(piece: Slice, series: Series, role: str) -> tuple[Any, np.ndarray]:
    """Return the header of one slice and its values: integers if slope and intercept are integers, else float32."""
    dataset = opened_slice(piece.path, role)
    if not any(keyword in dataset for keyword in _PIXELS):
        raise _cut_off(role)
    check_decoded_size(dataset, len(series.slices), role)
    slope, intercept = rescale_of(dataset, series.modality, role)
    stored = _stored_values(dataset, piece, role, slope, intercept)
    for keyword in _PIXELS:
        if keyword in dataset:
            del dataset[keyword]
    if stored.dtype.kind in "iu" and slope == int(slope) and intercept == int(intercept) and abs(slope) < 1e4:
        return dataset, _narrow(stored.astype(np.int32) * int(slope) + int(intercept))
    return dataset, (stored * slope + intercept).astype(np.float32)


def _cut_off(role: str) -> NotAnImage:
    return NotAnImage(_("A file of {role} is cut off or damaged; copy or export the series again."), role=role)


def _narrow(plane: np.ndarray) -> np.ndarray:
    """Convert to int16 if the values fit: a CT of 600 slices then takes 0.3 GB while it is read, not 0.6."""
    fits = plane.size and plane.min() >= -32768 and plane.max() <= 32767
    return plane.astype(np.int16) if fits else plane


def _stored_values(dataset: Any, piece: Slice, role: str, slope: float, intercept: float) -> np.ndarray:
    """Return the stored values (H, W). Compressed pixels are decoded by pydicom if possible, else by ITK."""
    try:
        stored = dataset.pixel_array
    except Exception:  # no decoder in pydicom, or damaged pixels: ITK will tell
        stored = _by_itk(dataset, piece, role, slope, intercept)
    if stored.ndim != 2:
        raise NotAnImage(_("{role} holds color or multi-frame images; give the original slices."), role=role)
    return stored


def _by_itk(dataset: Any, piece: Slice, role: str, slope: float, intercept: float) -> np.ndarray:
    import SimpleITK as sitk

    if "TransferSyntaxUID" not in dataset.file_meta:
        text = _("{role} has compressed pixels and does not say how (no transfer syntax); export the series again.")
        raise NotAnImage(text, role=role)
    if "PixelData" not in dataset or not is_compressed(dataset):
        raise _cut_off(role)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        values = np.squeeze(sitk.GetArrayFromImage(sitk.ReadImage(piece.path)), axis=0)
    except Exception as error:
        raise NotAnImage(why_not_decoded(dataset, role)) from error
    return np.rint((values - intercept) / slope).astype(np.int32)  # ITK has applied them to integers
