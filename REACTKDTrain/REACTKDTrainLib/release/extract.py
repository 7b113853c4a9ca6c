"""From prepared patients to tables: fixed node vectors of every case, and crops around lesions for the encoder.

Fixed node vectors (moments, bands, shells) never change in training, so they are computed once. The encoder trains on
crops of 100 mm, 54 times cheaper than whole volumes; `student.encoder` pools over nothing, so features agree.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from REACTKDLib.core.student.bands import gaussian_bands
from REACTKDLib.core.student.pooling import BLOCK_SIZES, NodeMasks, fixed_nodes
from REACTKDLib.core.writing.atomic import written_beside
from REACTKDTrainLib.release.prepared import prepared_file

MAX_NODES = 7
CROP = 40  # voxels of 2.5 mm; the pooled part is the inner POOL voxels
POOL = 32
MAX_CROPS = 2
FIXED_BLOCKS = ("input", "bands", "shells")
FIXED_SIZE = sum(BLOCK_SIZES[b] for b in FIXED_BLOCKS)
N_MODALITIES = 3


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """images: (3, d, h, w) float32; masks: soft regions and shells in the same box."""

    images: torch.Tensor
    masks: NodeMasks
    centers: np.ndarray  # (lesions, 3) voxels
    topology: np.ndarray
    grade: int
    latents: np.ndarray


def load_prepared(path: Path) -> PreparedCase:
    """Read one file written by `prepared.prepare_cohort`."""
    with np.load(path) as f:
        images = torch.from_numpy(f["images"].astype(np.float32))
        shape = tuple(images.shape[1:])
        n = min(sum(k.startswith("lesion") for k in f.files), MAX_NODES - 1)
        occupancy = torch.zeros((n + 1, *shape))
        shells = torch.zeros((n, 6, *shape))
        occupancy[0] = torch.from_numpy(f["parenchyma"].astype(np.float32) / 255)
        centers = []
        for i in range(1, n + 1):
            soft, start = f[f"lesion{i}"], f[f"start{i}"]
            box = tuple(slice(int(s), int(s) + m) for s, m in zip(start, soft.shape[1:], strict=True))
            weights = torch.from_numpy(soft.astype(np.float32) / 255)
            occupancy[(i, *box)] = weights[0]
            shells[(i - 1, slice(None), *box)] = weights[1:]
            mass = weights[0].sum().clamp_min(1e-6)
            grid = torch.meshgrid(*(torch.arange(m, dtype=torch.float32) for m in weights.shape[1:]), indexing="ij")
            centers.append([float((g * weights[0]).sum() / mass) + int(s) for g, s in zip(grid, start, strict=True)])
        return PreparedCase(
            images, NodeMasks(occupancy, shells), np.array(centers), f["topology"], int(f["grade"]), f["latents"]
        )


def fixed_of(case: PreparedCase) -> np.ndarray:
    """Fixed node vectors (3, MAX_NODES, FIXED_SIZE), zero-padded."""
    out = np.zeros((N_MODALITIES, MAX_NODES, FIXED_SIZE), dtype=np.float32)
    for m, image in enumerate(case.images):
        bands = gaussian_bands(image[None, None])[0]
        nodes = fixed_nodes(image, bands, case.masks, FIXED_BLOCKS)
        out[m, : len(nodes)] = nodes.numpy()
    return out


def crop_of(case: PreparedCase, lesion: int) -> tuple[np.ndarray, np.ndarray]:
    """A crop (3, CROP^3) float16 around a lesion, and (2, POOL^3) uint8 masks: parenchyma, this lesion."""
    low = np.rint(case.centers[lesion]).astype(int) - CROP // 2
    shape = np.array(case.images.shape[1:])
    source = tuple(slice(max(a, 0), min(a + CROP, n)) for a, n in zip(low, shape, strict=True))
    target = tuple(slice(s.start - a, s.stop - a) for s, a in zip(source, low, strict=True))
    pad = [p for t in reversed(target) for p in (t.start, CROP - t.stop)]
    images = torch.nn.functional.pad(case.images[(slice(None), *source)][None], pad, mode="replicate")[0]
    masks = torch.zeros((2, CROP, CROP, CROP))
    masks[(slice(None), *target)] = case.masks.occupancy[[0, lesion + 1]][(slice(None), *source)]
    edge = (CROP - POOL) // 2
    inner = slice(edge, edge + POOL)
    masks = torch.round(255 * masks[:, inner, inner, inner]).to(torch.uint8)
    return images.half().numpy(), masks.numpy()


def extract(folder: Path, seeds: list[int], output: Path, crops: bool) -> None:
    """Write `output`.npz (fixed, nodes, topology, grade, latents, seed) and, with `crops`, two .npy memory maps."""
    rows = {k: [] for k in ("fixed", "nodes", "topology", "grade", "latents", "seed")}
    owner, lesion_of = [], []
    images = masks = None
    if crops:
        room = len(seeds) * MAX_CROPS
        images = np.lib.format.open_memmap(
            output.with_suffix(".images.npy"), "w+", np.float16, (room, N_MODALITIES, CROP, CROP, CROP)
        )
        masks = np.lib.format.open_memmap(output.with_suffix(".masks.npy"), "w+", np.uint8, (room, 2, POOL, POOL, POOL))
    for n, seed in enumerate(seeds):
        case = load_prepared(prepared_file(folder, seed))
        rows["fixed"].append(fixed_of(case))
        rows["nodes"].append(len(case.masks.occupancy))
        rows["topology"].append(case.topology)
        rows["grade"].append(case.grade)
        rows["latents"].append(case.latents)
        rows["seed"].append(seed)
        if crops:
            for lesion in range(min(len(case.centers), MAX_CROPS)):
                images[len(owner)], masks[len(owner)] = crop_of(case, lesion)
                owner.append(n)
                lesion_of.append(lesion)
        if n % 200 == 199:
            print(f"extracted {n + 1} of {len(seeds)}", file=sys.stderr, flush=True)
    with written_beside(output.with_suffix(".npz")) as beside:
        np.savez(
            beside,
            **{k: np.array(v) for k, v in rows.items()},
            owner=np.array(owner, dtype=np.int64),
            lesion=np.array(lesion_of, dtype=np.int64),
        )


def main() -> None:
    """`python -m REACTKDTrainLib.release.extract PREPARED FIRST LAST OUTPUT [--crops]`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("output", type=Path)
    parser.add_argument("--crops", action="store_true")
    options = parser.parse_args()
    seeds = [s for s in range(options.first, options.last) if prepared_file(options.folder, s).exists()]
    with torch.inference_mode():
        extract(options.folder, seeds, options.output, options.crops)


if __name__ == "__main__":
    main()
