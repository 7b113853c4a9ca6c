"""Differences between node vectors of the same lesions in a real scan and in a phantom, block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from REACTKDLib.core.modality import subset_name
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.data.fixed_nodes import FIXED_BLOCKS, columns_of
from REACTKDTrainLib.nodes.node_store import NodeCase

TOPOLOGY, ENCODER = "topology", "encoder"
ANOTHER = "another phantom"


def blocks_of(student: Student) -> tuple[str, ...]:
    """Return the blocks that a student reads, and the topology of the regions."""
    return (*student.config.blocks, TOPOLOGY)


def lesion_rows(case: NodeCase) -> Tensor | None:
    """(1 + L,): nodes of the parenchyma and of every simulated lesion; None if lesions share a node or lack one."""
    nodes = case.truth.lesion_nodes if case.truth is not None else None
    if nodes is None or 0 in nodes or len(nodes.unique()) < len(nodes):
        return None
    return torch.cat([nodes.new_zeros(1), nodes])


def block_of(case: NodeCase, block: str, subset: Sequence[str]) -> Tensor:
    """(n, C): the columns of a block over all images of `subset`. For the topology, all rows are the same."""
    own = case.regions[0]
    if block == TOPOLOGY:
        return own.masks.topology[None].expand(len(own), -1)
    if block == ENCODER:
        return own.fused[subset_name(subset)]
    return torch.cat([own.fixed[m][:, columns_of((block,))] for m in subset], dim=1)


def with_block(case: NodeCase, other: NodeCase, blocks: Sequence[str]) -> NodeCase:
    """Return the case with blocks of another one with the same lesions; unchanged if lesions cannot be told apart."""
    rows, theirs = lesion_rows(case), lesion_rows(other)
    if rows is None or theirs is None or len(rows) != len(theirs):
        return case
    own, source = case.regions[0], other.regions[0]

    def put(x: Tensor, y: Tensor, columns: Sequence[int]) -> Tensor:
        x = x.clone()
        x[rows[:, None], torch.tensor(columns)] = y[theirs[:, None], torch.tensor(columns)]
        return x

    columns = columns_of([b for b in blocks if b in FIXED_BLOCKS])
    fixed, fused, masks = own.fixed, own.fused, own.masks
    if columns:
        fixed = {m: put(x, source.fixed[m], columns) for m, x in own.fixed.items()}
    if ENCODER in blocks:
        fused = {name: put(x, source.fused[name], range(x.shape[1])) for name, x in own.fused.items()}
    if TOPOLOGY in blocks:
        masks = replace(masks, topology=source.masks.topology)
    return replace(case, regions=(replace(own, fixed=fixed, fused=fused, masks=masks), *case.regions[1:]))


def block_shifts(
    scans: Mapping[str, Sequence[NodeCase]],
    phantoms: Sequence[Sequence[NodeCase]],
    subset: tuple[str, ...],
    blocks: Sequence[str],
) -> dict[str, dict[str, dict[str, float]]]:
    """block -> scan -> {'shift', 'scatter'}, in standard deviations of the block's columns over a phantom's lesions.

    scans: name -> the cases of the same lesions in it, in the order of each of `phantoms`. For every lesion, the
    difference between its columns and their mean over the phantoms is computed: shift is the mean difference, scatter
    the standard deviation about it, each as the root mean square over the columns. 'another phantom': the same for one
    phantom against the others, which is the value expected if the scan were a phantom.
    """
    out: dict[str, dict[str, dict[str, float]]] = {}
    for block in blocks:
        known = [_lesions(cases, block, subset) for cases in phantoms]
        found = {name: _lesions(cases, block, subset) for name, cases in scans.items()}
        usable = [n for n, _ in enumerate(known[0]) if all(x[n] is not None for x in (*known, *found.values()))]
        stacked = np.stack([np.concatenate([x[n] for n in usable]) for x in known])
        scale = stacked.std(axis=(0, 1)).clip(1e-6)
        rows = {
            name: _apart(np.concatenate([x[n] for n in usable]) - stacked.mean(axis=0), scale)
            for name, x in found.items()
        }
        each = [_apart(stacked[n] - np.delete(stacked, n, axis=0).mean(axis=0), scale) for n in range(len(stacked))]
        rows[ANOTHER] = {key: round(float(np.mean([e[key] for e in each])), 3) for key in each[0]}
        out[block] = rows
    return out


def _lesions(cases: Sequence[NodeCase], block: str, subset: Sequence[str]) -> list[np.ndarray | None]:
    """Return for each case (L, C), its lesions only; None if they cannot be told apart. For the topology (1, 7)."""
    out: list[np.ndarray | None] = []
    for case in cases:
        rows = lesion_rows(case)
        if rows is None:
            out.append(None)
        else:
            values = block_of(case, block, subset)[rows[1:]].numpy()
            out.append(values[:1] if block == TOPOLOGY else values)
    return out


def _apart(difference: np.ndarray, scale: np.ndarray) -> dict[str, float]:
    mean, spread = difference.mean(axis=0) / scale, difference.std(axis=0) / scale
    return {
        "shift": round(float(np.sqrt(np.mean(mean**2))), 3),
        "scatter": round(float(np.sqrt(np.mean(spread**2))), 3),
    }
