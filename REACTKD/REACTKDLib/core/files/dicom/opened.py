"""Opens DICOM files with a preamble or, as from old archives, without preamble or file meta information."""

from __future__ import annotations

import os
import re
import zlib
from typing import Any, BinaryIO

from REACTKDLib.core.errors import NotAnImage
from REACTKDLib.core.files.dicom.packages import need_pydicom
from REACTKDLib.core.text import tr as _

MOST_INFLATED = 1 << 29  # bytes; the data set of a file is unpacked as a whole, even to read its header
_HEAD = 1024
_CHUNK = 1 << 20
_HIGHEST_RATIO = 1100  # of deflate
_META, _SYNTAX, _DEFLATED = b"\x02\x00", b"\x02\x00\x10\x00", b"1.2.840.10008.1.2.1.99"
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
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

    Raises: NotAnImage for a deflated file that unpacks to more than any image holds; what `pydicom.dcmread` raises.
    """
    pydicom = need_pydicom()
    _check_inflated(path)
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


def _check_inflated(path: str | os.PathLike) -> None:
    """Raise NotAnImage if a deflated data set is larger than `MOST_INFLATED`: pydicom unpacks it without a limit."""
    try:
        if os.stat(path).st_size * _HIGHEST_RATIO < MOST_INFLATED:
            return
        with open(path, "rb") as stream:
            if not _has_preamble(stream.read(132)) or not _is_deflated(stream):
                return
            inflate, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
            while size <= MOST_INFLATED and (data := inflate.unconsumed_tail or stream.read(_CHUNK)):
                size += len(inflate.decompress(data, _CHUNK))
    except (OSError, zlib.error):
        return  # pydicom reports it
    if size > MOST_INFLATED:
        text = _("A DICOM file unpacks to more than any image holds; export it uncompressed.")
        raise NotAnImage(text)


def _is_deflated(stream: BinaryIO) -> bool:
    """Return True if the file meta information states a deflated data set; the stream is then at its first byte."""
    syntax = b""
    while (head := stream.read(8))[:2] == _META:
        length = int.from_bytes(stream.read(4) if head[4:6] in _LONG else head[6:8], "little")
        value = stream.read(min(length, _HEAD))
        stream.seek(length - len(value), os.SEEK_CUR)
        if head[:4] == _SYNTAX:
            syntax = value.strip(b"\0 ")
    stream.seek(-len(head), os.SEEK_CUR)
    return syntax == _DEFLATED


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
