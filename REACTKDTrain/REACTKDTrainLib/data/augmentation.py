"""Augmentation: one rotation, shift and elastic field for all volumes and masks of a case (implemented by MONAI)."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from REACTKDLib.core.one_thread import one_thread
from REACTKDTrainLib.data.case import RegionMasks
from REACTKDTrainLib.settings import settings


@settings
class Augmentation:
    """Magnitude of the augmentation of views. The paper names affine and elastic augmentation without magnitudes.

    rotate_deg: maximum rotation about each axis, uniform. shift_voxels: maximum shift along each axis, uniform. scale:
    maximum relative scaling, uniform. elastic: maximum displacement of the smooth random field, in voxels (0 switches
    it off); sigma: smoothness of that field, in voxels. flip: mirror left to right with probability one half. level:
    standard deviation of a constant added to each modality (in its normalized units).

    Topology descriptors are not changed: they are invariant to a rotation, and scale and elastic are small.

    Raises: BadSetting that names the field.
    """

    rotate_deg: Annotated[float, Field(ge=0, le=90)] = 10.0
    shift_voxels: Annotated[float, Field(ge=0, le=32)] = 2.0
    scale: Annotated[float, Field(ge=0, le=0.3)] = 0.0
    elastic: Annotated[float, Field(ge=0, le=8)] = 1.0
    sigma: Annotated[float, Field(gt=0, le=1e12)] = 6.0
    flip: bool = True
    level: Annotated[float, Field(ge=0, le=2)] = 0.05

    @property
    def still(self) -> bool:
        """Return True if nothing is moved: views then differ only in intensity level and in the student's masks."""
        return not (self.rotate_deg or self.shift_voxels or self.scale or self.elastic or self.flip)


def warp(stack: dict[str, Tensor], how: Augmentation, seed: int) -> dict[str, Tensor]:
    """Apply one random warp, drawn from `seed`, to every entry (C, d, h, w), with edge padding for 'images' and zero
    padding for all others. Linear interpolation. The same seed gives bit-identical results in every process, with any
    number of threads.
    """
    from monai.transforms import Rand3DElasticd, RandAffined, RandFlipd

    keys = list(stack)
    padding = ["border" if key == "images" else "zeros" for key in keys]
    angle = np.deg2rad(how.rotate_deg)
    affine = {
        "keys": keys,
        "prob": 1.0,
        "rotate_range": [angle] * 3,
        "translate_range": [how.shift_voxels] * 3,
        "scale_range": [how.scale] * 3,
        "mode": ["bilinear"] * len(keys),
        "padding_mode": padding,
    }
    if how.elastic > 0:
        # Rand3DElastic smooths white noise in (-1, 1) and then scales it; this factor makes `elastic` 3 sd of the
        # result.
        spread = how.elastic / 3 / _sd_after_smoothing(how.sigma)
        warper = Rand3DElasticd(sigma_range=(how.sigma,) * 2, magnitude_range=(spread,) * 2, **affine)
    else:
        warper = RandAffined(**affine)
    warper.set_random_state(seed=seed)
    with one_thread():
        out = warper(dict(stack))
    if how.flip:
        flipper = RandFlipd(keys=keys, prob=0.5, spatial_axis=2)
        flipper.set_random_state(seed=seed + 1)
        out = flipper(out)
    return {key: _plain(out[key]) for key in keys}


def _plain(value: Tensor) -> Tensor:
    """Convert MONAI's tensor type to a torch tensor, since files of tensors accept only the latter."""
    return (value.as_tensor() if hasattr(value, "as_tensor") else torch.as_tensor(value)).contiguous()


def warp_like(view_seed: int | None, how: Augmentation, volume: Tensor) -> Tensor:
    """Warp (C, d, h, w) like the view, with zero padding. view_seed: its `warp_seed`; None changes nothing."""
    return volume if view_seed is None else warp({"like": volume}, how, view_seed)["like"]


def _sd_after_smoothing(sigma: float) -> float:
    """Sd of uniform noise in (-1, 1) after a 3-D Gaussian of `sigma` voxels: 3^-1/2 (2 sigma sqrt(pi))^-3/2."""
    return float(3**-0.5 * (2 * sigma * np.sqrt(np.pi)) ** -1.5)


def warp_masks(masks: RegionMasks, warped: Tensor) -> RegionMasks:
    """Rebuild masks from warped occupancies and shells. warped: (n + 6 (n - 1), d, h, w), as from `stacked_masks`."""
    n = len(masks)
    occupancy = warped[:n]
    shells = warped[n:].reshape(n - 1, -1, *warped.shape[1:]) if n > 1 else warped.new_zeros((0, 6, *warped.shape[1:]))
    return RegionMasks(occupancy, shells, masks.topology, masks.volumes_ml, masks.matches, masks.shape)


def stacked_masks(masks: RegionMasks) -> Tensor:
    """Occupancies and shells as channels (n + 6 (n - 1), d, h, w)."""
    return torch.cat([masks.occupancy, *masks.shells]) if len(masks) > 1 else masks.occupancy
