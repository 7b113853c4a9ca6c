"""The inputs of a result, stored with it in the scene and compared when the result is shown again.

The stamps of `scene.hand_over` detect edits at no cost. They cannot be used for a case that was left meanwhile, or a
scene that was saved and loaded, for which the voxels themselves are compared, by their SHA-256.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
_MASK_WORDS = re.compile(r"(liver|tumor) (.*) (True|False) \((\d+), (\d+), (\d+)\) ([0-9a-f]{64})", re.DOTALL)

Content = list[list[Any]]  # an entry for each image and each mask: what it is, in words, and its (4, 4) matrix in mm


def read_content(nodes: CaseNodes, choice: SegmentChoice) -> Content:
    """Return the current content of a case; [] if it cannot be read.

    For an image, kind, unit, size, position and every voxel are compared; for a mask, position and every voxel.
    """
    try:
        refuse_bent_space(nodes)
        content = [_image(nodes, modality, voxel_digest(node)) for modality, node in nodes.volumes.items()]
        cuts = [cut for cut in cut_masks(nodes, choice) if cut is not None and cut.mask.size]
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
    return [*(_image(nodes, image.modality, image.sha256) for image in images), *masks_content(masks)]


def with_masks(content: Content, masks: Iterable[MaskFile]) -> Content:
    """Return the content of a case of which only the masks were handed over again."""
    return [*_of_images(content), *masks_content(masks)]


def masks_content(masks: Iterable[MaskFile]) -> Content:
    """Return the entries of masks as they were handed over to the worker; none for those without a voxel."""
    return [_mask(m.role, m.segment, m.is_lesion, m.shape, m.sha256, m.ijk_to_ras) for m in masks if m.file]


def _image(nodes: CaseNodes, modality: Modality, voxels: str) -> list[Any]:
    """voxels: the SHA-256."""
    node = nodes.volumes[modality]
    place = relation_between(node, nodes.reference).placed(ijk_to_ras_of(node))
    size = "x".join(map(str, node.GetImageData().GetDimensions()))
    return [f"{_IMAGE} {modality.value} {unit_of(node).value} {size} {voxels}", place.tolist()]


def _mask(role: str, segment: str, is_lesion: bool, shape: Sequence[int], voxels: str, place: list) -> list[Any]:
    """voxels: the SHA-256 of its bits."""
    return [f"{role} {segment} {is_lesion} {tuple(shape)} {voxels}", place]


def same_masks(nodes: CaseNodes, choice: SegmentChoice, content: Content, drawn: Collection[str]) -> bool:
    """Return whether the chosen segments contain exactly the voxels of the masks of `content`.

    drawn: IDs of those that were drawn since, perhaps back to what they were; only these are compared. The former boxes
    come first, so a change inside them is found in a millisecond; two masks of 512 x 512 x 83 voxels take 4 ms. False
    if there is no mask to compare with, if a segment has no label map, or if the comparison would take much longer:
    with several masks in one label map beside segments that were not chosen.
    """
    segmentation, relation = nodes.segmentation, relation_between(nodes.segmentation, nodes.reference)
    data, lesions = segmentation.GetSegmentation(), lesions_of(segmentation, choice)
    chosen = [("liver", i, False) for i in choice.livers] + [("tumor", i, i in lesions) for i in choice.tumors]
    known = _recorded(content)
    if not known or not set(known) <= set(chosen) or not relation.is_linear:
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


@dataclass(frozen=True, eq=False)
class _Recorded:
    """An entry of a mask. shape: (D, H, W) of its box. ijk_to_ras: (4, 4). sha256: of its bits."""

    shape: tuple[int, ...]
    ijk_to_ras: np.ndarray
    sha256: str


def _recorded(content: Content) -> dict[tuple[str, str, bool], _Recorded]:
    """Return the masks of a content by role, segment and whether it is one lesion; {} if they cannot be told."""
    masks, entries = {}, _of_masks(content)
    for words, place in entries:
        parts = _MASK_WORDS.fullmatch(words)
        if parts is None:
            return {}
        role, segment, is_lesion, *shape, voxels = parts.groups()
        masks[role, segment, is_lesion == "True"] = _Recorded(tuple(map(int, shape)), np.array(place), voxels)
    return masks if len(masks) == len(entries) else {}


def _has_no_more(array: np.ndarray, counts: Mapping[int, int]) -> bool:
    """Return whether each label has this number of voxels in a label map; False if that would take long."""
    if np.count_nonzero(array) == sum(counts.values()):  # one pass, if all segments of the label map are chosen
        return True
    if len(counts) * array.size > _MOST_READ:
        return False
    return all(np.count_nonzero(array == label) == count for label, count in counts.items())


def _voxels_at(array: np.ndarray, label: int, ijk_to_ras: np.ndarray, graded: _Recorded) -> np.ndarray | None:
    """Return the voxels of a label in the box of a recorded mask; None if they differ from it.

    ijk_to_ras: (4, 4), of the array.
    """
    place = graded.ijk_to_ras
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


def recorded_content(parameter_node: Any) -> Content | None:
    """Return the recorded inputs of the result of a parameter node.

    None if it records nothing, as in a scene of an earlier version; [] if they are unknown or cannot be read.
    """
    text = parameter_node.GetParameter(PARAMETER)
    if not text:
        return None
    try:
        content = [[words, np.array(place, dtype=float).reshape(4, 4).tolist()] for words, place in parse_json(text)]
    except (ValueError, TypeError):  # damaged, or of a later version
        return []
    return content if all(isinstance(words, str) for words, _place in content) else []


def changes_since(content: Content | None, nodes: CaseNodes, choice: SegmentChoice) -> tuple[bool, bool]:
    """Return whether the masks, and whether the images, differ from those of a recorded content.

    Neither, if None was recorded; both, if what was recorded is unknown.
    """
    if content is None:
        return False, False
    now = read_content(nodes, choice)
    return not _same(_of_masks(content), _of_masks(now)), not _same(_of_images(content), _of_images(now))


def _of_images(content: Content) -> Content:
    return [entry for entry in content if entry[0].startswith(_IMAGE)]


def _of_masks(content: Content) -> Content:
    return [entry for entry in content if not entry[0].startswith(_IMAGE)]


def _same(then: Content, now: Content) -> bool:
    """Return whether entries are the same; False if there are none, since then nothing is known."""
    if not then or [words for words, _place in then] != [words for words, _place in now]:
        return False
    return all(np.allclose(a, b, rtol=0.0, atol=NEAR_MM) for (_, a), (_, b) in zip(then, now, strict=True))
