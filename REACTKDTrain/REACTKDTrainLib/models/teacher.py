"""The teachers: a structure-function branch (FDG with CT, acetate with CT) and a dose branch (CT), fused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from REACTKDLib.core.student.cbam import CBAM3D
from REACTKDLib.core.student.node_network import NodeBatch
from REACTKDTrainLib.data.fixed_nodes import columns_of, fixed_vectors
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.models.sample_dropout import drawn_from
from REACTKDTrainLib.models.teacher_config import TeacherConfig
from REACTKDTrainLib.models.teacher_heads import BRANCHES, PET, TeacherHeads

#: the outputs of each branch that are kept beside the fused output
_OF_BRANCHES = ("logits", "nodes", "maps", "scores", "attention")


class SwinBranch(nn.Module):
    """SwinUNETR's encoder over `channels` images; hidden states from /4 on are projected to `width` at /4 and summed.

    Input (B, channels, D, H, W), output (B, width, D/4, H/4, W/4), layer-normalized over channels at each voxel. With
    patches of 2 the state at /2 is not used (arXiv 2508.02104 fuses from /4 on); with patches of 4 all states are.
    """

    def __init__(self, config: TeacherConfig, channels: int):
        super().__init__()
        from monai.networks.nets.swin_unetr import SwinTransformer  # takes seconds, and many runs have no Swin teacher

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


class Teacher(TeacherHeads):
    """Both teachers and their fusion (arXiv 2508.02104, section on the dual teacher).

    Three Swin encoders: FDG with CT and acetate with CT (together 'structure_function'), and CT alone at varied dose
    ('dose'). The maps of the available encoders are summed, pass CBAM3D (one instance for each branch's map and the
    fused map; the student gets its weights too), and are pooled over the expert's regions. Three heads: fused and one
    for each branch. A missing tracer is left out of the sum, not replaced by zeros.
    """

    def __init__(self, config: TeacherConfig):
        super().__init__()
        self.config = config
        self.encoders = nn.ModuleDict({**{m: SwinBranch(config, 2) for m in PET}, "dose": SwinBranch(config, 1)})
        self.cbam = CBAM3D(config.width, config.cbam_ratio, config.cbam_kernel)
        images = {"fused": ("ct", *PET, "dose"), "structure_function": ("ct", *PET), "dose": ("dose",)}
        self._make_heads(images, config.blocks, config.width, config.hidden, config.classes, config.dropout)

    def encode(self, views: Sequence[View], dose_images: Sequence[Tensor] | None) -> list[dict[str, Tensor]]:
        """Maps of each view: encoder -> (C, d/4, h/4, w/4). Views of the same shape are encoded as one batch."""
        device = next(self.parameters()).device
        groups: dict[tuple, list[int]] = defaultdict(list)
        for row, view in enumerate(views):
            names = [m for m in PET if m in view.images and "ct" in view.images]
            names += ["dose"] if "ct" in view.images else []
            if not names:
                raise ValueError(f"case {view.case} has no CT; the teachers read CT with PET, or CT alone")
            for name in names:
                groups[name, view.shape].append(row)
        out: list[dict[str, Tensor]] = [{} for _ in views]
        for (name, _), rows in groups.items():
            if name == "dose":
                stack = [(views[r].images["ct"] if dose_images is None else dose_images[r])[None] for r in rows]
            else:
                stack = [torch.stack([views[r].images[name], views[r].images["ct"]]) for r in rows]
            maps = self.encoders[name](torch.stack(stack).to(device))
            for n, row in enumerate(rows):
                out[row][name] = maps[n]
        return out

    def forward(
        self,
        views: Sequence[View],
        dose_images: Sequence[Tensor] | None = None,
        sample_seeds: Sequence[int] | None = None,
    ) -> GraphOutput:
        """Classify a batch over the expert's regions.

        dose_images: for each view the windowed CT (d, h, w) that the dose branch reads; None: the original CT.
        sample_seeds: (B,), seeds of dropout, one per case. If no case of the batch has PET, the branches do not include
        'structure_function'; in a mixed batch it is NaN for the cases without PET.

        Raises: ValueError for a case without CT.
        """
        parts = []
        for row, (view, maps) in enumerate(zip(views, self.encode(views, dose_images), strict=True)):
            batch = self._batch(view, None if dose_images is None else dose_images[row])
            used = {"fused": list(maps.values()), "structure_function": [maps[m] for m in PET if m in maps]}
            with self._drawn(sample_seeds, row):
                found = {
                    name: self._grade(name, used.get(name, [maps["dose"]]), view, batch)
                    for name in ("fused", *BRANCHES)
                    if used.get(name, True)
                }
            fused = found.pop("fused")
            fields = {f"branch_{name}": {b: getattr(own, name) for b, own in found.items()} for name in _OF_BRANCHES}
            parts.append(replace(fused, **fields))
        return GraphOutput.joined(parts)

    def grade_dose(
        self, views: Sequence[View], images: Sequence[Tensor], sample_seeds: Sequence[int] | None = None
    ) -> GraphOutput:
        """Run the dose branch alone on CT (d, h, w) without a grade: logits and node means. sample_seeds: (B,)."""
        device = next(self.parameters()).device
        maps = [self.encoders["dose"](image[None, None].to(device))[0] for image in images]
        parts = []
        for row, (view, image, level) in enumerate(zip(views, images, maps, strict=True)):
            with self._drawn(sample_seeds, row):
                parts.append(self._grade("dose", [level], view, self._batch(view, image)))
        return GraphOutput.joined(parts)

    def _drawn(self, sample_seeds: Sequence[int] | None, row: int) -> AbstractContextManager[None]:
        return drawn_from(sample_seeds[row] if sample_seeds is not None and self.training else None)

    def _grade(self, name: str, maps: list[Tensor], view: View, batch: NodeBatch) -> GraphOutput:
        """Run one head on one case, as a batch of one."""
        level = self.cbam(torch.stack(maps).sum(dim=0)[None])[0]
        weights = F.avg_pool3d(view.expert.occupancy[None].to(level.device), 4, ceil_mode=True)[0]
        decision, nodes = self.heads[name].grade_map(level, weights, batch)
        regions = {"scores": [decision.region_scores], "attention": [decision.region_attention]}
        return GraphOutput(decision.logits[None], [nodes], [level], decision.summary[None], **regions)

    def _batch(self, view: View, dose_image: Tensor | None) -> NodeBatch:
        """One case over the expert's regions; 'dose' is computed from the degraded CT if given."""
        fixed = dict(view.fixed_expert)
        if dose_image is not None and self.config.blocks:
            fixed["dose"] = fixed_vectors({"dose": dose_image}, view.expert)["dose"]
        elif "ct" in fixed:
            fixed["dose"] = fixed["ct"]
        columns, device = columns_of(self.config.blocks), next(self.parameters()).device
        own = {name: value[:, columns].to(device) for name, value in fixed.items()}
        return NodeBatch(view.expert.topology.to(device), own)
