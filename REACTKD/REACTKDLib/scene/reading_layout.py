"""The module's own layouts: axial, coronal, sagittal and 3D; or a row of three slices for each of two or three images.

They use their own views beside Slicer's Red, Green and Yellow, whose content and display are never changed: to leave,
the user's layout is chosen again. As in other extensions, the layout node gets descriptions under separate ids
(https://slicer.readthedocs.io/en/latest/developer_guide/script_repository/gui.html#layout).
"""

from __future__ import annotations

from typing import Any

from REACTKDLib.scene.scene_nodes import nodes_of_class
from REACTKDLib.scene.translation import tr as _

ONE, TWO_ROWS, THREE_ROWS = 18101, 18102, 18103
ROWS = {1: ONE, 2: TWO_ROWS, 3: THREE_ROWS}
THREE_D = "REACTKD"
ORIENTATIONS = ("Axial", "Coronal", "Sagittal")
_COLORS = {"Axial": "#F34A33", "Coronal": "#6EB04B", "Sagittal": "#EDD54C"}  # those of Red, Green and Yellow
_GROUP = 18100  # linked with each other, never with the user's views
_BEFORE, _ROWS, _STYLED = "REACTKD.LayoutBefore", "REACTKD.Rows", "REACTKD.Styled"
_BACKGROUND = (0.05, 0.06, 0.08), (0.12, 0.13, 0.16)


def view_name(row: int, orientation: str) -> str:
    """The layout name of a slice view; row: from 1."""
    return f"REACTKD{row}{orientation}"


OWN_SLICES = tuple(view_name(row, orientation) for row in (1, 2, 3) for orientation in ORIENTATIONS)


def register_layouts(scene: Any) -> Any | None:
    """Register the layouts, at the start of the application; return the layout node, None without a window."""
    node = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if node is not None and not node.IsLayoutDescription(ONE):
        node.AddLayoutDescription(ONE, _four_up())
        node.AddLayoutDescription(TWO_ROWS, _rows(2))
        node.AddLayoutDescription(THREE_ROWS, _rows(3))
    return node


def is_own(node: Any) -> bool:
    """True while the layout node shows one of these layouts, or one of their views alone, maximized."""
    return node is not None and (node.GetViewArrangement() in ROWS.values() or _is_maximized(node))


def show_layout(scene: Any, rows: int) -> bool:
    """Show the layout with this many rows, and remember the user's; return False without views, or without a change."""
    node = register_layouts(scene)
    if node is None:
        return False
    maximized = _is_maximized(node) and node.GetAttribute(_ROWS) == str(rows)
    changed = not maximized and node.GetViewArrangement() != ROWS[rows]
    if changed:
        if not is_own(node):
            node.SetAttribute(_BEFORE, str(node.GetViewArrangement()))
        node.SetAttribute(_ROWS, str(rows))
        node.SetViewArrangement(ROWS[rows])
    for name in OWN_SLICES:  # also if the layout stays: a scene that is loaded resets its views
        _prepare_slices(scene, name)
    _prepare_3d(scene)
    return changed


def leave_layout(scene: Any) -> None:
    """Show the user's layout again, unless another one was chosen meanwhile."""
    node = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if node is None:
        return
    own, before = is_own(node), node.GetAttribute(_BEFORE)
    node.RemoveAttribute(_BEFORE)
    if own:
        known = before is not None and node.IsLayoutDescription(int(before))
        node.SetViewArrangement(int(before) if known else node.SlicerLayoutInitialView)


def look_alike(first: Any, other: Any) -> None:
    """Make a slice node show the same plane, at the same size, as the first of its column."""
    hold = other.StartModify()
    other.GetSliceToRAS().DeepCopy(first.GetSliceToRAS())
    width, height, depth = first.GetFieldOfView()
    other.SetFieldOfView(width, width * other.GetDimensions()[1] / max(other.GetDimensions()[0], 1), depth)
    other.SetXYZOrigin(*first.GetXYZOrigin())
    other.UpdateMatrices()
    other.EndModify(hold)


def slice_nodes(scene: Any, row: int) -> list[Any]:
    """Return the slice nodes of a row, as far as its views were made."""
    nodes = (scene.GetSingletonNode(view_name(row, name), "vtkMRMLSliceNode") for name in ORIENTATIONS)
    return [node for node in nodes if node is not None]


def _is_maximized(node: Any) -> bool:
    return node.GetViewArrangement() == node.SlicerLayoutMaximizedView and node.GetAttribute(_BEFORE) is not None


def own_composites(scene: Any, row: int) -> list[Any]:
    """Return the composite nodes of the slice views of a row, as far as their views were made."""
    names = {view_name(row, orientation) for orientation in ORIENTATIONS}
    return [node for node in composites(scene) if node.GetLayoutName() in names]


def users_composites(scene: Any) -> list[Any]:
    """Return the composite nodes of all slice views but those of this module."""
    return [node for node in composites(scene) if node.GetLayoutName() not in OWN_SLICES]


def composites(scene: Any) -> list[Any]:
    """Return the composite nodes of all slice views."""
    return nodes_of_class(scene, "vtkMRMLSliceCompositeNode")


def _prepare_slices(scene: Any, name: str) -> None:
    """Link the views of this module, and exclude them when Slicer shows a newly loaded image in all views.

    Later changes by the user are kept.
    """
    view = scene.GetSingletonNode(name, "vtkMRMLSliceNode")
    composite = scene.GetSingletonNode(name, "vtkMRMLSliceCompositeNode")
    for node in filter(None, (view, composite)):
        node.SetSaveWithScene(False)
    if composite is not None and not composite.GetAttribute(_STYLED):
        composite.SetAttribute(_STYLED, "1")
        composite.SetLinkedControl(True)
        composite.SetDoPropagateVolumeSelection(False)


def _prepare_3d(scene: Any) -> None:
    """Prepare a dark, empty view for regions and a projection of the PET; later changes by the user are kept."""
    view = scene.GetSingletonNode(THREE_D, "vtkMRMLViewNode")
    if view is None or view.GetAttribute(_STYLED):
        return
    view.SetAttribute(_STYLED, "1")
    view.SetSaveWithScene(False)
    view.SetBoxVisible(False)
    view.SetAxisLabelsVisible(False)
    view.SetUseDepthPeeling(True)
    view.SetBackgroundColor(*_BACKGROUND[0])
    view.SetBackgroundColor2(*_BACKGROUND[1])


def _four_up() -> str:
    slices = [_slice(1, orientation, orientation[0]) for orientation in ORIENTATIONS]
    three_d = f'<view class="vtkMRMLViewNode" singletontag="{THREE_D}">{_properties(viewlabel=_("3D"))}</view>'
    return _box("vertical", [_box("horizontal", [slices[0], three_d]), _box("horizontal", slices[1:])])


def _rows(count: int) -> str:
    rows = (
        [_slice(row, orientation, f"{row}{orientation[0]}") for orientation in ORIENTATIONS]
        for row in range(1, count + 1)
    )
    return _box("vertical", [_box("horizontal", row) for row in rows])


def _slice(row: int, orientation: str, label: str) -> str:
    properties = _properties(
        orientation=orientation, viewlabel=label, viewcolor=_COLORS[orientation], viewgroup=str(_GROUP)
    )
    return f'<view class="vtkMRMLSliceNode" singletontag="{view_name(row, orientation)}">{properties}</view>'


def _properties(**values: str) -> str:
    return "".join(f'<property name="{name}" action="default">{value}</property>' for name, value in values.items())


def _box(direction: str, parts: list[str]) -> str:
    return f'<layout type="{direction}">{"".join(f"<item>{part}</item>" for part in parts)}</layout>'
