"""Pictures of the views as they are seen now."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from REACTKDLib.core.html_report import Picture


def pictures_of_views() -> list[Picture]:
    """Return a picture of every slice view and 3D view that is on show."""
    manager = slicer.app.layoutManager()
    pictures = []
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


def _png_of(view: Any) -> bytes:
    view.forceRender()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(view.renderWindow())
    grab.ReadFrontBufferOff()
    grab.Update()
    writer = vtk.vtkPNGWriter()
    writer.WriteToMemoryOn()
    writer.SetInputConnection(grab.GetOutputPort())
    writer.Write()
    return vtk_to_numpy(writer.GetResult()).tobytes()
