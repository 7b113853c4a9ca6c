"""What every method of distillation is: terms that pull the student toward its teachers."""

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

#: what is written behind the name of a method without a term on the answer, to add that of 'kd'
WITH_KD = "+kd"


_registered: dict[str, type[Distiller]] = {}


class Distiller(nn.Module):
    """One method: a subclass with its name, such as `class X(Distiller, name="kd")`, in `methods/kd.py`, where it is
    found; the command line, REACTKDTrain.xml and the study then have it too. Its parameters (projections) are trained
    with the student and thrown away afterward.

    student_width, teacher_width: channels of the node vectors and maps of the two. `needs_teacher`: False for a method
    that never looks at one; `needs_maps`: True for methods that compare whole maps. `label`: in tables; it says where a
    loss had to be re-derived because its source could not be had.
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
        """Named terms, weighted, each a scalar, the mean over the B cases; the focal loss is not among them.

        student, teacher: their outputs; those of the teacher are constants. views: of the cases, in the same order.
        """
        raise NotImplementedError

    def logit_terms(self, student: Tensor, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        """Those of the terms that compare logits alone; heads learn from them before the encoders join.

        student: logits (B, K). teacher, views: as in `forward`.
        """
        return {}


class MapDistiller(Distiller):
    """A method that compares whole maps, one case at a time: the mean of `of_case` over the batch, times `feature` and
    its own weight `beta`.
    """

    needs_maps = True
    beta = 1.0

    def forward(self, student: GraphOutput, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        rows = [self.of_case(*pair) for pair in map_pairs(student, teacher, views)]
        weight = self.config.feature * self.beta
        return {name: weight * torch.stack([row[name] for row in rows]).mean() for name in rows[0]}

    def of_case(self, student: Tensor, teacher: Tensor, occupancy: Tensor) -> dict[str, Tensor]:
        """Named terms of maps (C, d, h, w) and (E, d, h, w) on one grid, and regions (n, d, h, w), see `map_pairs`."""
        raise NotImplementedError


class WithLogits(Distiller):
    """Another method's terms, and those of logits beside them (Hinton et al. 2015), as its authors often run it."""

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
    """The class of one of METHODS. Raises: UsageError for another name."""
    if name not in METHODS:
        raise UsageError(f"There is no method {name!r}; choose one of {', '.join(METHODS)}.")
    import_module(f"REACTKDTrainLib.distillation.methods.{name.replace('-', '_')}")
    return _registered[name]


def compares_answers(method: type[Distiller]) -> bool:
    """Whether a method has terms on the logits, as `logit_terms` gives them."""
    return method.logit_terms is not Distiller.logit_terms


def check_method(name: str) -> None:
    """Raises: UsageError unless `name` is one of METHODS, or one without a term on logits with '+kd' behind it."""
    plain = name.removesuffix(WITH_KD)
    if plain != name and plain in METHODS:
        found = method_class(plain)
        if found.needs_teacher and not compares_answers(found):
            return
    method_class(name)


def make_distiller(name: str, config: DistillationConfig, student_width: int, teacher_width: int) -> Distiller:
    """Build a method by its name; 'at+kd' adds the terms of 'kd' to a method without any on logits.

    config: each method reads its own weights. student_width, teacher_width: channels C of their nodes and maps.
    Raises: UsageError for an unknown one.
    """
    check_method(name)
    if name not in METHODS:
        parts = (make_distiller(n, config, student_width, teacher_width) for n in (name.removesuffix(WITH_KD), "kd"))
        return WithLogits(*parts)
    return method_class(name)(config, student_width, teacher_width)
