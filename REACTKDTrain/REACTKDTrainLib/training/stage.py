"""What the trainer asks of a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn


@dataclass(frozen=True)
class Sample:
    """One case in one step. index: into the stage's training cases; seed: all that is random about it."""

    index: int
    seed: int


class Stage(Protocol):
    """name: for logs and files. module: all that is optimized and kept. cases: how many there are to train on."""

    name: str
    module: nn.Module
    cases: int

    def loss(self, samples: Sequence[Sample], epoch: int) -> Mapping[str, Tensor]:
        """Terms of the loss, 'loss' their sum, each a mean over the samples alone, so that processes average."""

    def validate(self) -> Mapping[str, float]:
        """Measures on the inner validation cases; 'score', the larger the better, chooses the best weights."""
