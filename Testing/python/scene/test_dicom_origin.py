"""Nodes loaded from DICOM files of different patients, frames of reference or studies: refused or told, as in files."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from REACTKDLib.core.errors import PatientMismatch
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.worker.folder import ScratchFolder
from REACTKDLib.scene.case import CaseNodes, case_from_nodes
from REACTKDLib.scene.dicom_origin import ALLOWED
from REACTKDLib.scene.hand_over import hand_over_images
from support.dicom_database import DicomDatabase
from support.dicom_files import pet_tags, uid_of, write_series

TOLD = {"different-patients", "patient-doubtful", "another-frame-of-reference", "another-study"}


@pytest.fixture
def loaded(tmp_path, nodes, monkeypatch):
    """Register CT and PET nodes as loaded from files with the given headers; return the arguments of a case."""
    database = DicomDatabase()
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)

    def make(**headers):
        for which, tags in headers.items():
            node = nodes.volumes[Modality(which)]
            pet = {} if which == "ct" else {"modality": "PT"}
            common = {**({} if which == "ct" else pet_tags()), **tags}
            paths = write_series(tmp_path / which, np.zeros((2, 4, 4), np.int16), name=which, common=common, **pet)
            node.SetAttribute("DICOM.instanceUIDs", " ".join(database.add(path) for path in paths))
        return {m.value: n for m, n in nodes.volumes.items() if m is not Modality.ACETATE} | {
            "segmentation": nodes.segmentation
        }

    make.database = database
    return make


def codes(case) -> set[str]:
    return {finding.code for finding in case.findings} & TOLD


def hand_over(arguments, folder) -> list:
    """The images as the panel hands them to the worker."""
    volumes = {Modality(name): node for name, node in arguments.items() if name != "segmentation"}
    steps = hand_over_images(CaseNodes(volumes, arguments["segmentation"]), folder)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_one_patient_gives_no_finding(loaded):
    assert codes(case_from_nodes(**loaded(ct={}, fdg={}))) == set()


def test_nodes_of_two_patients_are_refused_in_scripts_and_in_the_panel(loaded):
    given = loaded(ct={}, fdg={"PatientID": "4711", "PatientName": "Doe^Jane"})
    with pytest.raises(PatientMismatch, match="The CT and the FDG PET belong to different patients") as refused:
        case_from_nodes(**given)
    assert not any(word in str(refused.value) for word in ("4711", "Doe", "HCC"))
    scratch = ScratchFolder()
    before = list(scratch.path.iterdir())
    try:
        with pytest.raises(PatientMismatch):
            hand_over(given, scratch)
        assert list(scratch.path.iterdir()) == before
        given["fdg"].SetAttribute(ALLOWED, "1")
        remarks = [entry.code for image in hand_over(given, scratch) for entry in image.remarks]
        assert remarks.count("different-patients") == 1
    finally:
        scratch.remove()
    assert codes(case_from_nodes(**given)) == {"different-patients"}


def test_the_patient_of_a_deleted_file_is_found_in_the_database(loaded):
    given = loaded(ct={}, fdg={"PatientID": "4711"})
    loaded.database.files.clear()
    with pytest.raises(PatientMismatch):
        case_from_nodes(**given)


def test_the_subject_hierarchy_gives_a_warning_only(scene, loaded):
    given = loaded()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for name in ("ct", "fdg"):
        patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name)
        hierarchy.SetItemAttribute(patient, "DICOM.PatientID", name)
        study = hierarchy.CreateStudyItem(patient, name)
        hierarchy.CreateItem(study, given[name])
    with pytest.raises(PatientMismatch):
        case_from_nodes(**given)


@pytest.mark.parametrize(
    ("code", "tags"),
    [
        ("another-frame-of-reference", {"FrameOfReferenceUID": uid_of("elsewhere")}),
        ("another-study", {"StudyInstanceUID": uid_of("later")}),
    ],
)
def test_another_frame_of_reference_or_study_is_reported(scene, loaded, code, tags):
    given = loaded(ct={}, fdg=tags)
    assert codes(case_from_nodes(**given)) == {code}
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Registered")
    given["fdg"].SetAndObserveTransformNodeID(transform.GetID())
    registered = set() if code == "another-frame-of-reference" else {code}
    assert codes(case_from_nodes(**given)) == registered, "a registered image needs no finding on its frame"
