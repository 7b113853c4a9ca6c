"""A graded case as DICOM: the regions as a SEG, the report as a Structured Report (TID 1500) that references them.

Both are stored in the study of the images, as derived objects with new UIDs, marked as the unverified result of a
device.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from REACTKDLib.core.errors import GeometryMismatch, UsageError
from REACTKDLib.core.files.dicom import codes
from REACTKDLib.core.files.dicom.derived import ready_to_derive
from REACTKDLib.core.files.dicom.identity import check_writable
from REACTKDLib.core.files.dicom.images import find_image
from REACTKDLib.core.files.dicom.packages import need_highdicom, need_pydicom
from REACTKDLib.core.files.dicom.series import is_dicom_source, source_headers
from REACTKDLib.core.files.dicom.sources import referenced_series
from REACTKDLib.core.files.dicom.writing import as_file
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.reports.dicom_structured_report import build_report
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.text import shown
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.writing.atomic import write_files

REPORT, REGIONS = "report.dcm", "regions.dcm"
MANUFACTURER = "REACTKD"
_SEG_SERIES, _SR_SERIES = 9001, 9002


def check_exportable(source: str | os.PathLike | None, modality: Modality, clinical_use: str) -> list[Any]:
    """Return `exportable_headers` of images about which a model with this clinical use may write.

    Raises: what `exportable_headers` raises; PatientLike.
    """
    headers = exportable_headers(source, modality)
    check_writable(headers[0], clinical_use)
    return headers


def exportable_headers(
    source: str | os.PathLike | None, modality: Modality, segmentation: str | os.PathLike | None = None
) -> list[Any]:
    """Return the headers of the images that carry the masks, in order, or raise an error that says why export is
    impossible. No model is needed, so that this can be checked first.

    source, segmentation: the inputs given for the reference image and for the masks.

    Raises: UsageError if they are not DICOM; NotReferable if the images lack the UIDs that a report needs;
    PackagesMissing; what `find_series` and `one_phase` raise.
    """
    need_highdicom()
    if source is None or not is_dicom_source(source):
        raise UsageError(
            _("A DICOM report refers to DICOM images; give {image} as a DICOM series, or leave --dicom out."),
            image=ROLES[modality],
        )
    role = ROLES[modality]
    drawn_on = () if segmentation is None else referenced_series(segmentation)
    series = find_image(source, modality, preferred=drawn_on)
    return ready_to_derive(source_headers(series, role), role)


def write_dicom_results(report: GradeReport, labels: np.ndarray, headers: Sequence[Any], folder: Path) -> list[Path]:
    """Write `regions.dcm` (SEG) and `report.dcm` (SR) into `folder`, both or none, since one references the other.

    labels: (D, H, W) region map on the grid of `headers`; its value n is report.regions[n - 1].
    headers: of the source slices, ascending along the normal, as `check_exportable` returns them.

    Raises: GeometryMismatch; OutputNotWritable; PackagesMissing.
    """
    shape = (len(headers), int(headers[0].Rows), int(headers[0].Columns))
    if labels.shape != shape:
        raise GeometryMismatch(
            _("The region map has {map_shape} voxels where the DICOM images have {shape}."),
            map_shape=labels.shape,
            shape=shape,
        )
    seg = build_segmentation(report, labels, headers)
    sr = build_report(report, seg, headers, _SR_SERIES, MANUFACTURER)
    return write_files(folder, {REGIONS: as_file(seg), REPORT: as_file(sr)})


def on_slices(labels: np.ndarray, ijk_to_ras: np.ndarray, headers: Sequence[Any]) -> np.ndarray:
    """Return a region map (D, H, W) in the order of the slices; the map, from nodes, may have either order.

    ijk_to_ras: of the map. headers: ascending along the normal, as `check_exportable` returns them.

    Raises: GeometryMismatch if the map is elsewhere, as after a transform: it would be stored at the wrong position.
    """
    depth, height, width = labels.shape
    corners = np.array([[0, 0, 0, 1], [width - 1, 0, 0, 1], [0, height - 1, 0, 1]]).T
    for flipped in (False, True):
        first, last = (depth - 1, 0) if flipped else (0, depth - 1)
        at = [(ijk_to_ras @ (corners + np.array([[0], [0], [k], [0]])))[:3].T for k in (first, last)]
        if all(np.allclose(*pair, atol=0.1) for pair in zip(at, map(_corners_of, (headers[0], headers[-1])))):
            return labels[::-1] if flipped else labels
    raise GeometryMismatch(
        _("The images do not lie where their DICOM files place them; take the transform off and grade again.")
    )


def _corners_of(header: Any) -> np.ndarray:
    """(3, 3) RAS of the first pixel, the last of the first row, and the last of the first column, mm."""
    along, down = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
    between_rows, between_columns = map(float, header.PixelSpacing)
    start = np.array(header.ImagePositionPatient, float)
    right = start + along * between_columns * (int(header.Columns) - 1)
    lower = start + down * between_rows * (int(header.Rows) - 1)
    return np.array([start, right, lower]) * [-1, -1, 1]


def build_segmentation(report: GradeReport, labels: np.ndarray, headers: Sequence[Any]) -> Any:
    """Return the regions as a BINARY SEG: segment n is report.regions[n - 1], topology (no voxels) left out."""
    highdicom = need_highdicom()
    uid = need_pydicom().uid.generate_uid
    method = highdicom.AlgorithmIdentificationSequence(
        name=report.model.name, family=codes.concept(codes.AI), version=report.model.version, source=MANUFACTURER
    )
    descriptions = [
        highdicom.seg.SegmentDescription(
            number,
            region.name,
            codes.concept(codes.ANATOMICAL if region.kind == "parenchyma" else codes.ALTERED),
            codes.concept(report.task.structure("liver" if region.kind == "parenchyma" else "tumor").code),
            highdicom.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
            algorithm_identification=method,
            tracking_uid=uid(),
            tracking_id=region.name,
            anatomic_regions=None if region.kind == "parenchyma" else [codes.concept(report.task.organ.code)],
        )
        for number, region in enumerate(report.regions, start=1)
        if region.kind != "topology"
    ]
    seg = highdicom.seg.Segmentation(
        source_images=list(headers),
        pixel_array=labels.astype(np.uint8 if labels.max() < 256 else np.uint16),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=uid(),
        series_number=_SEG_SERIES,
        sop_instance_uid=uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=report.model.name,
        software_versions=report.model.version,
        device_serial_number=report.model.sha256[:16],
        content_label="REGIONS",
        content_description=shown(report.model.clinical_use, codes.LONGEST),
        series_description="REACTKD regions",
    )
    _name_segment_of_each_frame(seg)
    return seg


def _name_segment_of_each_frame(seg: Any) -> None:
    """Move the segment's number from the shared to each frame's groups, in place.

    highdicom states the only segment of an object in the shared groups, but its reports look in those of the frames;
    the standard allows both.
    """
    shared = seg.SharedFunctionalGroupsSequence[0]
    if "SegmentIdentificationSequence" in shared:
        for groups in seg.PerFrameFunctionalGroupsSequence:
            groups.SegmentIdentificationSequence = deepcopy(shared.SegmentIdentificationSequence)
        del shared.SegmentIdentificationSequence
