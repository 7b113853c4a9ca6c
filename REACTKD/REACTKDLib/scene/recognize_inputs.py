"""Recognizes which nodes of a scene make a case, if they are unambiguous; the user chooses the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.files.image_names import modality_of_name
from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.scene.own_results import result_ids
from REACTKDLib.scene.scene_nodes import nodes_of_class
from REACTKDLib.scene.segments import choose_segments
from REACTKDLib.scene.units import unit_of

_AIR_HU = -500  # no PET has values that low, every whole CT has


@dataclass(frozen=True)
class RecognizedInputs:
    """images: all nodes that match, by modality. segmentations: likewise."""

    images: dict[Modality, list[Any]]
    segmentations: list[Any]

    @property
    def volumes(self) -> dict[Modality, Any]:
        """{modality: node}, each only if exactly one node matches."""
        return {modality: nodes[0] for modality, nodes in self.images.items() if len(nodes) == 1}

    @property
    def segmentation(self) -> Any | None:
        """The segmentation, or None unless exactly one matches."""
        return self.segmentations[0] if len(self.segmentations) == 1 else None

    def masks_fit(self, chosen: Mapping[Modality, Any]) -> bool:
        """Return whether masks that are added must be of the chosen images, since there are no others like these."""
        return all(self.images[modality] in ([], [node]) for modality, node in chosen.items())

    def images_fit(self, chosen: Mapping[Modality, Any], segmentation: Any | None) -> bool:
        """Return whether images that are added can be of the chosen nodes only: no other masks are in the scene, or no
        other images like the chosen ones. A PET may come with a CT of its own, another patient with masks too.
        """
        others = [node for node in self.segmentations if node is not segmentation]
        if not others or (not chosen and segmentation is None):
            return True
        return bool(chosen) and self.masks_fit(chosen)


def recognize_inputs(scene: Any, task: Task = HCC_GRADE) -> RecognizedInputs:
    """Return the nodes that are certain: results of gradings, label maps and doubtful nodes are left out.

    task: its organ must be in the segmentation if there are several.
    """
    own = result_ids(scene)
    candidates: dict[Modality, list[Any]] = {modality: [] for modality in Modality}
    for node in nodes_of_class(scene, "vtkMRMLScalarVolumeNode"):
        left_out = node.GetID() in own or node.IsA("vtkMRMLLabelMapVolumeNode") or node.GetHideFromEditors()
        modality = None if left_out else modality_of(node)
        if modality is not None:
            candidates[modality].append(node)
    segmentations = nodes_of_class(scene, "vtkMRMLSegmentationNode")
    segmentations = [node for node in segmentations if node.GetID() not in own and not node.GetHideFromEditors()]
    if len(segmentations) > 1:
        segmentations = [node for node in segmentations if _has_the_organ(node, task)]
    return RecognizedInputs(candidates, segmentations)


def modality_of(node: Any) -> Modality | None:
    """Return the modality of a volume node: by its unit, its name, or the air around a patient; else None."""
    image = node.GetImageData()
    if image is None or image.GetNumberOfScalarComponents() != 1:
        return None
    unit, named = unit_of(node), modality_of_name(node.GetName() or "")
    if unit is Unit.HU:
        return Modality.CT if named in (None, Modality.CT) else None
    if unit is not Unit.UNKNOWN:
        return None if named is Modality.CT else named
    if named is None and image.GetScalarRange()[0] < _AIR_HU:
        return Modality.CT
    return named


def _has_the_organ(segmentation: Any, task: Task) -> bool:
    try:
        choose_segments(segmentation, task=task)
    except ReactkdError:
        return False
    return True
