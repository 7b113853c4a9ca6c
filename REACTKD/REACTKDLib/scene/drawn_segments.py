"""All segments of a segmentation as drawn, in its own frame: for saving, and for detecting changes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np

from REACTKDLib.core.errors import NoScratchSpace, ReactkdError
from REACTKDLib.core.files.placed_masks import write_placed_masks
from REACTKDLib.core.files.segments import PlacedMask
from REACTKDLib.core.worker.arrays import write_mask
from REACTKDLib.core.worker.client import WorkerClient
from REACTKDLib.core.worker.folder import ScratchFolder
from REACTKDLib.core.worker.jobs import SegmentFile
from REACTKDLib.scene.segment_state import SegmentState
from REACTKDLib.scene.segments import LABELMAP, cut_segment, matrix_of_part, with_label_maps


def segments_stamp(segmentation: Any) -> tuple:
    """Return a stamp that changes with a voxel, a name or the number of segments. Costs nothing.

    A redrawn surface or another color does not change it.
    """
    data = segmentation.GetSegmentation()
    stamp = []
    for segment_id in data.GetSegmentIDs():
        segment = data.GetSegment(segment_id)
        stamp.append((segment_id, segment.GetName(), segment.GetTerminology(), SegmentState(data, segment_id)))
    return tuple(stamp)


def hand_over_segments(
    segmentation: Any, reference: Any, scratch: ScratchFolder
) -> Generator[None, None, list[SegmentFile]]:
    """Copy every segment into `scratch`, cropped to its voxels, in small steps.

    Raises: NoScratchSpace; then no file is left.
    """
    files: list[SegmentFile] = []
    names: list[str] = []
    try:
        for part in _drawn(segmentation, reference):
            yield
            if part is None:
                continue
            name = scratch.new_name() if part.mask.size else ""
            if name:
                names.append(name)
                write_mask(scratch.path / name, part.mask)
            matrix, shape = part.ijk_to_ras.tolist(), list(part.mask.shape)
            files.append(SegmentFile(part.name, list(part.color), part.terminology, name, shape, matrix))
    except BaseException:
        scratch.discard(names)
        raise
    return files


def save_in_steps(
    segmentation: Any,
    reference: Any,
    path: Path,
    client: WorkerClient,
    write: Callable[[list[SegmentFile]], Generator[None, None, Any]],
) -> Generator[None, None, bool]:
    """Write every segment to `path` in small steps, or synchronously if the temporary folder is full.

    client: of the worker. write: steps in which the worker writes the files handed over to `path`. A segmentation that
    is removed from the scene meanwhile is written all the same.

    Returns: True if the worker wrote them, False if they were written synchronously, as drawn at the end.

    Raises: what `write` raises; what `save_at_once` raises.
    """
    try:
        files = yield from hand_over_segments(segmentation, reference, client.scratch)
        yield from write(files)
        return True
    except ReactkdError as error:
        if error.code != NoScratchSpace.code:  # of an error in the worker only the code is known
            raise
    save_at_once(segmentation, reference, path)
    return False


def save_at_once(segmentation: Any, reference: Any, path: Path) -> None:
    """Write every segment to `path` in the format of its suffix, synchronously and without temporary files.

    For the last opportunity to save, and for a temporary folder that is full: it is often on another disk than `path`.

    Raises: what `write_placed_masks` raises.
    """
    write_placed_masks([part for part in _drawn(segmentation, reference) if part is not None], path)


def _drawn(segmentation: Any, reference: Any) -> Generator[PlacedMask | None, None, None]:
    """Yield each segment once, and None in between, so that the caller can do other work."""
    data = with_label_maps(segmentation, reference).GetSegmentation()
    for segment_id in data.GetSegmentIDs():
        segment = data.GetSegment(segment_id)
        image = segment.GetRepresentation(LABELMAP)
        cut = yield from cut_segment(image, segment.GetLabelValue())
        mask, corner = cut or (np.zeros((0, 0, 0), dtype=bool), None)
        matrix = np.eye(4) if corner is None else matrix_of_part(image, corner)
        color = tuple(round(float(c), 4) for c in segment.GetColor())
        yield PlacedMask(segment.GetName() or segment_id, mask, matrix, color, segment.GetTerminology() or "")
