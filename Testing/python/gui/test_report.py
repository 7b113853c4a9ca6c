"""The answer as files: an HTML page with pictures, JSON, CSV."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
import slicer
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QFileDialog

from host.pictures import missing_rendering
from REACTKDLib.core.errors import PackagesMissing
from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.case import nodes_from_case
from support.edits import ball, erase, mask_of, paint
from support.panel_steps import choose_model, grade, open_folder, small_phantom, wait_for_annotations, wait_for_inputs

PATIENCE_S = 600  # grading takes a second or two; a busy machine may need far longer


def save_as(monkeypatch: Any, path: Path) -> None:
    """The path that the user chooses in the next dialogs."""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_: str(path)))


@pytest.fixture
def graded(user: Any, phantom_nodes: Any, small_model: Path) -> Any:
    """A graded phantom, with the section open."""
    choose_model(user, small_model)
    wait_for_inputs(user, phantom_nodes)
    user.toggle_section("reportSection")
    assert not user.find("savePageButton").enabled
    grade(user)
    return phantom_nodes


def test_the_result_is_saved_as_page_json_and_csv(
    user: Any, widget: Any, graded: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    from REACTKDLib.core.reports.report import GradeReport

    report = widget.panel.context.report
    save_as(monkeypatch, tmp_path / "answer.json")
    user.click("saveJsonButton")
    assert user.text("reportLabel") == "Saved as answer.json."
    assert GradeReport.read_json(tmp_path / "answer.json").to_dict() == report.to_dict()
    save_as(monkeypatch, tmp_path / "regions")
    user.click("saveCsvButton")
    assert (tmp_path / "regions.csv").read_text(encoding="utf-8").startswith("label,name,kind")
    save_as(monkeypatch, tmp_path / "page.html")
    user.click("savePageButton")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"{100 * report.probabilities[report.grade]:.0f} %" in page and "not for clinical use" in page
    assert "FDG tumor/liver" in page and "swatch" in page
    user.screenshot("report-saved")
    pictures = re.findall(r"data:image/png;base64,([^\"]+)", page)
    if missing_rendering():
        pytest.skip("no off-screen OpenGL for the pictures")
    assert len(pictures) == 4
    user.screenshot("report-views", of="window")
    for picture in pictures:
        image = QImage.fromData(b64decode(picture))
        colors = {image.pixel(x, y) for x in range(0, image.width(), 7) for y in range(0, image.height(), 7)}
        assert image.width() > 100 and len(colors) > 8, "an empty picture"


def saved_pictures(user: Any, path: Path, monkeypatch: Any) -> list[bytes]:
    save_as(monkeypatch, path)
    user.click("savePageButton")
    return [b64decode(text) for text in re.findall(r"data:image/png;base64,([^\"]+)", path.read_text(encoding="utf-8"))]


def visible_texts() -> list[tuple[str, int]]:
    """The corner annotations of each slice view, and whether they are shown."""
    manager = slicer.app.layoutManager()
    widgets = [widget for widget in map(manager.sliceWidget, manager.sliceViewNames()) if widget.isVisible()]
    corners = [widget.sliceView().cornerAnnotation() for widget in widgets]
    return [(corner.GetText(0), corner.GetVisibility()) for corner in corners]


@pytest.mark.skipif(bool(missing_rendering()), reason="no off-screen OpenGL for the pictures")
def test_no_picture_of_the_page_shows_a_name(user: Any, graded: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """The pictures are the same whatever the corner annotations and an image's legend say."""
    user.find("layoutCheckBox").click()  # the module's own views only ever say which image they show
    wait_for_annotations(user)
    ct = graded.volumes[Modality.CT]
    ct.SetName("CT")
    neutral = saved_pictures(user, tmp_path / "neutral.html", monkeypatch)
    ct.SetName("DOE^JANE 1950-12-31 ID4711")
    legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(ct)
    legend.SetTitleText(ct.GetName())
    legend.SetVisibility(True)
    views = slicer.app.layoutManager()
    red = views.sliceWidget("Red").sliceView()
    assert saved_pictures(user, tmp_path / "named.html", monkeypatch) == neutral and len(neutral) == 4
    red.draw()  # VTK positions the legends
    shown = red.draw()
    assert saved_pictures(user, tmp_path / "again.html", monkeypatch) == neutral
    assert visible_texts() == [(ct.GetName(), 1)] * 3 and red.draw() == shown, "the views are as they were"
    slicer.mrmlScene.RemoveNode(legend)


def test_a_file_is_replaced_only_after_a_question(user: Any, graded: Any, tmp_path: Path, monkeypatch: Any) -> None:
    asked, agrees = [], [False]
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: asked.append(text) or agrees[0])
    names = {"saveJsonButton": "p1.json", "saveCsvButton": "p1.csv", "saveMasksButton": "p1.seg.nrrd"}
    for button, name in names.items():
        (tmp_path / name).write_text("precious")
        save_as(monkeypatch, tmp_path / "p1")  # Qt's dialog checks this name, which does not exist
        user.click(button)
        assert asked.pop() == f"Replace {name} in the folder {tmp_path.name}? What is there now is lost."
    user.settle()
    assert {(tmp_path / name).read_text() for name in names.values()} == {"precious"}
    agrees[0] = True
    user.click("saveJsonButton")
    assert user.text("reportLabel") == "Saved as p1.json." and "p1.json" in asked.pop()
    save_as(monkeypatch, tmp_path / "p1.json")  # here the dialog has already asked
    user.click("saveJsonButton")
    save_as(monkeypatch, tmp_path / "p2")
    user.click("saveJsonButton")
    assert not asked and (tmp_path / "p2.json").is_file()


def test_the_mask_dialog_has_one_filter_for_all_formats(user: Any, graded: Any, monkeypatch: Any) -> None:
    offered = []
    ask = staticmethod(lambda *given: offered.append(given[-1]) or "")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    user.click("saveMasksButton")
    first, *others = offered[0].split(";;")
    assert all(suffix in first for suffix in ("*.seg.nrrd", "*.nii.gz")) and others == ["All files (*)"]


def test_masks_are_saved_as_drawn_and_nothing_is_written_to_a_read_only_place(
    user: Any, graded: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    import numpy as np

    from REACTKDLib.core.files.segmentations import read_segmentation
    from REACTKDLib.core.files.volumes import read_volume

    paint(graded.segmentation, "Tumor", ball(graded.reference, (-60.0, 0.0, 0.0), 15.0), graded.reference)
    drawn = mask_of(graded.segmentation, "Tumor", graded.reference)
    save_as(monkeypatch, tmp_path / "masks.seg.nrrd")
    user.click("saveMasksButton")
    user.wait_until(lambda: user.text("reportLabel") == "Saved as masks.seg.nrrd.", PATIENCE_S, "the masks")
    kept = read_segmentation(tmp_path / "masks.seg.nrrd")
    assert [segment.name for segment in kept.segments] == ["Liver", "Tumor"]
    save_as(monkeypatch, tmp_path / "masks.nii.gz")
    user.click("saveMasksButton")
    user.wait_until(lambda: "..." not in user.text("reportLabel"), PATIENCE_S, "the labels")
    assert "Segments overlap" in user.text("reportLabel") and not (tmp_path / "masks.nii.gz").exists()
    erase(graded.segmentation, "Liver", drawn, graded.reference)
    user.click("saveMasksButton")
    user.wait_until(lambda: user.text("reportLabel") == "Saved as masks.nii.gz.", PATIENCE_S, "the labels")
    labels = read_volume(tmp_path / "masks.nii.gz", None).array
    assert np.count_nonzero(labels == 2) == np.count_nonzero(drawn) > 0
    user.click("saveDicomButton")
    assert "The CT was not loaded from DICOM" in user.text("reportLabel")

    (tmp_path / "file").touch()
    for button, name in (("saveJsonButton", "a.json"), ("saveCsvButton", "a.csv"), ("savePageButton", "a.html")):
        save_as(monkeypatch, tmp_path / "file" / name)
        user.click(button)
        assert "cannot be written" in user.text("reportLabel")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_: ""))
    user.click("saveJsonButton")


@pytest.mark.slow
def test_the_result_is_exported_as_dicom(
    user: Any, context: Any, small_model: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    import pydicom

    from REACTKDLib.__main__ import main as command_line

    phantom = ["phantom", "--grade", "poor", "--seed", "7", "--size", "small", "--output", str(tmp_path / "phantom")]
    assert command_line([*phantom, "--dicom"]) == 0
    (tmp_path / "list.csv").write_text("case,ct,segmentation\nA,phantom/CT,phantom/segmentation.dcm\n")
    choose_model(user, small_model)
    user.toggle_section("reportSection")
    context.reading.open_list(tmp_path / "list.csv")
    user.toggle_section("casesSection")
    user.click("nextCaseButton")
    user.wait_until(lambda: context.nodes is not None, PATIENCE_S, "the case")
    grade(user)
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", staticmethod(lambda *_: str(tmp_path / "out")))
    user.click("saveDicomButton")
    user.wait_until(lambda: user.text("reportLabel").startswith("Saved"), PATIENCE_S, "the objects")
    assert user.text("reportLabel") == "Saved as report.dcm and regions.dcm."
    seg, report = (pydicom.dcmread(tmp_path / "out" / name) for name in ("regions.dcm", "report.dcm"))
    regions = [row for row in context.report.regions if row.kind != "topology"]
    assert [item.SegmentLabel for item in seg.SegmentSequence] == [row.name for row in regions]
    image = pydicom.dcmread(next((tmp_path / "phantom" / "CT").glob("*.dcm")), stop_before_pixels=True)
    assert seg.StudyInstanceUID == report.StudyInstanceUID == image.StudyInstanceUID
    user.screenshot("report-exported")
    asked, agrees = [], [False]
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: asked.append(text) or agrees[0])
    user.click("saveDicomButton")
    user.settle()
    assert asked == ["Replace report.dcm and regions.dcm in the folder out? What is there now is lost."]
    assert pydicom.dcmread(tmp_path / "out" / "report.dcm").SOPInstanceUID == report.SOPInstanceUID
    agrees[0] = True
    user.click("saveDicomButton")
    user.wait_until(lambda: user.text("reportLabel").startswith("Saved"), PATIENCE_S, "the objects")
    assert pydicom.dcmread(tmp_path / "out" / "report.dcm").SOPInstanceUID != report.SOPInstanceUID


@pytest.mark.parametrize("how", ["another case", "scene closed"])
def test_messages_on_saving_are_removed_with_the_case(
    user: Any, nodes: Any, context: Any, scene: Any, tmp_path: Path, monkeypatch: Any, how: str
) -> None:
    save_as(monkeypatch, tmp_path / "masks.seg.nrrd")
    user.open_section("reportSection")
    user.click("saveMasksButton")
    user.wait_until(lambda: "Saved as" in user.text("reportLabel"), PATIENCE_S, "the file")
    if how == "another case":
        context.open_case(nodes_from_case(scene, small_phantom(2)))
    else:
        scene.Clear(0)
    user.settle()
    assert user.text("reportLabel") == "A result can be saved once a case is graded."


def test_the_reason_of_a_failed_batch_is_removed_with_the_list(
    user: Any, widget: Any, folder: Path, monkeypatch: Any
) -> None:
    def refuse() -> None:
        raise PackagesMissing("REACTKD cannot run without a package.")

    monkeypatch.setattr("REACTKDLib.gui.report_panel.ensure_packages", refuse)
    open_folder(user, monkeypatch, folder)
    user.open_section("reportSection")
    user.click("batchButton")
    assert "without a package" in user.text("batchLabel")
    user.open_section("casesSection")
    user.click("closeListButton")
    assert user.text("batchLabel") == "Open a list in the section Cases to grade it in one go."
    open_folder(user, monkeypatch, folder)
    assert "without a package" not in user.text("batchLabel")


@pytest.mark.parametrize("handed_over", [False, True])
def test_masks_are_saved_although_the_scene_closes_or_the_failure_is_reported(
    user: Any, widget: Any, nodes: Any, scene: Any, tmp_path: Path, monkeypatch: Any, handed_over: bool
) -> None:
    exporter = next(part.exporter for part in widget.panel.sections if part.ui_file == "ReportPanel.ui")
    save_as(monkeypatch, tmp_path / "masks.seg.nrrd")
    user.open_section("reportSection")
    widget.panel.timer.stop()
    user.click("saveMasksButton")
    while handed_over and exporter._ticket is None:
        exporter.poll()
    scene.Clear(0)
    widget.panel.timer.start()
    user.wait_until(lambda: not exporter.busy, PATIENCE_S, "the end")
    user.settle()
    told = "Saved as masks.seg.nrrd." if handed_over else "The masks were removed before they were saved."
    assert user.text("reportLabel") == told and (tmp_path / "masks.seg.nrrd").exists() is handed_over
