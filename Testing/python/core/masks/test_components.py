"""Connected components of a mask: the same as from one search of the whole mask, however the search is divided."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.masks import components
from REACTKDLib.core.masks.components import Components, components_of

FULL = np.ones((3, 3, 3))


@pytest.mark.parametrize("small", [1, 200, 10**6])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.002, 0.01, 0.05, 0.3]))
def test_parts_are_those_of_one_search_and_in_its_order(small, seed, share):
    rng = np.random.default_rng(seed)
    mask = np.zeros((14, 18, 16), dtype=bool)
    mask[2:-3, 3:-2, 1:-4] = rng.random((9, 13, 11)) < share
    expected, count = label(mask, structure=FULL)
    with patch.object(components, "_SMALL_VOXELS", small):
        found = components_of(mask)
    if not mask.any():
        assert found is None
        return
    assert len(found.found) == count and np.array_equal(found.labels(), expected[found.box])
    assert found.sizes == np.bincount(expected.ravel())[1:].tolist()
    for number, (box, part) in enumerate(found.found, start=1):
        assert box == bounding_box(expected == number) and np.array_equal(part, expected[box] == number)


def test_shifted_components_keep_their_labels_and_boxes():
    labels = np.array([[[0, 2, 2], [1, 0, 0]]])
    box = (slice(4, 5), slice(3, 5), slice(7, 10))
    found = Components.of_labels(box, labels)
    assert [place for place, _mask in found.found] == [
        (slice(4, 5), slice(4, 5), slice(7, 8)),
        (slice(4, 5), slice(3, 4), slice(8, 10)),
    ]
    assert np.array_equal(found.labels(), labels)
    moved = found.moved((10, 20, 30))
    assert moved.box == (slice(14, 15), slice(23, 25), slice(37, 40))
    assert moved.found[0][0] == (slice(14, 15), slice(24, 25), slice(37, 38))
    assert np.array_equal(moved.labels(), labels)
