"""A stand-in for Slicer's DICOM database, which needs the application."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pydicom


class DicomDatabase:
    """The part of ctkDICOMDatabase that is used. paths: files to register, as an import does."""

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self.files: dict[str, str] = {}
        self._values: dict[tuple[str, str], str] = {}
        for path in paths:
            self.add(path)

    def add(self, path: Path) -> str:
        """Register a file with the values of its header; return the UID of its instance."""
        header = pydicom.dcmread(path, stop_before_pixels=True)
        uid = str(header.SOPInstanceUID)
        self.files[uid] = str(path)
        for element in header:
            tag = f"{element.tag.group:04x},{element.tag.element:04x}"
            self._values[uid, tag] = str(element.value)
        return uid

    def fileForInstance(self, uid: str) -> str:
        """The path of an instance's file, empty for an unknown one."""
        return self.files.get(uid, "")

    def instanceValue(self, uid: str, tag: str) -> str:
        """The value of a tag ("0010,0020") of an instance, empty for an unknown one."""
        return self._values.get((uid, tag), "")
