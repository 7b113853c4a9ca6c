"""The description of a bundle: MONAI's own keys, and ours under "reactkd"."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from REACTKDLib.core.errors import BundleIncomplete, BundleMismatch

MONAI_SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
)
# What the program reads; a bundle without one of these cannot be used.
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

    Raises: BundleMismatch when it is not JSON; BundleIncomplete when a key that the program reads is absent.
    """
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BundleMismatch(f"{path} is not readable JSON; copy the model folder again.") from error
    ours = metadata.get("reactkd") if isinstance(metadata, dict) else None
    if not isinstance(ours, dict):
        raise BundleIncomplete(f"{path} has no 'reactkd' section; choose the folder of a REACTKD model.")
    missing = [key for key in REQUIRED if key not in ours]
    if missing:
        raise BundleIncomplete(f"{path} lacks {', '.join(missing)} under 'reactkd'; copy the model folder again.")
    return metadata


def complete_metadata(
    metadata: Mapping[str, Any], *, student: Mapping[str, Any], sha256: str, shape: Sequence[int]
) -> dict[str, Any]:
    """Return `metadata` with the hash, the student's configuration and every key that MONAI's schema requires.

    metadata: at least {"reactkd": {...}}; what it already says is kept. shape: (D, H, W) of the network's grid.
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
    return {**defaults, **metadata, "reactkd": ours}


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
    return {
        "inputs": {m: {**image, "channel_def": {"0": m}} for m in modalities},
        "outputs": {"logits": logits},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
