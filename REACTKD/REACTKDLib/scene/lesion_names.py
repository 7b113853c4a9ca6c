"""The name of each lesion beside it, in every slice that cuts it and in 3D.

A segmentation has no labels in views; markup control points do. A point lies in one plane only, so each slice view has
its own points, which move with its slice. They are never saved, listed or editable.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from REACTKDLib.scene.region_segmentation import CLOSED_SURFACE, lesion_segments, shown_segments
from REACTKDLib.scene.scene_nodes import marked_nodes, new_marked_node, remove_with_displays
from REACTKDLib.scene.shown_views import SLICE_VIEW, THREE_D_VIEW, show_only_in, shown_views

_CLASS, _MARK = "vtkMRMLMarkupsFiducialNode", "REACTKD.LesionNames"
_IN_3D = "3D"  # otherwise the ID of a slice view
_TEXT_SCALE = 2.8  # percent of the view's size
_NAME_HEIGHT = 0.042  # of the view's height: a name of that scale with its background
_NAME_WIDTH = 4.0  # in heights of a name
_NAME_IN_3D_MM = 7.5  # height of a name in 3D, where the liver fills the view
_NEAR_MM = 2.5  # points of a surface are about 2 mm apart
_SMOOTHED_MM = 1.5  # the smoothed surface lies slightly inside the outermost voxels


class LesionNames:
    """Keeps names beside the lesions as slices move and layouts change.

    names = LesionNames(scene)
    names.show(outputs.regions)      # or None: no names
    names.forget_views()             # other views are on show now: show again
    names.close()
    """

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        self._regions: Any = None
        self._lesions: list[tuple[str, np.ndarray]] = []
        self._stamp: tuple | None = ()  # of what is shown; None: incomplete
        self._observed: list[tuple[Any, int]] = []
        self._places: dict[str, bytes] = {}
        for node in marked_nodes(scene, _CLASS, _MARK):  # left by a panel before a reload
            remove_with_displays(scene, node)

    def show(self, regions: Any | None) -> None:
        """Name the lesions of a region segmentation (`scene.region_segmentation`); None: no names. Idempotent."""
        for _step in self.show_steps(regions):
            pass

    def show_steps(self, regions: Any | None) -> Iterator[None]:
        """Do what `show` does, with a yield after each view that gets names: markups take 50 ms to make in a view."""
        if regions is not None and (regions.GetScene() is None or not shown_segments(regions)):
            regions = None
        stamp = () if regions is None else _stamp_of(regions)
        if stamp == self._stamp and regions is self._regions:
            return
        self._regions, self._stamp = regions, None
        self._lesions = [] if regions is None else list(_surfaces(regions))
        yield from self._steps()
        self._stamp = stamp

    def _steps(self) -> Iterator[None]:
        """Create names in the visible views; nodes of hidden views are kept, hidden, until their views are visible
        again.
        """
        self._release()
        views = shown_views(self.scene, SLICE_VIEW) if self._lesions else []
        three_ds = shown_views(self.scene, THREE_D_VIEW) if self._lesions else []
        wanted = {view.GetID(): [view] for view in views} | ({_IN_3D: three_ds} if three_ds else {})
        nodes = {node.GetAttribute(_MARK): node for node in marked_nodes(self.scene, _CLASS, _MARK)}
        for key, node in nodes.items():
            if key in wanted:
                continue
            if self._regions is not None and (key == _IN_3D or self.scene.GetNodeByID(key) is not None):
                node.GetDisplayNode().SetVisibility(False)  # its view, or the surfaces of the lesions, may return
            else:
                remove_with_displays(self.scene, node)
        for key, of in wanted.items():
            if any(view.GetScene() is None for view in of):
                continue  # gone since the last step
            node = nodes.get(key) or self._made(key)
            show_only_in(node.GetDisplayNode(), of)
            _fill(node, [name for name, _points in self._lesions])
            if key == _IN_3D:
                self._place_in_3d(node)
            else:
                tag = of[0].AddObserver(vtk.vtkCommand.ModifiedEvent, lambda view, _event: self._place_in_slice(view))
                self._observed.append((of[0], tag))
                self._place_in_slice(of[0])
            node.GetDisplayNode().SetVisibility(True)
            if key not in nodes:
                yield

    def forget_views(self) -> None:
        """The visible views have changed: the next `show` checks them."""
        self._release()
        self._stamp = None

    def close(self) -> None:
        """Remove all names from the scene. May be called twice, and while the scene closes."""
        self._regions, self._lesions, self._stamp = None, [], ()
        self._release()
        for node in marked_nodes(self.scene, _CLASS, _MARK):
            remove_with_displays(self.scene, node)

    def _release(self) -> None:
        for view, tag in self._observed:
            view.RemoveObserver(tag)
        self._observed, self._places = [], {}

    def _place_in_slice(self, view: Any) -> None:
        """Move the points to the upper right of each lesion's section in the slice; hide those of other lesions."""
        node = next(
            (node for node in marked_nodes(self.scene, _CLASS, _MARK) if node.GetAttribute(_MARK) == view.GetID()), None
        )
        matrix = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())
        to_world = _to_world(self._regions)
        fov_mm = view.GetFieldOfView()[1]
        place = matrix.tobytes() + to_world.tobytes() + np.float64(fov_mm).tobytes()
        if node is None or self._places.get(view.GetID()) == place:
            return
        self._places[view.GetID()] = place
        anchors = [_anchor(points @ to_world[:3, :3].T + to_world[:3, 3], matrix) for _name, points in self._lesions]
        cut = [index for index, anchor in enumerate(anchors) if anchor is not None]
        places = np.array([anchors[index] for index in cut]).reshape(-1, 2)
        height = _NAME_HEIGHT * fov_mm
        places[:, 1] = apart(places[:, :1], places[:, 1], _NAME_WIDTH * height, height)
        hold = node.StartModify()
        for index in range(len(anchors)):
            node.SetNthControlPointVisibility(index, index in cut)
        for index, (x, y) in zip(cut, places, strict=True):
            node.SetNthControlPointPositionWorld(index, vtk.vtkVector3d(*(matrix @ [x, y, 0, 1])[:3]))
        node.EndModify(hold)

    def _place_in_3d(self, node: Any) -> None:
        to_world = _to_world(self._regions)
        worlds = [points @ to_world[:3, :3].T + to_world[:3, 3] for _name, points in self._lesions]
        tops = np.array([(*world.mean(axis=0)[:2], world[:, 2].max()) for world in worlds]).reshape(-1, 3)
        # for the initial view, from the front; after turning, names may overlap
        tops[:, 2] = apart(tops[:, :1], tops[:, 2], _NAME_WIDTH * _NAME_IN_3D_MM, _NAME_IN_3D_MM)
        for index, top in enumerate(tops):
            node.SetNthControlPointPositionWorld(index, vtk.vtkVector3d(*top))

    def _made(self, key: str) -> Any:
        node = new_marked_node(self.scene, _CLASS, "REACTKD lesion names", _MARK, key)
        node.SetLocked(True)
        with _same_place_node(self.scene):
            node = self.scene.AddNode(node)
            node.CreateDefaultDisplayNodes()
        _style(node.GetDisplayNode())
        return node


def is_lesion_names(node: Any) -> bool:
    """Return True for a markups node of names of lesions."""
    return node is not None and node.GetAttribute(_MARK) is not None


def _surfaces(regions: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and surface points (n, 3), mm, in the frame of the segmentation, of each lesion that is shown."""
    data = regions.GetSegmentation()
    for segment_id in _shown_lesions(regions):
        surface = data.GetSegment(segment_id).GetRepresentation(CLOSED_SURFACE)
        if surface is not None and surface.GetNumberOfPoints():
            points = vtk_to_numpy(surface.GetPoints().GetData()).astype(float)
            yield data.GetSegment(segment_id).GetName(), points


def _shown_lesions(regions: Any) -> list[str]:
    shown = shown_segments(regions)
    return [segment_id for segment_id in lesion_segments(regions) if segment_id in shown]


def _stamp_of(regions: Any) -> tuple:
    """Return a stamp that changes when lesions are drawn, renamed, shown, hidden or moved."""
    data = regions.GetSegmentation()
    segments = [data.GetSegment(item) for item in _shown_lesions(regions)]
    surfaces = [(segment.GetName(), segment.GetRepresentation(CLOSED_SURFACE)) for segment in segments]
    drawn = ((name, id(surface), surface.GetMTime()) for name, surface in surfaces if surface is not None)
    return (_to_world(regions).tobytes(), *drawn)


def _to_world(regions: Any) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    parent = regions.GetParentTransformNode()
    if parent is not None:
        parent.GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _anchor(points: np.ndarray, slice_to_ras: np.ndarray) -> np.ndarray | None:
    """Return the position of the name, (2,) mm in the slice: upper right of the lesion; None if the slice misses it."""
    local = (points - slice_to_ras[:3, 3]) @ slice_to_ras[:3, :3]  # the axes of a slice are orthonormal
    depth = local[:, 2]
    if depth.min() > _SMOOTHED_MM or depth.max() < -_SMOOTHED_MM:
        return None
    near = local[np.abs(depth) <= max(_NEAR_MM, np.abs(depth).min())]
    return near[np.argmax(near[:, 0] + near[:, 1]), :2]


def apart(across: np.ndarray, up: np.ndarray, width: float, height: float) -> np.ndarray:
    """Return the heights of names, (n,) mm: from the lowest on, each is raised above those that it would cover.

    across: (n, k) and up: (n,), the original positions. width, height: of a name.
    """
    out = np.array(up, dtype=float)
    below: list[int] = []
    for n in np.argsort(out, kind="stable"):
        for m in sorted(below, key=out.__getitem__):
            if np.linalg.norm(across[n] - across[m]) < width and abs(out[n] - out[m]) < height:
                out[n] = out[m] + height
        below.append(int(n))
    return out


def _fill(node: Any, names: list[str]) -> None:
    hold = node.StartModify()
    if node.GetNumberOfControlPoints() != len(names):
        node.RemoveAllControlPoints()
        for _name in names:
            node.AddControlPoint(vtk.vtkVector3d(0.0, 0.0, 0.0))
    for index, name in enumerate(names):
        node.SetNthControlPointLabel(index, name)
    node.EndModify(hold)


def _style(display: Any) -> None:
    """White on a dark background, readable over a dark CT and a white PET."""
    display.SetSaveWithScene(False)
    display.SetUseGlyphScale(False)
    display.SetGlyphSize(0.01)  # mm: only the name is visible
    display.SetTextScale(_TEXT_SCALE)
    display.SetPointLabelsVisibility(True)
    display.SetPropertiesLabelVisibility(False)
    display.SetOccludedVisibility(True)
    display.SetOccludedOpacity(1.0)
    for set_color in (display.SetColor, display.SetSelectedColor):
        set_color(1.0, 1.0, 1.0)
    text = display.GetTextProperty()
    text.SetBold(True)
    text.SetBackgroundColor(0.0, 0.0, 0.0)
    text.SetBackgroundOpacity(0.45)


@contextmanager
def _same_place_node(scene: Any) -> Iterator[None]:
    """Restore Slicer's active markup afterwards: Slicer makes every new one the target of the next click."""
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    before = selection.GetActivePlaceNodeID() if selection is not None else None
    kind = selection.GetActivePlaceNodeClassName() if selection is not None else None
    try:
        yield
    finally:
        if selection is not None:
            selection.SetReferenceActivePlaceNodeID(before)
            selection.SetReferenceActivePlaceNodeClassName(kind)
