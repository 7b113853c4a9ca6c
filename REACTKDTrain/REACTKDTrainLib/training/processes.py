"""One process or several (torchrun): which one writes, and how gradients are averaged."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from REACTKDLib.core.errors import UsageError


def backends_for(device: str) -> str:
    """Return the backends for a device: gradients are averaged on it; losses and flags on the CPU."""
    return "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"


@dataclass(frozen=True)
class Processes:
    """rank: of this process, among `world`. Only the `first` process writes."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """True for the process that writes."""
        return self.rank == 0

    @classmethod
    def joined(cls, device: str) -> Processes:
        """Join the process group that torchrun describes in the environment; a single process without torchrun."""
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return cls()
        if not dist.is_initialized():
            # preparing a cohort takes longer than the default timeout of half an hour
            dist.init_process_group(backends_for(device), timeout=timedelta(days=2))
        return cls(dist.get_rank(), dist.get_world_size())

    def share(self, batch: list) -> list:
        """Return this process's part of a batch, in order. Raises: UsageError if it cannot be divided evenly."""
        if len(batch) % self.world:
            raise UsageError(
                f"A batch of {len(batch)} cannot be divided among {self.world} processes; choose a multiple of it."
            )
        part = len(batch) // self.world
        return batch[self.rank * part : (self.rank + 1) * part]

    def average(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace each tensor by its mean over the processes."""
        if self.world > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)
                tensor /= self.world

    def spread(self, step: nn.Module) -> nn.Module:
        """Wrap a module in DistributedDataParallel, which averages its gradients over the processes.

        Modality dropout can drop a branch in one process that another uses, hence find_unused_parameters; a parameter
        that no process used has no gradient and is not updated. Buffers are those of the first process, which writes
        them: they are broadcast at the start of each step, so that a resumed training continues as if it had not been
        stopped.
        """
        if self.world == 1:
            return step
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(step, find_unused_parameters=True)

    def gradient_sync(self, step: nn.Module, last: bool) -> AbstractContextManager:
        """Context for one part of an accumulated batch: gradients are averaged only after the last part."""
        return nullcontext() if self.world == 1 or last else step.no_sync()

    def gather(self, value: Any) -> list[Any]:
        """Return the value of every process, in order of rank. For small objects only."""
        if self.world == 1:
            return [value]
        out: list[Any] = [None] * self.world
        dist.all_gather_object(out, value)
        return out

    def wait(self) -> None:
        """Wait until every process has called this."""
        if self.world > 1:
            dist.barrier()

    def agree(self, value: bool) -> bool:
        """Return True if any process passes True: all must stop at the same step."""
        if self.world == 1:
            return value
        flag = torch.tensor([float(value)])
        dist.all_reduce(flag)
        return bool(flag.item() > 0)

    def leave(self) -> None:
        """Leave the process group."""
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()
