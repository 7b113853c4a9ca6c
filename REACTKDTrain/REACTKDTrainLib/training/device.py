"""Which device a run computes on, and where it computes in bfloat16: inside encoders on CUDA, nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from REACTKDLib.core.errors import UsageError


def choose_device(name: str) -> torch.device:
    """'auto', 'cpu', 'cuda' or 'cuda:1' -> the device; under torchrun each process takes a GPU of its own.

    Raises: UsageError when CUDA is asked for and is not there, or the name is not one of a device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdigit()) or (kind == "cpu" and index):
        raise UsageError(f"There is no device {name!r}; choose auto, cpu, cuda or cuda:0.")
    if kind == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UsageError(
            "CUDA was asked for, but this PyTorch sees no GPU; choose the device cpu, or install PyTorch with CUDA."
        )
    number = int(index or os.environ.get("LOCAL_RANK", "0"))
    if number >= torch.cuda.device_count():
        raise UsageError(f"There is no GPU {number}; this machine has {torch.cuda.device_count()}.")
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


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
