"""Masks as a label map: values in the order of the segments, on the grid of the first, without overlap."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.files.placed_masks import write_placed_masks
from REACTKDLib.core.files.segmentations import read_segmentation
from REACTKDLib.core.files.segments import PlacedMask


def test_a_label_map_holds_every_segment_and_refuses_overlap(tmp_path):
    lattice = np.diag([2.0, 2.0, 3.0, 1.0])
    liver, tumor = np.zeros((4, 5, 6), bool), np.zeros((4, 5, 6), bool)
    liver[1:, 1:4, 2:] = True
    tumor[2, 2, 3:5] = True
    masks = [PlacedMask("Liver", liver & ~tumor, lattice, (1, 0, 0)), PlacedMask("Tumor", tumor, lattice, (0, 1, 0))]
    write_placed_masks(masks, tmp_path / "masks.nii.gz")
    read = read_segmentation(tmp_path / "masks.nii.gz")
    found = read.layers[0] if hasattr(read, "layers") else read.array
    assert [np.count_nonzero(found == value) for value in (1, 2)] == [liver.sum() - 2, 2]
    assert np.allclose(np.abs(np.diag(read.ijk_to_ras)), [2, 2, 3, 1])
    masks[0] = PlacedMask("Liver", liver, lattice, (1, 0, 0))
    with pytest.raises(UsageError, match="overlap"):
        write_placed_masks(masks, tmp_path / "overlap.nii.gz")
    assert not (tmp_path / "overlap.nii.gz").exists()
