"""Cases without images: node vectors that are latents, read with the errors that drawn phantoms are read with.

Nearly all that a study on nodes costs is the drawing of phantoms. When distillation helps is a question of biology, of
teachers and of how well images are read, not of voxels, so the map asks it of these cases: any number, in seconds, of
any heterogeneity. What they leave out: errors that grow as lesions shrink, what a lesion's neighbors do to it, other
annotators' masks. The two biologies that are drawn as well stand beside them in the map.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from REACTKDLib.core.modality import MODALITIES
from REACTKDLib.core.phantom.biology_shared import SHOWN, SharedLatents
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.data.case import RegionMasks
from REACTKDTrainLib.data.fixed_nodes import FIXED_SIZE
from REACTKDTrainLib.data.limits import NAMES
from REACTKDTrainLib.data.truth import truth_of
from REACTKDTrainLib.nodes.node_store import NodeCase, NodeRegions

FORMAT = "reactkd-read-latents/1"
#: latent -> share of its variance that the node vectors of its image tell: 2,237 lesions of 1,100 drawn patients of the
#: shared biology (numbers 2500-3599), asked on 618 lesions of 300 others; the better of ridge regression and boosting
TOLD: Mapping[str, float] = {
    "contrast_hu": 0.98,
    "logit_necrosis": 0.53,
    "ln_texture_mm": 0.14,
    "capsule_hu": 0.46,
    "ln_margin": 0.78,
    "ln_fdg_ratio": 0.96,
    "ln_fdg_rim": 0.75,
    "ln_acetate_ratio": 0.95,
}


def reading_error(name: str) -> float:
    """Standard deviation of the error of a latent's reading, in its unit.

    A reading x + e tells s^2 / (s^2 + e^2) of the variance s^2 = b^2 + s_0^2 of x = a + b t + s_0 eps, t standard
    normal; that share is `TOLD`. The same error in either biology and for every heterogeneity.
    """
    of = SHOWN[name]
    return float(np.sqrt((of.b**2 + of.s**2) * (1 / TOLD[name] - 1)))


def read_case(case: CohortCase) -> NodeCase:
    """A phantom by its latents alone; the errors follow from its fingerprint, so the same case is read alike anywhere.

    Node 0, the parenchyma, is 0. The first columns of each image's vectors hold what the image shows of a lesion, in
    the order of `SHOWN` and in standard deviations of a lesion; the rest is 0. Masks have no voxels and no shape; of
    the seven numbers of the topology the number of lesions is given.

    Example:
        >>> table = NodeTable.of([read_case(phantom_case("large", n)) for n in range(100)])
    """
    rng = np.random.default_rng(int(case.fingerprint[:15], 16))
    lesions = _lesions(case.truth)
    nodes = len(lesions) + 1
    fixed = {}
    for modality in MODALITIES:
        values = np.zeros((nodes, FIXED_SIZE), dtype=np.float32)
        for column, name in enumerate(n for n, of in SHOWN.items() if of.seen.value == modality):
            of = SHOWN[name]
            read = np.array([lesion[name] for lesion in lesions]) + reading_error(name) * rng.normal(size=len(lesions))
            values[1:, column] = (read - of.a) / np.hypot(of.b, of.s)
        fixed[str(modality)] = torch.from_numpy(values)
    truth = truth_of(case.truth, np.arange(1, nodes))
    return NodeCase(
        case.id, case.patient, case.grade, (NodeRegions(fixed, {}, _masks(nodes)),), truth, f"{FORMAT} {case.id}"
    )


def _lesions(truth: Mapping) -> list[Mapping[str, float]]:
    """What each lesion of a phantom shows: its own in the shared biology, its patient's in the other."""
    if isinstance(truth.get("shared"), SharedLatents):
        return [vars(lesion) for lesion in truth["shared"].each]
    patient = dict(zip(NAMES, truth["latents"], strict=True))
    return [patient] * int(patient["lesions"])


def _masks(nodes: int) -> RegionMasks:
    topology = torch.zeros(7)
    topology[0] = nodes - 1
    return RegionMasks(
        torch.zeros(nodes, 0, 0, 0),
        torch.zeros(nodes - 1, 6, 0, 0, 0),
        topology,
        torch.ones(nodes),
        torch.arange(nodes),
        torch.zeros(nodes, 2),
    )
