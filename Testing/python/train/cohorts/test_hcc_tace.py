"""HCC-TACE-Seg: three layouts, cases with the quirks of real ones, phases, grades; the real sheet and series 048."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pydicom
import pytest

from REACTKDLib.core.errors import FileMissing, Ungraded, UsageError
from REACTKDLib.core.files.dicom.images import read_dicom_volume
from REACTKDLib.core.modality import Modality
from REACTKDTrainLib.cohorts.clinical import grade_of_text, read_hcc_tace_sheet
from REACTKDTrainLib.cohorts.layout import LayoutOptions
from REACTKDTrainLib.cohorts.layouts.hcc_tace import grade_of_patient, survey_hcc_tace
from support.dicom_files import write_seg, write_series
from support.real_data import real_data

SHAPE, SPACING = (30, 48, 56), (4.0, 4.0, 5.0)
COLUMNS = ("TCIA_ID", "Interval_BL", "hepatitis", "age", "Sex", "Pathology", "AFP")
D, H, W = np.indices(SHAPE)
LIVER = ((D - 15) / 11) ** 2 + ((H - 24) / 17) ** 2 + ((W - 20) / 15) ** 2 < 1
MASS = (D - 14) ** 2 + (H - 22) ** 2 + (W - 18) ** 2 < 16
PORTAL, AORTA = (abs(H - 30) < 2) & (abs(W - 38) < 2), (abs(H - 38) < 2) & (abs(W - 42) < 2)
SEGMENTS = {"Liver": LIVER & ~MASS, "Mass": MASS, "Portal vein": PORTAL, "Abdominal aorta": AORTA}


def scan(phase: str, seed: int = 0) -> np.ndarray:
    """HU of a body in one contrast phase, (D, H, W) int16."""
    values = np.random.default_rng(seed).normal(30, 10, SHAPE)
    values[:, :4] = -1000
    liver, portal, aorta, mass = {
        "pre": (55, 42, 42, 45), "arterial": (70, 110, 290, 110), "venous": (110, 170, 160, 90),
        "delayed": (95, 125, 120, 80),
    }[phase]  # fmt: skip
    for mask, mean in ((LIVER, liver), (MASS, mass), (PORTAL, portal), (AORTA, aorta)):
        values[mask] += mean - 30
    return np.rint(values).astype(np.int16)


LAYOUTS = {
    "retriever": lambda p, kind, uid: Path("manifest-1/HCC-TACE-Seg", p, "02-15-1998-NA-PP CAP-10975", f"{kind}-{uid}"),
    "dump": lambda p, kind, uid: Path("hcc_tace_seg", p, "00377", uid),
    "idc": lambda p, kind, uid: Path("idc", p, "1.2.3.4", f"{'SEG' if 'Seg' in kind else 'CT'}_1.2.3.{uid}"),
    "flat": lambda p, kind, uid: Path("zip"),
}


def write_patient(root, patient, layout="retriever", phases=("venous",), seg=None, header=None, edit=None, **options):
    """Write one patient: a series with the stacked `phases`, and its segmentation. Returns the paths of the CT."""
    place = lambda kind, uid: root / LAYOUTS[layout](patient, kind, uid)  # noqa: E731
    number = {"first_file": 1000 * int(patient[-3:])} if layout == "flat" else {}
    paths = []
    for n, phase in enumerate(phases):

        def own(dataset, k, n=n):
            dataset.SOPInstanceUID = dataset.SOPInstanceUID[:-2] + f".{n}"
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            dataset.AcquisitionNumber, dataset.InstanceNumber = n + 1, n * SHAPE[0] + k + 1
            return edit(dataset, n) if edit else None

        start = number.get("first_file", 0) + n * SHAPE[0]
        paths += write_series(
            place("103.000000-LIVER 3 PHASE CAP", "83135"), scan(phase, n), spacing=SPACING, patient=patient,
            name="LIVER 3 PHASE", edit=own, first_file=start, common=header,
        )  # fmt: skip
    if seg is not False:
        name = f"seg-{patient}.dcm" if layout == "flat" else "1-1.dcm"
        target = place("300.000000-Segmentation", "11111") / name
        write_seg(target, paths[: SHAPE[0]], seg or SEGMENTS, **options)
    return paths


def write_sheet(root, grades: dict[str, str], day: int = 13) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.active.title = "data table"
    book.active.append(COLUMNS)
    for patient, text in grades.items():
        book.active.append([patient, day, "HCV only", 93, 1, text, 32.4])
    book.save(root / "HCC-TACE-Seg_clinical_data-V2.xlsx")


def codes(survey, patient: str) -> list[str]:
    return [p.code for p in survey.problems if p.case == patient]


def message(survey, code: str) -> str:
    return next(p.message for p in survey.problems if p.code == code)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_folder_structure_is_read_by_its_headers(tmp_path, layout):
    write_patient(tmp_path, "HCC_001", layout)
    write_patient(tmp_path, "HCC_002", layout)
    write_sheet(tmp_path, {"HCC_001": "Well differentiated", "HCC_002": "Poorly differentiated"})
    found = []
    survey = survey_hcc_tace(tmp_path, on_progress=lambda f, t: found.append(f))
    assert [(c.id, c.grade, c.modalities) for c in survey.cases] == [("HCC_001", 0, ("ct",)), ("HCC_002", 2, ("ct",))]
    assert survey.problems == () and found == sorted(found) and found[-1] == 1.0
    assert survey.clinical["HCC_001"] == {
        "grade": 0, "grade_text": "Well differentiated", "sex": "M", "age": 90, "hepatitis": "HCV only",
        "afp_ng_ml": 32.4, "days_from_diagnosis": 13,
    }  # fmt: skip
    case = pickle.loads(pickle.dumps(survey.cases[0].load))()
    assert np.array_equal(case.tumor, MASS) and np.array_equal(case.liver, LIVER | MASS)
    assert np.array_equal(case.volumes[Modality.CT].array, scan("venous"))
    assert "portal-venous by measurement (aorta 160 HU, portal vein 1" in survey.cases[0].provenance
    assert survey.cases[0].fingerprint != survey.cases[1].fingerprint


def test_stacked_phases_are_split_and_the_choice_is_stated(tmp_path):
    write_patient(tmp_path, "HCC_002", phases=("arterial", "venous", "delayed"))
    survey = survey_hcc_tace(tmp_path)
    (case,) = survey.cases
    assert "phase-chosen" in codes(survey, "HCC_002") and "acquisition 2 of 3" in case.provenance
    assert "1: arterial by measurement (aorta 29" in message(survey, "phase-chosen")
    assert np.array_equal(case.load().volumes[Modality.CT].array, scan("venous", 1))
    (case,) = survey_hcc_tace(tmp_path, LayoutOptions(phase="arterial")).cases
    assert np.array_equal(case.load().volumes[Modality.CT].array, scan("arterial", 0))
    survey = survey_hcc_tace(tmp_path, LayoutOptions(phase="pre-contrast"))
    assert survey.cases == () and "None of 3 scans" in message(survey, "ambiguous")


def test_stacked_phases_without_acquisition_numbers(tmp_path):  # HCC_065
    def forget(dataset, n):
        del dataset.AcquisitionNumber

    write_patient(tmp_path, "HCC_065", phases=("arterial", "venous"), edit=forget)
    (case,) = survey_hcc_tace(tmp_path).cases
    assert np.array_equal(case.load().volumes[Modality.CT].array, scan("venous", 1))


def test_a_single_phase_other_than_the_requested_one_is_reported(tmp_path):
    write_patient(tmp_path, "HCC_004", phases=("arterial",))
    survey = survey_hcc_tace(tmp_path)
    assert len(survey.cases) == 1 and "arterial by measurement" in message(survey, "phase")


def test_several_segmentations_of_one_study_are_a_choice(tmp_path):
    paths = write_patient(tmp_path, "HCC_004")
    first = next(path for path in tmp_path.rglob("*.dcm") if pydicom.dcmread(path).Modality == "SEG")
    write_seg(first.with_name("corrected.dcm"), paths, {**SEGMENTS, "Mass": np.roll(MASS, 2, 2)})
    survey = survey_hcc_tace(tmp_path)
    assert survey.cases == () and codes(survey, "HCC_004") == ["several-segmentations"]
    assert [case for case, _ in survey.skipped] == ["HCC_004"]
    assert "2 segmentations" in message(survey, "several-segmentations")
    assert "Liver" in message(survey, "several-segmentations") and "left out" in message(
        survey, "several-segmentations"
    )


def test_a_segmentation_of_another_patient_in_the_folder_is_left_out(tmp_path):
    paths = write_patient(tmp_path, "HCC_005")
    (seg,) = (path for path in tmp_path.rglob("*.dcm") if pydicom.dcmread(path).Modality == "SEG")

    def other(dataset):
        dataset.PatientID = dataset.PatientName = "stranger"

    folder = tmp_path / "HCC_005"
    seg.unlink()
    write_seg(folder / "seg" / "other.dcm", paths, SEGMENTS, edit=other)
    survey = survey_hcc_tace(tmp_path)
    assert survey.cases == () and "different patients" in message(survey, "unreadable")
    allowed = survey_hcc_tace(tmp_path, LayoutOptions(names={"stranger": "HCC_005"}))
    assert len(allowed.cases) == 1 and "different-patients" in codes(allowed, "HCC_005")


def test_a_segmentation_with_reversed_axes_is_read(tmp_path):  # HCC_003
    write_patient(tmp_path, "HCC_003", flipped=True)
    survey = survey_hcc_tace(tmp_path)
    assert "other-axes" in codes(survey, "HCC_003")
    assert np.array_equal(survey.cases[0].load().tumor, MASS)


def test_necrosis_and_other_segment_numbers_are_read(tmp_path):  # HCC_017
    core = (D - 14) ** 2 + (H - 22) ** 2 + (W - 18) ** 2 < 5
    segments = {"Abdominal aorta": AORTA, "Necrosis": core, "Mass": MASS & ~core, "Portal vein": PORTAL, "Liver": LIVER}
    write_patient(tmp_path, "HCC_017", seg=segments)
    survey = survey_hcc_tace(tmp_path)
    assert "necrosis" in codes(survey, "HCC_017")
    case = survey.cases[0].load()
    assert np.array_equal(case.tumor, MASS) and np.array_equal(case.liver, LIVER)


def test_a_segmentation_without_referenced_series_is_reported(tmp_path):  # HCC_048
    def forget(dataset):
        del dataset.ReferencedSeriesSequence

    write_patient(tmp_path, "HCC_048", edit=None)
    paths = write_patient(tmp_path, "HCC_048", seg=False)
    target = next(tmp_path.rglob("1-1.dcm"))
    write_seg(target, paths, SEGMENTS, edit=forget)
    survey = survey_hcc_tace(tmp_path)
    assert "does not say which series" in message(survey, "series-not-referenced")
    assert np.array_equal(survey.cases[0].load().tumor, MASS)


def test_a_segmentation_beside_its_series_is_left_out(tmp_path):  # HCC_089
    paths = write_patient(tmp_path, "HCC_089", seg=False)
    far = write_series(tmp_path / "far", scan("venous"), spacing=SPACING, origin=(0, 0, 5000), patient="HCC_089")

    def point_at_the_other(dataset):
        import pydicom

        dataset.ReferencedSeriesSequence[0].SeriesInstanceUID = pydicom.dcmread(paths[0]).SeriesInstanceUID

    write_seg(tmp_path / "seg" / "1-1.dcm", far, SEGMENTS, edit=point_at_the_other)
    for path in far:
        path.unlink()
    survey = survey_hcc_tace(tmp_path)
    assert survey.cases == () and "Only 0 % of the segmented liver" in message(survey, "no-overlap")
    assert [case for case, _ in survey.skipped] == ["HCC_089"]


def test_a_patient_without_segmentation_is_left_out_with_a_finding(tmp_path):  # HCC_103
    write_patient(tmp_path, "HCC_103", seg=False)
    write_patient(tmp_path, "HCC_104")
    survey = survey_hcc_tace(tmp_path)
    assert [c.id for c in survey.cases] == ["HCC_104"] and "no-segmentation" in codes(survey, "HCC_103")


def test_implausible_sizes_and_segments_are_reported(tmp_path):  # HCC_099, HCC_075
    rim = MASS & ((D - 14) ** 2 + (H - 22) ** 2 + (W - 18) ** 2 > 9)
    write_patient(tmp_path, "HCC_099", seg={**SEGMENTS, "Liver": rim, "Spleen": PORTAL})
    survey = survey_hcc_tace(tmp_path)
    assert {"odd-segments", "small-liver", "large-tumor"} <= set(codes(survey, "HCC_099"))


def test_acquisitions_on_different_grids_in_one_series_are_separated(tmp_path):  # HCC_001, 008, 010, 011
    """The second acquisition has other slices, offset from the first one's; the segmentation has a third grid."""
    paths = write_patient(tmp_path, "HCC_001", phases=("arterial",), seg=False)

    def second(dataset, k):
        dataset.AcquisitionNumber, dataset.InstanceNumber = 2, 100 + k
        dataset.SOPInstanceUID += ".7"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID

    finer = np.repeat(scan("venous"), 2, axis=0)
    finer = write_series(
        paths[0].parent, finer, spacing=(4, 4, 2.5), origin=(-10, -12, 98.75), patient="HCC_001",
        name="LIVER 3 PHASE", edit=second, first_file=500,
    )  # fmt: skip
    write_seg(tmp_path / "seg" / "1-1.dcm", paths, SEGMENTS)
    survey = survey_hcc_tace(tmp_path)
    (case,) = survey.cases
    assert "number 2 was taken" in message(survey, "phase-chosen") and "acquisition 2 of 2" in case.provenance
    opened = case.load()
    assert opened.reference.shape == (60, 48, 56) and opened.reference.spacing[2] == pytest.approx(2.5)
    assert np.array_equal(opened.tumor, np.repeat(MASS, 2, axis=0))


def test_the_name_of_a_patient_is_not_reported(tmp_path):
    paths = write_series(tmp_path / "ct", scan("venous"), spacing=SPACING, patient="Doe^Jane")
    write_seg(tmp_path / "seg" / "1-1.dcm", paths, SEGMENTS)
    survey = survey_hcc_tace(tmp_path)
    (case,) = survey.cases
    assert case.id.startswith("dicom-") and survey.kind == "DICOM, read as HCC-TACE-Seg"
    assert "Doe" not in "\n".join(survey.lines()) and "Doe" not in case.provenance
    assert "named by a hash" in message(survey, "names-hidden")
    renamed = survey_hcc_tace(tmp_path, LayoutOptions(names={"Doe^Jane": "HCC_007"}))
    assert [c.id for c in renamed.cases] == ["HCC_007"]


def test_a_patient_with_pet_only_is_left_out(tmp_path):
    write_series(tmp_path, scan("venous"), modality="PT", spacing=SPACING)
    survey = survey_hcc_tace(tmp_path)
    assert survey.cases == () and "(they hold 'PT')" in message(survey, "no-image")


def test_a_missing_slice_leaves_the_patient_out(tmp_path):
    write_patient(tmp_path, "HCC_005")[7].unlink()
    survey = survey_hcc_tace(tmp_path)
    assert survey.cases == () and "lacks 1 slice" in message(survey, "series-unreadable")


def test_unreadable_files_are_reported(tmp_path):
    path = write_patient(tmp_path, "HCC_005")[0]
    path.write_bytes(path.read_bytes()[:300])
    survey = survey_hcc_tace(tmp_path)
    assert [case.id for case in survey.cases] == ["HCC_005"]
    assert message(survey, "files-unreadable").startswith("1 file beside the slices of the CT cannot be read")


def test_another_visit_is_reported(tmp_path):
    write_patient(tmp_path, "HCC_006", header={"LongitudinalTemporalOffsetFromEvent": 80.0})
    write_sheet(tmp_path, {"HCC_006": "Well differentiated"})
    assert "day 80 from diagnosis, the sheet 13" in message(survey_hcc_tace(tmp_path), "another-visit")


GRADES = {
    "HCC_001": "Well differentiated",
    "HCC_002": "Well-moderately differentiated",
    "HCC_003": "NOT STATED",
    "HCC_004": "moderately  DIFFERENTIATED ",
}


def test_options_decide_on_mixed_and_missing_grades(tmp_path):
    for patient in GRADES:
        write_patient(tmp_path, patient)
    write_sheet(tmp_path, {**GRADES, "HCC_105": "No biopsy"})
    grades = lambda **o: [c.grade for c in survey_hcc_tace(tmp_path, LayoutOptions(**o)).cases]  # noqa: E731
    assert grades() == [0, None, None, 1]
    assert grades(mixed="lower") == [0, 0, None, 1]
    assert grades(mixed="higher") == [0, 1, None, 1]
    assert grades(missing="leave-out") == [0, 1]
    survey = survey_hcc_tace(tmp_path, LayoutOptions(mixed="higher", missing="leave-out"))
    assert "the higher of the two was taken" in message(survey, "mixed-grade")
    assert "(the sheet says 'NOT STATED')" in message(survey, "ungraded")
    assert "1 patient without images" in message(survey, "no-images-of-rows")


def test_two_different_sheets_are_both_ignored_and_reported(tmp_path):
    """The first sheet by name used to give the grades, even if the second was its correction."""
    write_patient(tmp_path, "HCC_001")
    write_sheet(tmp_path, {"HCC_001": "Poorly differentiated"})
    second = tmp_path / "HCC-TACE-Seg_clinical_data-V2.xlsx"
    first = second.rename(tmp_path / "HCC-TACE-Seg_clinical_data-V1.xlsx")
    write_sheet(tmp_path, {"HCC_001": "Well differentiated"})
    with pytest.raises(UsageError, match="holds 2 clinical sheets .*-V1.xlsx.* keep one, or name it with --sheet"):
        survey_hcc_tace(tmp_path)
    assert survey_hcc_tace(tmp_path, LayoutOptions(sheet=second)).cases[0].grade == 0
    (tmp_path / "copy").mkdir()
    first.rename(tmp_path / "copy" / first.name)
    (tmp_path / "copy" / first.name).write_bytes(second.read_bytes())  # two copies of the same sheet count as one
    assert survey_hcc_tace(tmp_path).cases[0].grade == 0


def test_messages_do_not_name_the_folder(tmp_path):
    """HCC_105 in the path of the data set used to become the patient of every case without an ID of its own."""
    root = tmp_path / "HCC_105_patients"
    for n, patient in enumerate(("A1", "B2")):
        paths = write_series(
            root / patient / "ct", scan("venous", n), spacing=SPACING, patient=patient, first_file=100 * n
        )
        write_seg(root / patient / "seg" / "1-1.dcm", paths, SEGMENTS)
    survey = survey_hcc_tace(root)
    assert len({case.patient for case in survey.cases}) == 2
    assert not any("HCC_105" in case.patient for case in survey.cases)


def test_without_a_sheet_no_case_has_a_grade(tmp_path):
    write_patient(tmp_path, "HCC_001")
    survey = survey_hcc_tace(tmp_path)
    assert survey.cases[0].grade is None and "Give it with --sheet" in message(survey, "no-sheet")


# -- the clinical sheet


@pytest.mark.parametrize(
    ("text", "mixed", "grade"),
    [
        ("Well differentiated", "exclude", 0),
        (" moderately\tdifferentiated", "exclude", 1),
        ("POORLY DIFFERENTIATED", "exclude", 2),
        ("Moderately-poorly differentiated", "exclude", None),
        ("Moderately-poorly differentiated", "lower", 1),
        ("Moderately-poorly differentiated", "higher", 2),
        ("Well-moderately differentiated", "higher", 1),
        ("NOT STATED", "higher", None),
        ("No biopsy", "lower", None),
        (None, "lower", None),
    ],
)
def test_grades_by_exact_match(text, mixed, grade):
    assert grade_of_text(text, mixed) == grade


@pytest.mark.parametrize("text", ["moderately", "Well differentiated (G1)", "G2", "1"])
def test_an_unknown_grade_text_is_refused(text):
    with pytest.raises(UsageError, match="is not known"):
        grade_of_text(text)


def test_faults_of_the_sheet_are_refused(tmp_path):
    from openpyxl import Workbook

    with pytest.raises(FileMissing):
        read_hcc_tace_sheet(tmp_path / "none.xlsx")
    (tmp_path / "text.xlsx").write_text("TCIA_ID,Pathology")
    with pytest.raises(UsageError, match="not a workbook"):
        read_hcc_tace_sheet(tmp_path / "text.xlsx")
    Workbook().save(tmp_path / "other.xlsx")
    with pytest.raises(UsageError, match="no sheet 'data table'"):
        read_hcc_tace_sheet(tmp_path / "other.xlsx")
    book = Workbook()
    book.active.title = "data table"
    book.active.append(["TCIA_ID", "age"])
    book.save(tmp_path / "columns.xlsx")
    with pytest.raises(UsageError, match="lacks the columns 'Pathology', 'Sex'"):
        read_hcc_tace_sheet(tmp_path / "columns.xlsx")


def counts(rows) -> tuple[int, ...]:
    """Number of patients of each grade."""
    grades = [row.grade for row in rows]
    return tuple(grades.count(n) for n in range(3))


def real_sheet(mixed="exclude"):
    return read_hcc_tace_sheet(real_data("hcc_tace_clinical") / "HCC-TACE-Seg_clinical_data-V2.xlsx", mixed)


def test_the_real_sheet_gives_37_31_13():
    rows = real_sheet()
    assert len(rows) == 105 and counts(rows.values()) == (37, 31, 13)
    assert counts(real_sheet("lower").values()) == (38, 32, 13)
    assert counts(real_sheet("higher").values()) == (37, 32, 14)
    kept = [r for name, r in rows.items() if name not in ("HCC_048", "HCC_089", "HCC_099", "HCC_103")]
    assert counts(kept) == (34, 31, 13)
    assert {name for name, r in rows.items() if "-" in r.grade_text} == {"HCC_062", "HCC_088"}


def test_columns_kept_from_the_real_sheet():
    rows = real_sheet().values()
    assert sum(r.sex == "M" for r in rows) == 68 and sum(r.sex == "F" for r in rows) == 37
    assert min(r.age for r in rows) == 31 and max(r.age for r in rows) == 90, "93 years would identify"
    assert np.median([r.afp_ng_ml for r in rows]) == pytest.approx(32.4) and max(r.afp_ng_ml for r in rows) == 566_530
    assert {r.hepatitis for r in rows} == {"No virus", "HCV only", "HCV and HBV", "HBV only"}


def test_the_real_hcc_048_is_joined_to_its_row_and_refused_as_ungraded():
    folder, rows = real_data("hcc_tace_048") / "dicom", real_sheet()
    options = LayoutOptions(sheet=real_data("hcc_tace_clinical") / "HCC-TACE-Seg_clinical_data-V2.xlsx",
                          names={"Patient_01": "HCC_048"}, missing="leave-out")  # fmt: skip
    survey = survey_hcc_tace(folder, options)
    assert survey.cases == () and codes(survey, "HCC_048") == ["ungraded", "no-segmentation"]
    assert "HCC_048 carries no grade (the sheet says 'NOT STATED')" in message(survey, "ungraded")
    with pytest.raises(Ungraded):
        grade_of_patient(rows, "HCC_048")
    assert rows["HCC_048"].days_from_diagnosis == 13, "what the header says too, so this is the baseline scan"
    volume, _ = read_dicom_volume(folder, Modality.CT)
    assert volume.shape == (89, 512, 512) and volume.spacing[2] == pytest.approx(2.5)


def test_a_patient_with_two_segmentations_is_not_left_out(tmp_path):
    """Two visits, each with its own scan and segmentation."""
    write_patient(tmp_path / "first", "HCC_004")
    write_patient(
        tmp_path / "second",
        "HCC_004",
        header={"StudyDate": "20990101", "StudyInstanceUID": "1.2.3.9", "SeriesInstanceUID": "1.2.3.8"},
    )
    survey = survey_hcc_tace(tmp_path)
    assert len(survey.cases) == 1 and survey.skipped == ()
    assert "the earliest one was taken" in message(survey, "segmentation-chosen")
