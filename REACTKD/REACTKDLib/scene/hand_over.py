"""Copies images and masks of the scene to the worker's files, in steps too short to be noticed.

Every function is a generator: the caller decides when the next step runs. The scene is not changed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from REACTKDLib.core.errors import LabelMissing, NonLinearTransform, ReactkdError
from REACTKDLib.core.modality import ROLES, SEGMENTATION_ROLE, Modality
from REACTKDLib.core.task import Task
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker.arrays import write_mask, write_slabs
from REACTKDLib.core.worker.folder import ScratchFolder
from REACTKDLib.core.worker.jobs import ImageFile, MaskFile
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.dicom_origin import files_of, origin_findings
from REACTKDLib.scene.frames import distorting_transform, relation_between
from REACTKDLib.scene.remarks import remarks_of
from REACTKDLib.scene.segment_state import SegmentState
from REACTKDLib.scene.segments import (
    LABELMAP,
    SegmentChoice,
    choose_segments,
    cut_segment,
    lesions_of,
    matrix_of_part,
    with_label_maps,
)
from REACTKDLib.scene.units import stated_unit
from REACTKDLib.scene.volumes import ijk_to_ras_of, voxels_of
from REACTKDLib.scene.voxel_digest import remember_digest

Slices = Generator[None, None, Any]
_COMMON = 4  # entries of a stamp of masks that concern all segments


@dataclass(frozen=True, eq=False)
class CutMask:
    """A chosen segment, cropped to its voxels.

    mask: bool (D, H, W), (0, 0, 0) if it has none. ijk_to_ras: (4, 4) of the crop, in the reference's frame.

    is_lesion: see `core.worker.jobs.MaskFile`.
    """

    role: Literal["liver", "tumor"]
    segment_id: str
    name: str
    mask: np.ndarray
    ijk_to_ras: np.ndarray
    is_lesion: bool


def refuse_bent_space(nodes: CaseNodes) -> None:
    """Raise NonLinearTransform if any node of the case is under a non-linear transform."""
    for node, role in (*((n, ROLES[m]) for m, n in nodes.volumes.items()), (nodes.segmentation, SEGMENTATION_ROLE)):
        if distorting_transform(node) is not None:
            text = _(
                "{role} lies under a transform that bends space (a grid or B-spline); harden the "
                "transform on it, or move it out from under it, and grade again."
            )
            raise NonLinearTransform(text, role=role)


def hand_over_case(nodes: CaseNodes, choice: SegmentChoice, scratch: ScratchFolder) -> Slices:
    """Copy images and masks into `scratch`; return (list[ImageFile], list[MaskFile]), in the reference's frame.

    Raises: NonLinearTransform, PatientMismatch, NoVolume, NotThreeDimensional, NoScratchSpace; then no file is left.
    """
    images = yield from hand_over_images(nodes, scratch)
    try:
        masks = yield from hand_over_masks(nodes, choice, scratch)
    except BaseException:
        scratch.discard(image.file for image in images)
        raise
    return images, masks


def hand_over_images(nodes: CaseNodes, scratch: ScratchFolder) -> Slices:
    """Copy the images into `scratch`; return list[ImageFile]. Raises: see `hand_over_case`."""
    refuse_bent_space(nodes)
    together = origin_findings(nodes.volumes, nodes.segmentation)
    files: list[ImageFile] = []
    names: list[str] = []
    try:
        for modality, node in nodes.volumes.items():
            array = voxels_of(node, ROLES[modality])
            matrix = relation_between(node, nodes.reference).placed(ijk_to_ras_of(node))
            unit, sources = stated_unit(node), [] if modality is Modality.CT else files_of(node)
            names.append(scratch.new_name())
            modified = node.GetImageData().GetMTime()
            digest = yield from write_slabs(scratch.path / names[-1], array)
            if node.GetImageData() is not None and node.GetImageData().GetMTime() == modified:
                remember_digest(modified, digest)
            remarks, together = [*together, *remarks_of(node, modality)], []  # those on all images come with the first
            files.append(ImageFile(modality, names[-1], matrix.tolist(), unit, sources, remarks, digest))
    except BaseException:
        scratch.discard(names)
        raise
    return files


def hand_over_masks(nodes: CaseNodes, choice: SegmentChoice, scratch: ScratchFolder) -> Slices:
    """Copy the chosen segments into `scratch`, each cropped to its voxels; return list[MaskFile].

    Raises: what `cut_masks` raises; NoScratchSpace; then no file is left.
    """
    files: list[MaskFile] = []
    names: list[str] = []
    try:
        for cut in cut_masks(nodes, choice):
            if cut is not None:
                name = digest = ""
                if cut.mask.size:
                    name = scratch.new_name()
                    names.append(name)
                    digest = write_mask(scratch.path / name, cut.mask)
                place = list(cut.mask.shape), cut.ijk_to_ras.tolist()
                about = cut.segment_id, choice.keep_specks, cut.is_lesion, digest, cut.name
                files.append(MaskFile(cut.role, name, *place, *about))
            yield
    except BaseException:
        scratch.discard(names)
        raise
    return files


def cut_masks(nodes: CaseNodes, choice: SegmentChoice) -> Iterator[CutMask | None]:
    """Yield the chosen segments, and None in between, so that the caller can do other work.

    Raises: LabelMissing for a segment that is gone; NonLinearTransform.
    """
    refuse_bent_space(nodes)
    relation = relation_between(nodes.segmentation, nodes.reference)
    source = with_label_maps(nodes.segmentation, nodes.reference)
    lesions = lesions_of(nodes.segmentation, choice)
    for role, ids in (("liver", choice.livers), ("tumor", choice.tumors)):
        for segment_id in ids:
            segment = source.GetSegmentation().GetSegment(segment_id)
            if segment is None:
                text = _("The segment chosen as {role} is gone; choose the segments again.")
                raise LabelMissing(text, role=choice.task.structure(role).name)
            image = segment.GetRepresentation(LABELMAP)
            cut = yield from cut_segment(image, segment.GetLabelValue())
            mask, corner = cut or (np.zeros((0, 0, 0), dtype=bool), None)
            matrix = np.eye(4) if corner is None else relation.placed(matrix_of_part(image, corner))
            is_lesion = role == "tumor" and segment_id in lesions
            yield CutMask(role, segment_id, segment.GetName() or segment_id, mask, matrix, is_lesion)


def watched(steps: Slices, *stamps_of: Callable[[], tuple]) -> Slices:
    """Run the steps of a hand-over; return (its value, list of stamps): () for one that changed while it was read.

    Each step reads what is shown at its beginning. Sequences may show another time point in between, and then the first
    one again, with its own voxels and stamp: a comparison at the end would not notice that.
    """
    stamps, value, ended = [stamp_of() for stamp_of in stamps_of], None, False
    try:
        while not ended:
            try:
                next(steps)
            except StopIteration as end:
                value, ended = end.value, True
            stamps = [stamp if stamp == stamp_of() else () for stamp, stamp_of in zip(stamps, stamps_of)]
            if not ended:
                yield
    finally:
        steps.close()
    return value, stamps


def images_stamp(nodes: CaseNodes) -> tuple:
    """Return a stamp that changes with an image, its unit or its position relative to the reference."""
    stamp = []
    for modality, node in nodes.volumes.items():
        relation = relation_between(node, nodes.reference)
        place = relation.placed(ijk_to_ras_of(node)).tobytes() if relation.is_linear else None
        image = node.GetImageData()
        stamp.append((modality, node.GetID(), image.GetMTime() if image else 0, place, stated_unit(node)))
    return tuple(stamp)


def files_stamp(nodes: CaseNodes) -> tuple:
    """Return a stamp that changes with what corrected masks do not save: images, and where the masks lie on them."""
    relation = relation_between(nodes.segmentation, nodes.reference)
    return images_stamp(nodes), relation.matrix().tobytes() if relation.is_linear else None


def masks_stamp(nodes: CaseNodes, choice: SegmentChoice) -> tuple:
    """Return a stamp that changes with a voxel or the position of a chosen segment. Costs nothing."""
    relation = relation_between(nodes.segmentation, nodes.reference)
    place = relation.matrix().tobytes() if relation.is_linear else None
    lesions = lesions_of(nodes.segmentation, choice)  # a new name may separate two lesions, or no longer
    stamp: list[Any] = [nodes.segmentation.GetID(), choice, place, lesions]
    data = nodes.segmentation.GetSegmentation()
    for segment_id in (*choice.livers, *choice.tumors):
        stamp.append(SegmentState(data, segment_id))
    return tuple(stamp)


def inputs_stamp(nodes: CaseNodes, choice: SegmentChoice | None, task: Task) -> tuple:
    """Return a stamp that changes with an image or a chosen segment; choice None: what `task` recognizes, if any."""
    try:
        chosen = choice or choose_segments(nodes.segmentation, task=task)
    except ReactkdError:
        return images_stamp(nodes), ()
    return images_stamp(nodes), masks_stamp(nodes, chosen)


def drawn_between(before: tuple, after: tuple, choice: SegmentChoice) -> tuple[str, ...]:
    """Return the IDs of the segments that were drawn between two stamps of `masks_stamp`; all of them if anything else
    differs, such as the position.
    """
    ids = (*choice.livers, *choice.tumors)
    if before[:_COMMON] != after[:_COMMON]:
        return ids
    pairs = zip(ids, before[_COMMON:], after[_COMMON:], strict=True)
    return tuple(segment_id for segment_id, then, now in pairs if then != now)
