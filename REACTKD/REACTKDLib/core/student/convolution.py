"""A 3-D convolution that takes oneDNN's kernels for a single volume on a CPU, too."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Convolution(nn.Conv3d):
    """`torch.nn.Conv3d`, with the same weights, for the student's encoders.

    PyTorch passes a batch of one small volume to kernels of its own that are up to nine times slower than oneDNN's
    (`use_mkldnn` in ATen/native/Convolution.cpp counts voxels without the last axis); so here oneDNN is asked directly
    when no gradient is wanted. The two differ by rounding. Give images in `torch.channels_last_3d`: few channels are
    read twice as fast that way.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, D, H, W). Returns (B, C', D', H', W') in the layout of `x`."""
        if torch.is_grad_enabled() or x.device.type != "cpu" or not torch.backends.mkldnn.is_available():
            return super().forward(x)
        return torch.mkldnn_convolution(
            x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        )
