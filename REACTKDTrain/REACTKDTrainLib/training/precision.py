"""bfloat16 where it is safe: inside encoders on CUDA, nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn


def autocast(device: torch.device | str, wanted: bool) -> AbstractContextManager:
    """bfloat16 autocast on a CUDA device that has it; nothing on the CPU, whose answers are to be bit-equal."""
    if wanted and torch.device(device).type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


def encode_in_bfloat16(modules: Iterable[nn.Module], device: torch.device | str, wanted: bool) -> None:
    """Let these modules, and only these, compute under `autocast`; what they return is float32 again.

    Pooling divides sums over a million voxels, attention takes softmax over few nodes, Gromov-Wasserstein subtracts
    nearly equal numbers: all of that stays in float32 or float64.
    """
    for module in modules:
        forward = module.forward

        def run(*args, _forward=forward, **kwargs):
            with autocast(device, wanted):
                return _float32(_forward(*args, **kwargs))

        module.forward = run


def _float32(value):
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, list | tuple):
        return type(value)(_float32(v) for v in value)
    return value
