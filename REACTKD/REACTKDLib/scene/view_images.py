"""Volume nodes for the module's own views, which share voxels with the user's volumes but have their own display.

Window and color table belong to a volume's display node, and thus to every view. A separate volume node with the same
voxels and position leaves the user's display unchanged, and costs no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import slicer
import vtk

from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.case import NODE_NAMES
from REACTKDLib.scene.scene_nodes import marked_nodes, new_marked_node, remove_with_displays

_MARK = "REACTKD.ViewOf"
_CLASS = "vtkMRMLScalarVolumeNode"


class ViewImages:
    """One volume node for each image of the current case; they follow the user's volumes while they are shown.

    images = ViewImages(scene)
    images.show({Modality.CT: ct})   # made or reused
    images.node(Modality.CT)
    images.release()                 # the voxels are let go
    """

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        self._sources: dict[Modality, Any] = {}
        self._observed: list[tuple[Any, int]] = []

    def show(self, volumes: Mapping[Modality, Any]) -> None:
        """Show these volumes, and no others. Nodes without a scalar image are left out. Idempotent."""
        wanted = {modality: node for modality, node in volumes.items() if _is_plain(node)}
        if wanted != self._sources:
            self._unobserve()
            self._sources = wanted
            for modality, source in wanted.items():
                tag = source.AddObserver(vtk.vtkCommand.ModifiedEvent, self._follower(modality))
                self._observed.append((source, tag))
        for modality in Modality:
            self._follow(modality)

    def release(self) -> None:
        """Show nothing, and remove the nodes. May be called twice, and while the scene closes."""
        self._unobserve()
        self._sources = {}
        for node in _own_nodes(self.scene).values():
            remove_with_displays(self.scene, node)

    def source(self, modality: Modality) -> Any | None:
        """Return the user's volume that is shown, or None."""
        return self._sources.get(modality)

    def node(self, modality: Modality) -> Any | None:
        """Return the volume node for the views, or None if the case has no such image."""
        return _own_nodes(self.scene).get(modality) if modality in self._sources else None

    def _follower(self, modality: Modality) -> Callable[..., None]:
        return lambda *_: self._follow(modality)

    def _follow(self, modality: Modality) -> None:
        """Update voxels and position from the user's volume."""
        source, node = self._sources.get(modality), _own_nodes(self.scene).get(modality)
        if source is None or source.GetScene() is None:
            if node is not None:
                node.SetAndObserveImageData(None)
            return
        node = node or _made(self.scene, modality)
        if node.GetImageData() is not source.GetImageData():
            node.SetAndObserveImageData(source.GetImageData())
        if node.GetTransformNodeID() != source.GetTransformNodeID():
            node.SetAndObserveTransformNodeID(source.GetTransformNodeID())
        place, own = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
        source.GetIJKToRASMatrix(place)
        node.GetIJKToRASMatrix(own)
        if any(place.GetElement(i, j) != own.GetElement(i, j) for i in range(4) for j in range(4)):
            node.SetIJKToRASMatrix(place)

    def _unobserve(self) -> None:
        for source, tag in self._observed:
            source.RemoveObserver(tag)
        self._observed = []


def _is_plain(node: Any | None) -> bool:
    if node is None or node.GetScene() is None or node.GetImageData() is None:
        return False
    scalars = node.GetImageData().GetPointData().GetScalars()
    return scalars is not None and scalars.GetNumberOfComponents() == 1


def _made(scene: Any, modality: Modality) -> Any:
    """Return an unlisted node, named for the image and not for the patient, since Slicer shows names in its views."""
    node = new_marked_node(scene, _CLASS, NODE_NAMES[modality], _MARK, modality.value)
    display = slicer.vtkMRMLScalarVolumeDisplayNode()
    display.SetAutoWindowLevel(False)  # otherwise all voxels are read to compute a window
    display.SetAutoThreshold(False)
    display.SetSaveWithScene(False)
    display.SetInterpolate(True)
    scene.AddNode(display)
    node.SetAndObserveDisplayNodeID(display.GetID())
    return scene.AddNode(node)


def _own_nodes(scene: Any) -> dict[Modality, Any]:
    return {Modality(node.GetAttribute(_MARK)): node for node in marked_nodes(scene, _CLASS, _MARK)}
