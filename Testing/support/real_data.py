"""Real images, where available; tests are skipped without them."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.images.volume import Unit, Volume

VARIABLE = "REACTKD_REAL_DATA"
REPOSITORY = Path(__file__).resolve().parents[2]


def real_data(name: str) -> Path:
    """Return folder `name` of the real data, from $REACTKD_REAL_DATA or ../shared/data beside the repository; else
    skip.
    """
    root = Path(os.environ.get(VARIABLE) or REPOSITORY.parent / "shared" / "data")
    if not (root / name).exists():
        pytest.skip(f"no {name} in the real data (set {VARIABLE} to its folder)")
    return root / name


@lru_cache(maxsize=1)
def hcc_tace_048() -> Volume:
    """Return a portal-venous CT of HCC-TACE-Seg, 89 x 512 x 512 int16 HU, 0.703 x 0.703 x 2.5 mm (CC BY 4.0)."""
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(real_data("hcc_tace_048") / "dicom")))
    image = reader.Execute()
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.diag([*image.GetSpacing(), 1.0])
    matrix[:3, 3] = np.array([-1.0, -1.0, 1.0]) * image.GetOrigin()
    return Volume(sitk.GetArrayFromImage(image).astype(np.int16), matrix, Unit.HU, "hcc_tace_048")
