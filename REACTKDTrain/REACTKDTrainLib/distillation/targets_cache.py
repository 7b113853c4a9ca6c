"""What frozen teachers said, kept by the content of their weights and of what they saw."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import nn

from REACTKDLib.core.writing.kept_files import kept
from REACTKDLib.core.writing.tensor_files import write_tensors
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.targets import TeacherTargets

FORMAT = "reactkd-targets/2"


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
        self._folder = Path(folder)
        self._memory: dict[str, TeacherTargets] = {}
        self.hits = self.misses = 0

    def path(self, teacher: str, view: View) -> Path:
        """Where the targets of a teacher (its `weights_hash`) and view are kept."""
        name = hashlib.sha256(f"{FORMAT} {teacher} {view.key}".encode()).hexdigest()[:40]
        return self._folder / name[:2] / f"{name}.pt"

    def get(self, teacher: str, view: View) -> TeacherTargets | None:
        """The targets, on the CPU, or None."""
        path = self.path(teacher, view)
        if path.stem not in self._memory:
            found = _read(path)
            if found is None:
                self.misses += 1
                return None
            self._memory[path.stem] = found
        self.hits += 1
        return self._memory[path.stem]

    def put(self, teacher: str, view: View, targets: TeacherTargets) -> None:
        """Keep the targets of one view (B = 1). Raises: OutputNotWritable."""
        told = targets.to("cpu")
        content = {
            "logits": told.logits.float(),
            "nodes": list(told.nodes),
            "branch_logits": dict(told.branch_logits),
            "branch_nodes": {name: list(nodes) for name, nodes in told.branch_nodes.items()},
            "maps": list(told.maps),
            "hidden": told.hidden,
            "branch_maps": {name: list(maps) for name, maps in told.branch_maps.items()},
        }
        write_tensors(self.path(teacher, view), content)


def _read(path: Path) -> TeacherTargets | None:
    return kept(path, lambda whole: TeacherTargets(**torch.load(whole, weights_only=True)))
