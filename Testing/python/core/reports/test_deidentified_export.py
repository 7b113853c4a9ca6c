"""DICOM export for series as de-identification leaves them: each tag deleted or emptied, in all images or in one.

The standard lets patient and study attributes be empty but not absent (type 2), and requires the UIDs (type 1); the
output is read back by plain pydicom elements.
"""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from REACTKDLib.core.errors import NotReferable
from REACTKDLib.core.files.dicom.segmentation import read_dicom_segmentation
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.reports.dicom_export import REGIONS, REPORT, check_exportable, write_dicom_results
from REACTKDLib.core.reports.region_rows import ReportRegion
from REACTKDLib.core.reports.report import GradeReport, ReportModel
from support.dicom_files import pet_tags, tissue, uid_of, write_series

UNKNOWN = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber",
    "StudyID", "ReferringPhysicianName",
)  # fmt: skip
NEEDED = ("StudyInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID")
LEFT_ALONE = (
    "Manufacturer", "SeriesNumber", "SeriesDate", "SeriesTime", "SeriesDescription", "ContentDate", "ContentTime",
    "AcquisitionDate", "AcquisitionTime", "AcquisitionNumber", "InstanceNumber", "PositionReferenceIndicator",
    "SpecificCharacterSet", "SliceThickness", "ImageType", "KVP", "InstitutionName", "StudyDescription",
)  # fmt: skip
USE = "random weights: not for clinical use"
#: three slices (the first without a region): a report describes each image, which takes most of the time here
LABELS = np.zeros((3, 10, 12), np.uint8)
LABELS[1:, 2:8, 3:9] = 1
LABELS[2, 4:6, 5:7] = 2


def report() -> GradeReport:
    rows = (
        ReportRegion("Parenchyma", "parenchyma", 100.0, (0, 0, 0), 0.5, None, 0.1),
        ReportRegion("Lesion 1", "tumor", 5.0, (0, 0, 0), 0.5, None, 0.1),
    )
    model = ReportModel("model", "1", "ab" * 32, USE)
    grades = {"well": 0.1, "moderate": 0.2, "poor": 0.7}
    return GradeReport("case", "poor", grades, False, ("ct",), None, rows, (), (), model, "cpu")


def exported(folder, edit, modality=Modality.CT):
    """SEG and SR of a de-identified series after `edit` changed its images."""
    kind = {"modality": "CT"} if modality is Modality.CT else {"modality": "PT"}
    tags = {} if modality is Modality.CT else pet_tags()
    tags |= {"PatientIdentityRemoved": "YES", "SpecificCharacterSet": "ISO_IR 100", "KVP": 100, "StudyID": "S1"}
    tags |= {"InstitutionName": "H", "StudyDescription": "abdomen", "PatientSex": "F", "AccessionNumber": "A1"}
    write_series(folder / "in", tissue(len(LABELS)), common=tags, edit=edit, **kind)
    headers = check_exportable(folder / "in", modality, USE)
    (folder / "out").mkdir()
    write_dicom_results(report(), LABELS, headers, folder / "out")
    return pydicom.dcmread(folder / "out" / REGIONS), pydicom.dcmread(folder / "out" / REPORT)


def without(keyword, how, only=None):
    """An edit of all images, or of image `only`, that deletes or empties a tag."""

    def edit(dataset, k):
        if only in (None, k) and keyword in dataset:
            if how == "deleted":
                delattr(dataset, keyword)
            else:
                dataset[keyword].value = None

    return edit


def check_valid(seg, sr, folder):
    """Check what the standard requires of SEG and SR: type 1 has a value, type 2 is at least empty; and the regions."""
    for dataset in (seg, sr):
        assert all(keyword in dataset for keyword in (*UNKNOWN, "Manufacturer", "SeriesNumber", "InstanceNumber"))
        wanted = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Modality", "ContentDate")
        assert all(dataset[keyword].value for keyword in wanted)
        assert dataset.get("SpecificCharacterSet", "ISO_IR 6"), "type 1C: with a value, or not there"
    assert seg.FrameOfReferenceUID and "PositionReferenceIndicator" in seg
    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert float(measures.SliceThickness) == 2 and list(map(float, measures.PixelSpacing)) == [1, 1]
    (study,) = sr.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == seg.StudyInstanceUID == sr.StudyInstanceUID
    named = [i.ReferencedSOPInstanceUID for s in study.ReferencedSeriesSequence for i in s.ReferencedSOPSequence]
    assert all(named) and len(set(named)) == len(LABELS) + 1, "the images and the SEG"
    back = read_dicom_segmentation(folder / "out" / REGIONS)
    assert [s.name for s in back.segments] == ["Parenchyma", "Lesion 1"]
    assert int(seg.NumberOfFrames) == 3


STATES = ("kept", "deleted", "emptied")
#: export -> tag -> its state: any two tags meet in nearly all of the nine pairs of states
STATES_OF = [
    dict(zip((*UNKNOWN, *LEFT_ALONE), np.random.default_rng(n).choice(STATES, 27).tolist(), strict=True))
    for n in range(16)
]


@pytest.mark.parametrize("states", STATES_OF, ids=[str(n) for n, _ in enumerate(STATES_OF)])
def test_any_optional_tags_may_be_missing(tmp_path, states):
    edits = [without(keyword, how) for keyword, how in states.items() if how != "kept"]
    seg, sr = exported(tmp_path, lambda d, k: [edit(d, k) for edit in edits] and None)
    check_valid(seg, sr, tmp_path)
    for keyword in UNKNOWN:
        if states[keyword] != "kept":
            assert not seg[keyword].value and not sr[keyword].value, "unknown values must be empty"
    known = "" if states["StudyID"] != "kept" else "S1"
    assert (seg.StudyID or "") == (sr.StudyID or "") == known, "known values must be kept"


def test_each_optional_tag_is_missing_in_some_export():
    assert all({states[keyword] for states in STATES_OF} == set(STATES) for keyword in (*UNKNOWN, *LEFT_ALONE))


def test_tags_may_be_missing_in_one_image(tmp_path):
    """Three of them in each."""
    edits = [without(keyword, "deleted", only=n % len(LABELS)) for n, keyword in enumerate(UNKNOWN)]
    check_valid(*exported(tmp_path, lambda d, k: [edit(d, k) for edit in edits] and None), tmp_path)


@pytest.mark.parametrize("modality", [Modality.CT, Modality.FDG])
@pytest.mark.parametrize("how", ["deleted", "emptied"])
def test_all_optional_tags_may_be_missing(tmp_path, how, modality):
    edits = [without(keyword, how) for keyword in (*UNKNOWN, *LEFT_ALONE)]
    check_valid(*exported(tmp_path, lambda d, k: [edit(d, k) for edit in edits] and None, modality), tmp_path)


@pytest.mark.parametrize(
    "written",
    [
        {"PatientSex": ("U", ""), "StudyDate": ("00000000", ""), "StudyTime": ("REMOVED", "")},
        {"PatientSex": ("f", "F"), "StudyDate": ("REMOVED", ""), "StudyTime": ("996100", "")},
        {"PatientSex": ("M", "M"), "StudyDate": ("20010812", "20010812"), "StudyTime": ("100000.5", "100000.5")},
    ],
    ids=["removed", "impossible", "valid"],
)
def test_a_placeholder_that_is_no_value_of_its_kind_is_unknown(tmp_path, written):
    """written: keyword -> the value of the images, and that of the results."""

    def edit(dataset, k):
        with pydicom.config.disable_value_validation():
            for keyword, (value, _) in written.items():
                setattr(dataset, keyword, value)

    seg, sr = exported(tmp_path, edit)
    check_valid(seg, sr, tmp_path)
    for keyword, (_, expected) in written.items():
        assert (seg[keyword].value or "") == (sr[keyword].value or "") == expected


def test_a_first_character_set_that_is_empty_is_the_default_one(tmp_path):
    def edit(dataset, k):
        dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]

    seg, sr = exported(tmp_path, edit)
    assert list(seg.SpecificCharacterSet) == list(sr.SpecificCharacterSet) == ["ISO 2022 IR 6", "ISO 2022 IR 87"]


KOREAN = "Hong^Gildong=\u6d2a^\u5409\u6d1e=\ud64d^\uae38\ub3d9"


@pytest.mark.parametrize(
    ("sets", "name", "written"),
    [
        ("ISO_IR 100", "M\u00fcller^Eva", "ISO_IR 100"),
        ("ISO_IR 192", KOREAN, "ISO_IR 192"),
        (["", "ISO 2022 IR 149"], KOREAN, "ISO_IR 192"),
        ("ISO IR 100", "M\u00fcller^Eva", "ISO_IR 192"),
        ("ISO 2022 IR 100", "M\u00fcller^Eva", "ISO_IR 192"),
        (["ISO_IR 100", "ISO 2022 IR 87"], "M\u00fcller^Eva", "ISO_IR 192"),
        ("UTF-8", "M\u00fcller^Eva", "ISO_IR 192"),
        ("REMOVED", "Mueller^Eva", "ISO_IR 192"),
        (["", "nonsense"], "Mueller^Eva", "ISO_IR 192"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # pydicom warns about the invalid values tested here
def test_a_name_is_written_in_a_character_set_that_can_encode_it(tmp_path, sets, name, written):
    def edit(dataset, k):
        dataset.SpecificCharacterSet, dataset.PatientName = sets, name

    for dataset in exported(tmp_path, edit):
        assert dataset.SpecificCharacterSet == written and dataset.PatientName == name


@pytest.mark.parametrize("keyword", ["PatientName", "StudyDescription"])
@pytest.mark.filterwarnings("ignore")
def test_a_text_in_characters_of_an_unknown_set_is_refused(tmp_path, keyword):
    def edit(dataset, k):
        dataset.SpecificCharacterSet = "REMOVED"
        setattr(dataset, keyword, "M\u00fcller")

    with pytest.raises(NotReferable, match="'REMOVED', which DICOM does not know"):
        exported(tmp_path, edit)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("only", [None, 0, 1])
@pytest.mark.parametrize("how", ["deleted", "emptied"])
@pytest.mark.parametrize("keyword", NEEDED)
def test_a_missing_uid_is_refused_before_the_work(tmp_path, keyword, how, only):
    with pytest.raises(NotReferable) as caught:
        exported(tmp_path, without(keyword, how, only))
    told = str(caught.value)
    assert told.startswith("The CT does not state") and keyword.casefold() in told.replace(" ", "").casefold()
    assert "; " in told and told.endswith(".") and not (tmp_path / "out").exists()


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "FrameOfReferenceUID"])
def test_images_of_several_studies_or_frames_of_reference_are_refused(tmp_path, keyword):
    with pytest.raises(NotReferable, match=r"several"):
        exported(tmp_path, lambda dataset, k: setattr(dataset, keyword, uid_of(keyword, k // 2)))
