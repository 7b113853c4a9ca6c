"""The fuzz targets: each creates an input from a seed and passes it to a reader."""

from __future__ import annotations

from importlib import import_module

#: name of the module in this folder: share of the inputs
SHARES = {
    "images": 24,
    "segmentations": 16,
    "dicom": 16,
    "lists": 10,
    "datalists": 8,
    "configurations": 8,
    "bundles": 6,
    "reviews": 8,
    "worker": 6,
    "cases": 4,
}


class Wrong(Exception):
    """An input was silently accepted as something that it is not."""


def target(name: str):
    """Return the module of a target: `prepare(folder)`, `make(rng, folder)`, `ask(path)` and `replay(file, folder)`."""
    return import_module(f"fuzz.targets.{name}")
