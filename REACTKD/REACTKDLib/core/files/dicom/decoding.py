"""Compressed pixels: their size when decoded, and why they could not be: a missing package, or damage."""

from __future__ import annotations

from typing import Any

import numpy as np

from REACTKDLib.core.files.dicom.header import number
from REACTKDLib.core.files.dicom.packages import need_pydicom
from REACTKDLib.core.files.headers import check_bytes
from REACTKDLib.core.text import tr as _

_PACKAGES = {
    "JPEGLSLossless": "pyjpegls",
    "JPEGLSNearLossless": "pyjpegls",
    "JPEGBaseline8Bit": "pylibjpeg pylibjpeg-libjpeg",
    "JPEGExtended12Bit": "pylibjpeg pylibjpeg-libjpeg",
    "JPEGLossless": "pylibjpeg pylibjpeg-libjpeg",
    "JPEGLosslessSV1": "pylibjpeg pylibjpeg-libjpeg",
    "JPEG2000": "pylibjpeg pylibjpeg-openjpeg",
    "JPEG2000Lossless": "pylibjpeg pylibjpeg-openjpeg",
    "HTJ2K": "pylibjpeg pylibjpeg-openjpeg",
    "HTJ2KLossless": "pylibjpeg pylibjpeg-openjpeg",
    "HTJ2KLosslessRPCL": "pylibjpeg pylibjpeg-openjpeg",
}


def is_compressed(dataset: Any) -> bool:
    """Return True if the header states compressed pixels."""
    try:
        return bool(dataset.file_meta.TransferSyntaxUID.is_compressed)
    except Exception:  # not stated, or an unknown transfer syntax
        return False


def check_decoded_size(dataset: Any, count: int, role: str) -> None:
    """Raise NotAnImage if `count` files like this one decode to more values than any scan has: see `check_bytes`."""
    sizes = [number(dataset, keyword) for keyword in ("NumberOfFrames", "Rows", "Columns", "SamplesPerPixel")]
    check_bytes([count, *(int(n) for n in sizes if n)], np.dtype(np.int32), role)


def lacks_decoder(dataset: Any) -> bool:
    """Return True if the installed pydicom cannot decode the pixels."""
    if not is_compressed(dataset):
        return False
    try:
        return not need_pydicom().pixels.get_decoder(dataset.file_meta.TransferSyntaxUID).is_available
    except Exception:  # an unknown transfer syntax
        return True


def why_not_decoded(dataset: Any, role: str) -> str:
    """Return the sentence for pixels that could not be decoded; it names the package if one is missing."""
    if not lacks_decoder(dataset):
        text = _("The pixels of {role} are damaged or cut off; copy or export the series again.")
        return text.format(role=role)
    syntax = dataset.file_meta.TransferSyntaxUID
    name = syntax.keyword if syntax.is_transfer_syntax and not syntax.is_private else ""
    package = _PACKAGES.get(name)
    if package is None:
        text = _("The pixels of {role} are compressed in a way that cannot be read; export it uncompressed.")
        return text.format(role=role)
    text = _(
        "The pixels of {role} are compressed ({name}), and what decodes them is not installed; "
        "export it uncompressed, or install it with: pip install {package}"
    )
    return text.format(role=role, name=name, package=package)
