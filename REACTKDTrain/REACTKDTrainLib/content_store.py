"""Content-addressed store of computed results: a file is named by a hash of everything that its content depends on."""

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
    """Return the SHA-256 (hex) of everything that a result depends on: hash of its input, all settings, format version.

    recipe: a text (which may contain a file name that is not valid Unicode) or a JSON-serializable mapping; values that
    JSON cannot hold are converted to text.
    """
    text = recipe if isinstance(recipe, str) else json.dumps(recipe, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class ContentStore:
    """Results by `content_key`, one file each, written atomically; a damaged file is removed and counts as absent.

    File names are hashes because cases are often named after patients and stores are shared.

    folder: created when the first result is stored. suffix: '.npz' for arrays by name, '.pt' for objects of
    `torch.save`.
    compressed: compress the arrays, for arrays with many zeros.

    Example:
        >>> store = ContentStore(Path("cache"))
        >>> store.made(content_key({"format": "sum/1", "of": 3}), lambda: {"sum": np.arange(3).sum()})
    """

    folder: Path
    suffix: str = ".npz"
    compressed: bool = False

    def path(self, key: str, label: str = "") -> Path:
        """Return the path of a result. label: text shown before the hash; must not contain a patient's name."""
        return Path(self.folder) / f"{label}{'.' if label else ''}{key[:40]}{self.suffix}"

    def has(self, key: str, label: str = "") -> bool:
        """Return True if the result exists and is undamaged. Reads the whole file."""
        return is_whole(self.path(key, label))

    def get(self, key: str, decode: Callable[[Any], T] = dict, label: str = "") -> T | None:
        """Return the result as converted by `decode`; None if it is absent, damaged or in another format."""
        return kept(self.path(key, label), lambda path: decode(self._read(path)))

    def put(self, key: str, content: Any, label: str = "") -> None:
        """Store a result: {name: array}, or an object for `torch.save`. Raises: OutputNotWritable."""
        path = self.path(key, label)
        if self.suffix == ".pt":
            write_tensors(path, content)
            return
        with written_beside(path) as beside:
            (np.savez_compressed if self.compressed else np.savez)(beside, **content)

    def made(self, key: str, make: Callable[[], Any], decode: Callable[[Any], T] = dict) -> T:
        """Return the stored result; compute and store it first if it is absent. Raises: see `make` and `put`."""
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
