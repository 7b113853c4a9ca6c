"""The inputs of a result, stored with it in the scene and compared when the result is shown again.

The stamps of `scene.hand_over` detect edits at no cost. They cannot be used for a case that was left meanwhile, or a
scene that was saved and loaded, for which the voxels themselves are compared, by their SHA-256.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.worker.jobs import ImageFile, MaskFile
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.frames import relation_between
from REACTKDLib.scene.hand_over import cut_masks, refuse_bent_space
from REACTKDLib.scene.segments import LABELMAP, SegmentChoice, label_array, lesions_of, matrix_of_part
from REACTKDLib.scene.units import unit_of
from REACTKDLib.scene.volumes import ijk_to_ras_of
from REACTKDLib.scene.voxel_digest import voxel_digest

PARAMETER = "GradedInputs"
NEAR_MM = 1e-3  # files may round positions
_MOST_READ = 45_000_000  # voxels compared with labels: 6 ms
_IMAGE = "image"  # begins the entry of an image

Content = list[list[Any]]  # an entry for each image and each mask: what it is, in words, and its (4, 4) matrix in mm


def read_content(nodes: CaseNodes, choice: SegmentChoice) -> Content:
    """Return the current content of a case; [] if it cannot be read.

    For an image, kind, unit, size, position and every voxel are compared; for a mask, position and every voxel.
    """
    try:
        refuse_bent_space(nodes)
        content = [_image(nodes, modality, voxel_digest(node)) for modality, node in nodes.volumes.items()]
        cuts = [cut for cut in cut_masks(nodes, choice) if cut is not None]
    except ReactkdError:
        return []
    for cut in cuts:
        digest = sha256(np.packbits(cut.mask)).hexdigest()
        content.append(_mask(cut.role, cut.segment_id, cut.is_lesion, cut.mask.shape, digest, cut.ijk_to_ras.tolist()))
    return content


def content_of(nodes: CaseNodes, images: Iterable[ImageFile], masks: Iterable[MaskFile]) -> Content:
    """Return the content of a case as it was handed over to the worker.

    Raises: PatientMismatch.
    """
    return [*(_image(nodes, image.modality, image.sha256) for image in images), *_masks(masks)]


def with_masks(content: Content, masks: Iterable[MaskFile]) -> Content:
    """Return the content of a case of which only the masks were handed over again."""
    return [*(entry for entry in content if entry[0].startswith(_IMAGE)), *_masks(masks)]


def _image(nodes: CaseNodes, modality: Modality, voxels: str) -> list[Any]:
    """voxels: the SHA-256."""
    node = nodes.volumes[modality]
    place = relation_between(node, nodes.reference).placed(ijk_to_ras_of(node))
    size = "x".join(map(str, node.GetImageData().GetDimensions()))
    return [f"{_IMAGE} {modality.value} {unit_of(node).value} {size} {voxels}", place.tolist()]


def _masks(masks: Iterable[MaskFile]) -> Content:
    return [_mask(m.role, m.segment, m.is_lesion, m.shape, m.sha256, m.ijk_to_ras) for m in masks]


def _mask(role: str, segment: str, is_lesion: bool, shape: Sequence[int], voxels: str, place: list) -> list[Any]:
    """voxels: the SHA-256 of its bits."""
    return [f"{role} {segment} {is_lesion} {tuple(shape)} {voxels}", place]


def same_masks(nodes: CaseNodes, choice: SegmentChoice, graded: Sequence[MaskFile], drawn: Collection[str]) -> bool:
    """Return whether the chosen segments contain exactly the voxels that were handed over for a result.

    drawn: IDs of those that were drawn since, perhaps back to what they were; only these are compared. The former boxes
    come first, so a change inside them is found in a millisecond; two masks of 512 x 512 x 83 voxels take 4 ms. False
    if a segment has no label map, or if the comparison would take much longer: with several masks in one label map
    beside segments that were not chosen.
    """
    segmentation, relation = nodes.segmentation, relation_between(nodes.segmentation, nodes.reference)
    data, lesions = segmentation.GetSegmentation(), lesions_of(segmentation, choice)
    chosen = [("liver", i, False) for i in choice.livers] + [("tumor", i, i in lesions) for i in choice.tumors]
    known = {(mask.role, mask.segment, mask.is_lesion): mask for mask in graded}
    if len(known) != len(graded) or not set(known) <= set(chosen) or not relation.is_linear:
        return False
    maps: dict[Any, dict[int, int]] = {}  # label map -> {label: number of its voxels in the former box}
    for key in (key for key in chosen if key[1] in drawn):
        segment = data.GetSegment(key[1])
        image = segment.GetRepresentation(LABELMAP) if segment is not None else None
        if image is None:
            return False
        label, count = segment.GetLabelValue(), 0
        if key in known:
            matrix = relation.placed(matrix_of_part(image, (0, 0, 0)))
            inside = _voxels_at(label_array(image), label, matrix, known[key])
            if inside is None:
                return False
            count = np.count_nonzero(inside)
        maps.setdefault(image, {})[label] = count
    return all(_has_no_more(label_array(image), counts) for image, counts in maps.items())


def _has_no_more(array: np.ndarray, counts: Mapping[int, int]) -> bool:
    """Return whether each label has this number of voxels in a label map; False if that would take long."""
    if np.count_nonzero(array) == sum(counts.values()):  # one pass, if all segments of the label map are chosen
        return True
    if len(counts) * array.size > _MOST_READ:
        return False
    return all(np.count_nonzero(array == label) == count for label, count in counts.items())


def _voxels_at(array: np.ndarray, label: int, ijk_to_ras: np.ndarray, graded: MaskFile) -> np.ndarray | None:
    """Return the voxels of a label in the box of a mask that was handed over; None if they differ from it.

    ijk_to_ras: (4, 4), of the array.
    """
    place = np.array(graded.ijk_to_ras)
    corner = np.rint(np.linalg.inv(ijk_to_ras) @ place[:, 3])[:3].astype(int)
    here = ijk_to_ras.copy()
    here[:3, 3] += ijk_to_ras[:3, :3] @ corner
    low, high = corner[::-1], corner[::-1] + graded.shape
    if (low < 0).any() or (high > array.shape).any() or not np.allclose(here, place, 0.0, NEAR_MM):
        return None
    inside = array[tuple(slice(*ends) for ends in zip(low.tolist(), high.tolist(), strict=True))] == label
    return inside if sha256(np.packbits(inside)).hexdigest() == graded.sha256 else None


def write_content(parameter_node: Any, content: Content) -> None:
    """Record the inputs of the result of a parameter node; [] means unknown."""
    parameter_node.SetParameter(PARAMETER, json.dumps(content))


def still_holds(parameter_node: Any, nodes: CaseNodes, choice: SegmentChoice) -> bool:
    """Return whether the case is unchanged since the result of its parameter node was computed.

    Also True if the node records nothing, as in a scene of an earlier version.
    """
    text = parameter_node.GetParameter(PARAMETER)
    if not text:
        return True
    now = read_content(nodes, choice)
    try:
        kept = [(words, np.array(place, dtype=float)) for words, place in parse_json(text)]
        if not kept or [words for words, _place in kept] != [words for words, _place in now]:
            return False
        return all(np.allclose(a, b, rtol=0.0, atol=NEAR_MM) for (_, a), (_, b) in zip(kept, now, strict=True))
    except (ValueError, TypeError):  # damaged, or of a later version
        return False
