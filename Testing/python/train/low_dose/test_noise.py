"""Level, texture and bias of the inserted noise, against closed forms and independently simulated Poisson scans.

The small setting uses 256 pixels of 1.4 mm and 360 views, the `slow` one 512 pixels of 0.8 mm and 720 views.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest
import torch

from REACTKDTrainLib.low_dose.physics import MU_WATER_PER_MM, electronic_factor, quantum_factor
from REACTKDTrainLib.low_dose.projection import ramp, window
from REACTKDTrainLib.low_dose.simulator import LowDoseCT
from support.ct_objects import body, disc_mask, ellipse_with_bones, water_cylinder

THICKNESS = 3.0
SLICES = 8
DIAMETER = 300.0


@dataclass(frozen=True)
class Setting:
    size: int
    views: int
    spacing: float

    @property
    def simulator(self) -> LowDoseCT:
        return _simulator(self.size, self.views)

    def cylinder(self, slices: int = SLICES) -> np.ndarray:
        return water_cylinder(self.size, self.spacing, slices, DIAMETER)

    def ring(self, inner_mm: float, outer_mm: float) -> np.ndarray:
        return disc_mask(self.size, self.spacing, inner_mm, outer_mm)

    def added(self, hu: np.ndarray, dose: float, **options) -> np.ndarray:
        return self.simulator(hu, self.spacing, THICKNESS, dose, **options) - hu


@lru_cache(maxsize=3)
def _simulator(size: int, views: int) -> LowDoseCT:
    return LowDoseCT(size=size, views=views)


SMALL = Setting(256, 360, 1.4)
FULL = Setting(512, 720, 0.8)
SETTINGS = [pytest.param(SMALL, id="small"), pytest.param(FULL, id="full", marks=pytest.mark.slow)]
both_sizes = pytest.mark.parametrize("setting", SETTINGS)


def closed_form_std(setting: Setting, p: float, i0: float) -> float:
    """Noise of a pixel whose line integral is `p` in all views, HU."""
    geometry = setting.simulator.geometry
    response = ramp(geometry) * window(geometry, "hann", 0.8 * setting.spacing)
    both_sides = np.full(geometry.frequencies, 2.0)
    both_sides[[0, -1]] = 1.0
    rms = np.sqrt((both_sides * response**2).sum() / geometry.bins)
    scale = 1000.0 / (MU_WATER_PER_MM * setting.spacing) * np.pi / np.sqrt(geometry.views)
    return scale * rms * np.sqrt(np.exp(p) / i0)


def poisson_scan(setting: Setting, dose: float, seed: int, sigma_e: float = 10.0, slices: int = SLICES) -> np.ndarray:
    """(D, N, N) HU: counts along the cylinder's exact chords, electronic noise, floor of one count, log, FBP."""
    simulator, rng = setting.simulator, np.random.default_rng(seed)
    bins = simulator.geometry.bins
    s = (np.arange(bins) - (bins - 1) / 2) * setting.spacing
    p = MU_WATER_PER_MM * 2 * np.sqrt(np.maximum((DIAMETER / 2) ** 2 - s**2, 0.0))
    budget = simulator.budget(setting.spacing, THICKNESS, sigma_e)
    expected = np.broadcast_to(dose * budget.i0 * np.exp(-p), (slices, simulator.geometry.views, bins))
    counts = rng.poisson(expected) + rng.normal(0.0, budget.sigma_e, expected.shape)
    measured = -np.log(np.maximum(counts, 1.0) / (dose * budget.i0))
    image = simulator.reconstruct(torch.from_numpy(measured.astype(np.float32)), setting.spacing)
    return image.numpy() - 1000.0


# 5. Bias
@both_sizes
@pytest.mark.parametrize("dose", [0.25, 0.1, 0.05])
@pytest.mark.parametrize(("mode", "limit"), [("linear", 0.5), ("log", 1.0)])
def test_water_keeps_its_mean(setting, mode, limit, dose):
    added = setting.added(setting.cylinder(), dose, mode=mode, seed=1)
    assert abs(added[:, setting.ring(0, 40)].mean()) < limit


# 6. Scaling
def test_quantum_noise_follows_the_dose_exactly_for_one_seed():
    center = SMALL.ring(0, 40)
    doses = (1 / 2, 1 / 4, 1 / 10, 1 / 20)
    units = [
        SMALL.added(SMALL.cylinder(), a, mode="linear", sigma_e=0.0, seed=3)[:, center].std() / quantum_factor(a)
        for a in doses
    ]
    assert np.ptp(units) < 0.01 * np.mean(units)


@both_sizes
def test_quantum_noise_follows_the_dose_for_other_seeds(setting):
    center = setting.ring(0, 40)
    doses = (1 / 2, 1 / 4, 1 / 10, 1 / 20)
    units = [
        setting.added(setting.cylinder(), a, mode="linear", sigma_e=0.0, seed=i)[:, center].std() / quantum_factor(a)
        for i, a in enumerate(doses)
    ]
    assert max(np.abs(np.array(units) / np.mean(units) - 1)) < 0.03


# 7. Absolute level
@both_sizes
def test_level_agrees_with_the_closed_form(setting):
    quantum, _ = setting.simulator.fields(setting.cylinder(), setting.spacing, THICKNESS)
    budget = setting.simulator.budget(setting.spacing, THICKNESS)
    expected = closed_form_std(setting, MU_WATER_PER_MM * DIAMETER, budget.i0)
    assert quantum[:, setting.ring(0, 40)].std() == pytest.approx(expected, rel=0.05)


# 8. End to end: this test catches a missing (1 - a) or a wrong unit
@both_sizes
@pytest.mark.parametrize("dose", [0.25, 0.1, 0.05])
def test_inserted_noise_equals_that_of_an_independent_scan(setting, dose):
    native = poisson_scan(setting, 1.0, seed=10)
    inserted = setting.simulator(native, setting.spacing, THICKNESS, dose, seed=1)
    scanned = poisson_scan(setting, dose, seed=20)
    for inner, outer in ((0, 40), (100, 140)):
        ring = setting.ring(inner, outer)
        plain = setting.cylinder()[0, ring]  # pixels at the cylinder's edge would add structure; these have none
        assert np.ptp(plain) == 0
        assert inserted[:, ring].std() == pytest.approx(scanned[:, ring].std(), rel=0.04)


# 9. Radial pattern
@both_sizes
def test_noise_is_largest_in_the_middle(setting):
    added = setting.added(setting.cylinder(), 0.25, seed=2)
    assert 1.3 < added[:, setting.ring(0, 40)].std() / added[:, setting.ring(100, 140)].std() < 1.6


# 10. Spectrum
def radial_spectrum(patches: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Noise power by radial frequency (cycles/px) of (S, n, n) patches, and the mean frequency of each band."""
    n = patches.shape[-1]
    taper = np.hanning(n + 2)[1:-1]
    spectrum = np.abs(np.fft.fft2((patches - patches.mean()) * taper[:, None] * taper[None, :])) ** 2
    frequency = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.fftfreq(n)[None, :])
    band = np.digitize(frequency.ravel(), edges)
    power, where = spectrum.mean(axis=0).ravel(), frequency.ravel()
    chosen = range(1, len(edges))
    return np.array([power[band == i].mean() for i in chosen]), np.array([where[band == i].mean() for i in chosen])


@both_sizes
def test_noise_has_the_spectrum_of_filtered_back_projection(setting):
    half = int(45 / setting.spacing)
    middle = slice(setting.size // 2 - half, setting.size // 2 + half)
    added = setting.added(setting.cylinder(64), 0.25, mode="linear", seed=4)[:, middle, middle]

    def transfer(frequency: np.ndarray) -> np.ndarray:
        return (0.5 + 0.5 * np.cos(np.pi * np.minimum(frequency / (0.8 * setting.spacing), 1.0))) ** 2

    power, frequency = radial_spectrum(added, np.linspace(0.03, 0.5, 13))
    flat = power / (frequency * transfer(frequency))
    np.testing.assert_allclose(flat / flat.mean(), 1.0, atol=0.12)
    low, low_frequency = radial_spectrum(added, np.array([0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.11, 0.15]))
    filled = np.isfinite(low)
    assert low[:3][filled[:3]].mean() < 0.35 * power.max()
    rising = filled & (low_frequency > 0.03)
    slope = np.polyfit(np.log(low_frequency[rising]), np.log((low / transfer(low_frequency))[rising]), 1)[0]
    assert 0.75 < slope < 1.2


# 11. Streaks
def lag_correlation(noise: np.ndarray, axis: int, lag: int = 3, half: int = 20) -> float:
    """Autocorrelation at `lag` pixels along x (axis 2) or y (axis 1) at the center of (D, N, N)."""
    middle = noise.shape[-1] // 2
    part = noise[:, middle - half : middle + half, middle - half : middle + half]
    part = np.moveaxis(part - part.mean(), axis, -1)
    return float((part[..., lag:] * part[..., :-lag]).mean() / part.var())


@both_sizes
def test_bones_draw_streaks_between_them(setting):
    hu = ellipse_with_bones(setting.size, setting.spacing, 4 * SLICES)
    added = setting.added(hu, 0.1, seed=5)
    half = int(16 / setting.spacing)
    assert lag_correlation(added, 2, half=half) > 0.4
    assert lag_correlation(added, 1, half=half) < 0.1


@both_sizes
def test_a_cylinder_has_no_streaks(setting):
    added = setting.added(setting.cylinder(4 * SLICES), 0.1, seed=5)
    assert abs(lag_correlation(added, 2) - lag_correlation(added, 1)) < 0.03


# 12. Fields
@both_sizes
def test_recombined_fields_equal_a_direct_simulation(setting):
    hu, center = setting.cylinder(2 * SLICES), setting.ring(0, 40)
    quantum, electronic = setting.simulator.fields(hu, setting.spacing, THICKNESS, seed=6)
    recombined = quantum_factor(0.25) * quantum + electronic_factor(0.25) * electronic
    direct = setting.added(hu, 0.25, mode="linear", seed=7)
    assert recombined[:, center].std() == pytest.approx(direct[:, center].std(), rel=0.02)


# 13. No blur
def test_the_mean_over_seeds_is_the_input():
    hu, seeds = body(128, 2.8), 64
    simulator = _simulator(128, 180)
    added = np.concatenate([simulator(hu, 2.8, THICKNESS, 0.25, mode="linear", seed=i) - hu for i in range(seeds)])
    mean, noise = added.mean(axis=0), np.sqrt((added**2).mean(axis=0))
    assert mean.std() == pytest.approx(np.sqrt((noise**2).mean()) / np.sqrt(seeds), rel=0.15)
    dy, dx = np.gradient(hu[0])
    laplacian = np.gradient(dy, axis=0) + np.gradient(dx, axis=1)
    for detail in (np.hypot(dx, dy), laplacian):
        assert abs(np.corrcoef(mean.ravel(), detail.ravel())[0, 1]) < 0.05


# 14. Electronic noise
@both_sizes
@pytest.mark.parametrize("sigma_e", [0.0, 10.0, 30.0])
def test_electronic_noise_adds_what_real_scans_show(setting, sigma_e):
    """The added variance is that of an independent scan at this dose minus that of one at native dose."""
    center = setting.ring(0, 40)
    low, native = (poisson_scan(setting, a, seed, sigma_e) for a, seed in ((0.05, 30), (1.0, 31)))
    expected = np.sqrt(low[:, center].var() - native[:, center].var())
    added = setting.added(setting.cylinder(), 0.05, sigma_e=sigma_e, seed=8)
    assert added[:, center].std() == pytest.approx(expected, rel=0.04)


@pytest.mark.slow
@pytest.mark.parametrize(("sigma_e", "expected"), [(0.0, 46.2), (10.0, 52.6)])
def test_electronic_noise_has_the_published_level(sigma_e, expected):
    added = FULL.added(FULL.cylinder(), 0.05, sigma_e=sigma_e, seed=8)
    assert added[:, FULL.ring(0, 40)].std() == pytest.approx(expected, rel=0.04)


# 15. Invariance
def _std_in_rings(setting: Setting) -> np.ndarray:
    simulator = LowDoseCT(size=setting.size, views=setting.views, cutoff_per_mm=0.35)
    hu = setting.cylinder(2 * SLICES)
    added = simulator(hu, setting.spacing, THICKNESS, 0.5, sigma_e=0.0, mode="linear", seed=9) - hu
    return np.array([added[:, setting.ring(0, 40)].std(), added[:, setting.ring(100, 140)].std()])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(Setting(256, 360, 1.25), Setting(320, 360, 1.0), id="small"),
        pytest.param(Setting(256, 720, 1.4), Setting(512, 720, 0.7), id="full", marks=pytest.mark.slow),
    ],
)
def test_pixel_size_does_not_change_the_noise(one, other):
    np.testing.assert_allclose(_std_in_rings(one), _std_in_rings(other), rtol=0.03)


def test_number_of_views_does_not_change_the_noise():
    stds = np.array([_std_in_rings(Setting(256, views, 1.4)) for views in (180, 360, 540)])
    np.testing.assert_allclose(stds / stds.mean(axis=0), 1.0, atol=0.05)


@pytest.mark.slow
def test_number_of_views_does_not_change_the_noise_at_full_size():
    stds = np.array([_std_in_rings(Setting(256, views, 1.4)) for views in (360, 720, 1080)])
    np.testing.assert_allclose(stds / stds.mean(axis=0), 1.0, atol=0.05)
