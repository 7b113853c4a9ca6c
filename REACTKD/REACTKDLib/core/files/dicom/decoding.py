"""Compressed pixels: their size when decoded, and why they could not be: a missing package, or damage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from REACTKDLib.core.files.dicom.header import number, text
from REACTKDLib.core.files.dicom.packages import need_pydicom
from REACTKDLib.core.files.headers import check_bytes
from REACTKDLib.core.findings import Finding
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


def loss_findings(headers: Iterable[Any], role: str) -> list[Finding]:
    """Return the finding on images that were compressed with loss, now or ever: their headers keep that statement."""
    if not any(text(header, "LossyImageCompression") == "01" for header in headers):
        return []
    message = _(
        "{role} was compressed with loss, which changes the texture of lesions; export the original images if the "
        "archive has them."
    )
    return [Finding("compressed-with-loss", "warning", message, role=role)]


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
        sentence = _("The pixels of {role} are damaged or cut off; copy or export the series again.")
        return sentence.format(role=role)
    syntax = dataset.file_meta.TransferSyntaxUID
    name = syntax.keyword if syntax.is_transfer_syntax and not syntax.is_private else ""
    package = _PACKAGES.get(name)
    if package is None:
        sentence = _("The pixels of {role} are compressed in a way that cannot be read; export it uncompressed.")
        return sentence.format(role=role)
    sentence = _(
        "The pixels of {role} are compressed ({name}), and what decodes them is not installed; "
        "export it uncompressed, or install it with: pip install {package}"
    )
    return sentence.format(role=role, name=name, package=package)
