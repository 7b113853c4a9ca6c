"""Opens DICOM files with a preamble or, as from old archives, without preamble or file meta information."""

from __future__ import annotations

import os
import re
from typing import Any

from REACTKDLib.core.errors import NotAnImage
from REACTKDLib.core.files.dicom.packages import need_pydicom
from REACTKDLib.core.text import tr as _

_HEAD = 1024
_VR = re.compile(rb"[A-Z]{2}")
_GROUPS = (b"\x02\x00", b"\x08\x00")  # group of the first element: file meta or identifying


def begins_as_dicom(path: str | os.PathLike) -> bool:
    """Return True for a file that begins as DICOM: with preamble and DICM, or directly with the first element."""
    head = _head(path)
    return _has_preamble(head) or _is_bare(head)


def opened(path: str | os.PathLike, **options: Any) -> Any:
    """Return the dataset of a file, with or without preamble and file meta. options: of `pydicom.dcmread`.

    If no transfer syntax is stated, the uncompressed one in which the elements are encoded is used; for compressed
    pixels it remains unknown.

    Raises: what `pydicom.dcmread` raises.
    """
    pydicom = need_pydicom()
    try:
        dataset = pydicom.dcmread(path, **options)
    except pydicom.errors.InvalidDicomError:
        if not _is_bare(_head(path)):
            raise
        dataset = pydicom.dcmread(path, force=True, **options)
    if not options.get("stop_before_pixels"):
        _state_syntax(dataset)
    return dataset


def opened_slice(path: str | os.PathLike, role: str, **options: Any) -> Any:
    """Return the dataset of one file of a series: see `opened`. Raises: NotAnImage."""
    try:
        return opened(path, **options)
    except Exception as error:  # pydicom may raise anything for damaged bytes
        raise NotAnImage(_("A file of {role} cannot be read; copy or export the series again."), role=role) from error


def _state_syntax(dataset: Any) -> None:
    pydicom = need_pydicom()
    if not getattr(dataset, "file_meta", None):
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
    compressed = "PixelData" in dataset and dataset["PixelData"].is_undefined_length
    if "TransferSyntaxUID" not in dataset.file_meta and not compressed:
        implicit, little = dataset.original_encoding
        uid = pydicom.uid
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit


def _head(path: str | os.PathLike) -> bytes:
    try:
        if os.path.isfile(path):  # reading a pipe could block forever
            with open(path, "rb") as stream:
                return stream.read(_HEAD)
    except OSError:
        pass
    return b""


def _has_preamble(head: bytes) -> bool:
    return head[128:132] == b"DICM"


def _is_bare(head: bytes) -> bool:
    """Return True if the bytes are DICOM elements; no other image format begins like this."""
    if _has_preamble(head):
        return False
    if head[:2] not in _GROUPS:
        return head[:2] == b"\x00\x08" and bool(_VR.fullmatch(head[4:6]))  # big endian
    if _VR.fullmatch(head[4:6]):
        return True
    after = 8 + int.from_bytes(head[4:8], "little")  # implicit VR: the next element must be of the same group
    return head[after : after + 2] == head[:2]
