"""CT and PET whose headers name different patients are refused until the user confirms the combination."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

from REACTKDLib.core.modality import Modality
from support.dicom_database import DicomDatabase
from support.dicom_files import pet_tags, write_series
from support.panel_steps import GRADE_S, grade, small_phantom, wait_for_grade


@pytest.fixture
def two_patients(nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The current case, loaded from files of JANE and of JOHN."""
    database = DicomDatabase()
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    for modality, kind, patient in ((Modality.CT, "CT", "JANE_DOE"), (Modality.FDG, "PT", "JOHN_ROE")):
        common = {} if kind == "CT" else pet_tags()
        empty = np.zeros((2, 4, 4), np.int16)
        paths = write_series(tmp_path / kind, empty, modality=kind, name=kind, patient=patient, common=common)
        nodes.volumes[modality].SetAttribute("DICOM.instanceUIDs", " ".join(map(database.add, paths)))
    return nodes


def test_different_patients_are_refused_until_the_user_confirms(user: Any, two_patients: Any, context: Any) -> None:
    assert not user.sees("samePatientButton")
    user.click("gradeButton")
    user.wait_until(lambda: user.sees("samePatientButton"), GRADE_S, "the refusal")
    told = user.text("stateLabel")
    assert "belong to different patients by their DICOM headers" in told
    assert "JANE" not in told and "JOHN" not in told and context.report is None
    user.screenshot("different-patients")
    user.click("samePatientButton")
    wait_for_grade(user)
    assert not user.sees("samePatientButton")
    assert "different-patients" in {finding.code for finding in context.report.findings}


def test_images_of_one_patient_need_no_confirmation(user: Any, nodes: Any) -> None:
    grade(user)
    assert not user.sees("samePatientButton")


def test_the_refusal_disappears_with_other_images(user: Any, scene: Any, two_patients: Any) -> None:
    from REACTKDLib.scene.case import nodes_from_case

    user.click("gradeButton")
    user.wait_until(lambda: user.sees("samePatientButton"), GRADE_S, "the refusal")
    other = nodes_from_case(scene, small_phantom(2))
    user.open_section("inputsSection")
    user.choose("fdgSelector", other.volumes[Modality.FDG])
    assert user.text("stateLabel") == "Ready to grade." and not user.sees("samePatientButton")
