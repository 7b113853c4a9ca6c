"""A maximum intensity projection of the PET in the module's 3D view, by Slicer's volume rendering.

Shown only on request: a graphics card renders it at once, a CPU takes up to a second per picture.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from REACTKDLib.scene.reading_layout import THREE_D
from REACTKDLib.scene.scene_nodes import marked_nodes

_MARK = "REACTKD.Projection"
_FAINT, _FULL = 0.10, 0.85  # opacity at the lower and upper end of the window


def show_projection(scene: Any, volume: Any | None, window: tuple[float, float] = (0.0, 1.0)) -> None:
    """Show the projection of `volume`, one of the module's own nodes, bright on dark; None: none. Idempotent.

    window: lowest and highest value, transparent and white.
    """
    view = scene.GetSingletonNode(THREE_D, "vtkMRMLViewNode")
    for display in _own_displays(scene):
        if volume is None or view is None or display.GetVolumeNode() is not volume:
            _remove(scene, display)
    if volume is None or view is None:
        return
    display = next(iter(_own_displays(scene)), None) or _made(scene, volume, view)
    key = f"{window[0]:.6g} {window[1]:.6g}"
    if display.GetAttribute(_MARK) != key:
        display.SetAttribute(_MARK, key)
        _set_window(display.GetVolumePropertyNode(), *window)
    view.SetRaycastTechnique(view.MaximumIntensityProjection)
    display.SetVisibility(True)


def _made(scene: Any, volume: Any, view: Any) -> Any:
    logic = slicer.modules.volumerendering.logic()
    display = logic.CreateVolumeRenderingDisplayNode()
    display.UnRegister(None)
    display.SetAttribute(_MARK, "new")
    display.SetSaveWithScene(False)
    display.SetVisibility(False)
    display.AddViewNodeID(view.GetID())
    scene.AddNode(display)
    prop = slicer.vtkMRMLVolumePropertyNode()
    prop.SetHideFromEditors(True)
    prop.SetSaveWithScene(False)
    scene.AddNode(prop)
    display.SetAndObserveVolumePropertyNodeID(prop.GetID())
    volume.AddAndObserveDisplayNodeID(display.GetID())
    return display


def _set_window(node: Any, low: float, high: float) -> None:
    opacity, color = vtk.vtkPiecewiseFunction(), vtk.vtkColorTransferFunction()
    for value, alpha, gray in ((low, 0.0, 0.0), (low + 0.1 * (high - low), _FAINT, 0.2), (high, _FULL, 1.0)):
        opacity.AddPoint(value, alpha)
        color.AddRGBPoint(value, gray, gray, gray)
    node.SetScalarOpacity(opacity)
    node.SetColor(color)
    node.GetVolumeProperty().SetInterpolationTypeToLinear()
    node.GetVolumeProperty().ShadeOff()


def _own_displays(scene: Any) -> list[Any]:
    return marked_nodes(scene, "vtkMRMLVolumeRenderingDisplayNode", _MARK)


def _remove(scene: Any, display: Any) -> None:
    prop = display.GetVolumePropertyNode()
    display.SetVisibility(False)
    scene.RemoveNode(display)
    if prop is not None:
        scene.RemoveNode(prop)
