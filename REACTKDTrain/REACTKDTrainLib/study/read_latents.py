"""Cases without images: node vectors are latent variables plus the errors of estimates from generated phantoms.

Generating phantoms accounts for nearly all the cost of a study on node vectors. Whether distillation helps depends on
biology, teachers and the accuracy of reading the images, not on voxels, so the map uses these cases: any number, in
seconds, of any heterogeneity. They do not model errors that increase for small lesions, effects of neighboring lesions,
and other annotators' masks. The map also shows the two biologies with generated phantoms, for comparison.
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
#: latent variable -> R^2 of its prediction from the node vectors of its image: fitted on 2,237 lesions of 1,100
#: generated patients of the shared biology (numbers 2500-3599), measured on 618 lesions of 300 others; the better of
#: ridge regression and boosting
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
    """Return the standard deviation of the error in reading a latent variable, in its unit.

    A reading x + e explains s^2 / (s^2 + e^2) of the variance s^2 = b^2 + s_0^2 of x = a + b t + s_0 eps, t standard
    normal; that share is `TOLD`. The error is the same in either biology and for every heterogeneity.
    """
    of = SHOWN[name]
    return float(np.sqrt((of.b**2 + of.s**2) * (1 / TOLD[name] - 1)))


def read_case(case: CohortCase) -> NodeCase:
    """Return a phantom represented by its latent variables; the errors are seeded by its fingerprint, so the same case
    is the same everywhere.

    Node 0, the parenchyma, is 0. The first columns of each image's vectors hold the visible latent variables of a
    lesion, in the order of `SHOWN` and in standard deviations over lesions; the rest is 0. Masks have no voxels and no
    shape; of the seven topology numbers, only the number of lesions is set.

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
    """Return the visible variables of each lesion: its own in the shared biology, else the patient's."""
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
