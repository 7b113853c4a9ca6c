"""What frozen teachers said, kept by the content of their weights and of what they saw."""

from __future__ import annotations

import hashlib
from pathlib import Path

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
    hits, misses: how often `get` found something.
    """

    def __init__(self, folder: Path):
        self._files = ContentStore(folder, ".pt")
        self._memory: dict[str, GraphOutput] = {}
        self.hits = self.misses = 0

    def path(self, teacher: str, view: View) -> Path:
        """Where the targets of a teacher (its `weights_hash`) and view are kept."""
        return self._files.path(_key(teacher, view))

    def get(self, teacher: str, view: View) -> GraphOutput | None:
        """The targets, on the CPU, or None."""
        key = _key(teacher, view)
        if key not in self._memory:
            found = self._files.get(key, lambda content: GraphOutput(**content))
            if found is None:
                self.misses += 1
                return None
            self._memory[key] = found
        self.hits += 1
        return self._memory[key]

    def put(self, teacher: str, view: View, targets: GraphOutput) -> None:
        """Keep the targets of one view (B = 1). Raises: OutputNotWritable."""
        own = targets.to("cpu")
        self._files.put(_key(teacher, view), vars(own) | {"logits": own.logits.float()})


def _key(teacher: str, view: View) -> str:
    return content_key(f"{FORMAT} {teacher} {view.key}")
