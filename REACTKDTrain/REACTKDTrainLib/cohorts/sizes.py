"""Three sizes of the network's grid over the same 240 x 240 x 320 mm: the real one, and two to try things out."""

from __future__ import annotations

from REACTKDLib.core.errors import TaskNotValid, UsageError
from REACTKDLib.core.student.prepare import Preparation
from REACTKDLib.core.task import HCC_GRADE, Task

#: name -> (shape (D, H, W), spacing in mm, padding of the liver's box in voxels)
SIZES = {"full": ((96, 96, 128), 2.5, 8), "small": ((48, 48, 64), 5.0, 4), "tiny": ((24, 24, 32), 10.0, 2)}


def preparation_of(size: str, task: Task = HCC_GRADE) -> Preparation:
    """The preparation of a size. Texture and capsule do not survive 'small', nor small lesions 'tiny'.

    task: what it states of the preparation, see `Preparation`; the smaller sizes keep their own grid.

    Raises: UsageError for an unknown size; TaskNotValid for a preparation that cannot be.
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
    """Voxels kept around the liver: three sigma of the widest band at the full size, less where the field is small."""
    return next((pad for known, _, pad in SIZES.values() if known == tuple(shape)), min(8, min(shape) // 12))
