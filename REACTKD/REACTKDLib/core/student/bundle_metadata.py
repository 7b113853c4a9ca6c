"""The description of a bundle: MONAI's own keys, and ours under "reactkd"."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from REACTKDLib.core.errors import BundleAltered, BundleIncomplete, BundleMismatch
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.text import tr as _

MONAI_SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
)
HASH = "description_sha256"
LONGEST_TEXT = 300
# The keys that the program reads; a bundle without one of them cannot be used.
REQUIRED = (
    "name",
    "version",
    "clinical_use",
    "sha256",
    "classes",
    "organ",
    "lesion",
    "modalities",
    "student",
    "preparation",
)


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the parsed `metadata.json`.

    Raises: BundleMismatch if it is not JSON; BundleIncomplete if a key that the program reads is missing; BundleAltered
    if it contains its own hash and does not match it.
    """
    file, name = path.name, path.parents[1].name
    try:
        metadata = parse_json(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        text = _("The file {file} in the model folder '{name}' is not readable JSON; copy the model folder again.")
        raise BundleMismatch(text, file=file, name=name) from error
    ours = metadata.get("reactkd") if isinstance(metadata, dict) else None
    if not isinstance(ours, dict):
        text = _(
            "The file {file} in the model folder '{name}' has no 'reactkd' section; choose the folder of a REACTKD "
            "model."
        )
        raise BundleIncomplete(text, file=file, name=name)
    missing = [key for key in REQUIRED if key not in ours]
    if missing:
        text = _(
            "The file {file} in the model folder '{name}' lacks {keys} under 'reactkd'; copy the model folder again."
        )
        raise BundleIncomplete(text, file=file, name=name, keys=", ".join(missing))
    if HASH in ours and ours[HASH] != description_hash(metadata):
        text = _(
            "The file {file} in the model folder '{name}' is not the description that was saved with the model; copy "
            "the model folder again."
        )
        raise BundleAltered(text, file=file, name=name)
    return metadata


def description_hash(metadata: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the metadata without this hash itself; order and layout of the keys do not matter."""
    ours = {key: value for key, value in metadata["reactkd"].items() if key != HASH}
    text = json.dumps({**metadata, "reactkd": ours}, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def check_description(metadata: Mapping[str, Any]) -> None:
    """Raise ValueError that names the first value of our section that has the wrong type: text, list or hash.

    Numbers are checked by the classes that use them: `StudentConfig`, `Preparation`, `UncertaintyRule`.
    """
    ours = metadata["reactkd"]
    for key in ("name", "version", "clinical_use", "organ", "lesion"):
        if not isinstance(ours[key], str) or not ours[key].strip() or len(ours[key]) > LONGEST_TEXT:
            raise ValueError(f"{key} must be a text of at most {LONGEST_TEXT} characters")
    for key in ("classes", "modalities"):
        names = ours[key]
        right = isinstance(names, list) and all(isinstance(n, str) and 0 < len(n) <= LONGEST_TEXT for n in names)
        if not right or len(set(names)) != len(names):
            raise ValueError(f"{key} must be a list of different names")
    if not isinstance(ours["sha256"], str) or not re.fullmatch("[0-9a-f]{64}", ours["sha256"]):
        raise ValueError("sha256 must be 64 hexadecimal digits")
    for key in ("student", "preparation"):
        if not isinstance(ours[key], dict):
            raise ValueError(f"{key} must be an object")
    _check_channels(metadata, ours["classes"])


def _check_channels(metadata: Mapping[str, Any], classes: Sequence[str]) -> None:
    """Raise ValueError unless MONAI's section states the same classes in the same order; a missing section is
    accepted.
    """
    value: Any = metadata
    for key in ("network_data_format", "outputs", "logits", "channel_def"):
        value = value.get(key) if isinstance(value, Mapping) else None
    if value is not None and value != {str(n): name for n, name in enumerate(classes)}:
        raise ValueError("classes are not those of network_data_format, or in another order")


def complete_metadata(
    metadata: Mapping[str, Any], *, student: Mapping[str, Any], sha256: str, shape: Sequence[int]
) -> dict[str, Any]:
    """Return `metadata` with the hash, the student's configuration and every key that MONAI's schema requires.

    metadata: at least {"reactkd": {...}}; existing values are kept. shape: (D, H, W) of the network's grid.
    """
    ours = {**metadata.get("reactkd", {}), "student": dict(student), "sha256": sha256}
    defaults = {
        "schema": MONAI_SCHEMA,
        "version": str(ours.get("version", "0")),
        "monai_version": _version("monai"),
        "pytorch_version": _version("torch"),
        "numpy_version": _version("numpy"),
        "required_packages_version": {"scipy": _version("scipy")},
        "task": f"{ours.get('lesion', 'lesion')} grade in {ours.get('organ', 'organ')}: {', '.join(ours['classes'])}",
        "description": "Grade from regions: an encoder that never sees masks, pooled over regions, additive attention.",
        "authors": "REACTKD developers",
        "copyright": "REACTKD developers, Apache-2.0",
        "intended_use": str(ours.get("clinical_use", "")),
        "network_data_format": _data_format(ours["modalities"], ours["classes"], shape),
    }
    whole = {**defaults, **metadata, "reactkd": {key: value for key, value in ours.items() if key != HASH}}
    whole["reactkd"][HASH] = description_hash(whole)
    return whole


def _data_format(modalities: Sequence[str], classes: Sequence[str], shape: Sequence[int]) -> dict[str, Any]:
    image = {
        "type": "image",
        "format": "magnitude",
        "num_channels": 1,
        "spatial_shape": [int(n) for n in shape],
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
    }
    logits = {
        "type": "probabilities",
        "format": "classes",
        "num_channels": len(classes),
        "spatial_shape": [],
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
        "channel_def": {str(index): name for index, name in enumerate(classes)},
    }
    regions = {
        **image,
        "format": "segmentation",
        "num_channels": 2,
        "value_range": [0, 1],
        "channel_def": {"0": "the organ without its lesions", "1": "one lesion; a channel for each"},
    }
    return {
        "inputs": {**{m: {**image, "channel_def": {"0": m}} for m in modalities}, "regions": regions},
        "outputs": {"logits": logits},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
