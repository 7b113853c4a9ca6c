"""The inputs of a result, stored with it in the scene and compared when the result is shown again.

The stamps of `scene.hand_over` detect edits at no cost. They cannot be used for a case that was left meanwhile, or a
scene that was saved and loaded, for which the voxels themselves are compared, by their SHA-256.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.worker.jobs import ImageFile, MaskFile
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.frames import relation_between
from REACTKDLib.scene.hand_over import cut_masks, refuse_bent_space
from REACTKDLib.scene.segments import SegmentChoice
from REACTKDLib.scene.units import unit_of
from REACTKDLib.scene.volumes import ijk_to_ras_of
from REACTKDLib.scene.voxel_digest import voxel_digest

PARAMETER = "GradedInputs"
NEAR_MM = 1e-3  # files may round positions
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
        kept = [(words, np.array(place, dtype=float)) for words, place in json.loads(text)]
        if not kept or [words for words, _place in kept] != [words for words, _place in now]:
            return False
        return all(np.allclose(a, b, rtol=0.0, atol=NEAR_MM) for (_, a), (_, b) in zip(kept, now, strict=True))
    except (ValueError, TypeError):  # damaged, or of a later version
        return False
