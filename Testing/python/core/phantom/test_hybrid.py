"""Lesions drawn into a scan: their truth is known, and the rest of the scan is unchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.phantom import acquire, draw_patient
from REACTKDLib.core.phantom.hybrid import draw_into


@pytest.fixture(scope="module")
def scan():
    """A scan made without the lesions to be drawn: oblique, PETs on their own grids, with lesions of its own."""
    return acquire(draw_patient(3), "small").case


@pytest.fixture(scope="module")
def hybrid(scan):
    return draw_into(scan, seed=8, grade="poor")


def places(case, truth) -> list[tuple[int, int, int]]:
    """The index (k, j, i) of each drawn lesion's center."""
    inverse = np.linalg.inv(case.reference.ijk_to_ras)
    return [tuple(np.rint((inverse @ [*x["center_ras_mm"], 1])[2::-1]).astype(int)) for x in truth["lesions"]]


def test_the_truth_is_that_of_the_drawn_lesions(scan, hybrid):
    truth = hybrid.truth
    assert truth["grade"] == "poor" and truth["drawn_into_a_scan"] and truth["biology"] == "shared"
    drawn = hybrid.case.tumor & ~scan.tumor
    assert drawn.any() and np.array_equal(hybrid.case.tumor & scan.tumor, scan.tumor)
    for index, lesion in zip(places(hybrid.case, truth), truth["lesions"], strict=True):
        assert drawn[index] and scan.liver[index]
        assert lesion["radius_mm"] > 0
    known = RegionSet.from_masks(hybrid.case.liver, drawn, scan.reference.ijk_to_ras)
    assert len(known.lesions) == len(truth["lesions"])
    before = RegionSet.from_masks(scan.liver, scan.tumor, scan.reference.ijk_to_ras)
    both = RegionSet.from_masks(hybrid.case.liver, hybrid.case.tumor, scan.reference.ijk_to_ras)
    assert len(both.lesions) == len(known.lesions) + len(before.lesions)  # no drawn lesion touches an existing one
    assert truth["lesions_before_ml"] == pytest.approx(scan.tumor.sum() * scan.reference.voxel_ml)


def test_the_rest_of_the_scan_stays_bit_by_bit(scan, hybrid):
    from scipy.ndimage import distance_transform_edt

    drawn = hybrid.case.tumor & ~scan.tumor
    away = distance_transform_edt(~drawn, sampling=scan.reference.spacing[::-1]) > 20
    for modality, volume in scan.volumes.items():
        new = hybrid.case.volumes[modality]
        assert new.array.dtype == volume.array.dtype and np.array_equal(new.ijk_to_ras, volume.ijk_to_ras)
        changed = new.array != volume.array
        assert 0 < changed.mean() < 0.2
        if modality is Modality.CT:
            assert not changed[away].any()


def test_lesions_show_their_latents(scan):
    """Differences to the scan before drawing, in a liver without lesions, so that noise and other lesions cancel."""
    healthy = replace(scan, tumor=np.zeros_like(scan.tumor))
    pet = scan.volumes[Modality.FDG]
    level = np.median(pet.array[pet.array > 0.75 * np.percentile(pet.array, 95)])  # about the liver's uptake
    ct, fdg = [], []
    for seed in range(6):
        hybrid = draw_into(healthy, seed)
        for index, lesion in zip(places(hybrid.case, hybrid.truth), hybrid.truth["lesions"], strict=True):
            if lesion["radius_mm"] < 12:
                continue
            mm = (np.stack(np.indices(scan.reference.shape), axis=-1) - index) * scan.reference.spacing[::-1]
            near = np.linalg.norm(mm, axis=-1) < 0.75 * lesion["radius_mm"]
            change = hybrid.case.reference.array[near].astype(float) - scan.reference.array[near]
            necrosis = 1 / (1 + np.exp(-lesion["logit_necrosis"]))
            inner = lesion["contrast_hu"] - 0.35 * lesion["capsule_hu"] - 45 * (min(necrosis / 0.42, 1) - necrosis)
            ct.append((change.mean(), inner))  # inside the capsule, where most of the necrosis lies
            inverse = np.linalg.inv(pet.ijk_to_ras)
            at = tuple(np.rint((inverse @ [*lesion["center_ras_mm"], 1])[2::-1]).astype(int))
            core = np.exp(lesion["ln_fdg_ratio"]) / (2 / 3 + np.exp(lesion["ln_fdg_rim"]) / 3)
            fdg.append(((hybrid.case.volumes[Modality.FDG].array[at] - pet.array[at]) / level, core - 1))
    assert len(ct) >= 6
    error = np.array([measured - wanted for measured, wanted in ct])
    assert abs(error.mean()) < 4 and error.std() < 7
    error = np.array([measured - wanted for measured, wanted in fdg])
    assert abs(error.mean()) < 0.2 and error.std() < 0.2


def test_one_seed_is_one_result(scan, hybrid):
    again = draw_into(scan, seed=8, grade=2)
    assert again.truth == hybrid.truth
    assert all(np.array_equal(again.case.volumes[m].array, hybrid.case.volumes[m].array) for m in Modality)
    assert not np.array_equal(draw_into(scan, seed=9).case.tumor, hybrid.case.tumor)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda case: {"liver": np.zeros_like(case.liver), "tumor": np.zeros_like(case.liver)}, "mask is empty"),
        (lambda case: {"tumor": case.liver}, "no room"),
        (lambda case: {"volumes": {Modality.FDG: case.volumes[Modality.FDG]}}, "give one with --on"),
    ],
)
def test_what_cannot_be_drawn_is_refused(scan, change, says):
    changes = change(scan)
    if "volumes" in changes:
        shape = changes["volumes"][Modality.FDG].shape
        changes |= {name: np.zeros(shape, dtype=bool) for name in ("liver", "tumor")}
    with pytest.raises(UsageError, match=says):
        draw_into(replace(scan, **changes), 0)
