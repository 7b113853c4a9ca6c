"""Imports pydicom and highdicom on first use; everything except DICOM works without them."""

from __future__ import annotations

from types import ModuleType

from REACTKDLib.core.errors import PackagesMissing
from REACTKDLib.core.text import tr as _


def need_pydicom() -> ModuleType:
    """Return pydicom (included in 3D Slicer). Raises: PackagesMissing."""
    try:
        import pydicom
    except ImportError as error:
        raise PackagesMissing(_("Reading DICOM needs pydicom; install it with: pip install pydicom")) from error
    return pydicom


def need_highdicom() -> ModuleType:
    """Return highdicom. Raises: PackagesMissing."""
    need_pydicom()
    try:
        import highdicom
    except ImportError as error:
        raise PackagesMissing(
            _("DICOM segmentations and reports need highdicom; install it with: pip install highdicom")
        ) from error
    return highdicom
