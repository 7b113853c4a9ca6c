"""The grade report as a DICOM Structured Report by template TID 1500, Measurement Report.

One group for the case (grade, probabilities, baseline), one for each region (its segment, volume, weight,
contributions, effect), one for the number and shape of lesions. Baseline and contributions add up to the logits, as in
the JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from REACTKDLib.core.files.dicom import codes
from REACTKDLib.core.files.dicom.codes import concept
from REACTKDLib.core.files.dicom.packages import need_highdicom, need_pydicom
from REACTKDLib.core.reports.region_values import ordered
from REACTKDLib.core.reports.report import GradeReport, ReportRegion
from REACTKDLib.core.task_parts import Code
from REACTKDLib.core.text import shown

#: codes of the explanation values; others get a private code made from their key and title
_CODES = {"weight": codes.WEIGHT, "deletion_effect": codes.EFFECT, "share": codes.SHARE}
_PER_CLASS = {
    "contribution": ("ADD", "Contribution to the logit of grade"),
    "share_by_grade": ("SHARE", "Share of the region in the probability of grade"),
}
_DECIMALS = 8  # a decimal string of DICOM has 16 characters


def build_report(report: GradeReport, seg: Any, headers: Sequence[Any], series_number: int, manufacturer: str) -> Any:
    """Return the report as a Comprehensive 3D SR that refers to the segments of `seg` and to the images.

    It is marked partial and unverified, since no person has reviewed it. Raises: PackagesMissing.
    """
    sr = need_highdicom().sr
    uid = need_pydicom().uid.generate_uid
    device = sr.ObserverContext(
        concept(("121007", "DCM", "Device")),
        sr.DeviceObserverIdentifyingAttributes(
            uid(entropy_srcs=[report.model.sha256]), report.model.name, manufacturer, report.model.name
        ),
    )
    groups = [_case_group(sr, report), *_region_groups(sr, report, seg)]
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=device),
        procedure_reported=concept(_procedure(headers[0].Modality)),
        imaging_measurements=groups,
        title=concept(("126000", "DCM", "Imaging Measurement Report")),
        referenced_images=list(headers),
    )
    document = sr.Comprehensive3DSR(
        evidence=[*headers, seg],
        content=content[0],
        series_instance_uid=uid(),
        series_number=series_number,
        sop_instance_uid=uid(),
        instance_number=1,
        manufacturer=manufacturer,
        is_complete=False,
        is_verified=False,
        series_description=shown(f"REACTKD: {report.model.clinical_use}", codes.LONGEST),
    )
    scheme = need_pydicom().Dataset()
    scheme.CodingSchemeDesignator, scheme.CodingSchemeName = codes.PRIVATE, "REACTKD extension for 3D Slicer"
    document.CodingSchemeIdentificationSequence = [scheme]
    return document


def _procedure(modality: str) -> tuple[str, str, str]:
    if modality == "CT":
        return "25045-6", "LN", "CT unspecified body region"
    return "44136-0", "LN", "PET unspecified body region"


def _algorithm(sr: Any, report: GradeReport) -> Any:
    """Return the model, with parameters that a reader must know: its intended use, its inputs, and the findings."""
    parameters = [
        f"clinical use: {report.model.clinical_use}",
        f"inputs: {', '.join(report.inputs)}",
        f"weights sha256: {report.model.sha256}",
        *(f"{f.severity}: {f.code}: {f.message}" for f in report.findings if f.severity != "info"),
    ]
    return sr.AlgorithmIdentification(report.model.name, report.model.version, parameters)


def _case_group(sr: Any, report: GradeReport) -> Any:
    evaluations = [sr.QualitativeEvaluation(concept(report.task.answer), concept(_grade(report)))]
    if report.grade is not None:
        answer = codes.YES if report.uncertain else codes.NO
        evaluations.append(sr.QualitativeEvaluation(concept(codes.UNCERTAIN), concept(answer)))
    numbers = [
        *_per_class(sr, "P", "Probability of grade", report.probabilities),
        *_per_class(sr, "BASE", "Baseline logit of grade", report.baseline),
        *_per_class(sr, "NONE", "Without any region, probability of grade", report.without_regions),
    ]
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(identifier=f"Grade of {report.case}"),
        finding_type=concept(report.task.lesion.finding),
        finding_sites=[sr.FindingSite(concept(report.task.organ.code))],
        algorithm_id=_algorithm(sr, report),
        qualitative_evaluations=evaluations,
        measurements=numbers or None,
    )


def _region_groups(sr: Any, report: GradeReport, seg: Any) -> list[Any]:
    groups = []
    present = {int(item.SegmentNumber): item for item in seg.SegmentSequence}
    drawn = _segments_with_frames(seg)
    for number, region in enumerate(report.regions, start=1):
        numbers = _numbers(sr, region)
        if number in drawn:
            groups.append(
                sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
                    tracking_identifier=sr.TrackingIdentifier(present[number].TrackingUID, region.name),
                    referenced_segment=sr.ReferencedSegment.from_segmentation(seg, number),
                    finding_type=concept(
                        report.task.structure("liver" if region.kind == "parenchyma" else "tumor").code
                    ),
                    finding_sites=[sr.FindingSite(concept(report.task.organ.code))],
                    measurements=numbers,
                )
            )
        elif numbers:
            groups.append(
                sr.MeasurementsAndQualitativeEvaluations(
                    tracking_identifier=sr.TrackingIdentifier(identifier=region.name), measurements=numbers
                )
            )
    return groups


def _segments_with_frames(seg: Any) -> set[int]:
    frames = seg.PerFrameFunctionalGroupsSequence
    return {int(f.SegmentIdentificationSequence[0].ReferencedSegmentNumber) for f in frames}


def _grade(report: GradeReport) -> tuple[str, str, str]:
    if report.grade is None:
        return codes.NO_GRADE
    known = report.task.class_of(report.grade)  # None in a report of an older model without a task
    return Code.private("class", report.grade) if known is None else known.code


def _numbers(sr: Any, region: ReportRegion) -> list[Any]:
    volume = region.volume_ml
    numbers = [] if volume is None else [_measurement(sr, codes.VOLUME, volume, codes.MILLILITER)]
    for value in ordered("weight"):
        found, name = region.value(value.key), value.key.replace("_", "-")
        if isinstance(found, Mapping):
            numbers += _per_class(sr, *_PER_CLASS.get(value.key, (name[:7], value.title)), found)
        elif found is not None:
            code = _CODES.get(value.key, codes.private(name, value.title))
            numbers.append(_measurement(sr, code, found, codes.NO_UNIT))
    return numbers


def _per_class(sr: Any, kind: str, words: str, values: Any) -> list[Any]:
    return [
        _measurement(sr, codes.per_class(kind, words, name), value, codes.NO_UNIT)
        for name, value in (values or {}).items()
    ]


def _measurement(sr: Any, code: tuple[str, str, str], value: float, unit: tuple[str, str, str]) -> Any:
    return sr.Measurement(concept(code), round(float(value), _DECIMALS), concept(unit))
