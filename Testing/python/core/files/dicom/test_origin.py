"""Headers of one case: other patients are refused, other positions or series reported, missing values ignored."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from REACTKDLib.core.cases.open_case import open_case
from REACTKDLib.core.cases.open_job import open_job, read_job
from REACTKDLib.core.cases.worklist import read_worklist
from REACTKDLib.core.errors import PatientMismatch, UsageError
from REACTKDLib.core.files.dicom.images import read_dicom_volume
from REACTKDLib.core.files.dicom.origin import check_origins, origin_of
from REACTKDLib.core.files.dicom.patient import Patient, compare
from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.modality import Modality
from REACTKDTrainLib.cohorts.listed import listed_cohort
from support.dicom_files import pet_tags, uid_of, write_seg, write_series


def patient(identity="", birth="", sex="", name="", issuer="") -> Patient:
    header = Dataset()
    header.PatientID, header.PatientBirthDate, header.PatientSex = identity, birth, sex
    header.PatientName, header.IssuerOfPatientID = name, issuer
    return Patient.of(header)


EVA = {"birth": "19500102", "sex": "F", "name": "Müller^Eva"}
ONE = {
    "nothing stated": ({}, {}),
    "one states nothing": ({"identity": "17", **EVA}, {}),
    "one id": ({"identity": "17"}, {"identity": " 17 "}),
    "one id in other letters": ({"identity": "hcc_01"}, {"identity": "HCC_01"}),
    "one id, a name with more words": ({"identity": "17", **EVA}, {"identity": "17", "name": "MUELLER^EVA^M"}),
    "no id, one birth date, married": ({**EVA}, {"birth": "19500102", "name": "Schmidt^Eva"}),
    "no id, one name": ({"name": "Doe^Jane"}, {"name": "DOE, JANE M."}),
    "ids by two hospitals of one person": (
        {"identity": "17", "issuer": "A", **EVA},
        {"identity": "99", "issuer": "B", **EVA},
    ),
    "de-identified": ({"identity": "ANONYMOUS", "name": "Anonymized"}, {"identity": "", "name": "Doe^Jane"}),
    "sex not told": ({"sex": "O"}, {"sex": "F"}),
}
DOUBTFUL = {
    "one id, another birth date": ({"identity": "17", **EVA}, {"identity": "17", **EVA, "birth": "19500103"}),
    "one id, another name": ({"identity": "17", "name": "Doe^Jane"}, {"identity": "17", "name": "Roe^Mary"}),
    "no id, one family": ({"name": "Doe^Jane"}, {"name": "Doe^Mary"}),
    "no id, another script": ({"name": "Wang^XiaoDong"}, {"name": "王^小东"}),
}
DIFFERENT = {
    "other ids": ({"identity": "17"}, {"identity": "18"}),
    "other ids of one person's name": ({"identity": "17", **EVA}, {"identity": "18", **EVA}),
    "other ids by other issuers": ({"identity": "17", "issuer": "A"}, {"identity": "18", "issuer": "B"}),
    "one id by two issuers, other people": (
        {"identity": "17", "issuer": "A", **EVA},
        {"identity": "17", "issuer": "B", "name": "Roe^Mary"},
    ),
    "one id that everybody has": ({"identity": "1", **EVA}, {"identity": "1", "sex": "M", "birth": "19610101"}),
    "no id, another birth date": ({"birth": "19500102"}, {"birth": "19500103"}),
    "no id, another sex": ({"sex": "M"}, {"sex": "F"}),
    "no id, another name": ({"name": "Doe^Jane"}, {"name": "Roe^Mary"}),
    "an id that was removed, another birth date": (
        {"identity": "unknown", "birth": "19500102"},
        {"identity": "unknown", "birth": "19610101"},
    ),
}
TABLE = [(n, v, *p) for v, t in (("one", ONE), ("doubtful", DOUBTFUL), ("different", DIFFERENT)) for n, p in t.items()]


@pytest.mark.parametrize(("verdict", "first", "second"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_patients_of_two_headers_are_compared(verdict, first, second):
    assert compare(patient(**first), patient(**second)) == verdict
    assert compare(patient(**second), patient(**first)) == verdict


WORDS = st.one_of(st.just(""), st.sampled_from(["17", "18", "ANON", "Doe^Jane", "王^小东"]), st.text(max_size=8))
HEADER = st.fixed_dictionaries(
    {
        "PatientID": WORDS, "IssuerOfPatientID": WORDS, "PatientName": WORDS,
        "PatientBirthDate": st.sampled_from(["", "19500102", "19510102", "nonsense"]),
        "PatientSex": st.sampled_from(["", "M", "F", "O"]),
    }
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(first=HEADER, second=HEADER)
@example(first={"PatientID": "Doe^Jane"}, second={"PatientID": "Roe"})
def test_comparing_headers_is_symmetric_and_names_no_patient(first, second):
    ours, theirs = Patient.of(first), Patient.of(second)
    assert compare(ours, theirs) == compare(theirs, ours)
    assert compare(ours, ours) == "one"
    shown = f"{ours!r} {origin_of(first, 'the CT')!r}"
    assert not any(value in shown for value in first.values() if len(value) > 3)
    try:
        check_origins([origin_of(first, "the CT"), origin_of(second, "the FDG PET")])
    except PatientMismatch as error:
        assert compare(ours, theirs) == "different"
        assert str(error).startswith("The CT and the FDG PET belong to different patients")


# -- files

CODES = {
    "different-patients", "patient-doubtful", "another-frame-of-reference", "another-study",
    "segmentation-of-another-series",
}  # fmt: skip


@pytest.fixture
def files(tmp_path):
    """Write CT, PET and SEG of one patient, each header edited by its own function; return the arguments of a case."""

    def make(ct=None, fdg=None, seg=None):
        d, h, w = np.indices((12, 24, 28))
        liver = ((d - 6) / 4.5) ** 2 + ((h - 12) / 9) ** 2 + ((w - 13) / 11) ** 2 < 1
        values = np.random.default_rng(0).normal(40, 12, liver.shape)
        values[:, :3] = -1000
        stored = np.rint(values).astype(np.int16)
        paths = write_series(tmp_path / "ct", stored, spacing=(2.0, 2.5, 3.0), name="ct", edit=per_slice(ct))
        pet = np.random.default_rng(1).integers(100, 9000, (8, 12, 12)).astype(np.int16)
        write_series(
            tmp_path / "fdg", pet, modality="PT", spacing=(5, 5, 5), common=pet_tags(), name="fdg", edit=per_slice(fdg)
        )
        mass = ((d - 5) ** 2 + (h - 10) ** 2 + (w - 9) ** 2) < 9
        masks = {"Liver": liver, "Mass": mass}
        return {
            "ct": tmp_path / "ct",
            "fdg": tmp_path / "fdg",
            "segmentation": write_seg(tmp_path / "seg.dcm", paths, masks, edit=seg),
        }

    return make


def per_slice(change):
    return None if change is None else (lambda dataset, _k: change(dataset) and None)


def told(case) -> dict[str, str]:
    """The warnings about where the files come from, by code."""
    return {f.code: f.message for f in case.findings if f.code in CODES and f.severity == "warning"}


def setting(**tags):
    def change(dataset):
        for keyword, value in tags.items():
            setattr(dataset, keyword, value)

    return change


def test_one_patient_in_one_study_gives_no_finding(files):
    assert told(open_case(**files())) == {}


@pytest.mark.parametrize("which", ["ct", "fdg", "seg"])
def test_another_patient_is_refused_without_a_name(files, which):
    given = files(**{which: setting(PatientID="4711", PatientName="Doe^Jane")})
    with pytest.raises(PatientMismatch) as refused:
        open_case(**given)
    sentence = str(refused.value)
    assert "different patients" in sentence and "--different-patients-ok" in sentence
    assert not any(word in sentence for word in ("4711", "Doe", "HCC"))
    assert ("the segmentation" if which == "seg" else "the FDG PET") in sentence
    allowed = open_case(**given, different_patients_ok=True)
    assert "which was allowed" in told(allowed)["different-patients"]
    assert len(allowed.volumes) == 2 and allowed.tumor.any()


def test_an_image_without_a_patient_is_no_mismatch(files):
    assert told(open_case(**files(fdg=setting(PatientID="", PatientName="")))) == {}


def test_one_id_with_two_birth_dates_is_reported(files):
    given = files(ct=setting(PatientBirthDate="19500102"), fdg=setting(PatientBirthDate="19500103"))
    assert "may belong to different patients" in told(open_case(**given))["patient-doubtful"]


def test_a_file_without_dicom_header_is_not_compared(files, tmp_path):
    given = files(ct=setting(PatientID="4711"))
    volume, _ = read_dicom_volume(given["ct"], Modality.CT)
    write_volume(volume, tmp_path / "CT.nii.gz")
    # the SEG refers to the CT's DICOM series, which a NIfTI file does not name: nothing to report
    with pytest.raises(PatientMismatch, match="The FDG PET and the segmentation"):
        open_case(**{**given, "ct": tmp_path / "CT.nii.gz"})
    assert told(open_case(tmp_path / "CT.nii.gz", segmentation=given["segmentation"])) == {}


PLACES = {
    "another-frame-of-reference": [
        {"fdg": setting(FrameOfReferenceUID=uid_of("elsewhere"))},
        {"seg": setting(FrameOfReferenceUID=uid_of("elsewhere"))},
    ],
    "another-study": [{"fdg": setting(StudyInstanceUID=uid_of("later"))}],
    "segmentation-of-another-series": [
        {"seg": lambda d: setattr(d.ReferencedSeriesSequence[0], "SeriesInstanceUID", uid_of("other"))},
    ],
}


@pytest.mark.parametrize(("code", "edits"), [(code, edits) for code, all_ in PLACES.items() for edits in all_])
def test_different_frames_of_reference_are_a_warning_and_change_nothing(files, code, edits):
    plain = open_case(**files())
    case = open_case(**files(**edits))
    assert set(told(case)) == {code}
    role = "he segmentation" if "seg" in edits else "he FDG PET"
    assert role in told(case)[code]
    assert np.array_equal(case.tumor, plain.tumor) and np.array_equal(case.reference.array, plain.reference.array)


def test_a_segmentation_in_another_study_that_references_the_series_gives_no_finding(files):
    def elsewhere(dataset):
        other = Dataset()
        other.StudyInstanceUID = dataset.StudyInstanceUID
        other.ReferencedSeriesSequence = dataset.ReferencedSeriesSequence
        dataset.StudiesContainingOtherReferencedInstancesSequence = [other]
        dataset.StudyInstanceUID = uid_of("research")
        del dataset.ReferencedSeriesSequence

    assert told(open_case(**files(seg=elsewhere))) == {}


@pytest.mark.parametrize("moved", [False, True])
def test_a_segmentation_that_references_images_only_is_compared_by_its_images(files, moved):
    def forget(dataset):
        del dataset.ReferencedSeriesSequence
        if moved:
            dataset.walk(rename)

    def rename(_dataset, element):
        if element.keyword == "ReferencedSOPInstanceUID":
            element.value = uid_of(element.value)

    assert set(told(open_case(**files(seg=forget)))) == ({"segmentation-of-another-series"} if moved else set())


def test_one_frame_for_all_pets_but_not_for_the_ct_is_one_finding(files):
    given = files(fdg=setting(FrameOfReferenceUID=uid_of("scanner"), StudyInstanceUID=uid_of("later")))
    case = open_case(**given)
    assert set(told(case)) == {"another-frame-of-reference", "another-study"}
    assert told(case)["another-frame-of-reference"].startswith("The FDG PET and the CT do not share")


@pytest.mark.parametrize("kind", ["csv", "json"])
@pytest.mark.parametrize("word", ["yes", "no", "", "perhaps"])
def test_a_list_says_for_each_case_whether_other_patients_are_allowed(files, tmp_path, kind, word):
    given = files(fdg=setting(PatientID="4711"))
    path = tmp_path / f"list.{kind}"
    row = {**{key: str(file) for key, file in given.items()}, "different_patients_ok": word}
    if kind == "csv":
        path.write_text(",".join(["case", *row]) + "\n" + ",".join(["P1", *row.values()]) + "\n")
    else:
        path.write_text(json.dumps({"training": [{"id": "P1", **row}]}))
    if word == "perhaps":
        with pytest.raises(UsageError, match="different_patients_ok is neither yes nor no for 'P1'"):
            read_worklist(path)
        return
    (job,) = read_worklist(path)
    (case,) = listed_cohort(path).cases
    if word == "yes":
        assert "different-patients" in told(open_job(job)) and "different-patients" in told(case.load())
        return
    for read in (lambda: open_job(job), lambda: read_job(job), case.load):
        with pytest.raises(PatientMismatch):
            read()
