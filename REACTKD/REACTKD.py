"""The module's classes for Slicer: module, panel, logic and test in the application; all else is in REACTKDLib.

Slicer imports this file at every start, so it does not import torch or monai, even indirectly; they are loaded in a
separate process when a case is graded.
"""

from __future__ import annotations

import unittest
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

RESOURCES = Path(__file__).resolve().parent / "Resources"


class REACTKD(ScriptedLoadableModule):
    """The module's entry in Slicer: title, category, help."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "REACTKD"
        parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        parent.dependencies = []
        parent.contributors = ["REACTKD contributors"]
        parent.helpText = _(
            "Predicts how far a hepatocellular carcinoma is differentiated (well, moderately, poorly) from CT, FDG PET "
            "and acetate PET in any combination, with a segmentation of the liver and its tumors, and colors the "
            "regions that decided it. The shipped model is trained on digital phantoms: not for clinical use."
        )
        parent.acknowledgementText = _(
            "The method is REACT-KD: H. Chen et al., REACT-KD: Region-Aware Cross-modal Topological Knowledge "
            "Distillation for Interpretable Medical Image Classification, arXiv 2508.02104, 2025."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)
        slicer.app.connect("startupCompleted()", registerLayouts)


def registerLayouts() -> None:
    """Register the module's layouts, without which a scene that was saved in one of them would open without views.

    Unless the module is open, a scene that was saved while it was open is restored with the user's former layout and
    own masks.
    """
    from REACTKDLib.scene.hiding import ANSWER, PROPOSAL, hide_only
    from REACTKDLib.scene.reading_layout import leave_layout, register_layouts

    def on_end_import(*_event: Any) -> None:
        widget = getattr(slicer.modules, "REACTKDWidget", None)
        if widget is None or not widget.parent.isEntered:
            leave_layout(slicer.mrmlScene)
            for mark in (ANSWER, PROPOSAL):
                hide_only(slicer.mrmlScene, mark, None)

    register_layouts(slicer.mrmlScene)
    slicer.mrmlScene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, on_end_import)


def registerSampleData() -> None:
    """Register the phantom patients in the module Sample Data, which is loaded once Slicer has started."""
    from REACTKDLib.gui.sample_data import register

    register(RESOURCES)


class REACTKDWidget(ScriptedLoadableModuleWidget):
    """The panel; its sections are in REACTKDLib.gui, each with a .ui file of its own.

    If `setup` fails there is no panel, and Reload in the developer mode still creates one.
    """

    frame: Any = None
    panel: Any = None

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        from REACTKDLib.gui.panel import Panel

        self.frame = slicer.util.loadUI(self.resourcePath("UI/REACTKD.ui"))
        self.layout.addWidget(self.frame)
        self.frame.setMRMLScene(slicer.mrmlScene)
        self.logic = REACTKDLogic()
        self.panel = Panel(self.frame, RESOURCES, lambda: self.parent.isEntered)
        if self.parent.isEntered:  # Slicer does not call `enter` after a reload
            self.panel.enter()

    def enter(self) -> None:
        """The user opened the module."""
        if self.panel is not None:
            self.panel.enter()

    def exit(self) -> None:
        """The user opened another module."""
        if self.panel is not None:
            self.panel.exit()

    def cleanup(self) -> None:
        """The application closes, or the module is reloaded. May be called twice."""
        if self.panel is not None:
            self.panel.cleanup()
        if self.frame is not None:
            self.frame.deleteLater()  # a reload only hides widgets
            self.frame = None

    def onReload(self) -> None:
        """Reload button of the developer mode: reload the whole package, not only this file."""
        import sys

        self.cleanup()
        for name in [name for name in sys.modules if name.partition(".")[0] == "REACTKDLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class REACTKDLogic(ScriptedLoadableModuleLogic):
    """Interface for scripts and other modules, with Slicer's naming; REACTKDLib.scene and .core do the work."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleLogic.__init__(self, parent)
        self._graders: dict[tuple[Path, str], Any] = {}

    def ensurePackages(self) -> None:
        """Install missing Python packages, after asking. Raises PackagesMissing if that is declined or fails."""
        from REACTKDLib.gui.packages import ensure_packages

        ensure_packages()

    def grader(self, bundleFolder: str | None = None, device: str = "auto") -> Any:
        """Return the grader of a model or an ensemble (None: the shipped one), loaded once per folder and device."""
        from REACTKDLib.core.grading.grader import Grader
        from REACTKDLib.core.student.bundle import shipped_bundle_folder
        from REACTKDLib.core.student.ensemble import load_model_folder

        folder = Path(bundleFolder) if bundleFolder else shipped_bundle_folder()
        if (folder, device) not in self._graders:
            self._graders[folder, device] = Grader(load_model_folder(folder), device=device)
        return self._graders[folder, device]

    def grade(
        self,
        ctNode: Any = None,
        fdgNode: Any = None,
        acetateNode: Any = None,
        segmentationNode: Any = None,
        liverSegment: str | None = None,
        tumorSegments: list[str] | None = None,
        bundleFolder: str | None = None,
        device: str = "auto",
    ) -> Any:
        """Grade a case, write the results into the scene, and return the parameter node that references them.

        Any one of the three volumes is enough. liverSegment, tumorSegments: IDs or names; None: recognized by
        terminology, then by name. Raises: REACTKDLib.core.errors.ReactkdError, the scene is then unchanged.
        """
        from REACTKDLib.scene.session import grade_in_scene

        return grade_in_scene(
            slicer.mrmlScene,
            ctNode,
            fdgNode,
            acetateNode,
            segmentation=segmentationNode,
            grader=self.grader(bundleFolder, device),
            liver_segment=liverSegment,
            tumor_segments=tumorSegments,
        )

    def report(self, parameterNode: Any) -> Any:
        """Return the GradeReport that `grade` stored in its parameter node."""
        from REACTKDLib.scene.parameter_node import read_report

        return read_report(parameterNode)

    def describe(self, parameterNode: Any) -> str:
        """Return the result in one line: the grade, all probabilities, and the intended use of the model."""
        report = self.report(parameterNode)
        if report.grade is None:
            return " ".join(finding.message for finding in report.findings)
        probabilities = ", ".join(f"{name} {value:.0%}" for name, value in report.probabilities.items())
        return f"{report.grade} ({probabilities}). {report.model.clinical_use}"


class REACTKDTest(ScriptedLoadableModuleTest):
    """Run by the Reload and Test button, by ctest in a build of Slicer, and by the tests of this repository."""

    def setUp(self) -> None:
        """Skip if packages are missing: a test must not install anything."""
        from REACTKDLib.gui.packages import missing_packages

        slicer.mrmlScene.Clear(0)
        missing = missing_packages()
        if missing:
            self.skipTest(f"Python packages are missing: {', '.join(missing)}")

    def runTest(self) -> None:
        for test in (self.test_gradesAPhantom, self.test_panelGradesAPhantom):
            try:
                self.setUp()
            except unittest.SkipTest as reason:
                self.delayDisplay(f"Test skipped. {reason}")
                return
            test()

    def test_gradesAPhantom(self) -> None:
        """A small digital phantom in the scene gets a grade, and its inputs are unchanged."""
        nodes = self._phantom()
        volumes = list(nodes.volumes.values())
        before = [slicer.util.arrayFromVolume(node).copy() for node in volumes]

        self.delayDisplay("Grading it")
        logic = REACTKDLogic()
        parameterNode = logic.grade(*volumes, segmentationNode=nodes.segmentation)

        report = logic.report(parameterNode)
        self.assertIn(report.grade, report.probabilities)
        self.assertAlmostEqual(sum(report.probabilities.values()), 1.0, places=5)
        self.assertIn(report.grade, logic.describe(parameterNode))
        for node, array in zip(volumes, before, strict=True):
            self.assertTrue((slicer.util.arrayFromVolume(node) == array).all())
        self.delayDisplay("Test passed")

    def test_panelGradesAPhantom(self) -> None:
        """The panel recognizes the phantom, grades it on a click without blocking, and releases it."""
        widget = slicer.util.getModuleWidget("REACTKD")
        if slicer.util.mainWindow():
            slicer.util.selectModule("REACTKD")
        else:  # without a window, as in tests
            widget.parent.enter()
        nodes = self._phantom()
        grade, cancel, label, segmentation = (
            slicer.util.findChild(widget.frame, name)  # after a reload, the parent also contains the former widgets
            for name in ("gradeButton", "cancelButton", "gradeLabel", "segmentationSelector")
        )
        self._waitFor(lambda: segmentation.currentNode() is nodes.segmentation and grade.enabled, "its inputs", 30)

        self.delayDisplay("Grading it in the panel")
        grade.click()
        self.assertTrue(cancel.enabled)
        self._waitFor(lambda: grade.enabled and not cancel.enabled, "a grade", 300)
        self.assertIn("differentiated", label.text)
        self.assertGreater(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode"), 0)

        slicer.mrmlScene.Clear(0)
        slicer.app.processEvents()
        self.assertFalse(grade.enabled)
        self.delayDisplay("Test passed")

    def _phantom(self) -> Any:
        """Add a small digital phantom to the scene; return its nodes."""
        from REACTKDLib.core.phantom import acquire, draw_patient
        from REACTKDLib.scene.case import nodes_from_case

        self.delayDisplay("Making a digital phantom")
        return nodes_from_case(
            slicer.mrmlScene, acquire(draw_patient(seed=1, biology="independent"), size="small").case
        )

    def _waitFor(self, condition: Any, what: str, seconds: float) -> None:
        """Process events until `condition()` is true; fail after this time."""
        import time

        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, f"waited in vain for {what}")
            slicer.app.processEvents()
            time.sleep(0.01)
