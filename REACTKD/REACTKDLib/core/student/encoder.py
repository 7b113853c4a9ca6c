"""The encoders: a first convolution over fixed bands, then residual blocks at 5 and 10 mm (after SegResNet's encoder).

No layer pools over its whole input, so features on a crop equal those of the whole volume wherever the crop contains
the receptive field.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from REACTKDLib.core.images.grid import Box
from REACTKDLib.core.student.bands import N_BANDS
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.convolution import Convolution

#: receptive field: this many voxels of the first convolution's output, on each side, affect a voxel of the coarsest
#: map: 1 + 4 + 2 + 8, and one of the first convolution itself. A multiple of 4, as are the edges of boxes.
REACH = 16


def crop_levels(levels: Sequence[Tensor], box: Box) -> list[Tensor]:
    """Return views of maps (..., D, H, W) at the full, half and quarter grid in a box of the full grid, aligned to
    4.
    """
    return [
        level[(..., *(slice(part.start >> n, -(-part.stop >> n)) for part in box))] for n, level in enumerate(levels)
    ]


class ResidualBlock(nn.Module):
    """x + conv(act(norm(conv(act(norm(x)))))), 3x3x3, pre-activation (Myronenko 2018)."""

    def __init__(self, channels: int, norm: str):
        super().__init__()
        self.norms = nn.ModuleList(
            [nn.InstanceNorm3d(channels) if norm == "instance" else nn.Identity() for _ in range(2)]
        )
        self.convs = nn.ModuleList([Convolution(channels, channels, 3, padding=1) for _ in range(2)])
        if norm == "none":  # without a norm the block is initialized as the identity
            nn.init.zeros_(self.convs[1].weight)
            nn.init.zeros_(self.convs[1].bias)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y = conv(torch.relu(norm(y)))
        return x + y


class Trunk(nn.Module):
    """Maps the first convolution's output (B, f, D, H, W) to feature maps at the full, half and quarter grid."""

    def __init__(self, filters: int, norm: str):
        super().__init__()
        self.down1 = Convolution(filters, 2 * filters, 3, stride=2, padding=1)
        self.block1 = ResidualBlock(2 * filters, norm)
        self.down2 = Convolution(2 * filters, 4 * filters, 3, stride=2, padding=1)
        self.block2 = ResidualBlock(4 * filters, norm)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = self.block1(self.down1(x))
        return x, half, self.block2(self.down2(half))


class Encoders(nn.Module):
    """One trunk for CT and one for PET; each tracer has its own first convolution and projections.

    FDG uptake rises with the grade and acetate uptake falls: with shared projections and a sum the two would cancel.
    `forward(modality, bands)` returns three projected maps of widths `config.widths`; with a box of the input whose
    edges are multiples of 4, only that part of them.
    """

    def __init__(self, config: StudentConfig):
        super().__init__()
        self.config = config
        stems = {self.stem_name(m) for m in config.modalities}
        self.stems = nn.ModuleDict({name: Convolution(N_BANDS, config.filters, 3, padding=1) for name in sorted(stems)})
        trunks = {self.trunk_name(m) for m in config.modalities}
        self.trunks = nn.ModuleDict({name: Trunk(config.filters, config.norm) for name in sorted(trunks)})
        channels = [config.filters * 2**level for level in range(3)]
        self.projections = nn.ModuleDict(
            {
                name: nn.ModuleList([Convolution(c, w, 1) for c, w in zip(channels, config.widths, strict=True)])
                for name in sorted(stems)
            }
        )

    @staticmethod
    def trunk_name(modality: str) -> str:
        """Return 'ct' or 'pet'."""
        return "ct" if modality == "ct" else "pet"

    def stem_name(self, modality: str) -> str:
        """Return the modality itself, or its trunk if tracers share the first convolution."""
        return modality if self.config.own_stem else self.trunk_name(modality)

    def forward(self, modality: str, bands: Tensor, box: Box | None = None) -> list[Tensor]:
        x = self.stems[self.stem_name(modality)](bands)
        if torch.is_grad_enabled():
            x = x.abs() if self.config.nonlinearity == "abs" else torch.relu(x)
        else:  # in place: the first layer's maps are the largest, and copying them costs more than computing the values
            x = x.abs_() if self.config.nonlinearity == "abs" else x.relu_()
        maps = self.trunks[self.trunk_name(modality)](x)
        if box is not None:
            maps = crop_levels(maps, box)
        return [p(m) for p, m in zip(self.projections[self.stem_name(modality)], maps, strict=True)]
