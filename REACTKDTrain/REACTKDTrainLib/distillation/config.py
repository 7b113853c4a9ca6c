"""Settings of the distillation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from REACTKDTrainLib.distillation.gromov import Mode
from REACTKDTrainLib.models.teacher_heads import BRANCHES
from REACTKDTrainLib.settings import Weight, settings

#: which teacher is distilled: the fused one, or one branch alone
TEACHERS = ("fused", *BRANCHES)


@settings
class DistillationConfig:
    """Weights, temperature and modes; each distiller uses those that it needs.

    temperature: tau (paper's code 2; 4 gave better results on phantoms). logits, graph: weights of the two terms added
    to the focal loss (l2, l3 of equation 18; the paper tunes them). scores, attention: weights of the two terms of
    region scores. node, edge, gw: weights inside the graph term (equation 8; the paper's code has 1 for all). gw_mode:
    'semirelaxed' if the student's masks may lack lesions, 'paper' for equation 7 as published, 'matched' if both graphs
    have the same nodes. width: dimension of the common space of node vectors. feature: weight of the term on features,
    for methods that have one. teacher: 'fused', or the name of a branch ('structure_function', 'dose') that then
    teaches alone. classes: number of classes.

    Raises: BadSetting that names the field.
    """

    temperature: Annotated[float, Field(ge=0.01, le=1000)] = 4.0
    logits: Weight = 0.7
    graph: Weight = 1.0
    node: Weight = 1.0
    edge: Weight = 1.0
    gw: Weight = 1.0
    scores: Weight = 1.0
    attention: Weight = 1.0
    gw_mode: Mode = "semirelaxed"
    width: Annotated[int, Field(ge=1, le=4096)] = 64
    feature: Weight = 1.0
    teacher: Literal[TEACHERS] = "fused"
    classes: Annotated[int, Field(ge=2, le=100)] = 3
