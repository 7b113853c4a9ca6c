"""Serialization of jobs and replies: a dataclass field by field as JSON, its arrays in one separate file.

Reading follows the types of the dataclass, so a new field only needs to be declared there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, BinaryIO, Literal, get_args, get_origin, get_type_hints

import numpy as np

from REACTKDLib.core.worker.arrays import no_space

MAPPED_BYTES = 1 << 20  # smaller arrays are copied, so that they do not keep the whole file on disk
_ALIGNED = 64
Rules = Mapping[str, Callable[[Any], bool]]


class WrongType(Exception):
    """A part of a message does not have the type that its dataclass states. args: the name of the part."""


def to_json(value: Any, stored: Callable[[np.ndarray], Any] | None = None) -> Any:
    """Return a value of dataclasses, enums, paths, slices, mappings and sequences as JSON.

    stored: returns the placeholder of an array. Objects with `to_dict`, such as reports, define their own form.
    """
    if isinstance(value, np.ndarray):
        return stored(value)
    if hasattr(value, "from_dict"):
        return value.to_dict()
    if is_dataclass(value):
        return {f.name: to_json(getattr(value, f.name), stored) for f in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, slice):
        return [int(value.start), int(value.stop)]
    if isinstance(value, Mapping):
        return {to_json(key): to_json(entry, stored) for key, entry in value.items()}
    return [to_json(entry, stored) for entry in value] if isinstance(value, (list, tuple)) else value


def from_json(hint: Any, value: Any, name: str, rules: Rules, read: Callable[[Any], np.ndarray] | None = None) -> Any:
    """Return the value from the form of `to_json`, with every part of the declared type.

    name: of the part, for the error. rules: requirements on the values of a field beyond their type, by its name. read:
    returns the array of a placeholder. Raises: WrongType.
    """
    kind, inner = get_origin(hint) or hint, get_args(hint)
    try:
        if NoneType in inner:
            inner = [option for option in inner if option is not NoneType]
            return None if value is None else from_json(inner[0], value, name, rules, read)
        if hasattr(kind, "from_dict"):
            return kind.from_dict(value)
        if is_dataclass(kind):
            hints = get_type_hints(kind)
            return kind(**{key: from_json(hints[key], part, key, rules, read) for key, part in value.items()})
        if kind is np.ndarray:
            return read(value)
        if kind is slice:
            return slice(*value)
        if kind is tuple and isinstance(value, (list, tuple)):
            hints = inner[:1] * len(value) if inner[1:] == (...,) else inner
            made = tuple(from_json(part, entry, name, rules, read) for part, entry in zip(hints, value, strict=True))
        elif kind is list and isinstance(value, list):
            made = [from_json(inner[0], entry, name, rules, read) if inner else entry for entry in value]
        elif isinstance(kind, type) and issubclass(kind, Mapping):
            made = {
                from_json(inner[0], key, name, rules): from_json(inner[1], entry, name, rules, read)
                for key, entry in value.items()
            }
        elif kind is Literal:
            made = value if value in inner else None
        elif isinstance(kind, type) and issubclass(kind, (Enum, Path)):
            made = kind(value)
        elif kind is int and isinstance(value, str):  # a key of a JSON object
            made = int(value)
        else:
            right = isinstance(value, (int, float) if kind is float else kind)
            made = value if right and (kind is bool or not isinstance(value, bool)) else None
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise WrongType(name) from error
    if made is None or (name in rules and not rules[name](made)):
        raise WrongType(name)
    return made


class ArrayWriter:
    """Arrays one after the other in a file; bool ones take one bit a voxel. Raises: NoScratchSpace."""

    def __init__(self, file: BinaryIO, check: Callable[[], None]) -> None:
        """check: called before each array; it may raise to stop."""
        self._file, self._check = file, check

    def __call__(self, array: np.ndarray) -> dict[str, Any]:
        """Write an array and return its placeholder for the message."""
        self._check()
        data = np.packbits(array) if array.dtype.kind == "b" else np.ascontiguousarray(array)
        self._file.write(bytes(-self._file.tell() % _ALIGNED))
        entry = {"at": self._file.tell(), "shape": list(array.shape), "dtype": array.dtype.str}
        self._file.write(data.data)
        return entry


def write_message(value: Any, folder: Path, name: str, check: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Write the arrays of a value into the new file `name` of `folder`, and return its message.

    Raises: NoScratchSpace; what `check` raises, which is called before each array.
    """
    try:
        with (folder / name).open("wb") as file:
            return {"file": name, "content": to_json(value, ArrayWriter(file, check))}
    except OSError as error:
        raise no_space(error) from error


def read_message(hint: Any, message: Mapping[str, Any], folder: Path) -> Any:
    """Return the value that `write_message` wrote. Its file is removed; large arrays are memory-mapped.

    Windows keeps a mapped file; the owner of the folder removes it later.
    Raises: WrongType, KeyError, TypeError, ValueError, OSError for a broken message.
    """
    path = folder / message["file"]
    whole = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)

    def read(entry: Mapping[str, Any]) -> np.ndarray:
        dtype, shape = np.dtype(entry["dtype"]), tuple(entry["shape"])
        count = int(np.prod(shape))
        size = -(-count // 8) if dtype.kind == "b" else count * dtype.itemsize
        part = whole[entry["at"] : entry["at"] + size]
        if dtype.kind == "b":
            return np.unpackbits(np.asarray(part), count=count).view(bool).reshape(shape)
        part = np.asarray(part).view(dtype).reshape(shape)
        return part if size >= MAPPED_BYTES else part.copy()

    with suppress(OSError):
        path.unlink()
    return from_json(hint, message["content"], "answer", {}, read)
