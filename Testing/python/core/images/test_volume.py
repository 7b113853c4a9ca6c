"""What a `Volume` refuses: invalid geometry, and voxels that cannot be graded."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.core.errors import BadSpacing, NotFinite, NotThreeDimensional, SingularDirection
from REACTKDLib.core.images.volume import Volume

PLACE = np.diag([1.0, 1.0, 2.0, 1.0])


def place(**changes: float) -> np.ndarray:
    """PLACE with entries (rROW_COLUMN) changed."""
    matrix = PLACE.copy()
    for name, value in changes.items():
        matrix[int(name[1]), int(name[2])] = value
    return matrix


@pytest.mark.parametrize(
    ("matrix", "error", "says"),
    [
        (np.eye(3), BadSpacing, "not numbers"),
        (place(r03=np.nan), BadSpacing, "not numbers"),
        (place(r00=np.inf), BadSpacing, "not numbers"),
        (place(r22=0.0), BadSpacing, "zero along an axis"),
        (place(r01=1.0, r11=1e-9), SingularDirection, "lie in one plane"),
    ],
)
def test_an_invalid_matrix_is_refused(matrix: np.ndarray, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        Volume(np.zeros((2, 3, 4), dtype=np.float32), matrix, name="The CT")


@pytest.mark.parametrize(
    ("array", "error", "says"),
    [
        (np.zeros((3, 4)), NotThreeDimensional, "The CT has 2 dimensions and 12 values"),
        (np.zeros((2, 2, 2, 2)), NotThreeDimensional, "4 dimensions"),
        (np.zeros((0, 3, 4)), NotThreeDimensional, "0 values"),
        (np.full((2, 3, 4), np.nan), NotFinite, "NaN or infinite"),
        (np.where(np.arange(24).reshape(2, 3, 4) == 7, np.inf, 0.0), NotFinite, "NaN or infinite"),
    ],
)
def test_invalid_voxels_are_refused(array: np.ndarray, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        Volume(array, PLACE, name="The CT")


def test_a_volume_without_a_name_is_called_the_volume() -> None:
    with pytest.raises(NotThreeDimensional, match="[Tt]he volume has 2 dimensions"):
        Volume(np.zeros((3, 4)), PLACE)
