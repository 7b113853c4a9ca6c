"""Checks by DICOM headers whether the nodes of a case belong together.

A node's header is that of its first file in Slicer's DICOM database; if the file is missing, the values that the
database or the subject hierarchy (patient, study and series items above the node) still has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import slicer

from REACTKDLib.core.errors import PackagesMissing
from REACTKDLib.core.files.dicom.opened import opened
from REACTKDLib.core.files.dicom.origin import TAGS, Origin, check_origins, origin_of
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.modality import ROLES, SEGMENTATION_ROLE, Modality

#: attribute of any node of a case, set if its headers are known to state one patient differently
ALLOWED = "REACTKD.DifferentPatientsOk"
_IN_DATABASE = {
    "PatientID": "0010,0020", "IssuerOfPatientID": "0010,0021", "PatientName": "0010,0010",
    "PatientBirthDate": "0010,0030", "PatientSex": "0010,0040", "StudyInstanceUID": "0020,000d",
    "SeriesInstanceUID": "0020,000e", "FrameOfReferenceUID": "0020,0052",
}  # fmt: skip
_IN_HIERARCHY = {
    "PatientID": "DICOM.PatientID", "PatientName": "DICOM.PatientName", "PatientBirthDate": "DICOM.PatientBirthDate",
    "PatientSex": "DICOM.PatientSex",
}  # fmt: skip


def origin_findings(volumes: Mapping[Modality, Any], segmentation: Any) -> list[Finding]:
    """Return findings against the nodes being of one case: see `check_origins`.

    volumes: the reference first. Raises: PatientMismatch for different patients, unless a node has `ALLOWED`.
    """
    images = [_origin(node, ROLES[modality]) for modality, node in volumes.items()]
    masks = [_origin(segmentation, SEGMENTATION_ROLE)]
    return check_origins(images, masks, any(node.GetAttribute(ALLOWED) for node in (*volumes.values(), segmentation)))


def allow_different_patients(segmentation: Any) -> None:
    """Record on the segmentation of a case that the headers of its nodes state one patient differently."""
    segmentation.SetAttribute(ALLOWED, "1")


def dicom_file_of(node: Any) -> Path | None:
    """Return a file of the series that a volume node was loaded from; None if it is not from DICOM, or is missing."""
    uids, database = _uids_of(node), _database()
    path = database.fileForInstance(uids[0]) if uids and database is not None else ""
    return Path(path) if path and Path(path).is_file() else None


def files_of(node: Any) -> list[str]:
    """Return the files from which a node was loaded, one for each slice; none if any is unknown to the database."""
    database, uids = _database(), _uids_of(node)
    files = [database.fileForInstance(uid) for uid in uids] if database is not None else []
    return files if all(files) else []


def _uids_of(node: Any) -> list[str]:
    """Return the SOP Instance UIDs from which a node was loaded; none if it is not from DICOM."""
    return (node.GetAttribute("DICOM.instanceUIDs") or "").split()


def _database() -> Any | None:
    return getattr(slicer, "dicomDatabase", None)


def _origin(node: Any, role: str) -> Origin:
    uids, above = _uids_of(node), _of_hierarchy(node)
    header = _header(uids or _instances_of(above.get("SeriesInstanceUID", "")))
    origin = origin_of(above if header is None else header, role, uids)
    # A node under a transform was placed deliberately.
    return replace(origin, frame="") if node.GetParentTransformNode() is not None else origin


def _header(uids: Iterable[str]) -> Any | None:
    """Return the header of the first file, or the values that the database keeps; None if unknown."""
    database, first = _database(), next(iter(uids), None)
    if database is None or first is None:
        return None
    try:
        path = database.fileForInstance(first)
        if path:
            return opened(path, stop_before_pixels=True, specific_tags=list(TAGS))
    except PackagesMissing:
        return None
    except Exception:  # moved or damaged since; the database may still know
        pass
    look = getattr(database, "instanceValue", None)
    found = {} if look is None else {keyword: look(first, tag) for keyword, tag in _IN_DATABASE.items()}
    return found if any(found.values()) else None


def _instances_of(series: str) -> list[str]:
    look = getattr(_database(), "instancesForSeries", None)
    return [str(uid) for uid in look(series)] if series and look is not None else []


def _of_hierarchy(node: Any) -> dict[str, str]:
    """Return the values of the subject hierarchy items that contain a node, by keyword."""
    # The usual access would create a hierarchy in a scene without one.
    hierarchy = node.GetScene().GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
    item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
    if not item:
        return {}
    found = {"SeriesInstanceUID": hierarchy.GetItemUID(item, "DICOM")}
    while item and item != hierarchy.GetSceneItemID():
        level, uid = hierarchy.GetItemLevel(item), hierarchy.GetItemUID(item, "DICOM")
        if level == "Study":
            found["StudyInstanceUID"] = uid
        elif level == "Patient":
            found |= {keyword: hierarchy.GetItemAttribute(item, name) for keyword, name in _IN_HIERARCHY.items()}
            found["PatientID"] = found["PatientID"] or uid
        item = hierarchy.GetItemParent(item)
    return found
