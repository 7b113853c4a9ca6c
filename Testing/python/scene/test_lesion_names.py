"""Lesion labels in the views: none covers another, and none is moved without need."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from REACTKDLib.scene.lesion_names import apart

WIDTH, HEIGHT = 36.0, 10.0
places = st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100), st.floats(-100, 100)), max_size=12)


@given(places)
def test_no_label_covers_another_and_none_is_moved_down(found):
    found = np.array(found, dtype=float).reshape(-1, 3)
    across, up = found[:, :2], found[:, 2]
    out = apart(across, up, WIDTH, HEIGHT)
    assert (out >= up).all()
    for n in range(len(out)):
        for m in range(n):
            far = np.linalg.norm(across[n] - across[m]) >= WIDTH
            assert far or abs(out[n] - out[m]) >= HEIGHT - 1e-9


def test_only_covered_labels_are_moved_up():
    across = np.array([[0.0], [5.0], [60.0], [6.0], [5.0]])
    up = np.array([0.0, 3.0, 3.0, 14.0, 80.0])
    assert apart(across, up, WIDTH, HEIGHT).tolist() == [0.0, 10.0, 3.0, 20.0, 80.0]
