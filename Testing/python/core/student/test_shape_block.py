"""The shape features of a lesion in its node vector: volume and margin, from the mask alone, on its own grid."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.masks.placement import place_regions
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.student.bands import gaussian_bands
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.pooling import NodeMasks, fixed_nodes

SPACING = np.diag([1.0, 1.0, 1.0, 1.0])


def regions(spiky: bool = False) -> RegionSet:
    """A liver with a small ball and a ball of radius 8; spiky: the radius of the large one varies by a fifth."""
    z, y, x = np.indices((40, 40, 80), dtype=float) - np.array([20, 20, 20])[:, None, None, None]
    radius = np.sqrt(x * x + y * y + z * z)
    swing = 1 + (0.2 * np.cos(3 * np.arctan2(y, x)) if spiky else 0.0)
    tumor = radius < 8 * swing
    tumor |= np.sqrt((x - 40) ** 2 + y * y + z * z) < 4
    return RegionSet.from_masks(np.ones(tumor.shape, dtype=bool), tumor, SPACING)


def grid(side: int = 16) -> Grid:
    matrix = np.diag([2.5, 2.5, 2.5, 1.0])
    return Grid((side, side, 2 * side), matrix)


def test_volume_and_margin_of_each_lesion_and_nothing_of_the_parenchyma() -> None:
    smooth, spiky = (place_regions(regions(s), grid(), shapes=True).shape for s in (False, True))
    assert smooth.shape == (3, 2) and not smooth[0].any()
    assert np.allclose(
        smooth[1:, 0], np.log([4 / 3 * np.pi * r**3 / 1000 for r in (8, 4)]), atol=0.08
    )  # balls of 1 mm voxels
    assert smooth[1, 1] == pytest.approx(np.log(0.02), abs=0.4)
    # a variation of 0.2 along the longitude has an rms of 0.2 / sqrt 2
    assert spiky[1, 1] == pytest.approx(np.log(0.2 / np.sqrt(2)), abs=0.25)
    assert spiky[2] == pytest.approx(smooth[2])


def test_shapes_of_unchanged_lesions_are_cached() -> None:
    memo, own = Memo(), regions()
    first = place_regions(own, grid(), memo=memo, shapes=True).shape
    assert np.array_equal(place_regions(own, grid(), memo=memo, shapes=True).shape, first)
    assert np.array_equal(place_regions(regions(True), grid(), memo=memo, shapes=True).shape[2], first[2])


def test_the_block_is_the_last_of_every_images_vector() -> None:
    image = torch.randn(16, 16, 32, generator=torch.Generator().manual_seed(0))
    placement = place_regions(regions(), grid(), shells=False, shapes=True)
    masks = NodeMasks(torch.from_numpy(placement.occupancy), torch.zeros(0), shape=torch.from_numpy(placement.shape))
    bands = gaussian_bands(image[None, None])[0]
    both = fixed_nodes(image, bands, masks, ("input", "shape"))
    assert torch.equal(both[:, :2], fixed_nodes(image, bands, masks, ("input",)))
    assert torch.equal(both[:, 2:], masks.shape)
    with pytest.raises(ValueError, match="no shapes"):
        fixed_nodes(image, bands, dataclasses.replace(masks, shape=None), ("input", "shape"))


def test_a_student_with_the_block_reads_the_margin_and_one_without_does_not() -> None:
    answers = {}
    for blocks in (("input",), ("input", "shape")):
        torch.manual_seed(0)
        student = Student(StudentConfig(blocks=blocks, dropout=0.0)).eval()
        images = {"ct": torch.zeros(1, 1, 16, 16, 32)}
        for spiky in (False, True):
            placed = place_regions(regions(spiky), grid(), shells=False, shapes=True)
            occupancy = torch.from_numpy(place_regions(regions(), grid(), shells=False).occupancy)
            shape = torch.from_numpy(placed.shape)
            with torch.no_grad():
                answers[blocks, spiky] = student(images, occupancy, torch.zeros(7), shape=shape)
    assert torch.equal(answers[("input",), False], answers[("input",), True])
    assert not torch.allclose(answers[("input", "shape"), False], answers[("input", "shape"), True], atol=1e-4)
