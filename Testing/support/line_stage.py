"""A stage that trains in milliseconds: a line fit through a few points; its trainer can be killed at any step."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from REACTKDTrainLib.training.config import StageConfig
from REACTKDTrainLib.training.randomness import generator_of
from REACTKDTrainLib.training.trainer import Sample, Stage, Trainer

CONFIG = StageConfig(epochs=3, batch=4, lr=0.05, weight_decay=0.01)


class Line(Stage):
    """Fits a line with dropout from the samples' seeds; a second branch is used by even samples only."""

    name = "line"

    def __init__(self, cases: int = 10, scale: float = 1.0, device: str = "cpu"):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.module = nn.ModuleDict({"a": nn.Linear(3, 1), "b": nn.Linear(3, 1), "unused": nn.Linear(3, 1)})
        self.module.to(device)
        self.cases = cases
        self.x = torch.randn(cases, 3, generator=generator_of("x")).to(device)
        self.y = self.x.sum(dim=1) * scale
        self.seen: list[list[int]] = []

    def terms(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        self.seen.append([s.index for s in samples])
        errors = []
        for s in samples:
            noise = 0.1 * torch.randn(3, generator=generator_of(s.seed)).to(self.x.device)
            out = self.module["a"](self.x[s.index] + noise)
            if s.index % 2 == 0:
                out = out + self.module["b"](self.x[s.index])
            errors.append((out - self.y[s.index]).square().mean())
        return {"squared": torch.stack(errors).mean()}

    def validate(self) -> Mapping[str, float]:
        out = self.module["a"](self.x) + self.module["b"](self.x)
        return {"score": -float((out[:, 0] - self.y).square().mean()), "accuracy": 0.5}


class Killed(BaseException):
    """Simulates a process that ends between two steps."""


def trainer(folder: Path, stage: Line | None = None, kill_at: int | None = None, **changes) -> Trainer:
    count = itertools.count(1)

    def on_progress(fraction: float, text: str) -> None:
        if next(count) == kill_at:
            raise Killed

    usual = {"config": CONFIG, "seed": 7, "binding": "b", "seconds": 0.0, "on_progress": on_progress}
    return Trainer(stage or Line(), folder=folder, **(usual | changes))


def weights(run: Trainer) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in run.stage.module.state_dict().items()}
