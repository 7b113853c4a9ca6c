"""Test sets and training fields: computed once, stored with their sidecars, and equal to a direct simulation."""

from __future__ import annotations

import json

import numpy as np
import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.files.volumes import read_volume
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.student.prepare import resample_along_axes
from REACTKDTrainLib.low_dose.cohort import LEVELS, TEST_SEEDS, DoseTestSets, case_seed
from REACTKDTrainLib.low_dose.physics import DoseOutOfRange, electronic_factor, quantum_factor
from REACTKDTrainLib.low_dose.sidecar import kept, sidecar_of, write_sidecar
from REACTKDTrainLib.low_dose.training_fields import FieldMaker, NoiseFields, draw_dose, draw_signs
from REACTKDTrainLib.low_dose.volumes import Scan, Simulators


@pytest.fixture
def sets(tmp_path) -> DoseTestSets:
    return DoseTestSets(tmp_path, seeds=TEST_SEEDS[:2])


@pytest.fixture
def grid(ct) -> Grid:
    """A part of the scan on a coarser grid along its axes."""
    matrix = np.diag([-5.0, -5.0, 6.0, 1.0])
    matrix[:3, 3] = ct.ijk_to_ras[:3, :3] @ [20, 30, 0.5]
    return Grid((4, 30, 40), matrix)


# Test sets
def test_every_level_and_seed_is_written_with_its_sidecar(sets, ct):
    paths = sets.write("case1", ct)
    assert len(paths) == 1 + 3 * 2 and all(p.exists() and sidecar_of(p).exists() for p in paths)
    assert np.array_equal(read_volume(sets.path("native", "case1", TEST_SEEDS[0])).array, ct.array)
    stds = {}
    for path in paths:
        content = json.loads(sidecar_of(path).read_text())
        assert content["dose"] == LEVELS[content["request"]["level"]]
        assert {"seed", "i0", "sigma_e", "added_std_hu", "output_sha256"} <= content.keys()
        stds.setdefault(content["request"]["level"], []).append(content["added_std_hu"]["soft_tissue"])
    assert stds["native"] == [0.0]
    assert 0 < max(stds["mild"]) < min(stds["severe"]) < max(stds["severe"]) < min(stds["stress"])


def test_finished_files_are_kept_and_damaged_ones_recomputed(sets, ct):
    paths = sets.write("case1", ct)
    times = [p.stat().st_mtime_ns for p in paths]
    assert sets.write("case1", ct) == paths and [p.stat().st_mtime_ns for p in paths] == times
    whole = paths[2].read_bytes()
    paths[2].write_bytes(whole[:-10])
    sidecar_of(paths[3]).unlink()
    sets.write("case1", ct)
    changed = [p.stat().st_mtime_ns != t for p, t in zip(paths, times)]
    assert changed == [False, False, True, True, False, False, False]
    assert paths[2].read_bytes() == whole


def test_another_scan_or_another_budget_is_recomputed(tmp_path, ct):
    first = DoseTestSets(tmp_path, levels={"mild": 0.25}, seeds=(1,))
    (path,) = first.write("case1", ct)
    before = path.read_bytes()
    first.write("case1", ct.with_array(ct.array + np.int16(1)))
    assert path.read_bytes() != before
    again = path.read_bytes()
    first.write("case1", ct.with_array(ct.array + np.int16(1)), thickness_mm=2.5)
    assert path.read_bytes() != again


def test_two_cases_never_share_a_noise_pattern(sets, ct):
    added = []
    for case in ("case1", "case2"):
        sets.write(case, ct)
        low = read_volume(sets.path("severe", case, TEST_SEEDS[0]))
        added.append((low.array.astype(float) - ct.array).ravel())
    assert abs(np.corrcoef(*added)[0, 1]) < 0.03
    assert case_seed(1, "case1") == case_seed(1, "case1") != case_seed(2, "case1")
    assert case_seed(1, "a\ud800b") != case_seed(1, "ab")  # a lone surrogate, as lists and file systems may contain


def test_the_table_lists_the_written_files(sets, ct):
    assert sets.table() == []
    sets.write("case1", ct)
    rows = sets.table()
    assert len(rows) == 7 and {row["case"] for row in rows} == {"case1"}
    assert [row["added_std_hu"] for row in rows if row["level"] == "native"] == [0.0]


@pytest.mark.parametrize("case", ["", "a/b", "../up", "."])
def test_a_case_name_cannot_leave_the_folder(sets, ct, case):
    with pytest.raises(UsageError):
        sets.write(case, ct)


def test_levels_are_checked_when_the_set_is_made(tmp_path):
    with pytest.raises(DoseOutOfRange):
        DoseTestSets(tmp_path, levels={"none": 0.0})
    with pytest.raises(UsageError):
        DoseTestSets(tmp_path, seeds=())
    with pytest.raises(UsageError, match="The seed is -1"):
        DoseTestSets(tmp_path, seeds=(9001, -1))
    with pytest.raises(UsageError, match="mild"):
        DoseTestSets(tmp_path).path("moderate", "case1", 1)


# Training fields
def test_training_noise_equals_simulation_then_resampling(ct, grid):
    """Resampling is linear, so resampled noise of the scan equals noise computed from resampled fields."""
    fields = FieldMaker()("case1", ct, grid, seed=1)
    scan = Scan.of(ct)
    quantum, electronic = (
        Simulators().of(scan).fields(scan.hu, scan.spacing_mm, scan.thickness_mm, seed=case_seed(1, "case1"))
    )
    dose = 0.13
    low = ct.array + quantum_factor(dose) * quantum + electronic_factor(dose) * electronic
    expected = resample_along_axes(ct.with_array(low.astype(np.float32)), grid, fill=0.0)
    prepared = resample_along_axes(ct, grid, fill=0.0)
    np.testing.assert_allclose(fields.add_to(prepared, dose), expected, atol=0.05)


@pytest.mark.parametrize("dose", [0.25, 0.1])
def test_noise_for_clipped_images_is_that_of_scans_prepared_at_that_dose(ct, grid, dose):
    """`Preparation` clips before it resamples: low-dose scans and low-dose views must give the same result."""
    window = (-160.0, 240.0)
    fields = FieldMaker(clip=window)("case1", ct, grid, seed=1)
    plain = FieldMaker()("case1", ct, grid, seed=1)
    scan = Scan.of(ct)
    noise = Simulators().of(scan).fields(scan.hu, scan.spacing_mm, scan.thickness_mm, seed=case_seed(1, "case1"))
    low = ct.array + quantum_factor(dose) * noise[0] + electronic_factor(dose) * noise[1]
    truth = resample_along_axes(ct.with_array(low.astype(np.float32)), grid, fill=window[0], clip=window)
    prepared = resample_along_axes(ct, grid, fill=window[0], clip=window)
    ours, wrong = (f.add_to(prepared, dose).clip(*window) for f in (fields, plain))
    air = prepared <= window[0] + 1e-3
    assert air.any() and np.abs(ours - prepared)[air].max() < 0.2 and np.abs(wrong - truth)[air].max() > 1
    assert np.sqrt(((ours - truth) ** 2).mean()) < 0.5 * np.sqrt(((wrong - truth) ** 2).mean())


def test_a_crop_gets_the_noise_of_the_whole(ct, grid):
    fields = FieldMaker()("case1", ct, grid, seed=1)
    image = resample_along_axes(ct, grid, fill=0.0)
    part = np.s_[1:3, 5:20, 10:30]
    assert np.array_equal(fields.add_to(image[part], 0.3, part=part), fields.add_to(image, 0.3)[part])


def test_training_never_uses_the_seeds_of_the_test_sets(ct, grid):
    with pytest.raises(UsageError, match="test sets"):
        FieldMaker()("case1", ct, grid, seed=TEST_SEEDS[0])


def test_signs_turn_the_noise_and_full_dose_has_none():
    fields = NoiseFields(np.full((2, 2, 2), 3, np.float16), np.full((2, 2, 2), 5, np.float16))
    hu = np.zeros((2, 2, 2), np.float32)
    assert np.array_equal(fields.add_to(hu, 1.0), hu)
    up, down = fields.add_to(hu, 0.25), fields.add_to(hu, 0.25, signs=(-1, -1))
    assert np.array_equal(up, -down)
    assert up[0, 0, 0] == pytest.approx(3 * np.sqrt(3) + 5 * np.sqrt(15), rel=1e-5)


def test_wrong_shapes_and_doses_are_refused():
    fields = NoiseFields(np.zeros((2, 2, 2), np.float16), np.zeros((2, 2, 2), np.float16))
    with pytest.raises(UsageError, match="same part"):
        fields.add_to(np.zeros((2, 2, 3), np.float32), 0.5)
    with pytest.raises(DoseOutOfRange):
        fields.add_to(np.zeros((2, 2, 2), np.float32), 0.0)


def test_doses_are_log_uniform():
    rng = np.random.default_rng(0)
    doses = np.log([draw_dose(rng) for _ in range(4000)])
    assert doses.min() >= np.log(0.1) and doses.max() <= 0.0
    counts, _ = np.histogram(doses, bins=8, range=(np.log(0.1), 0.0))
    assert counts.min() > 400 and counts.max() < 600
    assert {draw_signs(rng) for _ in range(100)} == {(1, 1), (1, -1), (-1, 1), (-1, -1)}


def test_a_sidecar_belongs_to_its_file(tmp_path):
    path = tmp_path / "case.nii.gz"
    path.write_bytes(b"image")
    assert kept(path, {"a": 1}) is None
    assert write_sidecar(path, {"i0": 1.0}, {"a": 1}) == tmp_path / "case.json"
    assert kept(path, {"a": 1})["i0"] == 1.0
    assert kept(path, {"a": 2}) is None
    path.write_bytes(b"other")
    assert kept(path, {"a": 1}) is None
    sidecar_of(path).write_text("{")
    assert kept(path, {"a": 1}) is None
