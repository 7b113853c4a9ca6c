"""Cache of the outputs of frozen teachers, addressed by their weights and their inputs."""

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
    """SHA-256 of a module's names, shapes and values, including buffers."""
    digest = hashlib.sha256(FORMAT.encode())
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"\0{name} {tuple(value.shape)} {value.dtype}\0".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class TargetCache:
    """One file for each pair of teacher and view, written atomically; kept in memory once read.

    Changed weights or views have another key, so an outdated entry is never returned; an unreadable file counts as
    absent.
    """

    def __init__(self, folder: Path):
        self._files = ContentStore(folder, ".pt")
        self._memory: dict[str, GraphOutput] = {}

    def path(self, teacher: str, view: View) -> Path:
        """Return the path of the targets of a teacher (its `weights_hash`) for a view."""
        return self._files.path(_key(teacher, view))

    def of(self, teacher: str, view: View, make: Callable[[], GraphOutput]) -> GraphOutput:
        """Return the targets of one view (B = 1) on the CPU; if absent, make them. Raises: OutputNotWritable."""
        key = _key(teacher, view)
        if key not in self._memory:
            self._memory[key] = self._files.made(key, lambda: _content(make()), lambda content: GraphOutput(**content))
        return self._memory[key]


def _content(targets: GraphOutput) -> dict[str, Any]:
    own = targets.to("cpu")
    return vars(own) | {"logits": own.logits.float()}


def _key(teacher: str, view: View) -> str:
    return content_key(f"{FORMAT} {teacher} {view.key}")
