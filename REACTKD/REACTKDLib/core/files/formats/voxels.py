"""Reading of an image file's voxels, to the last byte, with the checksum of a compressed stream verified.

A library that stops once it has enough voxels never sees the checksum at the end of the stream, and accepts a stream
with a flipped bit.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from REACTKDLib.core.files.headers import ImageHeader, Part, check_bytes, cut_off, too_long

CHUNK = 1 << 20
MOST_AT_ONCE = 1 << 24
MOST_PADDING = 4096  # writers pad to a disk block, or end text with a line break
HIGHEST_RATIO = 1100  # deflate reaches at most 1,032
TEXT_PER_VOXEL = 64
_PADDING = b"\0\r\n \t"


def read_voxels(header: ImageHeader, role: str) -> np.ndarray:
    """Return the stored values in the shape `header.shape` and the machine's byte order.

    Raises: NotAnImage for a file that is cut off, too long, or with a wrong checksum, and for more than any scan holds.
    """
    check_bytes(header.shape, header.dtype, role)
    count = int(np.prod(header.shape, dtype=np.int64))
    if count % len(header.parts):
        raise cut_off(role)
    share = count // len(header.parts) * header.dtype.itemsize
    for part in header.parts:
        _check_size(part, header, share, role)
    flat = np.empty(count, dtype=header.dtype)
    view = memoryview(flat).cast("B")
    for number, part in enumerate(header.parts):
        own = view[number * share : (number + 1) * share]
        try:
            with open(part.path, "rb") as stream:
                _seek(stream, part, share, header.encoding, role)
                _FILLERS[header.encoding](stream, own, part, header.dtype, role)
        except (OSError, EOFError, zlib.error) as error:
            raise cut_off(role) from error
    return flat.astype(header.dtype.newbyteorder("="), copy=False).reshape(header.shape)


def _check_size(part: Part, header: ImageHeader, share: int, role: str) -> None:
    """Raise if the file is too small for the voxels, before memory is allocated for them."""
    there = part.path.stat().st_size - max(part.skip, 0)
    least = {"raw": share, "deflate": share / HIGHEST_RATIO, "text": share / header.dtype.itemsize, "hex": 2 * share}
    if there < least[header.encoding] or (part.size is not None and there < part.size):
        raise cut_off(role)


def _seek(stream: BinaryIO, part: Part, share: int, encoding: str, role: str) -> None:
    if part.skip < 0:
        stream.seek(-share, os.SEEK_END)
        return
    stream.seek(part.skip)
    for _ in range(part.lines):
        if not stream.readline(CHUNK):
            raise cut_off(role)
    if encoding != "deflate":
        stream.seek(part.inside, os.SEEK_CUR)


def _fill_raw(stream: BinaryIO, view: memoryview, part: Part, dtype: np.dtype, role: str) -> None:
    filled = 0
    while filled < len(view):
        got = stream.readinto(view[filled : filled + MOST_AT_ONCE])
        if not got:
            raise cut_off(role)
        filled += got
    _need_end(stream.read(MOST_PADDING + 1), role)


def _need_end(rest: bytes, role: str) -> None:
    if len(rest) > MOST_PADDING or rest.strip(_PADDING):
        raise too_long(role)


def _fill_deflated(stream: BinaryIO, view: memoryview, part: Part, dtype: np.dtype, role: str) -> None:
    inflater = Inflater(stream, part.size)
    left, filled = part.inside, 0
    while left:
        gone = len(inflater.read(min(MOST_AT_ONCE, left)))
        if not gone:
            raise cut_off(role)
        left -= gone
    while chunk := inflater.read(min(MOST_AT_ONCE, len(view) - filled + 1)):
        if filled + len(chunk) > len(view):
            raise too_long(role)
        view[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
    if filled < len(view):
        raise cut_off(role)


class Inflater:
    """Reads a zlib or gzip stream, of several members too, and verifies the checksum and length at each end.

    size: bytes of the stream in the file, None for all. `read` raises zlib.error for damage, EOFError if the stream is
    cut off.
    """

    def __init__(self, stream: BinaryIO, size: int | None = None) -> None:
        self._stream, self._left = stream, size
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # detects zlib or gzip
        self._waiting = b""

    def read(self, most: int) -> bytes:
        """Return between one and `most` bytes; none only at the verified end."""
        while True:
            if self._inflate.eof and not self._next_member():
                return b""
            data = self._waiting or self._more()
            if not data:
                raise EOFError
            out = self._inflate.decompress(data, most)
            self._waiting = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if out:
                return out

    def _next_member(self) -> bool:
        """Start the next member, if there is one; only padding may follow the last."""
        rest = self._waiting + self._more(MOST_PADDING + 1)
        if rest[:2] == b"\x1f\x8b":
            self._inflate, self._waiting = zlib.decompressobj(zlib.MAX_WBITS | 16), rest
            return True
        if len(rest) > MOST_PADDING or rest.strip(_PADDING):
            raise zlib.error("more follows the stream")
        self._waiting = b""
        return False

    def _more(self, most: int = CHUNK) -> bytes:
        data = self._stream.read(most if self._left is None else min(most, self._left))
        if self._left is not None:
            self._left -= len(data)
        return data


def _fill_text(stream: BinaryIO, view: memoryview, part: Part, dtype: np.dtype, role: str) -> None:
    out = np.frombuffer(view, dtype=dtype)
    most = TEXT_PER_VOXEL * out.size
    words = stream.read(most + 1)
    values = words.replace(b",", b" ").split()
    if len(words) > most or len(values) > out.size:
        raise too_long(role)
    if len(values) < out.size:
        raise cut_off(role)
    try:
        stated = np.array(values).astype(np.float64 if dtype.kind == "f" else np.int64)
    except (ValueError, OverflowError) as error:
        raise cut_off(role) from error
    if dtype.kind != "f" and (stated.min() < np.iinfo(dtype).min or stated.max() > np.iinfo(dtype).max):
        raise cut_off(role)
    out[:] = stated


def _fill_hex(stream: BinaryIO, view: memoryview, part: Part, dtype: np.dtype, role: str) -> None:
    most = 3 * len(view) + MOST_PADDING
    digits = stream.read(most + 1)
    try:
        data = bytes.fromhex(digits.decode("ascii"))
    except ValueError as error:
        raise cut_off(role) from error
    if len(data) < len(view):
        raise cut_off(role)
    if len(data) > len(view) or len(digits) > most:
        raise too_long(role)
    view[:] = data


_FILLERS = {"raw": _fill_raw, "deflate": _fill_deflated, "text": _fill_text, "hex": _fill_hex}


def is_gzip(path: Path) -> bool:
    """Return True for a file with gzip's magic number."""
    with open(path, "rb") as stream:
        return stream.read(2) == b"\x1f\x8b"
