"""Conversion of scene nodes to a Case, and of a Case to scene nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import slicer

from REACTKDLib.core.cases.names import NEUTRAL_ID
from REACTKDLib.core.errors import EmptySegmentation, NoVolume
from REACTKDLib.core.files.dicom.loaded_pet import loaded_image
from REACTKDLib.core.files.recognition import Kind
from REACTKDLib.core.files.segments import COLORS
from REACTKDLib.core.files.straight_axes import check_straight
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.masks.drawn_segments import Drawn, segment_findings
from REACTKDLib.core.masks.left_out import left_out
from REACTKDLib.core.masks.lesions import DrawnMasks, lesion_map, missing_organ
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import tr as _
from REACTKDLib.scene.dicom_origin import files_of, origin_findings
from REACTKDLib.scene.frames import distorting_transform, relation_between
from REACTKDLib.scene.remarks import remarks_of
from REACTKDLib.scene.segments import (
    SegmentChoice,
    choose_segments,
    lesions_of,
    mask_on,
    segment_array,
    with_label_maps,
)
from REACTKDLib.scene.terminology import tag
from REACTKDLib.scene.units import stated_unit
from REACTKDLib.scene.volumes import grid_of, node_from_volume, volume_from_node, volume_in_frame_of

NO_IMAGE_CHOSEN = _("No image is chosen; choose a CT, or a PET with masks drawn on it.")
NO_SEGMENTATION_CHOSEN = _("No segmentation is chosen; choose the one with the organ and its lesions.")
NODE_NAMES = {Modality.CT: "CT", Modality.FDG: "FDG PET", Modality.ACETATE: "Acetate PET"}


@dataclass(frozen=True)
class CaseNodes:
    """The nodes of one case. volumes: {Modality: volume node}, any non-empty subset. segmentation: its masks.

    Raises: NoVolume, EmptySegmentation when a node is missing.
    """

    volumes: Mapping[Modality, Any]
    segmentation: Any

    def __post_init__(self) -> None:
        ordered = {m: self.volumes[m] for m in Modality if self.volumes.get(m) is not None}
        if not ordered:
            raise NoVolume(NO_IMAGE_CHOSEN)
        if self.segmentation is None:
            raise EmptySegmentation(NO_SEGMENTATION_CHOSEN)
        object.__setattr__(self, "volumes", MappingProxyType(ordered))

    @property
    def reference(self) -> Any:
        """The volume node whose grid carries the masks and outputs: the CT, else FDG, else acetate."""
        return next(iter(self.volumes.values()))

    @property
    def present(self) -> bool:
        """True while every node is in a scene."""
        return all(node.GetScene() is not None for node in self.all())

    def all(self) -> tuple[Any, ...]:
        """Every node, the segmentation last."""
        return (*self.volumes.values(), self.segmentation)


def case_from_nodes(
    ct: Any = None,
    fdg: Any = None,
    acetate: Any = None,
    *,
    segmentation: Any,
    liver_segment: str | Iterable[str] | None = None,
    tumor_segments: str | Iterable[str] | None = None,
    case_id: str | None = None,
    task: Task = HCC_GRADE,
) -> Case:
    """Return the case of the nodes, in the frame of its reference volume (CT, else FDG, else acetate).

    liver_segment, tumor_segments: segment IDs, names or label values; with None they are chosen by terminology, then
    names. case_id: for reports. Node names are not used, since they may contain a patient's name.

    Raises: what `choose_segments`, `volume_from_node`, `origin_findings` and `Case` raise; NotHounsfield, NotPet;
    SkewedAxes.
    """
    nodes = CaseNodes({Modality.CT: ct, Modality.FDG: fdg, Modality.ACETATE: acetate}, segmentation)
    choice = choose_segments(segmentation, liver_segment, tumor_segments, task)
    return read_case(nodes, choice, case_id)


def read_case(nodes: CaseNodes, choice: SegmentChoice, case_id: str | None = None) -> Case:
    """Return the case of `nodes` with the chosen segments, as they are; `checks.checked` cleans them."""
    volumes, findings = {}, [*origin_findings(nodes.volumes, nodes.segmentation), *_distortion_findings(nodes)]
    for modality, node in nodes.volumes.items():
        volumes[modality], more = _read_volume(node, modality, nodes.reference)
        findings += more
        if node is nodes.reference:
            check_straight(volumes[modality].ijk_to_ras, ROLES[modality])
    drawn = read_masks(nodes, choice)
    name = case_id or NEUTRAL_ID
    findings += drawn.findings
    return Case(
        name, volumes, drawn.liver, drawn.tumor, tuple(findings), choice.keep_specks, drawn.lesions, choice.task
    )


def read_masks(nodes: CaseNodes, choice: SegmentChoice) -> DrawnMasks:
    """Return the masks on the reference grid, as drawn, and findings on empty segments and parts outside: for the
    first reading and each edit.

    Raises: NoLiver for a liver segment without voxels; MaskOffImage if none of them, or no tumor, lies in the reference
    image.
    """
    liver = mask_on(nodes.segmentation, choice.livers, nodes.reference)
    source = with_label_maps(nodes.segmentation, nodes.reference)
    chosen = choice.livers, choice.tumors
    stored = [[segment_array(source, segment_id) for segment_id in ids] for ids in chosen]
    if not liver.any():
        raise missing_organ(any(array.any() for array, _matrix in stored[0]), choice.task)
    tumor = mask_on(nodes.segmentation, choice.tumors, nodes.reference)
    lesions, named = [], lesions_of(nodes.segmentation, choice)
    for segment_id in named if len(named) > 1 else ():
        mask = mask_on(nodes.segmentation, [segment_id], nodes.reference)
        box = bounding_box(mask) or (slice(0, 0),) * 3
        lesions.append((box, mask[box]))
    told = segment_findings(
        *(_drawn(nodes.segmentation, *pair) for pair in zip(chosen, stored, strict=True)), choice.task
    )
    relation = relation_between(nodes.segmentation, nodes.reference)
    if relation.is_linear:
        drawn = ([(array > 0, relation.placed(matrix)) for array, matrix in own] for own in stored)
        told += left_out(*drawn, grid_of(nodes.reference), choice.task)
    return DrawnMasks(liver, tumor, lesion_map(lesions, tumor.shape), tuple(told))


def nodes_from_case(scene: Any, case: Case) -> CaseNodes:
    """Load a case into the scene: a volume node per modality, and a segmentation of the organ and its lesions."""
    volumes = {}
    for modality, volume in case.volumes.items():
        node = node_from_volume(scene, volume, NODE_NAMES[modality])
        node.CreateDefaultDisplayNodes()
        volumes[modality] = node
    reference = next(iter(volumes.values()))
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    _add_segment(segmentation, "liver", case.task, case.liver, reference)
    _add_segment(segmentation, "tumor", case.task, case.tumor, reference)
    return CaseNodes(volumes, segmentation)


def _drawn(segmentation: Any, ids: Iterable[str], stored: Iterable[tuple[np.ndarray, np.ndarray]]) -> list[Drawn]:
    """stored: of each segment, as `segment_array` returns it."""
    data = segmentation.GetSegmentation()
    pairs = zip(ids, stored, strict=True)
    return [(data.GetSegment(i).GetName() or i, bool(array.any())) for i, (array, _matrix) in pairs]


def _read_volume(node: Any, modality: Modality, reference: Any) -> tuple[Volume, list[Finding]]:
    """Return the volume in the reference's frame, after checking its modality, and remarks on it."""
    role = ROLES[modality]
    if node.GetID() == reference.GetID():
        volume = volume_from_node(node, role)
    else:
        volume = volume_in_frame_of(node, reference, role)
    files = [] if modality is Modality.CT else files_of(node)
    return loaded_image(volume, stated_unit(node), files, modality, remarks_of(node, modality))


def _distortion_findings(nodes: CaseNodes) -> Iterable[Finding]:
    if distorting_transform(nodes.reference) is not None:
        text = _(
            "A non-linear transform bends the reference image in the scene; volumes and shapes are "
            "measured before it. Harden the transform to measure after it."
        )
        yield Finding("non-linear-transform", "warning", text)


def _add_segment(segmentation: Any, kind: Kind, task: Task, mask: np.ndarray, reference: Any) -> None:
    name = task.structure(kind).title
    data = segmentation.GetSegmentation()
    segment_id = data.AddEmptySegment(name, name, COLORS[kind])
    tag(data.GetSegment(segment_id), kind, task)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), segmentation, segment_id, reference)
