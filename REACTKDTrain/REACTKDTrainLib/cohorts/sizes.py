"""Three sizes of the network's grid over the same 240 x 240 x 320 mm: the full one, and two for quick experiments."""

from __future__ import annotations

from REACTKDLib.core.errors import TaskNotValid, UsageError
from REACTKDLib.core.student.prepare import Preparation
from REACTKDLib.core.task import HCC_GRADE, Task

#: name -> (shape (D, H, W), spacing in mm, padding of the liver's box in voxels)
SIZES = {"full": ((96, 96, 128), 2.5, 8), "small": ((48, 48, 64), 5.0, 4), "tiny": ((24, 24, 32), 10.0, 2)}


def preparation_of(size: str, task: Task = HCC_GRADE) -> Preparation:
    """Return the preparation of a size. 'small' does not resolve texture and capsule; 'tiny' loses small lesions too.

    task: may specify the preparation, see `Preparation`; the smaller sizes keep their own grid.

    Raises: UsageError for an unknown size; TaskNotValid for an invalid preparation.
    """
    if size not in SIZES:
        raise UsageError(f"There is no size {size!r}; choose one of {', '.join(SIZES)}.")
    shape, spacing, _ = SIZES[size]
    if task == HCC_GRADE:
        return Preparation(shape=shape, spacing_mm=spacing)
    grid = {"shape": list(shape), "spacing_mm": spacing}
    stated = {"field": "organ", "ct": "organ-window", **grid, **task.preparation}
    try:
        return Preparation.from_metadata(stated if size == "full" else {**stated, **grid})
    except (TypeError, ValueError, KeyError) as error:
        raise TaskNotValid(f"The preparation of the task {task.name} cannot be: {error}; correct the file.") from error


def padding_of(shape: tuple[int, ...]) -> int:
    """Voxels kept around the liver: three sigma of the widest band at full size, fewer if the field is small."""
    return next((pad for known, _, pad in SIZES.values() if known == tuple(shape)), min(8, min(shape) // 12))
