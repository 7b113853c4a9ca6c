"""Displays a proposed fix: its voxels highlighted, before and after by a switch, and the views restored at the end.

Added voxels are filled in blue, removed ones have an orange outline, and those that move to another segment are filled
in yellow: distinguishable by shape, and by colors for color-blind readers (Okabe and Ito).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from REACTKDLib.core.worker.mending import Changes
from REACTKDLib.scene.hiding import OTHER_MODULE, hide, show
from REACTKDLib.scene.jump import jump_to
from REACTKDLib.scene.mask_edits import copy_of, image_of, unlisted_segmentation
from REACTKDLib.scene.mask_proposal import Proposal
from REACTKDLib.scene.scene_nodes import nodes_of_class, remove_with_displays
from REACTKDLib.scene.volumes import grid_of

#: kind of change: (color, filled)
LOOKS = {
    "added": ((0.0, 0.45, 0.70), True),
    "removed": ((0.90, 0.62, 0.0), False),
    "moved": ((0.94, 0.89, 0.26), True),
}
_FILL, _LINE = 0.7, 3  # opacity of the fill, pixels of the outline


class ProposedChanges:
    """The highlight of one proposal at a time. Input nodes are not changed; the caller controls their display."""

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        self.proposal: Proposal | None = None
        self.node: Any = None
        self.changes: Changes | None = None
        self._before: Any = None
        self._places: dict[str, tuple] = {}  # positions of slices and cameras when a fix was requested
        self._went: dict[str, tuple] = {}  # those set to show it

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of `LOOKS` in the proposal."""
        return () if self.changes is None else tuple(kind for kind in LOOKS if getattr(self.changes, kind).any())

    def milliliters(self, kind: str) -> float:
        """Return the volume of one kind of change in `LOOKS`."""
        voxel_ml = grid_of(self.proposal.nodes.reference).voxel_ml
        return voxel_ml * np.count_nonzero(getattr(self.changes, kind))

    def remember_views(self) -> None:
        """Record the positions of the views, for `clear` to restore; while a proposal is shown this does nothing."""
        if self.proposal is None:
            self._places = {node.GetID(): _place_of(node) for node in self._slices()}
            self._places |= {node.GetID(): _camera_of(node) for node in self._cameras()}

    def show(self, proposal: Proposal) -> None:
        """Highlight a proposal in place of the previous one, and center the views on the largest change."""
        self._remove()
        if not self._places:
            self.remember_views()
        self.proposal = proposal
        if proposal.edits:
            self.changes = Changes.of(proposal.edits)
            self.node = self._drawn(proposal)
            matrix = grid_of(proposal.nodes.reference).ijk_to_ras
            ras = matrix[:3, :3] @ self.changes.place[::-1] + matrix[:3, 3]
            jump_to(proposal.nodes.reference, tuple(float(v) for v in ras))
        self._went = {node.GetID(): _plane_of(node) for node in self._slices()}
        self._went |= {node.GetID(): _camera_of(node) for node in self._cameras()}

    def show_after(self, after: bool) -> None:
        """Show the copy with the fix, or a copy of the current masks; the highlight stays in both.

        Both then look alike, and the display of the user's own segmentation is unchanged.
        """
        proposal = self.proposal
        if proposal is None or not self.scene.IsNodePresent(proposal.node):
            return
        if not after and self._before is None:
            self._before = copy_of(self.scene, proposal.nodes.segmentation, "REACTKD masks before")
            if self.node is not None:  # views draw the latest node on top, which must be the highlight
                remove_with_displays(self.scene, self.node)
                self.node = self._drawn(proposal)
        proposal.node.GetDisplayNode().SetVisibility(after)
        if self._before is not None:
            self._before.GetDisplayNode().SetVisibility(not after)

    def put_aside(self, aside: bool) -> None:
        """Hide the copy and the highlight while another module is open, or show them again."""
        for node in self._copies():
            (hide if aside else show)(node.GetDisplayNode(), OTHER_MODULE)

    def follow(self) -> None:
        """Put the copy and the highlight under the transform of the masks, which may have been moved since."""
        for node in self._copies():
            transform = self.proposal.nodes.segmentation.GetTransformNodeID()
            if node.GetTransformNodeID() != transform:
                node.SetAndObserveTransformNodeID(transform)

    def _copies(self) -> list[Any]:
        nodes = (self.node, self._before, self.proposal.node) if self.proposal is not None else ()
        return [node for node in nodes if node is not None and self.scene.IsNodePresent(node)]

    def clear(self) -> None:
        """Remove the highlight and restore the views, unless any slice was moved since.

        The user who has moved one continues from there; restoring only the others would give no consistent position. A
        camera that was turned since stays, too.
        """
        self._remove()
        slices = self._slices()
        moved = any(self._went.get(node.GetID(), _plane_of(node)) != _plane_of(node) for node in slices)
        for node in [] if moved else slices:
            if node.GetID() in self._places:
                _put_back(node, self._places[node.GetID()])
        for node in [] if moved else self._cameras():
            if node.GetID() in self._places and self._went.get(node.GetID()) == _camera_of(node):
                _turn_back(node, self._places[node.GetID()])
        self._places, self._went = {}, {}

    def forget(self) -> None:
        """Release the nodes and views, since the scene closes."""
        self.proposal = self.node = self.changes = self._before = None
        self._places, self._went = {}, {}

    def _remove(self) -> None:
        for node in (self.node, self._before):
            if node is not None and self.scene.IsNodePresent(node):
                remove_with_displays(self.scene, node)
        self.proposal = self.node = self.changes = self._before = None

    def _slices(self) -> list[Any]:
        return nodes_of_class(self.scene, "vtkMRMLSliceNode")

    def _cameras(self) -> list[Any]:
        return nodes_of_class(self.scene, "vtkMRMLCameraNode")

    def _drawn(self, proposal: Proposal) -> Any:
        node = unlisted_segmentation(self.scene, "REACTKD proposed changes")
        node.SetAndObserveTransformNodeID(proposal.nodes.segmentation.GetTransformNodeID())
        node.CreateDefaultDisplayNodes()
        display, data = node.GetDisplayNode(), node.GetSegmentation()
        matrix, mode = proposal.ijk_to_ras, slicer.vtkSlicerSegmentationsModuleLogic.MODE_REPLACE
        for kind in self.kinds:
            color, filled = LOOKS[kind]
            data.AddEmptySegment(kind, kind, color)
            mask = np.ascontiguousarray(getattr(self.changes, kind))
            image = image_of(mask, self.changes.corner, matrix)
            slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(image, node, kind, mode)
            display.SetSegmentVisibility2DFill(kind, filled)
            display.SetSegmentOpacity2DFill(kind, _FILL)
            display.SetSegmentVisibility2DOutline(kind, True)
        display.SetSliceIntersectionThickness(_LINE)
        return node


def _place_of(node: Any) -> tuple:
    return slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()).copy(), node.GetFieldOfView(), node.GetXYZOrigin()


def _plane_of(node: Any) -> tuple:
    """Return the position and orientation of a slice, without its size, which a layout changes."""
    return slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()).tobytes(), node.GetXYZOrigin()


def _put_back(node: Any, place: tuple) -> None:
    matrix, field, origin = place
    node.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(matrix))
    node.SetFieldOfView(*field)
    node.SetXYZOrigin(*origin)
    node.UpdateMatrices()


def _camera_of(node: Any) -> tuple:
    return tuple(node.GetPosition()), tuple(node.GetFocalPoint()), tuple(node.GetViewUp())


def _turn_back(node: Any, place: tuple) -> None:
    position, focal_point, up = place
    node.SetPosition(*position)
    node.SetFocalPoint(*focal_point)
    node.SetViewUp(*up)
    node.ResetClippingRange()
