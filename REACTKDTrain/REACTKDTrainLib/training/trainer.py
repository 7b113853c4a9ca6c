"""The training loop: batches in a seeded order, optimizer steps, checkpoints, validation, early stopping."""

from __future__ import annotations

import copy
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from REACTKDLib.core.errors import ReactkdError, UsageError
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDTrainLib.results.log import CsvLog
from REACTKDTrainLib.training.checkpoint import load_checkpoint, save_checkpoint
from REACTKDTrainLib.training.config import StageConfig
from REACTKDTrainLib.training.loggers import RunLogger, numbers_of
from REACTKDTrainLib.training.lr_finder import find_lr
from REACTKDTrainLib.training.processes import Processes
from REACTKDTrainLib.training.randomness import order_of, seed_of
from REACTKDTrainLib.training.stop import StopFile, Stopped


class Diverged(ReactkdError):
    """The loss is not finite."""

    code = "diverged"


@dataclass(frozen=True)
class Sample:
    """One case in one step. index: into the stage's training cases; seed: of all randomness of the sample."""

    index: int
    seed: int


class Stage(ABC):
    """What a trainer trains. name: in logs and files. module: everything that is optimized and saved. cases: their
    number.
    """

    name: str
    module: torch.nn.Module
    cases: int

    @abstractmethod
    def terms(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        """Return the terms whose sum is the loss; each is a mean over samples, so that processes can average."""

    @abstractmethod
    def validate(self) -> Mapping[str, float]:
        """Return measures on the validation cases; the weights with the largest 'score' are kept."""

    def loss(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        """Return 'loss', the sum, and its terms, detached."""
        terms = self.terms(samples)
        return {"loss": torch.stack(list(terms.values())).sum(), **{k: v.detach() for k, v in terms.items()}}


def learning_rate(step: int, steps: int, config: StageConfig) -> float:
    """Linear warm-up, then cosine decay to a thousandth of the rate (Loshchilov and Hutter 2017).

    step: from 0, below `steps`.
    """
    warm = int(config.warmup * steps)
    if step < warm:
        return config.lr * (step + 1) / warm
    t = (step - warm) / max(steps - warm, 1)
    return config.lr * (0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * t)))


def kept_state(kept: Mapping[str, torch.Tensor], parameter: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return AdamW's state of a parameter in a checkpoint: moments on the parameter's device, step count on the CPU."""
    return {name: v.clone() if name == "step" else v.to(parameter.device, copy=True) for name, v in kept.items()}


class _Step(torch.nn.Module):
    """A stage's loss as a forward pass, as DistributedDataParallel requires."""

    def __init__(self, stage: Stage):
        super().__init__()
        self.module = stage.module
        self._stage = stage

    def forward(self, samples: list[Sample]) -> dict[str, torch.Tensor]:
        return self._stage.loss(samples)


@dataclass(eq=False)
class Trainer:
    """Trains one stage in `folder`, which keeps last.pt, best.pt and log.csv.

    binding: a hash of configuration and cases; a checkpoint with another one is refused. seconds: maximum time between
    checkpoints (after a kill, the steps since the last one are repeated with the same result). stop: checked before
    every step. loggers: receive what log.csv receives. teacher: a hash of the teacher's weights; a checkpoint with
    another hash is refused, one of earlier releases without a hash is accepted. former: equivalent bindings of earlier
    releases.
    """

    stage: Stage
    config: StageConfig
    folder: Path
    seed: int
    binding: str
    processes: Processes = field(default_factory=Processes)
    stop: StopFile | None = None
    on_progress: OnProgress = no_progress
    seconds: float = 60.0
    loggers: Sequence[RunLogger] = ()
    teacher: str = ""
    former: Sequence[str] = ()

    def run(self) -> None:
        """Train to the end, from the last checkpoint if there is one; the module then has the best weights.

        Raises: Stopped (the state is kept), Diverged, UsageError (checkpoint of another run or of other teachers),
        OutputNotWritable.
        """
        state = self._start()
        self._step = self.processes.spread(_Step(self.stage))
        if self.config.find_lr and not self.step:
            self._lr = self._found_lr()
        log = CsvLog(self.folder / "log.csv", self.step) if self.processes.first else None
        per_epoch, steps = self.config.steps_over(self.stage.cases)
        saved = time.monotonic()
        while not self.config.ended(self.step, self._waited, self.stage.cases):
            if self.stop is not None and self.processes.agree(self.stop.requested()):
                self._save(state)
                raise Stopped("The training was stopped; its state is kept, and --resume goes on from here.")
            epoch, place = divmod(self.step, per_epoch)
            row = self._train_step(epoch, place, steps)
            self.step += 1
            looked = self.step == steps or (place + 1 == per_epoch and (epoch + 1) % self.config.every == 0)
            if looked:
                row |= self._validate(state)
            if log is not None:
                log.add(row)
            for logger in self.loggers:
                logger.add(f"{self.folder.parent.name}/{self.folder.name}", self.step - 1, numbers_of(row))
            if looked or time.monotonic() - saved > self.seconds:
                self._save(state)
                saved = time.monotonic()
            self.on_progress(self.step / steps, f"{self.stage.name.replace('-', ' ')}, loss {row['loss']:.3f}")
        if not self.step:
            self._save(state)  # of a stage without steps, whose weights are those of the stage before
        if state.get("best") is not None:
            self.stage.module.load_state_dict(state["best"])

    def _start(self) -> dict:
        """Create a new optimizer, or restore everything from the last checkpoint."""
        module = self.stage.module
        self._parameters = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(
            [p for _, p in self._parameters], lr=self.config.lr, weight_decay=self.config.weight_decay
        )
        self.step = 0
        self._score, self._waited, self._lr = -math.inf, 0, self.config.lr
        found = load_checkpoint(self.folder / "last.pt", self.binding, self.former)
        if found is None:
            return {"best": None}
        tensors, progress = found
        if progress.get("teacher", self.teacher) != self.teacher:
            raise UsageError(
                f"The {self.stage.name} in {self.folder.parent.name} of the output folder was taught by other teachers "
                f"than those that lie there now; remove {self.folder.parent.name}/student-heads and "
                f"{self.folder.parent.name}/student, and resume: they begin again."
            )
        module.load_state_dict(tensors["module"])
        for n, (_, p) in enumerate(self._parameters):
            if str(n) in tensors["optimizer"]:
                self._optimizer.state[p] = kept_state(tensors["optimizer"][str(n)], p)
        self.step, self._score = int(progress["step"]), float(progress["score"])
        self._waited, self._lr = int(progress.get("waited", 0)), float(progress.get("lr", self.config.lr))
        return {"best": tensors["best"] or None}

    def _batch(self, epoch: int, place: int) -> list[Sample]:
        """Return the samples of a step; each epoch runs through the cases in a different order."""
        order = order_of(self.stage.cases, self.seed, self.stage.name, epoch)
        size = self.config.batch
        rows = [order[n % len(order)] for n in range(place * size, (place + 1) * size)]
        return [Sample(r, seed_of(self.seed, self.stage.name, epoch, place, n, r)) for n, r in enumerate(rows)]

    def _train_step(self, epoch: int, place: int, steps: int) -> dict[str, object]:
        started = time.perf_counter()
        module = self.stage.module
        module.train()
        lr = learning_rate(self.step, steps, replace(self.config, lr=self._lr))
        logged = self._gradients(self._batch(epoch, place))
        if not all(map(math.isfinite, logged.values())):
            raise Diverged(
                f"The loss of the {self.stage.name} is no longer a number at step {self.step}; "
                "lower its learning rate (the setting lr) and start again in another output folder."
            )
        self._move(lr)
        loss = logged.pop("loss")
        seconds = time.perf_counter() - started
        return {"epoch": epoch, "step": self.step, "loss": loss, "rate": lr, "seconds": round(seconds, 4),
                "validation": "", "accuracy": "", **logged}  # fmt: skip

    def _gradients(self, batch: list[Sample]) -> dict[str, float]:
        """Compute the gradients of a batch's loss; returns 'loss' and its terms, means over processes."""
        self._optimizer.zero_grad(set_to_none=True)  # an unused branch has no gradient and is not updated
        own, count = self.processes.share(batch), self.config.accumulate
        size, names, values = len(own) // count, [], []
        for n in range(count):
            with self.processes.gradient_sync(self._step, last=n + 1 == count):
                terms = self._step(own[n * size : (n + 1) * size])
                (terms["loss"] / count).backward()
            names = list(terms)
            values.append(torch.stack([terms[name].detach().double().cpu() for name in names]))
        mean = torch.stack(values).mean(dim=0)
        self.processes.average([mean])
        return dict(zip(names, mean.tolist(), strict=True))

    def _move(self, lr: float) -> None:
        """Do an optimizer step with clipped gradients."""
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        torch.nn.utils.clip_grad_norm_([p for _, p in self._parameters], self.config.clip)
        self._optimizer.step()

    def _found_lr(self) -> float:
        """Return the rate found by trial steps; weights and optimizer are restored afterward."""
        module = self.stage.module.train()
        before, fresh = copy.deepcopy(module.state_dict()), copy.deepcopy(self._optimizer.state_dict())
        per_epoch, _ = self.config.steps_over(self.stage.cases)

        def trial(step: int, lr: float) -> float:
            loss = self._gradients(self._batch(*divmod(step, per_epoch)))["loss"]
            self._move(lr)
            return loss

        found = find_lr(trial, self.config.lr)
        module.load_state_dict(before)
        self._optimizer.load_state_dict(fresh)
        return found

    def _validate(self, state: dict) -> dict[str, object]:
        self.stage.module.eval()
        with torch.no_grad():
            measures = dict(self.stage.validate())
        if measures["score"] > self._score:
            self._score = measures["score"]
            state["best"] = copy.deepcopy(self.stage.module.state_dict())
            self._waited = -1
        self._waited += 1
        return {"validation": measures["score"], "accuracy": measures.get("accuracy", "")}

    def _save(self, state: dict) -> None:
        if not self.processes.first:
            return
        kept = {
            str(n): self._optimizer.state[p]
            for n, (_, p) in enumerate(self._parameters)
            if self._optimizer.state.get(p)
        }
        tensors = {"module": self.stage.module.state_dict(), "optimizer": kept, "best": state["best"] or {}}
        progress = {"step": self.step, "score": self._score if math.isfinite(self._score) else -1e300}
        progress |= {"waited": self._waited, "lr": self._lr, "teacher": self.teacher}
        # best.pt first: a process killed in between repeats the steps since last.pt and writes the same best.pt again
        if state["best"] is not None:
            save_checkpoint(self.folder / "best.pt", {"module": state["best"]}, progress, self.binding)
        save_checkpoint(self.folder / "last.pt", tensors, progress, self.binding)
