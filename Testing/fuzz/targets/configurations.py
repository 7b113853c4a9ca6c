"""Configuration files of a training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random

from fuzz.mutations import damaged_json, json_bytes
from fuzz.targets import Wrong
from REACTKDTrainLib.training.config import TrainingConfig


def prepare(folder: Path) -> None:
    """Nothing to prepare."""


def make(rng: Random, folder: Path) -> Path:
    """Corrupt the default settings."""
    path = folder / "config.json"
    path.write_bytes(json_bytes(damaged_json(TrainingConfig.for_size("tiny").to_dict(), rng), rng))
    return path


def replay(file: Path, folder: Path) -> Path:
    """A configuration of a past failure."""
    return Path(shutil.copy(file, folder))


def ask(path: Path) -> str:
    """Read, write and read again: nothing may change."""
    config = TrainingConfig.read(path)
    if TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) != config:
        raise Wrong("the configuration is another one after it was written")
    return config.hash()[:8]
