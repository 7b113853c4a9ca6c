"""The application's views: the case in the slices, the place that decided in their middle."""

from __future__ import annotations

import slicer

from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.jump import jump_to


def show_case(nodes: CaseNodes) -> None:
    """Lay the reference volume under everything, unless an image of the case is there already."""
    own = {node.GetID() for node in nodes.volumes.values()}
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    if all(composite.GetBackgroundVolumeID() in own for composite in composites):
        return
    slicer.util.setSliceViewerLayers(background=nodes.reference, fit=True)


def show_answer(nodes: CaseNodes, report: GradeReport) -> None:
    """Go to the lesion that decided most, and bring the regions into the middle in 3D."""
    lesions = [row for row in report.regions if row.kind == "tumor" and row.centroid_ras_mm is not None]
    if lesions:
        leading = max(lesions, key=lambda row: row.importance)
        jump_to(nodes.reference, leading.centroid_ras_mm)
    manager = slicer.app.layoutManager()
    if manager is None:
        return  # the application runs without a main window
    for index in range(manager.threeDViewCount):
        view = manager.threeDWidget(index).threeDView()
        view.resetFocalPoint()
        view.resetCamera()
