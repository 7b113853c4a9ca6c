"""A CT scanner model: realistic voxel sizes, and noise correlated in plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.phantom.lattice import Lattice


@dataclass(frozen=True)
class CtProtocol:
    """Voxel size and noise of a scan. Lengths mm; noise_hu: standard deviation in one native voxel.

    kernel_mm: standard deviation of the reconstruction kernel that colors the noise.
    """

    pixel_mm: float
    slice_mm: float
    matrix: int
    noise_hu: float
    kernel_mm: float
    padded: bool


def draw_ct_protocol(rng: np.random.Generator, cohort: str) -> CtProtocol:
    """Draw a protocol; the external cohort has thicker slices, more and sharper noise."""
    external = cohort == "external"
    slices = (2.5, 5.0) if external else (1.0, 1.25, 2.0, 2.5, 3.0, 5.0)
    weights = None if external else (0.05, 0.15, 0.15, 0.35, 0.2, 0.1)
    return CtProtocol(
        pixel_mm=float(rng.uniform(0.72, 1.0)),
        slice_mm=float(rng.choice(slices, p=weights)),
        matrix=512,
        noise_hu=float(rng.uniform(8, 18) * (1.4 if external else 1.0)),
        kernel_mm=float(0.55 if external else 0.75),
        padded=bool(rng.uniform() < 0.3),
    )


def add_ct_noise(field: np.ndarray, lattice: Lattice, protocol: CtProtocol, rng: np.random.Generator) -> np.ndarray:
    """Add noise in place, colored in plane, independent from slice to slice. field: (D, H, W) HU."""
    from scipy.ndimage import gaussian_filter1d

    sigma = protocol.kernel_mm / lattice.spacing[:2]
    gain = protocol.noise_hu
    for s in sigma:
        taps = gaussian_filter1d(np.eye(1, 65, 32, dtype=np.float64)[0], s)
        gain /= float(np.sqrt((taps**2).sum()))
    for k in range(field.shape[0]):
        noise = rng.standard_normal(field.shape[1:], dtype=np.float32)
        noise = gaussian_filter1d(
            gaussian_filter1d(noise, sigma[0], axis=1, mode="wrap"), sigma[1], axis=0, mode="wrap"
        )
        field[k] += np.float32(gain) * noise
    return field


def blur_slices(field: np.ndarray, lattice: Lattice, slice_mm: float) -> np.ndarray:
    """Smooth along the slices by a Gaussian as wide as a slice, thickness / sqrt(12).

    Sampled at steps of one slice it has almost no effect: a weight of 1/400 for each neighbor, a variance of 1/200 of
    the squared thickness instead of 1/12. It is kept because the first edition's patients are drawn with it.
    """
    from scipy.ndimage import gaussian_filter1d

    sigma = slice_mm / np.sqrt(12) / lattice.spacing[2]
    return gaussian_filter1d(field, sigma, axis=0, mode="nearest", truncate=3.0)


def scan_slices(
    field: np.ndarray, lattice: Lattice, protocol: CtProtocol, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Blur along the slices of a field (D, H, W) HU and add noise, for the second edition; yields slice after slice.

    Each slice (H, W) is valid until the next, so that it is still in the processor's cache when it is stored. Kernels
    have three taps. That of the noise has the variance of the Gaussian in `add_ct_noise`; that along the slices has the
    variance of a slice profile, 1/12 of the squared thickness, which `blur_slices` does not reach.
    """
    taps = [_three(protocol.kernel_mm / s) for s in lattice.spacing[:2]]
    gain = np.float32(protocol.noise_hu / np.prod([np.sqrt(np.sum(np.convolve(t, t) ** 2)) for t in taps]))
    gain = gain * np.float32((taps[0][1] * taps[1][1]) ** 2)
    sides = [np.float32(t[0] / t[1]) for t in taps]
    center, side = np.float32(1 - 2 * np.float32(_SLICE_SIDE)), np.float32(_SLICE_SIDE)
    own, near, noise, other = (np.empty_like(field[0]) for _ in range(4))
    last = len(field) - 1
    for k in range(last + 1):
        rng.standard_normal(out=noise, dtype=np.float32)
        for axis in (1, 0, 1, 0):
            noise, other = _ring(noise, sides[1 - axis], axis, out=other), noise
        noise *= gain
        np.add(field[max(k - 1, 0)], field[min(k + 1, last)], out=near)
        near *= side
        np.multiply(field[k], center, out=own)
        own += near
        own += noise
        yield own


#: weight of each neighbor slice for the variance of a slice profile, 1/12
_SLICE_SIDE = 1 / 24


def _three(sigma: float) -> np.ndarray:
    """Taps of a kernel that applied twice has the variance `sigma` squared (voxels), as far as three taps can."""
    side = min(float(sigma) ** 2 / 4, 0.33)
    return np.array([side, 1 - 2 * side, side])


def _ring(image: np.ndarray, side: np.float32, axis: int, out: np.ndarray) -> np.ndarray:
    """image + side * (its two neighbors along an axis), around the edge, written to `out`; both are C-contiguous."""
    a, o = (image, out) if axis == 0 else (image.T, out.T)
    beside = image.shape[1] if axis == 0 else 1  # as one row: the wrong values at the ends of rows are replaced below
    np.add(image.ravel()[: -2 * beside], image.ravel()[2 * beside :], out=out.ravel()[beside:-beside])
    np.add(a[-1], a[1], out=o[0])
    np.add(a[-2], a[0], out=o[-1])
    out *= side
    out += image
    return out
