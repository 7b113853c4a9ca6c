"""Masks as a label map: values in the order of the segments, without overlap; all on the finest of their grids."""

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


@pytest.mark.parametrize("liver_first", [True, False])
def test_a_lesion_drawn_on_a_finer_grid_than_the_liver_is_saved_as_drawn(tmp_path, liver_first):
    """On the liver's grid the lesions were others, and on theirs the liver lost half a voxel at each side."""
    coarse, fine = np.diag([4.0, 4.0, 4.0, 1.0]), np.diag([1.0, 1.0, 1.0, 1.0])
    liver, small, large = np.ones((5, 5, 5), bool), np.zeros((20, 20, 20), bool), np.zeros((20, 20, 20), bool)
    small[6, 6, 6:8] = True
    large[8:15, 9:16, 9:14] = True
    masks = [PlacedMask("Liver", liver, coarse, (1, 0, 0))]
    for name, mask in (("Small", small), ("Large", large)):
        masks.insert(len(masks) if liver_first else 0, PlacedMask(name, mask, fine, (0, 1, 0)))
    write_placed_masks(masks, tmp_path / "masks.seg.nrrd")
    read = read_segmentation(tmp_path / "masks.seg.nrrd")
    names = [segment.candidate.name for segment in read.segments]
    origin = np.rint(read.ijk_to_ras[:3, 3])
    for name, mask in (("Small", small), ("Large", large)):
        found = np.argwhere(read.mask([names.index(name)]))[:, ::-1] * np.diag(read.ijk_to_ras)[:3] + origin
        assert sorted(map(tuple, found)) == sorted(map(tuple, np.argwhere(mask)[:, ::-1].astype(float)))
    assert read.mask([names.index("Liver")]).sum() == pytest.approx(liver.sum() * 4**3, rel=0.15)


def test_a_lattice_that_would_fill_the_memory_is_not_taken(tmp_path):
    """The liver on the grid of a tiny lesion of 0.005 mm voxels takes 60 TB; the next finer grid is taken."""
    liver, lesion, tiny = np.ones((40, 40, 40), bool), np.ones((6, 5, 4), bool), np.ones((20, 20, 20), bool)
    drawn = (("Liver", liver, 5.0, 0), ("Lesion", lesion, 1.0, 50), ("Tiny", tiny, 0.005, 99.95))
    masks = []
    for name, mask, step, start in drawn:
        place = np.diag([step, step, step, 1.0])
        place[:3, 3] = start
        masks.append(PlacedMask(name, mask, place, (1, 0, 0)))
    write_placed_masks(masks, tmp_path / "masks.seg.nrrd")
    read = read_segmentation(tmp_path / "masks.seg.nrrd")
    assert np.allclose(np.abs(np.diag(read.ijk_to_ras)), 1.0)
    counts = {segment.candidate.name: read.mask([n]).sum() for n, segment in enumerate(read.segments)}
    assert counts["Lesion"] == lesion.sum() and counts["Tiny"] == 1
    assert counts["Liver"] == pytest.approx(liver.sum() * 5**3, rel=0.05)
