"""A slice view on an off-screen window: Slicer's own displayable managers, without Qt."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from host.boot import Host
from host.pictures import grab, render_small

MANAGERS = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
)


class SliceView:
    """One slice view. Create it before the color legends that it should show, as in the application.

    name: layout name ("Red"). orientation: "Axial", "Coronal" or "Sagittal". size: (width, height), pixels.
    """

    def __init__(
        self, host: Host, name: str = "Red", orientation: str = "Axial", size: tuple[int, int] = (768, 768)
    ) -> None:
        self.host = host
        self.size = size
        self.window, self.renderer = _window(size)
        self.logic = self._start_logic(name, orientation)
        self.node = self.logic.GetSliceNode()
        self.composite_node = self.logic.GetSliceCompositeNode()
        self._draw_image()
        self.group = self._start_managers()
        self.logic.ResizeSliceNode(*size)

    def show(
        self, background: Any, foreground: Any | None = None, foreground_opacity: float = 0.5, label: Any | None = None
    ) -> None:
        """Put volume nodes in the layers and fit the field of view to the background."""
        self.composite_node.SetBackgroundVolumeID(background.GetID())
        self.composite_node.SetForegroundVolumeID(foreground.GetID() if foreground else None)
        self.composite_node.SetForegroundOpacity(foreground_opacity if foreground else 0.0)
        self.composite_node.SetLabelVolumeID(label.GetID() if label else None)
        self.logic.FitSliceToBackground()

    def look_at(self, ras: tuple[float, float, float], height_mm: float | None = None) -> None:
        """Move the slice through `ras` (mm); with `height_mm`, center on it and show that much of the patient."""
        self.node.JumpSliceByOffsetting(*ras)
        if height_mm is None:
            return
        width, height = self.size
        self.node.SetFieldOfView(height_mm * width / height, height_mm, self.node.GetFieldOfView()[2])
        self.node.JumpSliceByCentering(*ras)

    def pixels(self) -> np.ndarray:
        """Render and return the picture, (height, width, 3) uint8, top row first."""
        self._image_mapper.SetInputConnection(self.logic.GetImageDataConnection())  # none before a layer is set
        self.window.Render()
        return grab(self.window)

    def render_small(self) -> None:
        """Render a few pixels, for the errors that VTK may report."""
        self._image_mapper.SetInputConnection(self.logic.GetImageDataConnection())
        render_small(self.window)

    def resize(self, size: tuple[int, int]) -> None:
        """Change the size of the picture, (width, height)."""
        self.size = size
        self.window.SetSize(*size)
        self.logic.ResizeSliceNode(*size)

    def ras_of_pixels(self) -> np.ndarray:
        """Return the patient position of every pixel of `pixels`, (height, width, 3), mm RAS."""
        matrix = slicer.util.arrayFromVTKMatrix(self.node.GetXYToRAS())
        width, height = self.size
        x, y = np.meshgrid(np.arange(width), np.arange(height - 1, -1, -1))
        return np.stack([x, y, np.zeros_like(x)], axis=-1) @ matrix[:3, :3].T + matrix[:3, 3]

    def close(self) -> None:
        """Release the scene and the window; another view with this name can then be created."""
        self.group.SetMRMLDisplayableNode(None)
        self.host.application_logic.GetSliceLogics().RemoveItem(self.logic)
        self.logic.SetMRMLScene(None)
        for node in (self.composite_node, self.node):
            self.host.scene.RemoveNode(node)
        self.window.Finalize()

    def _start_logic(self, name: str, orientation: str) -> Any:
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(self.host.application_logic)
        self.host.application_logic.GetSliceLogics().AddItem(logic)
        logic.SetMRMLScene(self.host.scene)
        known = self.host.scene.GetSingletonNode(name, "vtkMRMLSliceNode")
        if known is not None:  # created by a layout
            logic.SetSliceNode(known)
        else:
            logic.AddSliceNode(name).SetOrientation(orientation)
        return logic

    def _draw_image(self) -> None:
        """Draw the blended layers in the background; in the application a ctk class does this."""
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        actor = vtk.vtkActor2D()
        actor.SetMapper(mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddActor2D(actor)
        self._image_mapper = mapper

    def _start_managers(self) -> Any:
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(self.host.application_logic)
        for manager in MANAGERS:
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        group = slicer.vtkMRMLDisplayableManagerGroup()
        group.Initialize(factory, self.renderer)
        group.SetMRMLDisplayableNode(self.node)
        return group


def _window(size: tuple[int, int]) -> tuple[Any, Any]:
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetSize(*size)
    renderer = vtk.vtkRenderer()
    window.AddRenderer(renderer)
    interactor = vtk.vtkRenderWindowInteractor()
    interactor.SetRenderWindow(window)
    interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
    return window, renderer
