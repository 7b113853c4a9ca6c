"""Why compressed pixels could not be decoded: the package that is missing, or that they are damaged."""

from __future__ import annotations

from typing import Any

from REACTKDLib.core.files.dicom.packages import need_pydicom
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
    """True where the header states pixels that must be decoded."""
    try:
        return bool(dataset.file_meta.TransferSyntaxUID.is_compressed)
    except Exception:  # not stated, or no transfer syntax that exists
        return False


def lacks_decoder(dataset: Any) -> bool:
    """True where pydicom, as it is installed, cannot decode the pixels."""
    if not is_compressed(dataset):
        return False
    try:
        return not need_pydicom().pixels.get_decoder(dataset.file_meta.TransferSyntaxUID).is_available
    except Exception:  # a syntax that it does not know
        return True


def why_not_decoded(dataset: Any, role: str) -> str:
    """Return the sentence for pixels that nothing here could decode; it names the package where one is missing."""
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
