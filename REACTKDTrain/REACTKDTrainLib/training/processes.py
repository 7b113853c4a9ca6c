"""One process or several (torchrun): who writes, and how gradients are averaged."""

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
    """What the processes of a device talk by: gradients lie on it, losses and flags (`average`, `agree`) on the CPU."""
    return "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"


@dataclass(frozen=True)
class Processes:
    """rank of this process among `world`. Only `first` writes."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """True for the process that writes."""
        return self.rank == 0

    @classmethod
    def joined(cls, device: str) -> Processes:
        """Join the group that torchrun describes in the environment; alone without one."""
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return cls()
        if not dist.is_initialized():
            # preparing a cohort takes longer than the usual half hour of patience
            dist.init_process_group(backends_for(device), timeout=timedelta(days=2))
        return cls(dist.get_rank(), dist.get_world_size())

    def share(self, batch: list) -> list:
        """This process's part of a batch, in order. Raises: UsageError when it cannot be divided evenly."""
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
        """Let a module's gradients be averaged over the processes, by DistributedDataParallel.

        A branch that modality dropout left out of one process's part may be used in another's, hence
        find_unused_parameters; a parameter that no process used keeps no gradient and is not stepped. What the modules
        remember in buffers is that of the first process, which writes it: all have it at the start of a step, so that a
        resumed training goes on as one that never stopped.
        """
        if self.world == 1:
            return step
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(step, find_unused_parameters=True)

    def sums_up(self, step: nn.Module, last: bool) -> AbstractContextManager:
        """Around one part of a batch that is worked off in several: gradients are averaged after the last part."""
        return nullcontext() if self.world == 1 or last else step.no_sync()

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, in order of rank. For small things only."""
        if self.world == 1:
            return [value]
        out: list[Any] = [None] * self.world
        dist.all_gather_object(out, value)
        return out

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            dist.barrier()

    def agree(self, value: bool) -> bool:
        """True when any process says so: all must stop at the same step."""
        if self.world == 1:
            return value
        flag = torch.tensor([float(value)])
        dist.all_reduce(flag)
        return bool(flag.item() > 0)

    def leave(self) -> None:
        """Leave the group."""
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()
