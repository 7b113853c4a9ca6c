"""Projector and back-projector against ASTRA, scikit-image, closed forms and a sum over views."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from REACTKDTrainLib.low_dose.gridding import PolarGeometry, gather_matrix, scatter_matrix
from REACTKDTrainLib.low_dose.line_integrals import CoarseLineIntegrals, noisy_sinograms
from REACTKDTrainLib.low_dose.physics import MU_WATER_PER_MM, attenuation
from REACTKDTrainLib.low_dose.projection import BackProjector, Projector, ramp, window
from support.ct_objects import body, coverage
from support.real_data import hcc_tace_048

FULL_SIZE = 512
VIEWS = 60


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.fixture(scope="module")
def projector() -> Projector:
    """Full resolution with few views, since the error does not depend on their number."""
    return Projector(PolarGeometry(FULL_SIZE, VIEWS))


def shepp_logan() -> np.ndarray:
    from skimage.data import shepp_logan_phantom
    from skimage.transform import resize

    return resize(shepp_logan_phantom(), (FULL_SIZE, FULL_SIZE), anti_aliasing=True).astype(np.float32)


def abdomen() -> np.ndarray:
    return attenuation(torch.from_numpy(hcc_tace_048().array[55].astype(np.float32))).numpy()


def project(projector: Projector, image: np.ndarray) -> np.ndarray:
    return projector(torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None])[0].numpy()


def astra_sinogram(image: np.ndarray, geometry: PolarGeometry) -> np.ndarray:
    """Linear (Joseph) projector; ASTRA's y axis points up, so the rows are flipped."""
    astra = pytest.importorskip("astra", reason="the ASTRA toolbox (test dependency) is not installed")
    volume = astra.create_vol_geom(*image.shape)
    rays = astra.create_proj_geom("parallel", 1.0, geometry.bins, geometry.angles())
    identifier = astra.create_projector("linear", rays, volume)
    try:
        data, sinogram = astra.create_sino(np.flipud(image), identifier)
        astra.data2d.delete(data)
    finally:
        astra.projector.delete(identifier)
    return sinogram


def skimage_sinogram(image: np.ndarray, geometry: PolarGeometry) -> tuple[np.ndarray, np.ndarray]:
    """Sinogram (M, n) and the positions (M, n) of its bins in our coordinates.

    scikit-image rotates about pixel N//2, half a pixel from the center, with s = x cos - y sin.
    """
    from skimage.transform import radon

    angles = geometry.angles()
    sinogram = radon(image, theta=np.rad2deg(angles), circle=False).T
    count = sinogram.shape[1]
    places = np.arange(count) - count // 2 + 0.5 * (np.cos(angles) - np.sin(angles))[:, None]
    return sinogram, places


def read_at(sinogram: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values of (M, B) rows at (M, n) positions, by cubic splines."""
    from scipy.ndimage import map_coordinates

    rows = np.broadcast_to(np.arange(len(sinogram))[:, None], places.shape)
    return map_coordinates(sinogram, [rows, places + (sinogram.shape[1] - 1) / 2], order=3, mode="constant")


@pytest.mark.parametrize(("image", "limit"), [(shepp_logan, 1e-2), (abdomen, 5e-3)])
def test_projector_agrees_with_astra(projector, image, limit):
    picture = image()
    expected = astra_sinogram(picture, projector.geometry)
    assert relative_error(project(projector, picture), expected) < limit


@pytest.mark.parametrize(("image", "limit"), [(shepp_logan, 4e-2), (abdomen, 1.5e-2)])
def test_projector_agrees_with_scikit_image(projector, image, limit):
    picture = image()
    expected, places = skimage_sinogram(picture, projector.geometry)
    found = read_at(project(projector, np.flipud(picture)), places)
    assert relative_error(found, expected) < limit


def test_projector_agrees_with_the_chords_of_a_disc(projector):
    found = project(projector, coverage(FULL_SIZE, 1.0, (0, 0), (200, 200)))
    bins = projector.geometry.bins
    s = np.arange(bins) - (bins - 1) / 2
    chords = 2 * np.sqrt(np.maximum(200.0**2 - s**2, 0))
    assert relative_error(found, np.broadcast_to(chords, found.shape)) < 3e-3


def test_an_off_center_disc_keeps_its_position(projector):
    """Catches a mirrored axis, a wrong rotation and half-pixel shifts, which a centered disc cannot reveal."""
    found = project(projector, coverage(FULL_SIZE, 1.0, (90, -40), (30, 30)))
    bins = projector.geometry.bins
    s = np.arange(bins) - (bins - 1) / 2
    angles = projector.geometry.angles()
    mean_place = (found * s).sum(axis=1) / found.sum(axis=1)
    np.testing.assert_allclose(mean_place, 90 * np.cos(angles) - 40 * np.sin(angles), atol=0.05)


def sum_over_views(sinogram: np.ndarray, geometry: PolarGeometry, finer: int = 64) -> np.ndarray:
    """Filtered back-projection by its definition, reading rows that are sinc-interpolated `finer` times."""
    spectrum = np.fft.rfft(sinogram, axis=1) * ramp(geometry)
    padded = np.zeros((geometry.views, geometry.bins * finer // 2 + 1), dtype=complex)
    padded[:, : geometry.frequencies] = spectrum
    padded[:, geometry.frequencies - 1] *= 0.5
    filtered = np.fft.irfft(padded, n=geometry.bins * finer, axis=1) * finer
    axis = np.arange(geometry.size) - (geometry.size - 1) / 2
    total = np.zeros((geometry.size, geometry.size))
    for row, angle in zip(filtered, geometry.angles()):
        place = axis[None, :] * np.cos(angle) + axis[:, None] * np.sin(angle) + (geometry.bins - 1) / 2
        total += np.interp(place * finer, np.arange(row.size), row)
    return total * np.pi / geometry.views


def test_gridding_is_the_sum_over_views():
    geometry = PolarGeometry(128, 90)
    sinogram = np.random.default_rng(0).standard_normal((geometry.views, geometry.bins))
    back_projector = BackProjector(geometry)
    found = back_projector(torch.from_numpy(sinogram).float()[None], back_projector.filter())[0].numpy()
    assert relative_error(found, sum_over_views(sinogram, geometry)) < 2e-3


def test_back_projection_undoes_projection():
    geometry = PolarGeometry(128, 240)
    image = np.asarray(coverage(128, 1.0, (10, -6), (40, 30)))
    back_projector = BackProjector(geometry)
    sinogram = Projector(geometry)(torch.from_numpy(image)[None])
    found = back_projector(sinogram, back_projector.filter())[0].numpy()
    inside = coverage(128, 1.0, (10, -6), (34, 24)) == 1
    assert abs(found[inside].mean() - 1.0) < 2e-3


def test_the_two_matrices_are_transposes():
    geometry = PolarGeometry(32, 20)
    there, back = (make(geometry, torch.device("cpu")).to_dense() for make in (gather_matrix, scatter_matrix))
    assert torch.equal(there.T, back)


@pytest.mark.parametrize("size", [64, 100, 128])
def test_sizes_without_a_fast_transform_work_too(size):
    geometry = PolarGeometry(size, 40)
    sinogram = np.random.default_rng(1).standard_normal((geometry.views, geometry.bins))
    back_projector = BackProjector(geometry)
    found = back_projector(torch.from_numpy(sinogram).float()[None], back_projector.filter())[0].numpy()
    assert relative_error(found, sum_over_views(sinogram, geometry)) < 2e-3


def test_hann_window_is_half_at_half_the_cutoff():
    geometry = PolarGeometry(512, 8)
    response = window(geometry, "hann", 0.4)
    frequency = np.arange(geometry.frequencies) / geometry.bins
    assert np.interp(0.2, frequency, response) == pytest.approx(0.5, abs=1e-3)
    assert response[0] == 1.0 and np.all(response[frequency > 0.4] == 0.0)


class _Ones:
    """A constant 1 in place of white noise: what remains is the interpolated standard deviation."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape

    def fill(self, out: torch.Tensor, index: int) -> None:
        out.fill_(1.0)


def test_std_is_interpolated_in_view_and_bin_and_around_the_half_turn():
    views, bins = 24, 36
    coarse = np.random.default_rng(2).uniform(1.0, 2.0, (views // 4, bins // 4))
    found = noisy_sinograms(torch.from_numpy(coarse).float()[None], _Ones((views, bins)), 0, "linear")[0].numpy()
    # View M is view 0 from the opposite side. A coarse bin spans four fine ones; a coarse view starts at its fine one.
    turned = np.vstack((coarse, coarse[:1, ::-1]))
    place = np.clip((np.arange(bins) - 1.5) / 4, 0, bins // 4 - 1)
    by_bin = np.array([np.interp(place, np.arange(bins // 4), row) for row in turned])
    by_view = [np.interp(np.arange(views) / 4, np.arange(len(turned)), column) for column in by_bin.T]
    np.testing.assert_allclose(found, np.array(by_view).T, rtol=1e-5)


def test_log_mode_floors_starved_rays():
    std = torch.full((1, 6, 9), 0.5)

    class Drawn(_Ones):
        def fill(self, out: torch.Tensor, index: int) -> None:
            out.copy_(torch.linspace(-4.0, 4.0, out.numel()).view(out.shape))

    z = torch.linspace(-4.0, 4.0, 24 * 36).view(24, 36)
    found = noisy_sinograms(std, Drawn((24, 36)), 0, "log")[0]
    torch.testing.assert_close(found, -torch.log(torch.clamp(1 + 0.5 * z, min=1 / 16)))
    torch.testing.assert_close(noisy_sinograms(std, Drawn((24, 36)), 0, "linear")[0], 0.5 * z)


def implied_std_error(hu: np.ndarray, spacing_mm: float, views: int) -> tuple[float, float]:
    """RMS relative error and mean ratio of the noise std implied by coarse line integrals, relative to fine ones."""
    geometry = PolarGeometry(hu.shape[-1], views)
    slices = torch.from_numpy(hu.astype(np.float32))[None]
    coarse = CoarseLineIntegrals(geometry, MU_WATER_PER_MM, torch.device("cpu"))(slices.clone(), spacing_mm)
    shape = (geometry.views, geometry.bins)
    implied = noisy_sinograms(torch.exp(0.5 * coarse), _Ones(shape), 0, "linear")[0].numpy()
    p = Projector(geometry)(attenuation(slices))[0].numpy() * spacing_mm
    ratio = implied / np.exp(0.5 * np.maximum(p, 0.0))
    return float(np.sqrt(np.mean((ratio - 1) ** 2))), float(ratio.mean())


def test_coarse_line_integrals_are_fine_enough():
    error, ratio = implied_std_error(body(512, 0.75)[0], 0.75, 60 * 4)
    assert error < 0.05 and abs(ratio - 1) < 0.005


@pytest.mark.slow
def test_coarse_line_integrals_are_fine_enough_on_a_real_abdomen():
    ct = hcc_tace_048()
    error, ratio = implied_std_error(ct.array[55], float(ct.spacing[0]), 720)
    assert error < 0.05 and abs(ratio - 1) < 0.005
