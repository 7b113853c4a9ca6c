"""Base classes of the distillation methods, and construction of a method by its name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import torch
from torch import Tensor, nn

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.maps import map_pairs
from REACTKDTrainLib.distillation.methods import METHODS
from REACTKDTrainLib.models.outputs import GraphOutput

#: suffix that adds the logit term of 'kd' to a method that has none
WITH_KD = "+kd"


_registered: dict[str, type[Distiller]] = {}


class Distiller(nn.Module):
    """One method, as a subclass with its name, such as `class X(Distiller, name="kd")` in `methods/kd.py`. Methods in
    that folder are found automatically and offered by the command line, REACTKDTrain.xml and the study. The parameters
    of a method (projections) are trained with the student and discarded afterward.

    student_width, teacher_width: channels of the node vectors and maps of the two networks. `needs_teacher`: False for
    a method that uses no teacher; `needs_maps`: True for methods that compare whole maps. `label`: the name in tables;
    it marks a loss that was re-derived because its source was not available.
    """

    label = ""
    needs_teacher = True
    needs_maps = False

    def __init_subclass__(cls, name: str = "") -> None:
        super().__init_subclass__()
        if name:
            _registered[name] = cls

    def __init__(self, config: DistillationConfig, student_width: int, teacher_width: int):
        super().__init__()
        self.config = config
        self.student_width, self.teacher_width = student_width, teacher_width

    def forward(self, student: GraphOutput, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        """Return named, weighted terms, each a scalar (mean over the B cases), without the focal loss.

        student, teacher: outputs of the networks; those of the teacher are treated as constants. views: of the cases,
        in the same order.
        """
        raise NotImplementedError

    def logit_terms(self, student: Tensor, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        """Return the terms that compare logits alone; heads are trained with them before the encoders are included.

        student: logits (B, K). teacher, views: as in `forward`.
        """
        return {}


class MapDistiller(Distiller):
    """A method that compares whole maps, one case at a time: the mean of `of_case` over the batch, times `feature` and
    the method's own weight `beta`.
    """

    needs_maps = True
    beta = 1.0

    def forward(self, student: GraphOutput, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        rows = [self.of_case(*pair) for pair in map_pairs(student, teacher, views)]
        weight = self.config.feature * self.beta
        return {name: weight * torch.stack([row[name] for row in rows]).mean() for name in rows[0]}

    def of_case(self, student: Tensor, teacher: Tensor, occupancy: Tensor) -> dict[str, Tensor]:
        """Return named terms from maps (C, d, h, w), (E, d, h, w) on one grid and regions (n, d, h, w), see
        `map_pairs`.
        """
        raise NotImplementedError


class WithLogits(Distiller):
    """The terms of another method plus those of logits (Hinton et al. 2015), as its authors often use it."""

    def __init__(self, method: Distiller, logits: Distiller):
        super().__init__(method.config, method.student_width, method.teacher_width)
        self.method, self.logits = method, logits
        self.label = f"{method.label} + KD"
        self.needs_maps = method.needs_maps

    def forward(self, student: GraphOutput, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        return self.method(student, teacher, views) | self.logits(student, teacher, views)

    def logit_terms(self, student: Tensor, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        return self.logits.logit_terms(student, teacher, views)


def method_class(name: str) -> type[Distiller]:
    """Return the class of one of METHODS. Raises: UsageError for an unknown name."""
    if name not in METHODS:
        raise UsageError(f"There is no method {name!r}; choose one of {', '.join(METHODS)}.")
    import_module(f"REACTKDTrainLib.distillation.methods.{name.replace('-', '_')}")
    return _registered[name]


def compares_answers(method: type[Distiller]) -> bool:
    """Return True if a method has terms on the logits, as given by `logit_terms`."""
    return method.logit_terms is not Distiller.logit_terms


def check_method(name: str) -> None:
    """Raises: UsageError unless `name` is one of METHODS, or one without a term on logits followed by '+kd'."""
    plain = name.removesuffix(WITH_KD)
    if plain != name and plain in METHODS:
        found = method_class(plain)
        if found.needs_teacher and not compares_answers(found):
            return
    method_class(name)


def make_distiller(name: str, config: DistillationConfig, student_width: int, teacher_width: int) -> Distiller:
    """Build a method by its name; 'at+kd' adds the terms of 'kd' to a method without terms on logits.

    config: each method reads its own weights. student_width, teacher_width: channels C of their nodes and maps.
    Raises: UsageError for an unknown name.
    """
    check_method(name)
    if name not in METHODS:
        parts = (make_distiller(n, config, student_width, teacher_width) for n in (name.removesuffix(WITH_KD), "kd"))
        return WithLogits(*parts)
    return method_class(name)(config, student_width, teacher_width)
