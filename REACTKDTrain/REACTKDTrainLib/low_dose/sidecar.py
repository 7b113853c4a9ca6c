"""Stored results: a file with a sidecar that records how it was made, so that it is made only once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from REACTKDLib.core.files.volumes import suffix_of
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.writing.atomic import write_text

#: what the schema of every record begins with
FAMILY = "reactkd-low-dose/"


def sidecar_of(path: Path) -> Path:
    """Return the JSON beside `path`: case.nii.gz -> case.json."""
    suffix = suffix_of(path) or path.suffix
    return path.with_name(path.name[: -len(suffix)] + ".json")


def write_sidecar(path: Path, record: dict, request: dict | None = None) -> Path:
    """Describe the finished file `path`: `record`, the `request` that it was made for, and its hash.

    The sidecar is written last, so a file without one is incomplete. Raises: OutputNotWritable.
    """
    content = {**record, "request": request, "output_sha256": file_hash(path)}
    target = sidecar_of(path)
    write_text(target, json.dumps(content, indent=2, allow_nan=False) + "\n")
    return target


def is_ours(sidecar: Path) -> bool:
    """Whether a JSON file is a record of a simulation. Raises nothing."""
    try:
        content = parse_json(sidecar.read_text(encoding="utf-8"))
        return str(content["schema"]).startswith(FAMILY)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def kept(path: Path, request: dict | None) -> dict | None:
    """Return the sidecar of `path` if the file is undamaged and was made for the same `request`, else None."""
    try:
        content = parse_json(sidecar_of(path).read_text(encoding="utf-8"))
        fresh = content["request"] == request and content["output_sha256"] == file_hash(path)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return content if fresh else None


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
