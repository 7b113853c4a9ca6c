"""Crops around lesions: their position, and that their moments equal those of the whole volume."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from REACTKDLib.core.modality import MODALITIES, subsets_of
from REACTKDLib.core.student.bands import gaussian_bands
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.pooling import fused_nodes
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.release.crops import Crops, crop_moments, crop_of, table_with_moments
from REACTKDTrainLib.release.recipe import CropRecipe
from support.node_cases import cases

RECIPE = CropRecipe(size=40, pooled=32)


@pytest.fixture(scope="module")
def volume():
    """Images (3, 56, 56, 56), parenchyma and two lesions, the second at the border of the images."""
    draw = torch.Generator().manual_seed(0)
    occupancy = torch.zeros(3, 56, 56, 56)
    occupancy[1, 26:31, 26:31, 26:31] = 1
    occupancy[2, :4, 50:, 20:26] = 1
    occupancy[0, 20:40, 20:40, 20:40] = 1 - occupancy[1, 20:40, 20:40, 20:40]
    return torch.randn(3, 56, 56, 56, generator=draw), occupancy


def test_a_crop_is_centered_on_its_lesion_and_its_edge_is_repeated(volume):
    images, masks = crop_of(*volume, 0, RECIPE)
    assert images.shape == (3, 40, 40, 40) and masks.shape == (2, 32, 32, 32)
    assert np.array_equal(images, volume[0][:, 8:48, 8:48, 8:48].half().numpy())
    where = np.argwhere(masks[1] == 255)
    assert where.min() == 14 and where.max() == 18 and len(where) == 125
    images, masks = crop_of(*volume, 1, RECIPE)
    assert (masks[1] == 255).sum() == 4 * 6 * 6
    assert np.array_equal(images[:, 0], images[:, 1])  # beyond the border


def test_moments_of_a_crop_are_those_of_the_whole_volume(volume):
    torch.manual_seed(0)
    student = Student(StudentConfig(filters=4, widths=(4, 8, 8))).eval()
    images, occupancy = volume
    presence = {m: torch.tensor([float(m != "acetate")]) for m in MODALITIES}
    parts = [torch.from_numpy(x).float()[None] for x in crop_of(images, occupancy, 0, RECIPE)]
    with torch.no_grad():
        levels = [student.encoders(m, gaussian_bands(images[n][None, None])) for n, m in enumerate(MODALITIES[:2])]
        fused = [a[0] + b[0] for a, b in zip(*levels, strict=True)]
        want = fused_nodes(fused, occupancy[:2], True)
        got = crop_moments(student, parts[0], parts[1] / 255, presence, RECIPE)[0]
    widths = [2 * w for w in student.config.widths]
    for own, whole in zip(got.split(widths, dim=1), want.split(widths, dim=1), strict=True):
        torch.testing.assert_close(own[1], whole[1], atol=0.02, rtol=0.02)


def test_tables_have_the_moments_that_crops_show(volume):
    """The second patient's third lesion has no crop and gets the mean of the others; parenchyma is averaged, too."""
    torch.manual_seed(0)
    student = Student(StudentConfig(filters=4, widths=(4, 8, 8))).eval()
    own = [case for case in cases(30) if len(case.regions[0]) == 4][:2]
    parts = [crop_of(*volume, n, RECIPE) for n in (0, 1, 0)]
    images, masks = (np.stack(x) for x in zip(*parts))
    crops = Crops.of(own, images, masks, [0, 1, 1], [0, 0, 1])
    table = table_with_moments(student, crops, RECIPE)
    assert set(table.fused) == {"+".join(s) for s in subsets_of(MODALITIES)} and table.encoded == 1
    presence = {m: torch.tensor([float(m == "fdg")]) for m in MODALITIES}
    with torch.no_grad():
        x = [torch.from_numpy(p).float() for p in (images, masks)]
        want = torch.cat(
            [crop_moments(student, x[0][n : n + 1], x[1][n : n + 1] / 255, presence, RECIPE) for n in range(3)]
        )
    got = table.fused["fdg"][0]
    torch.testing.assert_close(got[1, 1], want[1, 1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(got[1, 2], want[2, 1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(got[1, 3], (want[1, 1] + want[2, 1]) / 2, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(got[1, 0], (want[1, 0] + want[2, 0]) / 2, atol=1e-4, rtol=1e-4)


def test_crops_are_turned_with_their_masks(volume):
    images, masks = (part[None] for part in crop_of(*volume, 0, RECIPE))
    images = np.repeat(np.pad(masks[:, 1:], [(0, 0)] * 2 + [(4, 4)] * 3), 3, axis=1).astype(np.float16)
    crops = Crops(NodeTable.of(cases(1)), images, masks, torch.tensor([0]), torch.tensor([0]))
    draw = torch.Generator().manual_seed(0)
    for _ in range(8):
        x, m = crops.drawn(torch.tensor([0]), 0.0, draw)
        assert torch.equal(x[0, 0, 4:-4, 4:-4, 4:-4], 255 * m[0, 1])
