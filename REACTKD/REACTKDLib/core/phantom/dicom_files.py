"""Writes a phantom as DICOM: CT and PET series and a SEG, under an identity that cannot be mistaken for a patient's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from REACTKDLib.core.files.dicom import codes
from REACTKDLib.core.files.dicom.identity import PHANTOM_NAME, check_phantom_id
from REACTKDLib.core.files.dicom.packages import need_highdicom, need_pydicom
from REACTKDLib.core.files.dicom.tracer import HALF_LIVES, NUCLIDE_OF
from REACTKDLib.core.files.dicom.writing import write_dataset
from REACTKDLib.core.files.volumes import LPS_TO_RAS
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality

FOLDERS = {Modality.CT: "CT", Modality.FDG: "FDG", Modality.ACETATE: "ACETATE"}
SEGMENTATION = "segmentation.dcm"
_CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "PT": "1.2.840.10008.5.1.4.1.1.128"}
_DAY, _TIME = "20000101", "120000"  # a fictitious date; the same patient gives the same files
# tracer -> radiopharmaceutical, radionuclide
_TRACERS: Mapping[Modality, tuple[tuple[str, str, str], tuple[str, str, str]]] = {
    Modality.FDG: (("35321007", "SCT", "Fluorodeoxyglucose F^18^"), ("77004003", "SCT", "^18^Fluorine")),
    Modality.ACETATE: (("129513004", "SCT", "Acetate C^11^"), ("40565003", "SCT", "^11^Carbon")),
}


def write_phantom_dicom(case: Case, folder: Path, patient_id: str) -> list[Path]:
    """Write a phantom's images as `CT/`, `FDG/`, `ACETATE/` and its masks as `segmentation.dcm` below `folder`.

    PET is written as SUV (GML) with a separate slope for each slice, as scanners do. The same case and id give the same
    UIDs. Returns the folders and the file.

    Raises: PatientLike for an id that might be a patient's; PackagesMissing.
    """
    check_phantom_id(patient_id)
    need_highdicom()
    written, reference = [], None
    for modality, volume in case.volumes.items():
        target = Path(folder) / FOLDERS[modality]
        target.mkdir(parents=True, exist_ok=True)
        slices = _slices(volume, modality, patient_id)
        for number, dataset in enumerate(slices, start=1):
            write_dataset(dataset, target / f"{number:04d}.dcm")
        written.append(target)
        reference = slices if reference is None else reference
    seg = _segmentation(case, reference, patient_id)
    return [*written, write_dataset(seg, Path(folder) / SEGMENTATION)]


def _slices(volume: Volume, modality: Modality, patient_id: str) -> list[Any]:
    lps = LPS_TO_RAS @ volume.ijk_to_ras
    slices = [_slice(plane, k, lps, modality, patient_id) for k, plane in enumerate(volume.array)]
    if modality is not Modality.CT:
        for dataset in slices:
            dataset.NumberOfSlices = len(slices)
    return slices


def _slice(plane: np.ndarray, k: int, lps: np.ndarray, modality: Modality, patient_id: str) -> Any:
    kind = "CT" if modality is Modality.CT else "PT"
    dataset = _common(patient_id, modality, kind, k)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    dataset.ImagePositionPatient = _decimals(lps[:3, 3] + lps[:3, 2] * k)
    dataset.ImageOrientationPatient = _decimals([*(lps[:3, 0] / spacing[0]), *(lps[:3, 1] / spacing[1])])
    dataset.PixelSpacing, dataset.SliceThickness = _decimals(spacing[[1, 0]]), _decimals(spacing[2:])[0]
    dataset.Rows, dataset.Columns = plane.shape
    if kind == "CT":
        slope, intercept = 1.0, -1024.0
        dataset.RescaleType, dataset.PatientPosition = "HU", "HFS"
        dataset.KVP = dataset.AcquisitionNumber = None
    else:
        slope, intercept = max(float(plane.max()), 1e-6) / 32000, 0.0
        _describe_pet(dataset, modality, k)
    (slope,) = _decimals([slope])
    dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
    stored = np.rint((plane.astype(np.float64) - intercept) / float(slope)).clip(-32768, 32767)
    dataset.PixelData = np.ascontiguousarray(stored, dtype="<i2").tobytes()
    return dataset


def _common(patient_id: str, modality: Modality, kind: str, k: int) -> Any:
    pydicom = need_pydicom()
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = _CLASSES[kind]
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = _uid(patient_id, modality.value, k)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = _uid(patient_id), _uid(patient_id, modality.value)
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = _uid(patient_id, "frame"), ""
    dataset.PatientID, dataset.PatientName = patient_id, PHANTOM_NAME
    dataset.PatientBirthDate = dataset.PatientSex = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyID, dataset.StudyDescription = "1", "Digital phantom: no patient"
    dataset.SeriesDescription = f"Digital phantom {FOLDERS[modality]}"
    dataset.SeriesNumber = 1 + list(Modality).index(modality)
    for name in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{name}Date", _DAY)
        setattr(dataset, f"{name}Time", _TIME)
    dataset.Modality, dataset.ImageType = kind, ["DERIVED", "PRIMARY", *(["AXIAL"] if kind == "CT" else [])]
    dataset.BodyPartExamined = "LIVER"
    dataset.Manufacturer, dataset.InstanceNumber = "REACTKD", k + 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    return dataset


def _describe_pet(dataset: Any, modality: Modality, k: int) -> None:
    drug, nuclide = _TRACERS[modality]
    info = need_pydicom().Dataset()
    half_life = HALF_LIVES[NUCLIDE_OF[modality]]
    info.RadionuclideHalfLife, info.RadiopharmaceuticalStartTime, info.RadionuclideTotalDose = half_life, "110000", None
    info.RadiopharmaceuticalCodeSequence, info.RadionuclideCodeSequence = [_item(drug)], [_item(nuclide)]
    dataset.RadiopharmaceuticalInformationSequence = [info]
    dataset.Units, dataset.SUVType, dataset.DecayCorrection = "GML", "BW", "ADMIN"
    dataset.CorrectedImage, dataset.CountsSource, dataset.SeriesType = ["ATTN", "DECY"], "EMISSION", ["STATIC", "IMAGE"]
    dataset.ImageIndex, dataset.FrameReferenceTime, dataset.DecayFactor = k + 1, 0.0, 1.0
    # required elements that may be empty
    dataset.ActualFrameDuration = dataset.CollimatorType = None
    dataset.PatientGantryRelationshipCodeSequence = dataset.PatientOrientationCodeSequence = []


def _segmentation(case: Case, reference: list[Any], patient_id: str) -> Any:
    highdicom = need_highdicom()
    organ, lesion = case.task.organ, case.task.lesion
    masks = {
        organ.title: (codes.ANATOMICAL, organ.code, case.liver),
        lesion.title: (codes.ALTERED, lesion.code, case.tumor),
    }
    seg = highdicom.seg
    return seg.Segmentation(
        source_images=reference,
        pixel_array=np.stack([mask for *_, mask in masks.values()], axis=-1).astype(np.uint8),
        segmentation_type=seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            seg.SegmentDescription(
                n, name, codes.concept(category), codes.concept(kind), seg.SegmentAlgorithmTypeValues.MANUAL
            )
            for n, (name, (category, kind, _)) in enumerate(masks.items(), start=1)
        ],
        series_instance_uid=_uid(patient_id, "segmentation"),
        series_number=10,
        sop_instance_uid=_uid(patient_id, "segmentation", 1),
        instance_number=1,
        manufacturer="REACTKD",
        manufacturer_model_name="digital phantom",
        software_versions="1",
        device_serial_number="0",
        series_description="Digital phantom segmentation",
    )


def _item(code: tuple[str, str, str]) -> Any:
    item = need_pydicom().Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def _uid(*words: object) -> str:
    return need_pydicom().uid.generate_uid(entropy_srcs=["REACTKD phantom", *(str(w) for w in words)])


def _decimals(values: Any) -> list[Any]:
    """Return values as DICOM decimal strings of at most 16 characters."""
    from pydicom.valuerep import DSfloat

    return [DSfloat(float(v), auto_format=True) for v in values]
