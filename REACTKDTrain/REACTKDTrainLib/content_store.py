"""Work that is done once: its results in files that are named by a hash of all that they depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from REACTKDLib.core.writing.atomic import written_beside
from REACTKDLib.core.writing.kept_files import is_whole, kept
from REACTKDLib.core.writing.tensor_files import write_tensors

T = TypeVar("T")


def content_key(recipe: str | Mapping[str, Any]) -> str:
    """SHA-256 (hex) of everything that a result depends on: its input's hash, every setting, and a format's version.

    recipe: a text, which may hold the name of a file that is no Unicode, or what JSON can hold; other values count as
    their text.
    """
    text = recipe if isinstance(recipe, str) else json.dumps(recipe, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class ContentStore:
    """Results by `content_key`, one file each, written whole; a file that is damaged counts as absent and is removed.

    Names of files are hashes, since a case is often named for a patient and stores are shared.

    folder: made when something is put. suffix: '.npz' for arrays by name, '.pt' for what `torch.save` takes.
    compressed: arrays are packed, where they hold many zeros.

    Example:
        >>> store = ContentStore(Path("cache"))
        >>> store.made(content_key({"format": "sum/1", "of": 3}), lambda: {"sum": np.arange(3).sum()})
    """

    folder: Path
    suffix: str = ".npz"
    compressed: bool = False

    def path(self, key: str, label: str = "") -> Path:
        """Where a result is kept. label: for display, before the hash; never from a patient's name."""
        return Path(self.folder) / f"{label}{'.' if label else ''}{key[:40]}{self.suffix}"

    def has(self, key: str, label: str = "") -> bool:
        """Whether it is there and whole. Reads all of it."""
        return is_whole(self.path(key, label))

    def get(self, key: str, decode: Callable[[Any], T] = dict, label: str = "") -> T | None:
        """What `decode` makes of the result; None when it is absent, damaged or of another form."""
        return kept(self.path(key, label), lambda path: decode(self._read(path)))

    def put(self, key: str, content: Any, label: str = "") -> None:
        """Keep a result: {name: array}, or what `torch.save` takes. Raises: OutputNotWritable."""
        path = self.path(key, label)
        if self.suffix == ".pt":
            write_tensors(path, content)
            return
        with written_beside(path) as beside:
            (np.savez_compressed if self.compressed else np.savez)(beside, **content)

    def made(self, key: str, make: Callable[[], Any], decode: Callable[[Any], T] = dict) -> T:
        """The result from the folder, or made now, kept and read from there. Raises: what `make` and `put` raise."""
        found = self.get(key, decode)
        if found is None:
            self.put(key, make())
            found = decode(self._read(self.path(key)))
        return found

    def _read(self, path: Path) -> Any:
        if self.suffix == ".pt":
            import torch

            return torch.load(path, weights_only=True)
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
