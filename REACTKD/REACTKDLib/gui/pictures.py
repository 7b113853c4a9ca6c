"""Pictures of the views as displayed, without anything that may name the patient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from REACTKDLib.core.reports.html import Picture
from REACTKDLib.scene.outputs import own_legend_titles


def pictures_of_views() -> list[Picture]:
    """Return a picture of every visible slice view and 3D view; none without a main window.

    Slicer writes the names of volumes into the corners of its views, and, if enabled, the patient's name and ID; the
    titles of color legends are node names. They are hidden for the picture and restored.
    """
    manager = slicer.app.layoutManager()
    pictures: list[Picture] = []
    if manager is None:
        return pictures
    for name in manager.sliceViewNames():
        widget = manager.sliceWidget(name)
        if widget is not None and widget.visible:
            caption = _("{orientation} slice").format(orientation=widget.mrmlSliceNode().GetOrientation())
            pictures.append(Picture(_png_of(widget.sliceView()), caption))
    for index in range(manager.threeDViewCount):
        widget = manager.threeDWidget(index)
        if widget is not None and widget.visible:
            pictures.append(Picture(_png_of(widget.threeDView()), _("3D view")))
    return pictures


@contextmanager
def _without_names(window: Any) -> Iterator[None]:
    """Hide the text in `window`, except the legends of this module's own results."""
    own = own_legend_titles(slicer.mrmlScene)
    hidden = []
    for renderer in window.GetRenderers():
        for prop in renderer.GetViewProps():
            is_foreign_legend = prop.IsA("vtkScalarBarActor") and prop.GetTitle() not in own
            if prop.GetVisibility() and (prop.IsA("vtkCornerAnnotation") or is_foreign_legend):
                prop.VisibilityOff()
                hidden.append(prop)
    try:
        yield
    finally:
        for prop in hidden:
            prop.VisibilityOn()


def _png_of(view: Any) -> bytes:
    view.forceRender()  # draws pending changes first, including the views' own texts
    with _without_names(view.renderWindow()):
        view.renderWindow().Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(view.renderWindow())
        grab.ReadFrontBufferOff()
        grab.Update()
    view.scheduleRender()
    writer = vtk.vtkPNGWriter()
    writer.WriteToMemoryOn()
    writer.SetInputConnection(grab.GetOutputPort())
    writer.Write()
    return vtk_to_numpy(writer.GetResult()).tobytes()
