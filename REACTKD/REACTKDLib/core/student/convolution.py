"""A 3-D convolution that uses oneDNN's kernels on a CPU even for a single volume."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Convolution(nn.Conv3d):
    """`torch.nn.Conv3d`, with the same weights, for the student's encoders.

    For a batch of one small volume, PyTorch uses kernels of its own that are up to nine times slower than oneDNN's
    (`use_mkldnn` in ATen/native/Convolution.cpp counts voxels without the last axis). If no gradient is needed, this
    class therefore calls oneDNN directly; the results differ by rounding only. Pass images in `torch.channels_last_3d`:
    with few channels, they are then read twice as fast.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, D, H, W). Returns (B, C', D', H', W') in the layout of `x`."""
        if torch.is_grad_enabled() or x.device.type != "cpu" or not torch.backends.mkldnn.is_available():
            return super().forward(x)
        return torch.mkldnn_convolution(
            x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        )
