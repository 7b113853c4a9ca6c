"""Node names, which Slicer builds from the patient's name, never appear in a report that leaves the scene."""

from __future__ import annotations

from REACTKDLib.core.reports.html import report_page
from REACTKDLib.scene.parameter_node import read_report
from REACTKDLib.scene.session import grade_in_scene
from support.scene_cases import HandMadeGrader

CANARY = "Canary^Node"


def test_the_report_contains_no_node_name(scene, nodes) -> None:
    every = nodes.all()
    for number, node in enumerate(every):
        node.SetName(f"{CANARY} {number}")
        node.SetDescription(CANARY)
        node.SetAttribute("DICOM.PatientName", CANARY)
    roles = {modality.value: node for modality, node in nodes.volumes.items()}
    made = grade_in_scene(scene, **roles, segmentation=nodes.segmentation, grader=HandMadeGrader())
    report = read_report(made)
    assert report.grade and CANARY not in report.to_json()
    assert CANARY not in report_page(report)
