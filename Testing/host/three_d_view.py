"""A 3D view on an off-screen window: Slicer's own displayable managers, without Qt."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from host.boot import Host
from host.pictures import grab, render_small

MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
)


class ThreeDView:
    """One 3D view with depth peeling. Create it before its color legends. size: (width, height) in pixels."""

    def __init__(self, host: Host, name: str = "1", size: tuple[int, int] = (900, 768)) -> None:
        self.host = host
        self.size = size
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetAlphaBitPlanes(1)
        self.window.SetSize(*size)
        self.renderer = vtk.vtkRenderer()
        self.renderer.SetUseDepthPeeling(1)
        self.renderer.SetMaximumNumberOfPeels(20)
        self.renderer.SetOcclusionRatio(0.0)
        self.window.AddRenderer(self.renderer)
        interactor = vtk.vtkRenderWindowInteractor()
        interactor.SetRenderWindow(self.window)
        self.logic, self.node = self._start_logic(name)
        self.group = self._start_managers()

    def look_at(self, bounds: tuple[float, ...], azimuth: float = 20.0, elevation: float = 12.0) -> None:
        """Look from the front (anterior), turned by the angles in degrees, so that `bounds` (mm RAS) fill the view."""
        camera = self.renderer.GetActiveCamera()
        center = [(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)]
        camera.SetFocalPoint(*center)
        camera.SetPosition(center[0], center[1] + 500.0, center[2])
        camera.SetViewUp(0, 0, 1)
        camera.Azimuth(azimuth)
        camera.Elevation(elevation)
        camera.OrthogonalizeViewUp()
        self.renderer.ResetCamera(bounds)
        camera.Zoom(1.35)
        self.renderer.ResetCameraClippingRange()

    def pixels(self) -> np.ndarray:
        """Render and return the picture, (height, width, 3) uint8, top row first."""
        self.window.Render()
        return grab(self.window)

    def render_small(self) -> None:
        """Render a few pixels, for the errors that VTK may report."""
        render_small(self.window)

    def resize(self, size: tuple[int, int]) -> None:
        """Change the size of the picture, (width, height)."""
        self.size = size
        self.window.SetSize(*size)

    def close(self) -> None:
        """Release the scene and the window; another view with this name can then be created."""
        self.group.SetMRMLDisplayableNode(None)
        self.host.application_logic.GetViewLogics().RemoveItem(self.logic)
        self.logic.SetMRMLScene(None)
        self.host.scene.RemoveNode(self.node)
        self.window.Finalize()

    def _start_logic(self, name: str) -> tuple[Any, Any]:
        logic = slicer.vtkMRMLViewLogic()
        logic.SetMRMLApplicationLogic(self.host.application_logic)
        self.host.application_logic.GetViewLogics().AddItem(logic)
        logic.SetName(name)
        logic.SetMRMLScene(self.host.scene)
        node = logic.GetViewNode() or logic.AddViewNode(name)  # a layout may have created it
        node.SetBoxVisible(False)
        node.SetAxisLabelsVisible(False)
        node.SetUseDepthPeeling(True)
        node.SetBackgroundColor(0.07, 0.08, 0.10)
        node.SetBackgroundColor2(0.16, 0.18, 0.22)
        return logic, node

    def _start_managers(self) -> Any:
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(self.host.application_logic)
        for manager in MANAGERS:
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        group = slicer.vtkMRMLDisplayableManagerGroup()
        group.Initialize(factory, self.renderer)
        group.SetMRMLDisplayableNode(self.node)
        return group
