"""Cases as node vectors, without images: random numbers that depend on the grade."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from REACTKDLib.core.phantom.biology_shared import draw_shared
from REACTKDTrainLib.data.case import RegionMasks
from REACTKDTrainLib.data.fixed_nodes import FIXED_SIZE
from REACTKDTrainLib.data.truth import Truth
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.nodes.node_store import NodeCase, NodeRegions

ALL = ("ct", "fdg", "acetate")


def cases(n: int = 120, seed: int = 0, fused: int = 0) -> list[NodeCase]:
    """The grade has a strong effect on the main lesion's FDG, a weak one on its CT, less in the second set of masks."""
    draw = torch.Generator().manual_seed(seed)
    out = []
    for number in range(n):
        grade = int(torch.randint(3, (1,), generator=draw))
        nodes = 2 + int(torch.randint(3, (1,), generator=draw))
        regions = []
        for variant in range(2):
            shape = torch.zeros(nodes, 2)
            of_image = FIXED_SIZE - shape.shape[1]
            fixed = {m: torch.cat([0.3 * torch.randn(nodes, of_image, generator=draw), shape], dim=1) for m in ALL}
            fixed["fdg"][1, 0] += grade * (1.0 - 0.3 * variant)
            fixed["ct"][1, 0] += 0.35 * grade * (1.0 - 0.3 * variant)
            names = ("ct", "fdg", "acetate", "ct+fdg", "ct+acetate", "fdg+acetate", "ct+fdg+acetate")
            moments = {s: torch.randn(nodes, fused, generator=draw) for s in names} if fused else {}
            for subset, values in moments.items():
                values[1, : fused // 4] += grade * ("fdg" in subset)
            bare = torch.zeros(nodes, 0, 0, 0)
            masks = RegionMasks(
                bare,
                torch.zeros(nodes - 1, 6, 0, 0, 0),
                torch.randn(7, generator=draw),
                torch.ones(nodes),
                torch.arange(nodes),
                shape,
            )
            regions.append(NodeRegions(fixed, moments, masks))
        truth = torch.randn(10, generator=draw)
        truth[0] = float(nodes - 1)
        known = Truth(tuple(truth.tolist()))
        out.append(NodeCase(f"case-{number}", f"p{seed}-{number}", grade, tuple(regions), known, f"k{number}"))
    return out


def view_of(case: NodeCase) -> View:
    """Return a view without voxels, for the heads of the full networks."""
    own = case.regions[0]
    empty = {name: torch.zeros(0, 0, 0) for name in own.fixed}
    sides = (own.masks, own.masks, own.fixed, own.fixed)
    return View(case.id, case.patient, case.grade, 0, empty, None, *sides, case.truth, case.key)


def shared_cases(n: int = 40, seed: int = 0) -> list[NodeCase]:
    """As phantoms of the shared biology: t of each lesion is visible in its CT, and the worst lesion sets the grade."""
    rng = np.random.default_rng(seed)
    out = []
    for case in cases(n, seed):
        lesions = len(case.regions[0]) - 1
        latents = draw_shared(rng)
        while latents.lesions != lesions:
            latents = draw_shared(rng)
        for regions in case.regions:
            for node, own in enumerate(latents.each, start=1):
                regions.fixed["ct"][node, 1] = own.t
        out.append(replace(case, grade=latents.grade, truth=Truth(latents, torch.arange(1, lesions + 1))))
    return out
