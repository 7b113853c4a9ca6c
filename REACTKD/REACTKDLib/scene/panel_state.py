"""The choices in the panel, stored in a node of the scene so that they are saved with it.

Keys are mapped explicitly: only `PanelState` writes them, and everything has a default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.overlay import Overlay
from REACTKDLib.scene.parameter_node import (
    INPUT_ROLES,
    LIVERS,
    SEGMENTATION_ROLE,
    TUMORS,
    module_nodes,
    new_module_node,
    read_names,
)
from REACTKDLib.scene.reading_view import ReadingView
from REACTKDLib.scene.view_choice import ViewChoice

MODULE = "REACTKDPanel"  # differs from the module's name, by which nodes of graded cases are found
_CASE_ID, _LIVE, _OWN_SEGMENTS, _MODEL, _DEVICE = "CaseID", "Live", "OwnSegments", "ModelFolder", "Device"
_OVERLAY, _OPACITY, _LEGEND, _THREE_D, _GRAPH = "Overlay", "Opacity", "Legend", "ThreeD", "Graph"
_READING_VIEW, _PROPOSAL_DROPPED = "ReadingView", "ProposalDropped"
DEVICES = ("auto", "cpu", "cuda")


class PanelState:
    """The choices that a node records. Setting an equal value does not modify the node."""

    def __init__(self, node: Any) -> None:
        self.node = node

    @classmethod
    def find(cls, scene: Any) -> PanelState | None:
        """Return the state of this scene, or None. Of several, as after importing a scene, the first with inputs."""
        states = [cls(node) for node in module_nodes(scene, MODULE)]
        return next((state for state in states if state._chosen()), states[0] if states else None)

    @classmethod
    def has_inputs(cls, scene: Any) -> bool:
        """Return True if an image or a segmentation is chosen in this scene."""
        state = cls.find(scene)
        return state is not None and state._chosen()

    @classmethod
    def of(cls, scene: Any) -> PanelState:
        """Return the state of this scene, created if there is none; superfluous ones are removed."""
        state = cls.find(scene)
        if state is None:
            return cls(new_module_node(scene, MODULE, "REACTKD panel"))
        for other in module_nodes(scene, MODULE):
            if other.GetID() != state.node.GetID():
                scene.RemoveNode(other)
        return state

    @property
    def volumes(self) -> dict[Modality, Any]:
        """{modality: volume node or None}."""
        return {modality: self.node.GetNodeReference(role) for modality, role in INPUT_ROLES.items()}

    def set_volume(self, modality: Modality, node: Any | None) -> None:
        """Choose a volume, or none; a different one clears the name of the case."""
        if node is not self.volumes[modality]:
            self.case_id = None
        self._refer(INPUT_ROLES[modality], node)

    @property
    def segmentation(self) -> Any | None:
        """The segmentation node, or None."""
        return self.node.GetNodeReference(SEGMENTATION_ROLE)

    def set_segmentation(self, node: Any | None) -> None:
        """Choose a segmentation; a different one clears its segments and the name of the case."""
        if node is not self.segmentation:
            self.set_segments(None, None)
            self.case_id = None
        self._refer(SEGMENTATION_ROLE, node)

    @property
    def livers(self) -> list[str] | None:
        """IDs of the liver segments chosen by hand; None for recognition."""
        return read_names(self.node, LIVERS)

    @property
    def tumors(self) -> list[str] | None:
        """IDs of the tumor segments chosen by hand, possibly none; None for recognition."""
        return read_names(self.node, TUMORS)

    def set_segments(self, livers: list[str] | None, tumors: list[str] | None) -> None:
        """Set the liver and tumor segments; None for recognition."""
        self._put(LIVERS, json.dumps(livers))
        self._put(TUMORS, json.dumps(tumors))

    case_id = property(lambda self: self._text(_CASE_ID) or None, lambda self, value: self._put(_CASE_ID, value or ""))
    live = property(lambda self: self._flag(_LIVE, False), lambda self, value: self._put_flag(_LIVE, value))
    own_segments = property(
        lambda self: self._flag(_OWN_SEGMENTS, False), lambda self, value: self._put_flag(_OWN_SEGMENTS, value)
    )
    proposal_dropped = property(
        lambda self: self._flag(_PROPOSAL_DROPPED, False), lambda self, value: self._put_flag(_PROPOSAL_DROPPED, value)
    )
    model = property(lambda self: self._text(_MODEL) or None, lambda self, value: self._put(_MODEL, value or ""))

    @property
    def device(self) -> str:
        """One of `DEVICES`."""
        text = self._text(_DEVICE)
        return text if text in DEVICES else DEVICES[0]

    def set_device(self, device: str) -> None:
        """Choose the device for the model."""
        self._put(_DEVICE, device)

    @property
    def view(self) -> ViewChoice:
        """How the result is shown."""
        default = ViewChoice()
        try:
            opacity = min(1.0, max(0.0, float(self._text(_OPACITY) or default.opacity)))
        except ValueError:
            opacity = default.opacity
        return ViewChoice(
            Overlay.from_key(self._text(_OVERLAY)),
            opacity,
            self._flag(_LEGEND, default.legend),
            self._flag(_THREE_D, default.three_d),
            self._flag(_GRAPH, default.graph),
        )

    def set_view(self, view: ViewChoice) -> None:
        """Record how to show the result."""
        self._put(_OVERLAY, view.overlay.key)
        self._put(_OPACITY, f"{view.opacity:.2f}")
        for key, value in ((_LEGEND, view.legend), (_THREE_D, view.three_d), (_GRAPH, view.graph)):
            self._put_flag(key, value)

    @property
    def reading_view(self) -> ReadingView:
        """Which images are shown, and how; unknown values become the default."""
        try:
            kept = parse_json(self._text(_READING_VIEW) or "{}")
        except ValueError:
            kept = {}
        default = ReadingView()
        kinds = {field.name: type(getattr(default, field.name)) for field in fields(ReadingView)}
        kept = kept if isinstance(kept, dict) else {}
        known = {name: value for name, value in kept.items() if isinstance(value, kinds.get(name, ()))}
        view = ReadingView(**known)
        return view if 0.0 <= view.opacity <= 1.0 else replace(view, opacity=default.opacity)

    def set_reading_view(self, view: ReadingView) -> None:
        """Record which images are to be shown."""
        self._put(_READING_VIEW, json.dumps(asdict(view)))

    def _chosen(self) -> bool:
        return self.segmentation is not None or bool(chosen_volumes(self.volumes))

    def _text(self, key: str) -> str:
        return self.node.GetParameter(key) or ""

    def _put(self, key: str, value: str) -> None:
        if self._text(key) != value:
            self.node.SetParameter(key, value)

    def _flag(self, key: str, default: bool) -> bool:
        return {"true": True, "false": False}.get(self._text(key), default)

    def _put_flag(self, key: str, value: bool) -> None:
        self._put(key, "true" if value else "false")

    def _refer(self, role: str, node: Any | None) -> None:
        node_id = node.GetID() if node is not None else None
        if self.node.GetNodeReferenceID(role) != node_id:
            self.node.SetNodeReferenceID(role, node_id)


def chosen_volumes(volumes: Mapping[Modality, Any | None]) -> dict[Modality, Any]:
    """Return the volumes that are chosen."""
    return {modality: node for modality, node in volumes.items() if node is not None}
