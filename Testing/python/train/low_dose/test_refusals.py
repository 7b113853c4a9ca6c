"""What is refused, with which error and which message."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.core.errors import BadSpacing, NotFinite, NotHounsfield, NotThreeDimensional, UsageError
from REACTKDTrainLib.low_dose.field_of_view import NoTissue, TruncatedFieldOfView, edge_contact
from REACTKDTrainLib.low_dose.physics import DoseOutOfRange, PhotonBudgetInvalid
from REACTKDTrainLib.low_dose.simulator import LowDoseCT
from support.ct_objects import body, water_cylinder
from support.real_data import hcc_tace_048

PLACE = dict(spacing_mm=2.8, thickness_mm=3.0)


def _with_nan(hu):
    hu = hu.copy()
    hu[0, 5, 5] = np.nan
    return hu


OPTIONS = [
    ("dose zero", dict(dose=0.0), DoseOutOfRange, "dose"),
    ("dose negative", dict(dose=-0.25), DoseOutOfRange, "dose"),
    ("dose above one", dict(dose=1.0001), DoseOutOfRange, "dose"),
    ("dose NaN", dict(dose=float("nan")), DoseOutOfRange, "dose"),
    ("dose infinite", dict(dose=float("inf")), DoseOutOfRange, "dose"),
    ("dose no number", dict(dose="quarter"), DoseOutOfRange, "dose"),
    ("dose missing", dict(dose=None), DoseOutOfRange, "dose"),
    ("seed negative", dict(seed=-1), UsageError, "seed"),
    ("seed fraction", dict(seed=0.5), UsageError, "seed"),
    ("mode unknown", dict(mode="poisson"), UsageError, "linear"),
    ("spacing zero", dict(spacing_mm=0.0), BadSpacing, "spacing"),
    ("spacing negative", dict(spacing_mm=-1.0), BadSpacing, "spacing"),
    ("spacing NaN", dict(spacing_mm=float("nan")), BadSpacing, "spacing"),
    ("spacing anisotropic", dict(spacing_mm=(0.7, 0.9)), BadSpacing, "square"),
    ("thickness zero", dict(thickness_mm=0.0), PhotonBudgetInvalid, "thickness"),
    ("thickness NaN", dict(thickness_mm=float("nan")), PhotonBudgetInvalid, "thickness"),
    ("increment zero", dict(increment_mm=0.0), PhotonBudgetInvalid, "increment"),
    ("electronic noise negative", dict(sigma_e=-1.0), PhotonBudgetInvalid, "electronic"),
    ("I0 zero", dict(i0=0.0), PhotonBudgetInvalid, "I0"),
]


@pytest.mark.parametrize(("options", "error", "word"), [row[1:] for row in OPTIONS], ids=[row[0] for row in OPTIONS])
def test_bad_options_are_refused(small, slices, options, error, word):
    with pytest.raises(error, match=word):
        small(slices, **{**PLACE, **options})


VOLUMES = [
    ("2-D", lambda hu: hu[0], NotThreeDimensional, "slices"),
    ("4-D", lambda hu: hu[None], NotThreeDimensional, "4 dimensions"),
    ("no slices", lambda hu: hu[:0], NotThreeDimensional, "0 values"),
    ("no rows", lambda hu: hu[:, :0], NotThreeDimensional, "0 values"),
    ("NaN voxel", _with_nan, NotFinite, "NaN"),
    ("infinite voxel", lambda hu: np.where(hu == hu.max(), np.inf, hu), NotFinite, "infinite"),
    ("complex", lambda hu: hu.astype(complex), NotHounsfield, "HU"),
    ("mask", lambda hu: hu > 0, NotHounsfield, "HU"),
    ("normalized 0..1", lambda hu: (hu + 1000) / 2000, NotHounsfield, "Hounsfield"),
    ("8-bit picture", lambda hu: np.clip((hu + 160) / 400 * 255, 0, 255).astype(np.uint8), NotHounsfield, "Hounsfield"),
    ("stored values", lambda hu: (hu + 1024).astype(np.uint16), NotHounsfield, "Hounsfield"),
    ("windowed -160..240", lambda hu: np.clip(hu, -160, 240), NotHounsfield, "windowed"),
    ("attenuation 1/mm", lambda hu: 0.0193 * (1 + hu / 1000), NotHounsfield, "Hounsfield"),
    ("only air", lambda hu: np.full_like(hu, -1000), NotHounsfield, "every voxel"),
    ("crop inside the body", lambda hu: hu[:, 44:84, 44:84], TruncatedFieldOfView, "crop"),
    ("crop with a side of air", lambda hu: hu[:, 20:84, 0:64], TruncatedFieldOfView, "crop"),
    ("half of the body", lambda hu: hu[:, :, :64], TruncatedFieldOfView, "full field of view"),
    ("larger than the simulator", lambda hu: np.pad(hu, ((0, 0), (1, 1), (1, 1)), "edge"), UsageError, "larger size"),
]


@pytest.mark.parametrize(("change", "error", "word"), [row[1:] for row in VOLUMES], ids=[row[0] for row in VOLUMES])
@pytest.mark.parametrize("call", ["__call__", "fields", "calibrate"])
def test_bad_volumes_are_refused_everywhere(small, slices, call, change, error, word):
    with pytest.raises(error, match=word):
        getattr(small, call)(change(slices), **PLACE)


SETTINGS = [
    (dict(size=127), "size"),
    (dict(size=0), "size"),
    (dict(views=90), "views"),
    (dict(batch=0), "batch"),
    (dict(window="hamming"), "window"),
]


@pytest.mark.parametrize(("settings", "word"), SETTINGS)
def test_bad_settings_are_refused(settings, word):
    with pytest.raises(UsageError, match=word):
        LowDoseCT(**{"size": 64, "views": 60, **settings})


def test_a_bad_bowtie_is_refused(slices):
    simulator = LowDoseCT(size=128, views=180, bowtie=lambda s: np.zeros_like(s))
    with pytest.raises(UsageError, match="bowtie"):
        simulator(slices, **PLACE)


def test_rounding_in_a_file_is_no_anisotropy(small, slices):
    assert small(slices, (0.703125, 0.70312), 3.0, 0.5).shape == slices.shape


# The field of view
def test_a_body_in_air_does_not_touch_the_edge():
    assert edge_contact(body(128, 2.8)).largest == 0.0


@pytest.mark.parametrize("padding", [-2048, -1024])
@pytest.mark.parametrize(("radius", "refused"), [(62, False), (40, True)])
def test_the_edge_of_a_round_field_of_view_is_found(padding, radius, refused):
    """Scanners fill the corners with padding, sometimes with a value that also occurs in air."""
    hu = body(128, 2.8, 2)
    y, x = np.mgrid[:128, :128] - 63.5
    hu[:, x**2 + y**2 > radius**2] = padding
    part = slice(64 - radius, 64 + radius)
    contact = edge_contact(hu[:, part, part])
    assert contact.truncated == refused


def test_arms_and_table_may_touch_the_edge(small):
    """An arm cut off in every slice, and a table along the lower border, as in real scans."""
    hu = body(128, 2.8, 3)
    hu[:, 50:80, :4] = 40.0
    hu[:, 122:125, 30:98] = 200.0
    contact = edge_contact(hu)
    assert 0.05 < contact.typical < 0.25
    small(hu, **PLACE)


def test_a_few_cut_slices_are_tolerated_and_reported(slices):
    slices[:2] = 40.0  # shoulders
    contact = edge_contact(slices)
    assert contact.largest == 1.0 and not contact.truncated


def test_air_alone_has_no_edge_to_judge():
    with pytest.raises(NoTissue):
        edge_contact(np.full((2, 64, 64), -1000.0))


@pytest.mark.parametrize("diameter", [250.0, 330.0])
def test_a_cylinder_inside_the_image_is_not_a_crop(diameter):
    assert not edge_contact(water_cylinder(128, 2.8, 1, diameter)).truncated


def test_a_real_scan_is_accepted_and_its_liver_crop_refused():
    hu = hcc_tace_048().array
    assert edge_contact(hu).typical < 0.12
    assert edge_contact(hu[:, 150:374, 60:284]).truncated


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_a_whole_patient_in_coarse_pixels_is_not_a_crop(size):
    """At 6 mm per pixel, four pixels from the edge is well inside a patient who fills the image."""
    from REACTKDLib.core.modality import Modality
    from REACTKDTrainLib.cohorts.phantom import phantom_case

    for seed in (3, 4, 10):
        hu = phantom_case("external", seed, size, whole_field=True).load().volumes[Modality.CT].array
        assert not edge_contact(hu).truncated
        middle = [slice(n // 4, n - n // 4) for n in hu.shape[1:]]
        assert edge_contact(hu[:, middle[0], middle[1]]).truncated
