"""DICOM files for tests: series of CT and PET with selectable faults, and segmentations of them.

Written directly with pydicom and highdicom, not with the project's writer, so that one mistake cannot hide another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT_CLASS, PET_CLASS = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.128"
FDG_DRUG = ("35321007", "SCT", "Fluorodeoxyglucose F^18^")
ACETATE_DRUG = ("129513004", "SCT", "Acetate C^11^")
F18, C11 = ("77004003", "SCT", "^18^Fluorine"), ("40565003", "SCT", "^11^Carbon")
Edit = Callable[[Dataset, int], Any]


def uid_of(*words: object) -> str:
    """Return a UID that is a function of the words."""
    return generate_uid(entropy_srcs=[str(w) for w in words])


def tissue(count: int, seed: int = 0) -> np.ndarray:
    """Return planes (count, 10, 12) of air and soft tissue in HU."""
    values = np.random.default_rng(seed).normal(40, 25, (count, 10, 12))
    values[:, :3] = -1000
    return np.rint(values).astype(np.int16)


def write_series(
    folder: Path,
    stored: np.ndarray,
    *,
    modality: str = "CT",
    spacing: Sequence[float] = (1.0, 1.0, 2.0),
    origin: Sequence[float] = (-10.0, -12.0, 100.0),
    axes: Sequence[float] = (1, 0, 0, 0, 1, 0),
    name: str = "series",
    patient: str = "HCC_001",
    study: str = "study",
    slope: float | Sequence[float] = 1.0,
    intercept: float = 0.0,
    common: Mapping[str, Any] | None = None,
    edit: Edit | None = None,
    order: Sequence[int] | None = None,
    first_file: int = 0,
) -> list[Path]:
    """Write one file for each plane of `stored` (D, H, W) int16; plane k lies k steps along the normal from `origin`.

    slope: one, or one for each plane. edit(dataset, k): changes a slice before it is written; False skips it. order: in
    which the files are numbered. Returns the paths in file order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(axes[:3], axes[3:])
    slopes = np.broadcast_to(np.asarray(slope, dtype=float), len(stored))
    paths = []
    for number, k in enumerate(order if order is not None else range(len(stored))):
        dataset = _slice(stored[k], modality, patient, study, name, k)
        dataset.ImagePositionPatient = [float(v) for v in np.asarray(origin) + normal * spacing[2] * k]
        dataset.ImageOrientationPatient = [float(v) for v in axes]
        dataset.PixelSpacing, dataset.SliceThickness = [float(spacing[1]), float(spacing[0])], float(spacing[2])
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{slopes[k]:.8g}"[:16], f"{intercept:g}"
        for keyword, value in (common or {}).items():
            setattr(dataset, keyword, value)
        if edit is not None and edit(dataset, k) is False:
            continue
        path = folder / f"1-{first_file + number + 1:03d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def _slice(plane: np.ndarray, modality: str, patient: str, study: str, name: str, k: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CT_CLASS if modality == "CT" else PET_CLASS
    dataset.SOPInstanceUID = uid_of(patient, study, name, k)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.Modality, dataset.ImageType = modality, ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientID = dataset.PatientName = patient
    dataset.PatientBirthDate = dataset.PatientSex = dataset.StudyID = dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = dataset.Manufacturer = ""
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = "20010812"
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = "100000"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid_of(patient, study), uid_of(patient, study, name)
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = uid_of(patient, study, "frame"), ""
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.AcquisitionNumber = 2, k + 1, 1
    dataset.SeriesDescription = name
    dataset.Rows, dataset.Columns = plane.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.PixelData = np.ascontiguousarray(plane, dtype="<i2").tobytes()
    return dataset


def pet_tags(
    drug: tuple[str, str, str] | None = FDG_DRUG,
    nuclide: tuple[str, str, str] | None = F18,
    half_life: float | None = 6586.2,
    drug_text: str = "",
    **tags: Any,
) -> dict[str, Any]:
    """Tags of a PET in Bq/ml, 70 kg, 350 MBq injected an hour before the scan at 10:00; `tags` override them."""
    info = Dataset()
    info.RadionuclideTotalDose = 350e6
    info.RadiopharmaceuticalStartTime = "090000"
    if half_life is not None:
        info.RadionuclideHalfLife = half_life
    if drug_text:
        info.Radiopharmaceutical = drug_text
    if nuclide is not None:
        info.RadionuclideCodeSequence = [coded(*nuclide)]
    if drug is not None:
        info.RadiopharmaceuticalCodeSequence = [coded(*drug)]
    for keyword in [k for k in tags if k.startswith("Radi")]:
        setattr(info, keyword, tags.pop(keyword))
    return {
        "Units": "BQML",
        "CorrectedImage": ["DECY", "ATTN", "SCAT", "NORM"],
        "DecayCorrection": "START",
        "PatientWeight": 70.0,
        "RadiopharmaceuticalInformationSequence": [info],
        **tags,
    }


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    """Return a code item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


_TYPES = {
    "Liver": "Liver",
    "Whole liver": "Liver",
    "Kidney": "Kidney",
    "Portal vein": "PortalVein",
    "Abdominal aorta": "Aorta",
    "Mass": "Mass",
}


def write_seg(
    path: Path,
    series: Sequence[Path],
    masks: Mapping[str, np.ndarray],
    *,
    labelmap: bool = False,
    flipped: bool = False,
    edit: Callable[[Dataset], Any] | None = None,
) -> Path:
    """Write a SEG of named masks, each (D, H, W) bool in the order of `series` (ascending). Empty planes are omitted.

    masks: a name may end with " #1" and so on, which does not change its code.
    flipped: store rows and columns in reverse, with the matching orientation, as in HCC_003.
    """
    sources = [pydicom.dcmread(p) for p in series]
    descriptions = [
        hd.seg.SegmentDescription(
            n,
            label,
            codes.SCT.Organ if label == "Liver" else codes.SCT.MorphologicallyAbnormalStructure,
            getattr(codes.SCT, _TYPES.get(label.partition(" #")[0], "Necrosis")),
            hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for n, label in enumerate(masks, start=1)
    ]
    stack = np.stack([np.asarray(m, dtype=np.uint8) for m in masks.values()], axis=-1)
    positions = orientation = None
    if flipped:
        stack = stack[:, ::-1, ::-1]
        axes, spacing = np.array(sources[0].ImageOrientationPatient), np.array(sources[0].PixelSpacing)
        shift = axes[:3] * spacing[1] * (stack.shape[2] - 1) + axes[3:] * spacing[0] * (stack.shape[1] - 1)
        positions = [
            hd.PlanePositionSequence(
                hd.CoordinateSystemNames.PATIENT, tuple(np.array(s.ImagePositionPatient, dtype=float) + shift)
            )
            for s in sources
        ]
        orientation = hd.PlaneOrientationSequence(hd.CoordinateSystemNames.PATIENT, tuple(-axes))
    kind = hd.seg.SegmentationTypeValues.LABELMAP if labelmap else hd.seg.SegmentationTypeValues.BINARY
    dataset = hd.seg.Segmentation(
        source_images=sources,
        pixel_array=np.argmax(np.concatenate([stack[..., :1] * 0, stack], -1), -1).astype(np.uint8)
        if labelmap
        else stack,
        segmentation_type=kind,
        segment_descriptions=descriptions,
        series_instance_uid=uid_of(str(path.name), sources[0].SeriesInstanceUID, "seg"),
        series_number=300,
        sop_instance_uid=uid_of(str(path.name), sources[0].SeriesInstanceUID, "instance"),
        instance_number=1,
        manufacturer="test",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
        series_description="Segmentation",
        plane_positions=positions,
        plane_orientation=orientation,
        omit_empty_frames=True,
    )
    if edit is not None:
        edit(dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path)
    return path
