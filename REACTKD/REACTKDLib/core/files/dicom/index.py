"""An index of a folder of DICOM files: series and their slices, identified by their headers, not by file names.

Only a few numbers are kept for each file and pixels are never read, so that the index of an archive of ten thousand
files takes a few megabytes. No folder layout is assumed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from REACTKDLib.core.errors import FileMissing, NotAnImage
from REACTKDLib.core.files.dicom.grid_fit import FARTHEST_MM
from REACTKDLib.core.files.dicom.header import items, number, numbers, text, words
from REACTKDLib.core.files.dicom.members import Look, sorted_out
from REACTKDLib.core.files.dicom.opened import begins_as_dicom, opened
from REACTKDLib.core.files.dicom.packages import need_pydicom
from REACTKDLib.core.files.dicom.unreadable import count_unreadable
from REACTKDLib.core.progress import OnProgress
from REACTKDLib.core.text import joined, plural
from REACTKDLib.core.text import tr as _

EVERY = 64  # files between two calls of on_progress, which may cancel by raising
_TAGS = (
    "SOPClassUID", "SOPInstanceUID", "ImageType", "Modality", "StudyDate", "StudyInstanceUID", "SeriesInstanceUID",
    "SeriesDescription", "SeriesNumber", "PatientID", "AcquisitionNumber", "InstanceNumber", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "NumberOfFrames", "FrameOfReferenceUID",
    "ReferencedSeriesSequence", "LongitudinalTemporalOffsetFromEvent", "SegmentSequence", "SpecificCharacterSet",
    "TemporalPositionIdentifier", "AcquisitionTime", "PatientIdentityRemoved", "PatientName", "PatientBirthDate",
    "SamplesPerPixel", "NumberOfSlices", "ImagesInAcquisition",
)  # fmt: skip
_IMAGES = ("CT", "PT")  # modalities whose slices are checked one by one


@dataclass(frozen=True, slots=True)
class Slice:
    """One image file, with what is needed to order it.

    position: (3,) mm LPS, or None. acquisition: its number, or None.

    look: an object that similar slices share.
    """

    path: str
    uid: str
    position: tuple[float, float, float] | None
    acquisition: int | None
    instance: int | None
    moment: str
    look: Look = Look()


@dataclass(eq=False)
class Series:
    """A series: its common values, and its files. study_date: YYYYMMDD or "". image_type: in capitals.

    identity_removed: as the header states. days_from_event: from diagnosis, if a trial's header states it. referenced:
    of a segmentation, the series on which it was drawn. segments: of a segmentation, its labels. image_type,
    orientation, pixel_spacing, size, multiframe: of the first slice. left_out: its images that are not slices, with the
    reason (a key of `members.WORDS`). unreadable: number of unreadable files that may have been slices. images: number
    of images in all. lowest, highest: of their instance numbers; None if an image has none. skipped: number of instance
    numbers missing between those of its slices.
    """

    uid: str
    modality: str
    study_uid: str = ""
    study_date: str = ""
    patient: str = ""
    identity_removed: bool = False
    description: str = ""
    number: int | None = None
    image_type: tuple[str, ...] = ()
    frame_of_reference: str = ""
    days_from_event: float | None = None
    orientation: tuple[float, ...] | None = None
    pixel_spacing: tuple[float, ...] | None = None
    size: tuple[int, int] | None = None
    multiframe: bool = False
    referenced: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    slices: list[Slice] = field(default_factory=list)
    left_out: list[tuple[Slice, str]] = field(default_factory=list)
    unreadable: int = 0
    images: int = 0
    lowest: int | None = None
    highest: int | None = None
    skipped: int = 0

    @property
    def paths(self) -> list[Path]:
        """The files, in the order in which they were found."""
        return [Path(s.path) for s in self.slices]

    @property
    def title(self) -> str:
        """A short name for messages: number, description and number of images; never the patient."""
        number = (
            []
            if self.number is None
            else [str(self.number) if self.description else _("series {number}").format(number=self.number)]
        )
        name = joined([*number, *filter(None, [self.description])])
        return _("{name} ({images})").format(
            name=name or _("without a name"), images=plural(len(self.slices), _("{count} image"), _("{count} images"))
        )


@dataclass(frozen=True, eq=False)
class FolderIndex:
    """The index.

    series: in order of study date and number. files: number of files examined; passed_over: those that are not DICOM.
    """

    series: tuple[Series, ...]
    files: int
    passed_over: int

    def of_modality(self, modality: str) -> list[Series]:
        """The series of one modality ('CT', 'PT', 'SEG')."""
        return [s for s in self.series if s.modality == modality]


def index_folder(folder: str | os.PathLike, on_progress: OnProgress | None = None) -> FolderIndex:
    """Index every DICOM file below `folder`, without following symbolic links to folders.

    on_progress: called with a fraction 0..1 and a text; it cancels by raising. Files are counted first, without storing
    names. Other files (licenses, thumbnails, DICOMDIR) are counted as passed over.

    Raises: FileMissing, PackagesMissing.
    """
    folder = Path(folder)
    if not os.path.isdir(folder):
        raise FileMissing(_("There is no folder at the path given; check the path."))
    if any(begins_as_dicom(path) for path in files_below(folder)):  # otherwise pydicom is not needed
        need_pydicom()
    total = sum(1 for _path in files_below(folder)) if on_progress else 0
    found: dict[tuple[str, str], Series] = {}
    refused: list[str] = []
    looked = 0
    for path in files_below(folder):
        if on_progress and looked % EVERY == 0:
            on_progress(looked / max(1, total), _("{looked} of {total} files").format(looked=looked, total=total))
        looked += 1
        dataset = read_header(path)
        if dataset is None or not _add(found, dataset, path):
            refused.append(path)
    if on_progress:
        on_progress(1.0, _("{looked} files").format(looked=looked))
    count_unreadable(found.values(), refused)
    for series in found.values():
        _judge(series)
    order = sorted(found.values(), key=lambda s: (s.patient, s.study_date, s.study_uid, s.number or 0, s.uid))
    return FolderIndex(tuple(order), looked, len(refused))


def files_below(folder: Path) -> Iterator[str]:
    """Yield the paths of the files below `folder`, sorted within each folder; without hidden files and pipes."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(place, name)
            if not name.startswith(".") and name.upper() != "DICOMDIR" and os.path.isfile(path):
                yield path


def read_header(path: str | os.PathLike) -> Any | None:
    """Return the elements that the index needs of one file, or None if it is not a DICOM object of a series."""
    try:
        dataset = opened(path, stop_before_pixels=True, specific_tags=_tags())
    except Exception:  # not DICOM, cut off, or unreadable: skipped and counted
        return None
    return dataset if text(dataset, "SeriesInstanceUID") and text(dataset, "SOPClassUID") else None


@cache
def _tags() -> list[Any]:
    """Return the tags as numbers: looking up keywords for every file would take a tenth of the time."""
    return [need_pydicom().tag.Tag(keyword) for keyword in _TAGS]


def series_of_file(path: str | os.PathLike) -> Series:
    """Return the series of one file, with that file alone. Raises: NotAnImage."""
    dataset = read_header(path)
    found: dict[tuple[str, str], Series] = {}
    if dataset is None or not _add(found, dataset, os.fspath(path)):
        raise NotAnImage(_("The file is no DICOM object that can be read; give the folder of the series."))
    (series,) = found.values()
    _judge(series)
    return series


def _add(found: dict[tuple[str, str], Series], dataset: Any, path: str) -> bool:
    """Add a file to its series; return False for an image whose header is cut off before its size."""
    uid, modality = text(dataset, "SeriesInstanceUID"), text(dataset, "Modality").upper()
    look = _look(dataset)
    if modality in _IMAGES and look.is_cut_off:
        return False
    series = found.get((uid, modality))
    if series is None:
        series = found[uid, modality] = _series(uid, modality, dataset)
    elif series.slices and series.slices[-1].look == look:
        look = series.slices[-1].look  # shared by all slices with equal values
    acquisition, instance = _whole(dataset, "AcquisitionNumber"), _whole(dataset, "InstanceNumber")
    series.slices.append(
        Slice(
            path,
            text(dataset, "SOPInstanceUID"),
            _position(dataset),
            acquisition,
            instance,
            text(dataset, "TemporalPositionIdentifier") or text(dataset, "AcquisitionTime"),
            look,
        )
    )
    return True


def _look(dataset: Any) -> Look:
    rows, columns = _whole(dataset, "Rows"), _whole(dataset, "Columns")
    return Look(
        image_type=words(dataset, "ImageType"),
        orientation=numbers(dataset, "ImageOrientationPatient", 6),
        pixel_spacing=numbers(dataset, "PixelSpacing", 2),
        size=None if None in (rows, columns) else (rows, columns),
        frames=max(1, _whole(dataset, "NumberOfFrames") or 1),
        sop_class=text(dataset, "SOPClassUID"),
        colors=_whole(dataset, "SamplesPerPixel") or 1,
        patient=(
            text(dataset, "PatientID"),
            " ".join(text(dataset, "PatientName").casefold().replace("^", " ").split()),
            text(dataset, "PatientBirthDate"),
        ),
        frame_of_reference=text(dataset, "FrameOfReferenceUID"),
        stated=_whole(dataset, "NumberOfSlices") or _whole(dataset, "ImagesInAcquisition"),
    )


def _position(dataset: Any) -> tuple[float, ...] | None:
    found = numbers(dataset, "ImagePositionPatient", 3)
    return None if found is None or max(map(abs, found)) > FARTHEST_MM else found


def _whole(dataset: Any, keyword: str) -> int | None:
    value = number(dataset, keyword)
    return None if value is None else int(value)


def _series(uid: str, modality: str, dataset: Any) -> Series:
    return Series(
        uid=uid,
        modality=modality,
        study_uid=text(dataset, "StudyInstanceUID"),
        study_date=text(dataset, "StudyDate"),
        patient=text(dataset, "PatientID"),
        identity_removed=text(dataset, "PatientIdentityRemoved").upper() == "YES",
        description=text(dataset, "SeriesDescription"),
        number=_whole(dataset, "SeriesNumber"),
        days_from_event=number(dataset, "LongitudinalTemporalOffsetFromEvent"),
        referenced=tuple(text(item, "SeriesInstanceUID") for item in items(dataset, "ReferencedSeriesSequence")),
        segments=tuple(text(item, "SegmentLabel") for item in items(dataset, "SegmentSequence")),
    )


def _judge(series: Series) -> None:
    """Set the values of a series from its slices, after leaving out images that are not slices."""
    numbers = [piece.instance for piece in series.slices]
    series.images = len(numbers)
    if None not in numbers:
        series.lowest, series.highest = min(numbers), max(numbers)
    if series.modality in _IMAGES:
        series.slices, series.left_out = sorted_out(series.slices)
    if series.lowest is not None:
        own = [piece.instance for piece in series.slices]
        between = {number for number in numbers if min(own) <= number <= max(own)}
        series.skipped = max(own) - min(own) + 1 - len(between)
    look = series.slices[0].look
    series.image_type, series.orientation, series.size = look.image_type, look.orientation, look.size
    series.pixel_spacing, series.frame_of_reference = look.pixel_spacing, look.frame_of_reference
    series.multiframe = series.modality != "SEG" and look.frames > 1
