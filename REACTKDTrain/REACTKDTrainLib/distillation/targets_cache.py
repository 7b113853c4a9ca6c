"""What frozen teachers said, kept by the content of their weights and of what they saw."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from REACTKDTrainLib.content_store import ContentStore, content_key
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.models.outputs import GraphOutput

FORMAT = "reactkd-targets/3"


def weights_hash(module: nn.Module) -> str:
    """SHA-256 of a module's names, shapes and values, buffers included."""
    digest = hashlib.sha256(FORMAT.encode())
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"\0{name} {tuple(value.shape)} {value.dtype}\0".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class TargetCache:
    """One file for each pair of teacher and view, written whole; kept in memory once read.

    A changed weight or view has another name, so it never meets an old entry; an unreadable file counts as absent.
    """

    def __init__(self, folder: Path):
        self._files = ContentStore(folder, ".pt")
        self._memory: dict[str, GraphOutput] = {}

    def path(self, teacher: str, view: View) -> Path:
        """Where the targets of a teacher (its `weights_hash`) and view are kept."""
        return self._files.path(_key(teacher, view))

    def of(self, teacher: str, view: View, make: Callable[[], GraphOutput]) -> GraphOutput:
        """The targets of one view (B = 1) on the CPU, made now if they were not before. Raises: OutputNotWritable."""
        key = _key(teacher, view)
        if key not in self._memory:
            self._memory[key] = self._files.made(key, lambda: _content(make()), lambda content: GraphOutput(**content))
        return self._memory[key]


def _content(targets: GraphOutput) -> dict[str, Any]:
    own = targets.to("cpu")
    return vars(own) | {"logits": own.logits.float()}


def _key(teacher: str, view: View) -> str:
    return content_key(f"{FORMAT} {teacher} {view.key}")
