"""The phantom patients in the module Sample Data, loaded by a click on their thumbnails."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import slicer

WELL = "Phantom: wellPushButton"


@pytest.fixture
def samples(application: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A simulated user in the module Sample Data, without network access."""
    from host.user import User

    def no_network(*_: Any) -> None:
        raise OSError("a test of local sample data reached for the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    application.load_sample_data()
    application.select_module("SampleData")
    yield User(application)


def test_the_sample_data_have_one_phantom_of_each_grade_with_a_picture(samples: Any) -> None:
    from SampleData import SampleDataLogic

    sources = SampleDataLogic.sampleDataSourcesByCategory("REACTKD")
    assert [source.sampleName for source in sources] == ["Phantom: well", "Phantom: moderate", "Phantom: poor"]
    for source in sources:
        button = samples.find(f"{source.sampleName}PushButton")
        assert not button.icon.isNull() and button.icon.actualSize(button.iconSize).width() > 100
        assert Path(source.thumbnailFileName).stat().st_size < 40_000
    samples.screenshot("sample-data")


def test_a_click_generates_the_patient_and_shows_its_ct(samples: Any) -> None:
    from host.heartbeat import Heartbeat
    from REACTKDLib.scene.case import case_from_nodes

    with Heartbeat() as heart:
        samples.click(WELL)
    names = sorted(node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))
    assert names == ["Phantom well Acetate PET", "Phantom well CT", "Phantom well FDG PET"]
    ct, fdg, acetate = (slicer.util.getNode(f"Phantom well {name}") for name in ("CT", "FDG PET", "Acetate PET"))
    segmentation = slicer.util.getNode("Phantom well Segmentation")
    case = case_from_nodes(ct, fdg, acetate, segmentation=segmentation)  # segments are recognized automatically
    assert case.liver.sum() > case.tumor.sum() > 0 and not case.findings
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert red.GetBackgroundVolumeID() == ct.GetID()
    assert heart.beats > 20, "the windows did not paint while the phantom was made"
    samples.screenshot("sample-data-loaded", of="window")


def test_the_module_finds_its_inputs_among_the_sample(samples: Any, application: Any) -> None:
    samples.click(WELL)
    application.select_module("REACTKD")
    names = {"ctSelector": "CT", "fdgSelector": "FDG PET", "acetateSelector": "Acetate PET"}
    for selector, name in {**names, "segmentationSelector": "Segmentation"}.items():
        assert samples.find(selector).currentNode().GetName() == f"Phantom well {name}"
    samples.wait_until(lambda: samples.find("gradeButton").enabled, what="the button Grade")
    samples.screenshot("sample-data-recognized", of="window")


@pytest.mark.slow
def test_the_same_click_makes_the_same_patient(samples: Any) -> None:
    arrays = []
    for _ in range(2):
        slicer.mrmlScene.Clear(0)
        samples.click(WELL)
        arrays.append(slicer.util.arrayFromVolume(slicer.util.getNode("Phantom well FDG PET")).copy())
    assert (arrays[0] == arrays[1]).all()


def test_a_fault_is_reported_and_leaves_the_scene_unchanged(
    samples: Any, application: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from REACTKDLib.gui import sample_data

    def fail(_sample: Any) -> None:
        raise MemoryError("no room for a phantom")

    monkeypatch.setattr(sample_data, "_acquire", fail)
    before = slicer.mrmlScene.GetNumberOfNodes()
    samples.click(WELL)
    with pytest.raises(AssertionError, match="no room for a phantom"):  # shown by tryWithErrorDisplay, then raised
        application.assert_no_errors()
    application.forget_errors()
    assert slicer.mrmlScene.GetNumberOfNodes() == before


@pytest.mark.slow
def test_the_shipped_student_grades_each_sample_correctly(application: Any) -> None:
    """The first three cases that a new user opens are graded correctly."""
    from REACTKDLib.core.grading.grader import Grader
    from REACTKDLib.core.student.bundle import Bundle, shipped_bundle_folder
    from REACTKDLib.gui.sample_data import SAMPLES, _acquire

    grader = Grader(Bundle.load(shipped_bundle_folder()), device="cpu")
    for sample in SAMPLES:
        report = grader.open(_acquire(sample)).grade().report
        assert report.grade == sample.grade and not report.uncertain
