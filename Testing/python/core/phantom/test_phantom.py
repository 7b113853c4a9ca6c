"""The phantom's images show its latents without leaks between them, and a seed gives one patient bit for bit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.masks.topology import margin_irregularity
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.phantom import acquire, draw_patient
from REACTKDLib.core.phantom.acquire import ct_lattice
from REACTKDLib.core.phantom.ct_scanner import draw_ct_protocol
from REACTKDLib.core.phantom.fields import ct_field, masks, pet_field
from REACTKDLib.core.phantom.lattice import Lattice

STEP_MM = 1.5
#: for tests that only read the same patients
drawn = cache(draw_patient)


def measured(lesion, patient):
    """Measure one lesion's latents in the noise-free images, with the true surface as mask."""
    n = int(2 * lesion.reach / STEP_MM) + 8
    lattice = Lattice.regular(np.array(lesion.center) - STEP_MM * (n - 1) / 2, np.full(3, STEP_MM), (n, n, n))
    points = lattice.coordinates((slice(None),) * 3)
    alone = replace(patient, lesions=(lesion,))
    distance, depth = lesion.polar(*points)
    inside = depth > 0
    ct = ct_field(alone, lattice)
    necrotic = lesion._parts(*points, depth)[1]
    living = (depth > 6) & (necrotic < 0.05)
    fdg = pet_field(alone, lattice, "fdg", edge_mm=1.0) / patient.liver_suv[0]
    acetate = pet_field(alone, lattice, "acetate", edge_mm=1.0) / patient.liver_suv[1]
    surface = distance + depth
    rim = inside & (distance > 0.874 * surface + 0.8) & (depth > 0.6)
    return {
        "contrast_hu": ct[inside].mean() - patient.liver_hu - lesion.contrast_hu,
        "capsule_hu": ct[(depth > 1) & (depth < 4.5)].mean() - ct[living].mean() - lesion.capsule_hu,
        "texture_hu": ct[living].std() - lesion.texture_hu,
        "necrosis": (necrotic > 0.5)[inside].mean() - lesion.necrosis,
        "ln_margin": np.log(margin_irregularity(inside, np.full(3, STEP_MM)) / lesion.margin),
        "ln_fdg_ratio": np.log(fdg[inside].mean() / lesion.fdg_ratio),
        "ln_fdg_rim": np.log(fdg[rim].mean() / fdg[distance < 0.874 * surface - 0.8].mean() / lesion.fdg_rim),
        "ln_acetate_ratio": np.log(acetate[inside].mean() / lesion.acetate_ratio),
        "ln_volume": np.log(inside.sum() * STEP_MM**3 / (4 / 3 * np.pi * lesion.radius**3)),
    }


@pytest.fixture(scope="module", params=["shared", "independent"])
def errors(request):
    """Measurement errors of main lesions, and in the shared biology of all lesions, since each has its own latents.
    Only larger ones: a small lesion contains too few texture cells to measure its latents.
    """
    rows = []
    for seed in range(36 if request.param == "shared" else 50):
        patient = drawn(seed, biology=request.param)
        for lesion in patient.lesions if request.param == "shared" else patient.lesions[:1]:
            if (
                17 if request.param == "shared" else 14
            ) < lesion.radius < 32 and lesion.necrosis < 0.2:  # room for viable tumor between capsule and necrosis
                rows.append((measured(lesion, patient), lesion))
    assert len(rows) > 12
    return rows


# stated errors: bias of the mean over lesions, and spread between lesions. A lesion of 30 mm contains few texture
# cells, which alone limits how precisely its capsule and texture amplitude can be measured.
@pytest.mark.parametrize(
    ("name", "bias", "spread"),
    [
        ("contrast_hu", 0.5, 1.0),
        ("capsule_hu", 2.0, 5.0),
        ("texture_hu", 2.5, 3.5),
        ("necrosis", 0.02, 0.03),
        ("ln_margin", 0.25, 0.2),
        ("ln_fdg_ratio", 0.02, 0.03),
        ("ln_fdg_rim", 0.02, 0.02),
        ("ln_acetate_ratio", 0.02, 0.02),
        ("ln_volume", 0.10, 0.12),
    ],
)
def test_latents_are_measured_back_from_the_images(errors, name, bias, spread):
    values = np.array([row[name] for row, _ in errors])
    assert abs(values.mean()) < bias
    assert values.std() < spread


def test_means_do_not_leak(errors):
    """The error of the measured contrast does not depend on capsule, necrosis or texture: they preserve the mean."""
    error = np.array([row["contrast_hu"] for row, _ in errors])
    for name, unit in (("capsule_hu", 12.0), ("necrosis", 0.1), ("texture_hu", 3.0)):
        latent = np.array([getattr(lesion, name) for _, lesion in errors]) / unit
        slope = np.polyfit(latent, error, 1)[0]
        assert abs(slope) < 0.4, f"{slope:.2f} HU of contrast per {unit} of {name}"


@pytest.mark.parametrize("biology", ["shared", "independent"])
def test_scanned_images_show_contrast_and_uptake(biology):
    """With scanners, noise and masks: mean HU and uptake ratios inside the masks, lesion by lesion."""
    hu, uptake = [], []
    for seed in range(8):
        patient = drawn(seed, biology=biology)
        if patient.lesions[0].radius < 12:
            continue
        case = acquire(patient, "full", around_liver_mm=10).case
        regions = RegionSet.from_masks(case.liver, case.tumor, case.reference.ijk_to_ras)
        if len(regions.lesions) != len(patient.lesions):
            continue
        ct = case.reference.array
        hu.append(ct[regions.mask(1)].mean() - np.median(ct[regions.mask(0)]) - patient.lesions[0].contrast_hu)
        fdg = case.volumes[Modality.FDG]
        index = np.linalg.inv(fdg.ijk_to_ras) @ [*regions.regions[1].centroid_ras, 1]
        i, j, k = np.rint(index[:3]).astype(int)
        seen = fdg.array[k - 1 : k + 2, j - 1 : j + 2, i - 1 : i + 2].mean() / patient.liver_suv[0]
        core = patient.lesions[0].fdg_ratio / (2 / 3 + patient.lesions[0].fdg_rim / 3)
        uptake.append(np.log(seen / core))
    assert len(hu) >= 4
    assert abs(np.mean(hu)) < 2.5 and np.std(hu) < 3.5
    assert abs(np.mean(uptake)) < 0.15 and np.std(uptake) < 0.2


def test_masks_hold_the_lesions_and_volumes_of_the_patient():
    right = 0
    for seed in range(20):
        patient = drawn(seed, biology="shared")
        lattice = ct_lattice(patient, draw_ct_protocol(np.random.default_rng(seed), patient.cohort), "small")
        regions = RegionSet.from_masks(*masks(patient, lattice), np.diag([*lattice.spacing, 1.0]))
        right += len(regions.lesions) == patient.latents.lesions
        truth = sum(4 / 3 * np.pi * les.radius**3 for les in patient.lesions) / 1000
        assert abs(np.log(sum(r.volume_ml for r in regions.lesions) / truth)) < 0.35
        assert 950 < sum(r.volume_ml for r in regions.regions) < 2700  # a large lesion may add to the liver
    assert right >= 18  # the few touching ones count as one


def test_bit_equal_by_seed_and_different_between():
    a, b = (acquire(draw_patient(7), "tiny") for _ in range(2))
    other = acquire(draw_patient(8), "tiny")
    for modality, volume in a.case.volumes.items():
        assert np.array_equal(volume.array, b.case.volumes[modality].array)
        assert np.array_equal(volume.ijk_to_ras, b.case.volumes[modality].ijk_to_ras)
    assert a.truth == b.truth
    assert np.array_equal(a.case.tumor, b.case.tumor)
    assert not np.array_equal(a.case.reference.ijk_to_ras, other.case.reference.ijk_to_ras)


def test_full_size_is_what_a_hospital_holds():
    phantom = acquire(draw_patient(11, "poor"), "full")
    ct = phantom.case.volumes[Modality.CT]
    assert ct.shape[1:] == (512, 512) and 40 <= ct.shape[0] <= 400
    assert ct.array.dtype == np.int16 and ct.unit is Unit.HU
    direction = ct.ijk_to_ras[:3, :3] / ct.spacing
    assert np.abs(np.abs(direction) - np.round(np.abs(direction))).max() > 0.01  # oblique
    assert direction[0, 0] < 0 and direction[1, 1] < 0 < direction[2, 2]  # columns left, rows back, slices up
    assert phantom.truth["grade"] == "poor"
    assert np.isclose(sum(phantom.truth["bayes_posterior"]["ct"].values()), 1)


def test_external_and_unlabeled_cohorts_have_ct_only():
    for cohort in ("external", "unlabeled"):
        assert acquire(draw_patient(1, cohort=cohort), "tiny").case.modalities == (Modality.CT,)


def test_the_grade_can_be_requested_and_cohorts_differ():
    assert {draw_patient(3, g).grade_name for g in ("well", "moderate", "poor")} == {"well", "moderate", "poor"}
    assert draw_patient(3, "well").latents != draw_patient(3, "well", cohort="large").latents


@pytest.mark.parametrize("call", [lambda: draw_patient(0, "bad"), lambda: draw_patient(0, cohort="none"),
                                  lambda: acquire(draw_patient(0), "huge"),
                                  *(lambda g=g, b=b: draw_patient(0, g, biology=b)
                                    for g in (3, -1, 0.5) for b in ("shared", "independent"))])  # fmt: skip
def test_unknown_cohorts_grades_and_sizes_are_refused(call):
    with pytest.raises(UsageError, match="choose one of"):
        call()
