"""DICOM results: texts that the images' character set cannot encode or a tag cannot hold, and a single region."""

from __future__ import annotations

from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest

from REACTKDLib.core.modality import Modality
from REACTKDLib.core.reports.dicom_export import REGIONS, REPORT, check_exportable, write_dicom_results
from REACTKDLib.core.reports.region_rows import ReportRegion
from REACTKDLib.core.reports.report import GradeReport, ReportModel
from support.dicom_files import tissue, write_series

USE = "random weights: not for clinical use"
LABELS = np.zeros((3, 10, 12), np.uint8)
LABELS[1:, 2:8, 3:9] = 1
CHINESE, ARABIC, GERMAN = "\u60a3\u8005 \u4e00", "\u0645\u062d\u0645\u062f 40", "M\u00fcller"
KOREAN = "Hong^Gildong=\u6d2a^\u5409\u6d1e=\ud64d^\uae38\ub3d9"


def report() -> GradeReport:
    rows = (ReportRegion("Parenchyma", "parenchyma", 100.0, (0, 0, 0), 1.0, None, 0.1),)
    model = ReportModel("model", "1", "ab" * 32, USE)
    return GradeReport("case", "poor", {"well": 0.3, "poor": 0.7}, False, ("ct",), None, rows, (), (), model, "cpu")


def written(folder, made, sets=None, patient="Phantom^Digital"):
    """SEG and SR of a report, read back, about images with a character set and a patient's name."""

    def edit(dataset, k):
        if sets is not None:
            dataset.SpecificCharacterSet = sets
        dataset.PatientName = patient

    write_series(folder / "in", tissue(len(LABELS)), common={"PatientIdentityRemoved": "YES"}, edit=edit, modality="CT")
    headers = check_exportable(folder / "in", Modality.CT, USE)
    (folder / "out").mkdir()
    write_dicom_results(made, LABELS, headers, folder / "out")
    return pydicom.dcmread(folder / "out" / REGIONS), pydicom.dcmread(folder / "out" / REPORT)


def texts(sr):
    return [str(element.value) for element in sr.iterall() if element.keyword == "TextValue"]


@pytest.mark.parametrize("name", [CHINESE, ARABIC, GERMAN])
@pytest.mark.parametrize("sets", [None, "ISO_IR 6", "ISO_IR 192", "GB18030"])
@pytest.mark.filterwarnings("error:Failed to encode")
def test_the_name_of_a_case_is_kept_in_every_script(tmp_path, sets, name):
    _seg, sr = written(tmp_path, replace(report(), case=name), sets)
    assert f"Grade of {name}" in texts(sr)
    assert sr.SpecificCharacterSet == (sets if sets in ("ISO_IR 192", "GB18030") else "ISO_IR 192")


@pytest.mark.parametrize(
    ("sets", "patient"),
    [
        ("ISO_IR 100", "M\u00fcller^Eva"),
        ("ISO_IR 192", KOREAN),
        (["ISO 2022 IR 6", "ISO 2022 IR 87"], "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"),
    ],
)
def test_the_patient_keeps_its_name_when_the_report_needs_unicode(tmp_path, sets, patient):
    for dataset in written(tmp_path, replace(report(), case=ARABIC), sets, patient):
        assert dataset.PatientName == patient
    assert f"Grade of {ARABIC}" in texts(dataset)
    assert dataset.SpecificCharacterSet == "ISO_IR 192"


def test_a_character_set_that_fits_stays(tmp_path):
    seg, sr = written(tmp_path, replace(report(), case=GERMAN), "ISO_IR 100", "M\u00fcller^Eva")
    assert seg.SpecificCharacterSet == sr.SpecificCharacterSet == "ISO_IR 100"
    assert f"Grade of {GERMAN}" in texts(sr) and sr.PatientName == "M\u00fcller^Eva"


def test_a_report_in_plain_letters_states_no_character_set(tmp_path):
    for dataset in written(tmp_path, report()):
        assert "SpecificCharacterSet" not in dataset


def test_the_name_of_a_model_is_kept_in_both_files(tmp_path):
    named = replace(report(), model=replace(report().model, name="\u809d\u7ec6\u80de"))
    seg, sr = written(tmp_path, named)
    assert seg.ManufacturerModelName == "\u809d\u7ec6\u80de" and "\u809d\u7ec6\u80de" in texts(sr)


@pytest.mark.parametrize(
    ("use", "shown"),
    [
        ("trained on digital phantoms: not for clinical use", "trained on digital phantoms: not for clinical use"),
        ("not for clinical use; " * 9, "not for clinical use; not for clinical use; not for"),
    ],
)
def test_the_intended_use_is_whole_in_a_list_of_series_or_marked_as_cut(tmp_path, use, shown):
    seg, sr = written(tmp_path, replace(report(), model=replace(report().model, clinical_use=use)))
    assert sr.SeriesDescription.startswith(f"REACTKD: {shown}") and seg.ContentDescription.startswith(shown)
    for text in (sr.SeriesDescription, seg.ContentDescription):
        assert len(text) <= 64 and text.endswith(shown if len(use) < 64 else "...")


@pytest.mark.parametrize("grade", ["poor", None])
def test_a_case_with_a_single_region_is_reported(tmp_path, grade):
    (row,) = report().regions
    made = (
        report() if grade else replace(report(), grade=None, probabilities=None, regions=(replace(row, weight=None),))
    )
    seg, sr = written(tmp_path, made)
    found = highdicom.sr.srread(tmp_path / "out" / REPORT).content.get_volumetric_roi_measurement_groups()
    assert [group.referenced_segment[0].ReferencedSOPSequence[0].ReferencedSegmentNumber for group in found] == [1]
    assert [s.SegmentLabel for s in seg.SegmentSequence] == ["Parenchyma"]
    read = highdicom.seg.segread(tmp_path / "out" / REGIONS).get_volume(combine_segments=True).array
    assert np.array_equal(read, LABELS[1:]) or np.array_equal(read, LABELS)
