"""Findings of a file reader on an image, stored with its node, so that every grade reports them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.files.formats.reading import read_header
from REACTKDLib.core.findings import Finding, finding_from, to_entry
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.stated_places import same_place
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.text import tr as _
from REACTKDLib.scene.volumes import ijk_to_ras_of

_ATTRIBUTE = "REACTKD.Remarks"
_NIFTI = (".nii", ".nii.gz", ".hdr", ".img", ".img.gz")  # the only format that states several positions


def write_remarks(node: Any, findings: tuple[Finding, ...]) -> None:
    """Store findings with the node, also in the scene file."""
    if findings:
        node.SetAttribute(_ATTRIBUTE, json.dumps([to_entry(finding) for finding in findings]))


def remarks_of(node: Any, modality: Modality) -> tuple[Finding, ...]:
    """Return the findings of `write_remarks`, or those on the header of the NIfTI file from which Slicer loaded the
    node.
    """
    text = node.GetAttribute(_ATTRIBUTE)
    if text is None:
        return _of_file(node, ROLES[modality])
    try:
        return tuple(finding_from(entry) for entry in parse_json(text))
    except (ValueError, TypeError, KeyError, AttributeError):  # written by hand
        return ()


def _of_file(node: Any, role: str) -> tuple[Finding, ...]:
    storage = node.GetStorageNode()
    path = Path((storage.GetFileName() if storage is not None else None) or "")
    if not path.name.lower().endswith(_NIFTI) or not path.is_file():
        return ()
    try:
        header = read_header(path, role)
    except ReactkdError:  # Slicer could read it; its faults cannot be determined here
        return ()
    if not header.findings:
        return ()
    loaded = Grid(tuple(node.GetImageData().GetDimensions()[::-1]), ijk_to_ras_of(node))
    if same_place(Grid(header.shape[-3:], header.ijk_to_ras), loaded):
        return header.findings
    if any(same_place(Grid(header.shape[-3:], place), loaded) for place in header.other_places):
        text = _(
            "The file of {role} states two voxel sizes or places, and 3D Slicer took another one "
            "than the command line takes; correct the file's header, load it again and grade that."
        )
        return (Finding("two-places", "warning", text, role=role),)
    return ()  # moved in the scene since
