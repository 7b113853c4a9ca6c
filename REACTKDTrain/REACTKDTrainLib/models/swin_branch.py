"""One encoder of a teacher: MONAI's Swin transformer, its hidden states brought to one map at a quarter of the grid."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from monai.networks.nets.swin_unetr import SwinTransformer
from torch import Tensor, nn

from REACTKDTrainLib.models.teacher_config import TeacherConfig


class SwinBranch(nn.Module):
    """SwinUNETR's encoder over `channels` images; hidden states at /4 ... projected to `width` at /4 and summed.

    Input (B, channels, D, H, W), output (B, width, D/4, H/4, W/4), layer-normalized over channels at each voxel.
    With patches of 2 the state at /2 is not used (arXiv 2508.02104 fuses from /4 on); with patches of 4 all are.
    """

    def __init__(self, config: TeacherConfig, channels: int):
        super().__init__()
        self.swin = SwinTransformer(
            in_chans=channels,
            embed_dim=config.feature_size,
            window_size=(config.window,) * 3,
            patch_size=(config.patch,) * 3,
            depths=config.depths,
            num_heads=config.heads,
            use_checkpoint=config.checkpoint,
        )
        self.first = 1 if config.patch == 2 else 0
        sizes = [config.feature_size * 2**n for n in range(self.first, self.first + 4)]
        self.projections = nn.ModuleList([nn.Conv3d(c, config.width, 1) for c in sizes])
        self.norm = nn.LayerNorm(config.width)

    def forward(self, x: Tensor) -> Tensor:
        states = self.swin(x, normalize=True)[self.first : self.first + 4]
        size = [-(-n // 4) for n in x.shape[2:]]
        total = None
        for state, project in zip(states, self.projections, strict=True):
            part = project(state)
            if list(part.shape[2:]) != size:
                part = F.interpolate(part, size=size, mode="trilinear", align_corners=False)
            total = part if total is None else total + part
        return self.norm(torch.movedim(total, 1, -1)).movedim(-1, 1)
