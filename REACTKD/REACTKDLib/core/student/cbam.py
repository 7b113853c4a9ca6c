"""CBAM3D: channel attention, then spatial attention (Woo et al. 2018, in 3-D as in the paper's code)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CBAM3D(nn.Module):
    """F' = sigmoid(MLP(avg F) + MLP(max F)) F;  F'' = sigmoid(conv_k [mean_c F'; max_c F']) F'.

    channels: C; ratio: reduction ratio of the bottleneck (paper: 8); kernel: kernel size, odd (paper: 7). Input and
    output (B, C, D, H, W). It averages over the whole input and therefore needs whole volumes, not crops.

    Raises: ValueError for an even kernel.
    """

    def __init__(self, channels: int, ratio: int = 8, kernel: int = 7):
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, not {kernel}")
        inner = max(channels // ratio, 1)
        self.mlp = nn.Sequential(nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels))
        self.spatial = nn.Conv3d(2, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.mlp(x.mean(dim=(2, 3, 4))) + self.mlp(x.amax(dim=(2, 3, 4))))
        x = x * gate[:, :, None, None, None]
        where = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.spatial(where))
