"""Slice and 3D widgets that show off-screen views, for `slicer.app.layoutManager()`."""

from __future__ import annotations

from typing import Any

import vtk
from PySide6.QtCore import QPointF, QTimer
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QWidget

from host.boot import Host
from host.pictures import missing_rendering
from host.slice_view import SliceView
from host.three_d_view import ThreeDView

VIEW_SIZE = (480, 360)
#  Without a graphics card rendering takes 20 to 60 ms, so changes are collected for this time after the first one.
# None:
REDRAW_MS: int | None = 150


class ViewWidget(QWidget):
    """A widget that shows the picture of an off-screen view and renders it again when Slicer's managers request it."""

    def __init__(self, view: SliceView | ThreeDView) -> None:
        super().__init__()
        self._view = view
        self._dirty = True
        self._image: QImage | None = None
        self._pressed: QPointF | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._on_request = REDRAW_MS is None
        self._timer.setInterval(REDRAW_MS or 0)
        self._timer.timeout.connect(self.update)
        view.group.AddObserver(vtk.vtkCommand.UpdateEvent, lambda *_: self.schedule())
        self.setMinimumSize(120, 90)

    def schedule(self) -> None:
        """Mark the picture as outdated; render again soon if the widget is visible."""
        self.__dict__["_dirty"] = True
        if not self._on_request and not self._timer.isActive() and self.isVisible():
            self._timer.start()

    def forceRender(self) -> None:
        self.draw()

    def scheduleRender(self) -> None:
        self.schedule()

    def close_view(self) -> None:
        """Release the scene; in Slicer the destructor does this."""
        self._timer.stop()
        self._view.close()

    def renderWindow(self) -> Any:
        return self._view.window

    def draw(self) -> QImage | None:
        """Render now and return the picture; None without off-screen OpenGL."""
        if missing_rendering():
            return None
        pixels = self._view.pixels()
        height, width, _ = pixels.shape
        self._image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
        self._dirty = False
        return self._image

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        size = event.size()
        self._view.resize((max(size.width(), 16), max(size.height(), 16)))
        self.schedule()

    def check_changes(self) -> None:
        """If the view is visible, render changes at a small size: VTK reports errors at any size, in a fifth of the
        time.
        """
        if self._dirty and self.isVisible() and not missing_rendering():
            self._view.render_small()

    def paintEvent(self, _event: Any) -> None:
        if self._dirty and not self._on_request:
            self.draw()
        if self._image is not None:
            painter = QPainter(self)
            painter.drawImage(self.rect, self._image)
            painter.end()


class SliceWidget(ViewWidget):
    """qMRMLSliceWidget: the wheel moves through the slices."""

    def __init__(self, host: Host, name: str, orientation: str) -> None:
        self._slice = SliceView(host, name, orientation, VIEW_SIZE)
        super().__init__(self._slice)
        self._corners = vtk.vtkCornerAnnotation()
        self._corners.SetMaximumFontSize(14)
        self._slice.renderer.AddViewProp(self._corners)
        self._slice.logic.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self.schedule())
        self._slice.node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self.schedule())

    def cornerAnnotation(self) -> Any:
        return self._corners

    def draw(self) -> QImage | None:
        """First write the names of the volumes into a corner, as the module Data Probe does."""
        layers = (self._slice.logic.GetBackgroundLayer(), self._slice.logic.GetForegroundLayer())
        volumes = (layer.GetVolumeNode() if layer is not None else None for layer in layers)
        self._corners.SetText(0, "\n".join(volume.GetName() for volume in volumes if volume is not None))
        return super().draw()

    def sliceLogic(self) -> Any:
        return self._slice.logic

    def mrmlSliceNode(self) -> Any:
        return self._slice.node

    def mrmlSliceCompositeNode(self) -> Any:
        return self._slice.composite_node

    def sliceView(self) -> ViewWidget:
        return self

    def sliceController(self) -> SliceController:
        return SliceController(self._slice)

    def fitSliceToBackground(self) -> None:
        self._slice.logic.FitSliceToBackground()

    def wheelEvent(self, event: Any) -> None:
        steps, logic = event.angleDelta().y() / 120.0, self._slice.logic
        spacing = logic.GetLowestVolumeSliceSpacing()[2]
        logic.StartSliceOffsetInteraction()  # so that linked views follow
        logic.SetSliceOffset(logic.GetSliceOffset() + steps * spacing)
        logic.EndSliceOffsetInteraction()


class SliceController:
    """qMRMLSliceControllerWidget, as far as it is used."""

    def __init__(self, view: SliceView) -> None:
        self._view = view

    def sliceLogic(self) -> Any:
        return self._view.logic

    def mrmlSliceNode(self) -> Any:
        return self._view.node

    def fitSliceToBackground(self) -> None:
        self._view.logic.FitSliceToBackground()

    def setSliceVisible(self, visible: bool) -> None:
        self._view.node.SetSliceVisible(visible)


class ThreeDWidget(ViewWidget):
    """qMRMLThreeDWidget and its view: dragging rotates the camera."""

    def __init__(self, host: Host, name: str) -> None:
        self._three_d = ThreeDView(host, name, VIEW_SIZE)
        super().__init__(self._three_d)

    def threeDView(self) -> ThreeDWidget:
        return self

    def mrmlViewNode(self) -> Any:
        return self._three_d.node

    def resetFocalPoint(self) -> None:
        self._frame()

    def resetCamera(self) -> None:
        self._frame()

    def _frame(self) -> None:
        bounds = self._three_d.renderer.ComputeVisiblePropBounds()
        if bounds[0] <= bounds[1]:
            self._three_d.look_at(bounds)
            self.schedule()

    def mousePressEvent(self, event: Any) -> None:
        self.__dict__["_pressed"] = event.position()

    def mouseMoveEvent(self, event: Any) -> None:
        before, now = self._pressed, event.position()
        self.__dict__["_pressed"] = now
        if before is not None:
            camera = self._three_d.renderer.GetActiveCamera()
            camera.Azimuth(before.x() - now.x())
            camera.Elevation(now.y() - before.y())
            camera.OrthogonalizeViewUp()
            self._three_d.renderer.ResetCameraClippingRange()
            self.schedule()
