"""Checkpoints: written atomically, tensors only, bound to one configuration, verified by checksum."""

from __future__ import annotations

import json
import pickle
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from REACTKDLib.core.errors import OutputNotWritable, UsageError
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.writing.kept_files import is_whole, unpacks_to_more
from REACTKDLib.core.writing.tensor_files import write_tensors

FORMAT = "reactkd-checkpoint/1"


def save_checkpoint(path: Path, tensors: Mapping[str, Any], state: Mapping[str, Any], binding: str) -> None:
    """Write tensors (nested dictionaries) and `state` (JSON types) atomically: on failure, the previous file is
    unchanged.

    binding: a hash of everything that must be the same when the checkpoint is loaded.
    Raises: OutputNotWritable, also if the disk is full.
    """
    text = json.dumps({"format": FORMAT, "binding": binding, "state": dict(state)})
    content = {"tensors": dict(tensors), "text": torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)}
    try:
        write_tensors(path, content)
    except OutputNotWritable as error:
        raise OutputNotWritable(
            f"The checkpoint {path.name} could not be written (is the disk full?); make room and resume: the last one "
            "is whole."
        ) from error


def load_checkpoint(
    path: Path, binding: str, former: Collection[str] = ()
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return (tensors, state), or None if there is no file. former: equivalent bindings of earlier releases.

    Raises: UsageError for a file of another configuration, a damaged one, or one that is not a checkpoint.
    """
    if not Path(path).exists():
        return None
    if unpacks_to_more(path) or not is_whole(path):
        raise UsageError(
            f"The file {Path(path).name} is damaged, or is not a checkpoint of this program; put a copy of it "
            "back, or remove it and resume, and this stage begins again."
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        header = parse_json(bytes(content["text"].tolist()).decode())
        if header["format"] != FORMAT:
            raise ValueError(header["format"])
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"The file {Path(path).name} is not a checkpoint of this program; remove it, or choose another output "
            "folder."
        ) from error
    if header["binding"] not in (binding, *former):
        raise UsageError(
            f"The file {Path(path).name} belongs to a run with another configuration or other cases; resume with the "
            "settings in run.json, or choose another output folder."
        )
    return content["tensors"], header["state"]
