"""`slicer.app.layoutManager()`: Slicer's own layout logic creates the view nodes; this class creates their widgets.

A module adds a layout as in the application, with its own id:

    node = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    node.AddLayoutDescription(id, xml)
    slicer.app.layoutManager().setLayout(id)
"""

from __future__ import annotations

from typing import Any

import shiboken6
import slicer
import vtk
from PySide6.QtWidgets import QBoxLayout, QWidget

from host.boot import Host
from host.views import SliceWidget, ThreeDWidget

SLICES = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}  # exist in Slicer from the start
SPACING = 2


class Layout(QWidget):
    """qSlicerLayoutManager, with the widget that contains the views of the current layout, nested as in its XML."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host
        self._slices: dict[str, SliceWidget] = {}
        self._three_ds: dict[str, ThreeDWidget] = {}
        self._root: QWidget | None = None
        self._shown: str | None = None
        place = QBoxLayout(QBoxLayout.Direction.TopToBottom, self)
        place.setContentsMargins(0, 0, 0, 0)
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLApplicationLogic(host.application_logic)
        self._logic.SetMRMLScene(host.scene)
        self._node = self._logic.GetLayoutNode()
        for name in SLICES:
            self._slice(name)
        self._three_d("1")
        self._node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self._node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._arrange())
        host.scene.AddObserver(slicer.vtkMRMLScene.NodeRemovedEvent, lambda *_: self._forget_removed())
        self._arrange()

    def layoutLogic(self) -> Any:
        return self._logic

    def sliceViewNames(self) -> tuple[str, ...]:
        """Return the names of all slice views ever shown, including those outside the current layout."""
        return tuple(self._slices)

    def sliceWidget(self, name: str) -> SliceWidget | None:
        return self._slices.get(name)

    @property
    def threeDViewCount(self) -> int:
        return len(self._three_ds)

    def threeDWidget(self, which: int | str) -> ThreeDWidget | None:
        """Return a 3D view by its number, or by its layout name."""
        if isinstance(which, int):
            return list(self._three_ds.values())[which] if 0 <= which < len(self._three_ds) else None
        return self._three_ds.get(which)

    def mrmlSliceLogics(self) -> Any:
        return self._host.application_logic.GetSliceLogics()

    def setLayout(self, layout: int) -> None:
        """Show the views of a layout; an unknown number raises, while the application would only log it."""
        if not self._node.IsLayoutDescription(layout):
            raise ValueError(f"there is no layout {layout}")
        self._node.SetViewArrangement(layout)

    @property
    def layout(self) -> int:
        return self._node.GetViewArrangement()

    def resetSliceViews(self) -> None:
        for widget in self._slices.values():
            widget.fitSliceToBackground()

    def resetThreeDViews(self) -> None:
        for widget in self._three_ds.values():
            widget.resetFocalPoint()

    def setRenderPaused(self, _paused: bool) -> None:
        """Views are rendered on request only."""

    def check_changes(self) -> None:
        """Not in Slicer: render changes in the visible views, to provoke the errors that VTK may report."""
        for widget in self._widgets():
            widget.check_changes()

    def _widgets(self) -> tuple[SliceWidget | ThreeDWidget, ...]:
        return (*self._slices.values(), *self._three_ds.values())

    def _slice(self, name: str) -> SliceWidget:
        if name not in self._slices:
            node = self._host.scene.GetSingletonNode(name, "vtkMRMLSliceNode")
            orientation = node.GetOrientation() if node is not None else SLICES[name]
            self._slices[name] = SliceWidget(self._host, name, orientation)
        return self._slices[name]

    def _three_d(self, name: str) -> ThreeDWidget:
        if name not in self._three_ds:
            self._three_ds[name] = ThreeDWidget(self._host, name)
        return self._three_ds[name]

    def _forget_removed(self) -> None:
        """Delete views whose node was removed, as in the application."""
        for widgets in (self._slices, self._three_ds):
            for name, widget in list(widgets.items()):
                if not self._host.scene.IsNodePresent(self._node_of(widget)):
                    del widgets[name]
                    widget.close_view()
                    widget.setParent(None)
                    widget.deleteLater()

    def show_again(self) -> None:
        """Not in Slicer: show the views of the layout, also if `Host.reset` took them out of it."""
        self._shown = None
        self._arrange()

    def _arrange(self) -> None:
        """Nest the widgets as in the layout's XML, and mark the view nodes that are part of it."""
        description = self._node.GetCurrentLayoutDescription()
        if description == self._shown:
            return
        self._shown = description
        for widget in self._widgets():
            widget.hide()
            widget.setParent(None)
            self._node_of(widget).SetMappedInLayout(False)
        if self._root is not None:
            shiboken6.delete(self._root)
        root = self._node.GetLayoutRootElement()
        self._root = self._made(root) if root is not None else QWidget()
        QWidget.layout(self).addWidget(self._root)
        self._root.show()

    def _made(self, element: Any) -> QWidget:
        """Return the widget for an element of the XML: a view, or a horizontal or vertical box of items."""
        if element.GetName() == "view":
            return self._view(element)
        across = element.GetAttribute("type") == "horizontal"
        direction = QBoxLayout.Direction.LeftToRight if across else QBoxLayout.Direction.TopToBottom
        box = QWidget()
        items = QBoxLayout(direction, box)
        items.setContentsMargins(0, 0, 0, 0)
        items.setSpacing(SPACING)
        for index in range(element.GetNumberOfNestedElements()):
            item = element.GetNestedElement(index)
            if item.GetName() == "item" and item.GetNumberOfNestedElements():
                items.addWidget(self._made(item.GetNestedElement(0)), 1)
        return box

    def _view(self, element: Any) -> QWidget:
        kind, name = element.GetAttribute("class"), element.GetAttribute("singletontag")
        if kind == "vtkMRMLSliceNode":
            widget = self._slice(name)
        elif kind == "vtkMRMLViewNode":
            widget = self._three_d(name)
        else:
            return QWidget()  # the host has no table and plot views
        self._node_of(widget).SetMappedInLayout(True)
        widget.show()
        return widget

    @staticmethod
    def _node_of(widget: SliceWidget | ThreeDWidget) -> Any:
        return widget.mrmlSliceNode() if isinstance(widget, SliceWidget) else widget.mrmlViewNode()
