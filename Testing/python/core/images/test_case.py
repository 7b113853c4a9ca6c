"""What a case computes from its own masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from REACTKDLib.core.images.case import Case, liver_box, parenchyma_places
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality


def ct_case(liver: np.ndarray, tumor: np.ndarray) -> Case:
    return Case("c", {Modality.CT: Volume(np.zeros(liver.shape, np.int16), np.eye(4))}, liver, tumor)


@pytest.mark.parametrize("size", [1, 5, 30, 100])
def test_sampled_parenchyma_positions_are_spread_out_and_avoid_lesions(size):
    liver, tumor = np.zeros((2, 110, 110, 110), dtype=bool)
    liver[4 : 4 + size, 5 : 5 + size, 3 : 3 + size] = True
    tumor[: 4 + size // 2] = liver[: 4 + size // 2]
    case = ct_case(liver, tumor)
    places = parenchyma_places(case)
    parenchyma = liver & ~tumor
    assert parenchyma[tuple(places.T)].all() and len(np.unique(places, axis=0)) == len(places)
    assert len(places) == parenchyma.sum() if size <= 30 else 5_000 < len(places) < 20_000
    assert np.abs(places.mean(axis=0) - np.argwhere(parenchyma).mean(axis=0)).max() < 2
    other = replace(case, tumor=np.zeros_like(tumor))
    assert (parenchyma_places(other)[:, 0] < 4 + max(1, size // 2)).any(), "other masks must be sampled again"


def test_a_rim_thinner_than_the_steps_is_found():
    liver, tumor = np.zeros((2, 110, 110, 110), dtype=bool)
    liver[2:102, 2:102, 2:102] = True
    tumor[2:102, 2:102, 2:102] = True
    tumor[2:102, 2:102, 101] = False  # the last plane, which a search in steps of four misses
    places = parenchyma_places(ct_case(liver, tumor))
    assert len(places) == 100 * 100 and (places[:, 2] == 101).all()


def test_an_empty_liver_has_no_box_and_no_positions():
    empty = np.zeros((3, 4, 5), dtype=bool)
    case = ct_case(empty, empty)
    assert liver_box(case) is None and parenchyma_places(case).shape == (0, 3)
