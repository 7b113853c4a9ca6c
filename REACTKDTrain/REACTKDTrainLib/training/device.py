"""Choice of the device of a run, and of where it uses bfloat16: inside encoders on CUDA, nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from REACTKDLib.core.errors import UsageError


def choose_device(name: str) -> torch.device:
    """Return the device for 'auto', 'cpu', 'cuda' or 'cuda:1'; under torchrun each process uses a different GPU.

    Raises: UsageError if CUDA is requested but not available, or for an unknown name.
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
    """bfloat16 autocast on a CUDA device that supports it; no effect on the CPU: results must be bit-identical."""
    if wanted and torch.device(device).type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


def encode_in_bfloat16(modules: Iterable[nn.Module], device: torch.device | str, wanted: bool) -> None:
    """Run these modules, and only these, under `autocast`; their outputs are converted back to float32.

    Pooling divides sums over a million voxels, attention takes a softmax over few nodes, and Gromov-Wasserstein
    subtracts nearly equal numbers, so all of these stay in float32 or float64.
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
