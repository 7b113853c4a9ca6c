"""Which device a run computes on."""

from __future__ import annotations

import os

import torch

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
