"""The application's views: shows the case in the slices, centered on the most influential lesion."""

from __future__ import annotations

from typing import Any

import slicer

from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.jump import jump_to
from REACTKDLib.scene.lesion_names import is_lesion_names
from REACTKDLib.scene.reading_layout import ORIENTATIONS, THREE_D, look_alike, users_composites, view_name


def show_case(nodes: CaseNodes) -> None:
    """Show the reference volume as background of the user's views, unless an image of the case is already there."""
    own = {node.GetID() for node in nodes.volumes.values()}
    composites = users_composites(slicer.mrmlScene)
    manager = slicer.app.layoutManager()
    if all(composite.GetBackgroundVolumeID() in own for composite in composites):
        return
    for composite in composites:
        composite.SetBackgroundVolumeID(nodes.reference.GetID())
        widget = manager.sliceWidget(composite.GetLayoutName()) if manager is not None else None
        if widget is not None:
            widget.sliceLogic().FitSliceToBackground()


def fit_reading_views(stay: bool) -> None:
    """Fit the module's own slices to their views. stay: keep the positions of the planes."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    for orientation in ORIENTATIONS:
        names = (view_name(row, orientation) for row in (1, 2, 3))
        widgets = [w for w in map(manager.sliceWidget, names) if w is not None and w.visible]
        for first in widgets[:1]:
            offset = first.sliceLogic().GetSliceOffset()
            first.sliceLogic().FitSliceToBackground()
            if stay:
                first.sliceLogic().SetSliceOffset(offset)
        for widget in widgets[1:]:
            look_alike(widgets[0].mrmlSliceNode(), widget.mrmlSliceNode())
    if not stay:
        _frame_3d(manager, own=True)


def raise_lesion_names() -> None:
    """Draw the names of lesions above all else in the slice views, which draw what was added last on top.

    New outlines are added with every grade. Costs nothing where the names are on top; making them again takes 30 ms a
    view.
    """
    manager = slicer.app.layoutManager()
    widgets = map(manager.sliceWidget, manager.sliceViewNames()) if manager is not None else ()
    for view in (widget.sliceView() for widget in widgets):
        renderers = view.renderWindow().GetRenderers()
        for renderer in (renderers.GetItemAsObject(n) for n in range(renderers.GetNumberOfItems())):
            parts = renderer.GetViewProps()
            listed = [parts.GetItemAsObject(n) for n in range(parts.GetNumberOfItems())]
            names = [part for part in listed if _is_of_names(part)]
            if names and listed[-len(names) :] != names:
                for part in names:
                    parts.RemoveItem(part)
                    parts.AddItem(part)
                view.scheduleRender()


def _is_of_names(part: Any) -> bool:
    return part.IsA("vtkSlicerMarkupsWidgetRepresentation2D") and is_lesion_names(part.GetMarkupsNode())


def show_answer(nodes: CaseNodes, report: GradeReport) -> None:
    """Jump to the most influential lesion, and center the regions in 3D."""
    lesions = [row for row in report.regions if row.kind == "tumor" and row.centroid_ras_mm is not None]
    if lesions:
        leading = max(lesions, key=lambda row: row.importance)
        jump_to(nodes.reference, leading.centroid_ras_mm)
    manager = slicer.app.layoutManager()
    if manager is not None:  # the application may run without a main window
        _frame_3d(manager)


def _frame_3d(manager: Any, own: bool = False) -> None:
    """Center the 3D views on their content. own: only those of the module."""
    for index in range(manager.threeDViewCount):
        view = manager.threeDWidget(index).threeDView()
        if not own or view.mrmlViewNode().GetLayoutName() == THREE_D:
            view.resetFocalPoint()
            view.resetCamera()
