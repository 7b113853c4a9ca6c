"""The extracted cohort in memory: node tables, truth, and crops on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from REACTKDLib.core.phantom.latents import DENSITIES
from REACTKDLib.core.student.pooling import BLOCK_SIZES
from REACTKDTrainLib.release.extract import FIXED_BLOCKS

MODALITIES = ("ct", "fdg", "acetate")
LATENTS = ("lesions", *DENSITIES)


@dataclass(frozen=True, eq=False)
class Table:
    """One row a case.

    fixed: modality -> (N, 7, Q); present: bool (N, 7) nodes; topology: (N, 7); grade: (N,); latents: (N, 10).
    fused: subset name -> (N, 7, F) encoder moments, when they were computed on whole volumes.
    images, masks: crops; owner, lesion: (crops,) which case and lesion each shows.
    """

    fixed: dict[str, Tensor]
    present: Tensor
    topology: Tensor
    grade: Tensor
    latents: Tensor
    seed: np.ndarray
    images: np.ndarray | None = None
    masks: np.ndarray | None = None
    owner: Tensor | None = None
    lesion: Tensor | None = None

    def __len__(self) -> int:
        return len(self.grade)

    def fixed_blocks(self, blocks: tuple[str, ...]) -> dict[str, Tensor]:
        """The columns of `blocks` only, in the order in which `pooling.fixed_nodes` gives them."""
        columns, start = [], 0
        for name in FIXED_BLOCKS:
            if name in blocks:
                columns += range(start, start + BLOCK_SIZES[name])
            start += BLOCK_SIZES[name]
        return {m: v[..., columns] for m, v in self.fixed.items()}


def load_table(stem: Path) -> Table:
    """Read what `extract` wrote under `stem`; crops stay on disk as memory maps."""
    with np.load(stem.with_suffix(".npz")) as f:
        fixed = {m: torch.from_numpy(f["fixed"][:, i]) for i, m in enumerate(MODALITIES)}
        nodes = torch.from_numpy(f["nodes"])
        table = {
            "fixed": fixed,
            "present": torch.arange(fixed["ct"].shape[1])[None] < nodes[:, None],
            "topology": torch.from_numpy(f["topology"]).float(),
            "grade": torch.from_numpy(f["grade"]),
            "latents": torch.from_numpy(f["latents"]).float(),
            "seed": f["seed"],
        }
        if len(f["owner"]):
            table["owner"], table["lesion"] = torch.from_numpy(f["owner"]), torch.from_numpy(f["lesion"])
            table["images"] = np.load(stem.with_suffix(".images.npy"), mmap_mode="r")
            table["masks"] = np.load(stem.with_suffix(".masks.npy"), mmap_mode="r")
    return Table(**table)
