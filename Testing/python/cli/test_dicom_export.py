"""Phantoms and results as DICOM: read back by plain pydicom elements, ITK and DCMTK; patient identities are refused.

These readers share no code with the writer: content items are traversed as the standard defines them, and frames are
unpacked bit by bit.
"""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pydicom
import pytest

from REACTKDLib.__main__ import main
from REACTKDLib.core.errors import PatientLike
from REACTKDLib.core.files.dicom.identity import check_writable
from REACTKDLib.core.files.dicom.images import read_dicom_volume
from REACTKDLib.core.files.dicom.segmentation import read_dicom_segmentation
from REACTKDLib.core.files.volumes import read_volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.reports.report import GradeReport
from support.small_models import metadata_for, random_student


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """A small phantom as DICOM and as NIfTI."""
    root = tmp_path_factory.mktemp("phantom")
    for name, more in (("dicom", ["--dicom"]), ("files", [])):
        command = ["phantom", "--grade", "poor", "--seed", "7", "--size", "small", "--output", str(root / name)]
        assert main([*command, *more]) == 0
    return root


@pytest.fixture(scope="module")
def phantom_bundle(tmp_path_factory):
    """A model with random weights whose metadata says that it was trained on phantoms."""
    from REACTKDLib.core.student.bundle import Bundle

    folder = tmp_path_factory.mktemp("bundle") / "model"
    student = random_student()
    metadata = metadata_for(student)
    metadata["reactkd"]["clinical_use"] = "trained on digital phantoms: not for clinical use"
    Bundle.save(folder, student, metadata)
    return folder


def grade(source, bundle, output, *more: str) -> int:
    files = ["--ct", source / "CT", "--fdg", source / "FDG", "--segmentation", source / "segmentation.dcm"]
    return main(["grade", *map(str, files), "--bundle", str(bundle), "--output", str(output), "--device", "cpu", *more])


@pytest.fixture(scope="module")
def results(patient, phantom_bundle, tmp_path_factory):
    output = tmp_path_factory.mktemp("results") / "out"
    assert grade(patient / "dicom", phantom_bundle, output, "--dicom") == 0
    return output


# -- phantoms


def test_a_phantom_is_the_same_as_dicom_and_as_nifti(patient):
    for modality, tolerance in ((Modality.CT, 0.51), (Modality.FDG, 2e-3), (Modality.ACETATE, 2e-3)):
        volume, findings = read_dicom_volume(patient / "dicom" / modality.value.upper(), modality)
        other = read_volume(patient / "files" / f"{modality.value.upper()}.nii.gz", modality)
        assert findings == [] and volume.unit == other.unit and volume.shape == other.shape
        flipped = volume.array if np.allclose(volume.ijk_to_ras, other.ijk_to_ras, atol=0.01) else volume.array[::-1]
        scale = 1 if modality is Modality.CT else float(other.array.max())
        assert np.abs(flipped - other.array).max() / scale < tolerance
        first = volume.ijk_to_ras[:3, 3] if flipped is volume.array else volume.ijk_to_ras @ [0, 0, len(flipped) - 1, 1]
        assert np.allclose(first[:3], other.ijk_to_ras[:3, 3], atol=0.01)


def test_a_phantom_in_dicom_has_no_birth_date_or_sex_and_its_own_id(patient):
    paths = list((patient / "dicom").rglob("*.dcm"))
    assert len(paths) > 3
    for path in paths:
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        assert (dataset.PatientID, dataset.PatientName) == ("PHANTOM-POOR-7", "Phantom^Digital")
        assert not dataset.PatientBirthDate and not dataset.PatientSex


@pytest.mark.parametrize("name", ["Jane Doe", "12345678", "HCC_001", "PHANTOM", "PHANTOM-Jane", "PHANTOM-^", ""])
def test_a_phantom_id_that_could_be_a_patients_is_refused(name, tmp_path, capsys):
    command = ["phantom", "--grade", "well", "--seed", "1", "--size", "small", "--output", str(tmp_path / "out")]
    assert main([*command, "--dicom", "--patient-id", name]) == 2
    told = capsys.readouterr().err
    assert "must read PHANTOM-" in told and told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


# -- the Structured Report


def items(node, depth=0):
    """Traverse the content tree: (depth, concept code, item)."""
    for item in node.get("ContentSequence", ()):
        name = item.get("ConceptNameCodeSequence", [None])[0]
        yield depth, None if name is None else (name.CodingSchemeDesignator, name.CodeValue), item
        yield from items(item, depth + 1)


def groups(document) -> dict[str, list]:
    """Map each tracking identifier to the items of its measurement group."""
    found = {}
    for _, name, item in items(document):
        if name == ("DCM", "125007"):
            members = list(items(item))
            (key,) = (i.TextValue for _, n, i in members if n == ("DCM", "112039"))
            found[key] = members
    return found


def numbers(members) -> dict[str, float]:
    return {
        n[1]: float(i.MeasuredValueSequence[0].NumericValue) for _, n, i in members if i.ValueType == "NUM"
    }  # fmt: skip


def test_the_dicom_report_has_the_values_of_the_json_report(results):
    document = pydicom.dcmread(results / "report.dcm")
    report = GradeReport.read_json(results / "report.json")
    assert document.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34" and document.Modality == "SR"
    assert document.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert (document.CompletionFlag, document.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
    told = groups(document)
    case = told[f"Grade of {report.case}"]
    grade_codes = {"well": "1155708003", "moderate": "1286893008", "poor": "1155707008"}
    (said,) = (i.ConceptCodeSequence[0] for _, n, i in case if n == ("99REACTKD", "GRADE"))
    assert (said.CodingSchemeDesignator, said.CodeValue) == ("SCT", grade_codes[report.grade])
    for prefix, values in (("P", report.probabilities), ("BASE", report.baseline)):
        for name, value in values.items():
            assert numbers(case)[f"{prefix}-{name.upper()}"] == pytest.approx(value, abs=1e-7)
    assert any("phantom" in i.TextValue for _, n, i in case if n == ("DCM", "111002"))
    logits = {name: report.baseline[name] for name in report.baseline}
    assert set(told) == {f"Grade of {report.case}", *(r.name for r in report.regions)}
    for region in report.regions:
        values = numbers(told[region.name])
        assert values["WEIGHT"] == pytest.approx(region.weight, abs=1e-7)
        assert values["DELETION-EFFECT"] == pytest.approx(region.deletion_effect, abs=1e-7)
        if region.volume_ml is not None:
            assert values["118565006"] == pytest.approx(region.volume_ml, abs=1e-6)
        for name in logits:
            logits[name] += values[f"ADD-{name.upper()}"]
    odds = np.exp(np.array(list(logits.values())))
    assert np.allclose(odds / odds.sum(), list(report.probabilities.values()), atol=1e-6), (
        "the logits must give the probabilities"
    )


def test_each_region_points_at_its_segment(results):
    seg, document = pydicom.dcmread(results / "regions.dcm"), pydicom.dcmread(results / "report.dcm")
    segments = {s.SegmentLabel: s for s in seg.SegmentSequence}
    pointed = {}
    for key, members in groups(document).items():
        for _, name, item in members:
            if name == ("DCM", "121191"):
                (reference,) = item.ReferencedSOPSequence
                assert reference.ReferencedSOPInstanceUID == seg.SOPInstanceUID
                pointed[key] = int(reference.ReferencedSegmentNumber)
                (uid,) = (i.UID for _, n, i in members if n == ("DCM", "112040"))
                assert uid == segments[key].TrackingUID
    assert pointed == {label: int(s.SegmentNumber) for label, s in segments.items()} and "Lesion 1" in pointed


def test_the_results_belong_to_the_study_of_the_images(results, patient):
    source = pydicom.dcmread(next((patient / "dicom" / "CT").iterdir()), stop_before_pixels=True)
    known = {pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID for p in (patient / "dicom" / "CT").iterdir()}
    for name in ("report.dcm", "regions.dcm"):
        dataset = pydicom.dcmread(results / name)
        assert dataset.StudyInstanceUID == source.StudyInstanceUID and dataset.PatientID == source.PatientID
        assert dataset.SeriesInstanceUID != source.SeriesInstanceUID
    document = pydicom.dcmread(results / "report.dcm")
    evidence = {
        i.ReferencedSOPInstanceUID
        for study in document.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for i in series.ReferencedSOPSequence
    }
    assert known < evidence


# -- the SEG


def test_the_segments_are_the_region_map_bit_by_bit(results):
    seg, regions = pydicom.dcmread(results / "regions.dcm"), read_volume(results / "regions.nii.gz")
    size = seg.Rows * seg.Columns
    bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder="little")
    to_ijk = np.linalg.inv(regions.ijk_to_ras)
    seen = np.zeros(regions.shape, dtype=int)
    for n, groups_ in enumerate(seg.PerFrameFunctionalGroupsSequence):
        number = int(groups_.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        x, y, z = map(float, groups_.PlanePositionSequence[0].ImagePositionPatient)
        i, j, k = np.rint((to_ijk @ [-x, -y, z, 1])[:3]).astype(int)
        assert (i, j) == (0, 0)
        frame = bits[n * size : (n + 1) * size].reshape(seg.Rows, seg.Columns).astype(bool)
        assert np.array_equal(frame, regions.array[k] == number)
        seen[k][frame] = number
    assert np.array_equal(seen, regions.array)


def test_itk_reads_the_same_number_of_voxels(results):
    import SimpleITK as sitk

    image = sitk.GetArrayFromImage(sitk.ReadImage(str(results / "regions.dcm")))
    assert np.count_nonzero(image) == np.count_nonzero(read_volume(results / "regions.nii.gz").array)


def test_the_regions_can_be_graded_again(results, patient, phantom_bundle, tmp_path):
    first = read_dicom_segmentation(results / "regions.dcm")
    assert [s.name for s in first.segments][:2] == ["Parenchyma", "Lesion 1"]
    again = ["--ct", patient / "dicom" / "CT", "--fdg", patient / "dicom" / "FDG"]
    again += ["--segmentation", results / "regions.dcm", "--bundle", phantom_bundle, "--output", tmp_path / "out"]
    assert main(["grade", *map(str, again), "--device", "cpu"]) == 0
    a, b = (GradeReport.read_json(f / "report.json") for f in (results, tmp_path / "out"))
    assert a.probabilities == pytest.approx(b.probabilities, abs=1e-9)


@pytest.mark.parametrize("name", ["report.dcm", "regions.dcm"])
def test_dcmtk_reads_it(results, name):
    tool = shutil.which("dsrdump" if name == "report.dcm" else "dcmdump")
    if tool is None:
        pytest.skip("DCMTK is not installed (dsrdump, dcmdump)")
    done = subprocess.run([tool, str(results / name)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and ("Lesion 1" in done.stdout) and "E: " not in done.stderr


def test_dciodvfy_finds_no_error(results, patient):
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dicom3tools is not installed (dciodvfy)")
    first = [next((patient / "dicom" / folder).iterdir()) for folder in ("CT", "FDG", "ACETATE")]
    for path in (*first, patient / "dicom" / "segmentation.dcm", results / "regions.dcm", results / "report.dcm"):
        done = subprocess.run([tool, str(path)], capture_output=True, text=True, timeout=60)
        assert "Error" not in done.stdout + done.stderr, f"{path.name}: {done.stderr}"


# -- identities


@pytest.fixture
def as_patient(patient, tmp_path):
    """Copy the phantom with another identity; tags that are None are deleted."""

    def copy(**tags):
        root = tmp_path / "patient"
        shutil.copytree(patient / "dicom", root)
        for path in root.rglob("*.dcm"):
            dataset = pydicom.dcmread(path)
            for keyword, value in tags.items():
                if value is not None:
                    setattr(dataset, keyword, value)
                elif keyword in dataset:
                    delattr(dataset, keyword)
            dataset.save_as(path)
        return root

    return copy


NAMED = {"PatientID": "4711", "PatientName": "Doe^Jane"}


@pytest.mark.parametrize(
    "tags",
    [NAMED, {**NAMED, "PatientIdentityRemoved": "YES", "PatientBirthDate": "19500101"}, {"PatientID": "HCC_001"}],
)
def test_a_phantom_model_refuses_what_may_be_a_patient(as_patient, phantom_bundle, tmp_path, capsys, tags):
    root = as_patient(**tags)
    assert grade(root, phantom_bundle, tmp_path / "out", "--dicom") == 2
    told = capsys.readouterr().err
    assert (
        "The model is not for clinical use" in told
        and "4711" not in told
        and "Doe" not in told
        and told.count("\n") == 1
    )
    assert not (tmp_path / "out").exists(), "no partial output may remain"
    assert PatientLike.code == "patient-like"
    if tags == NAMED:
        assert grade(root, phantom_bundle, tmp_path / "out") == 0, "without --dicom the case must be graded"


def test_a_de_identified_series_is_written_under_its_own_identity(as_patient, phantom_bundle, tmp_path):
    root = as_patient(PatientID="SUBJECT-12", PatientName="SUBJECT-12", PatientIdentityRemoved="YES")
    assert grade(root, phantom_bundle, tmp_path / "out", "--dicom") == 0
    assert pydicom.dcmread(tmp_path / "out" / "report.dcm").PatientID == "SUBJECT-12"


def test_a_series_whose_patient_and_study_were_deleted_is_written(as_patient, phantom_bundle, tmp_path):
    keywords = ("PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime")
    root = as_patient(PatientID="SUBJECT-12", PatientIdentityRemoved="YES", **dict.fromkeys(keywords))
    assert grade(root, phantom_bundle, tmp_path / "out", "--dicom") == 0
    for name in ("report.dcm", "regions.dcm"):
        written = pydicom.dcmread(tmp_path / "out" / name)
        assert written.PatientID == "SUBJECT-12" and not any(written[keyword].value for keyword in keywords)


def test_without_a_frame_of_reference_the_grading_is_not_begun(
    as_patient, phantom_bundle, tmp_path, capsys, monkeypatch
):
    from REACTKDLib.core.grading.grader import Grader

    root = as_patient(PatientID="SUBJECT-12", PatientIdentityRemoved="YES", PatientBirthDate="")
    for path in (root / "CT").glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        del dataset.FrameOfReferenceUID
        dataset.save_as(path)
    monkeypatch.setattr(Grader, "open", lambda *_, **__: pytest.fail("the grading has begun"))
    assert grade(root, phantom_bundle, tmp_path / "out", "--dicom") == 2
    told = capsys.readouterr().err
    assert "The CT does not state the Frame of Reference UID" in told and told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_phantom_models_write_dicom_of_phantoms_only_and_cleared_models_of_patients():
    nobody, person = pydicom.Dataset(), pydicom.Dataset()
    nobody.PatientID, person.PatientID, person.PatientName = "PHANTOM-1", "4711", "Doe^Jane"
    for words in ("trained on digital phantoms", "random weights: not for clinical use"):
        check_writable(nobody, words)
        with pytest.raises(PatientLike):
            check_writable(person, words)
    check_writable(person, "decision support, cleared for clinical use")


def test_a_report_needs_dicom_images(patient, phantom_bundle, tmp_path, capsys):
    files = ["--ct", patient / "files" / "CT.nii.gz", "--segmentation", patient / "files" / "segmentation.seg.nrrd"]
    command = ["grade", *map(str, files), "--bundle", str(phantom_bundle), "--output", str(tmp_path / "out"), "--dicom"]
    assert main(command) == 2
    assert "give the CT as a DICOM series" in capsys.readouterr().err


def test_a_map_in_either_order_of_slices_is_laid_on_the_images_and_no_other(patient):
    from REACTKDLib.core.errors import GeometryMismatch
    from REACTKDLib.core.reports.dicom_export import check_exportable, on_slices

    headers = check_exportable(patient / "dicom" / "CT", Modality.CT, "for nobody")
    volume, _findings = read_dicom_volume(patient / "dicom" / "CT", Modality.CT)
    labels = np.arange(volume.array.size).reshape(volume.shape)
    matrix = np.array(volume.ijk_to_ras)
    placed = on_slices(labels, matrix, headers)
    turned = matrix.copy()
    turned[:3, 3] += (len(labels) - 1) * matrix[:3, 2]
    turned[:3, 2] *= -1
    assert np.array_equal(on_slices(labels[::-1], turned, headers), placed)
    for shift in ([5.0, 0, 0], [0, 0, 1.0]):
        moved = matrix.copy()
        moved[:3, 3] += shift
        with pytest.raises(GeometryMismatch, match="transform"):
            on_slices(labels, moved, headers)
