"""What a file name says about an image, and what it leaves open."""

from __future__ import annotations

import pytest

from REACTKDLib.core.files.image_names import modality_of_name
from REACTKDLib.core.modality import Modality


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("CT", Modality.CT),
        ("ct_1", Modality.CT),
        ("4: CT Abdomen 3.0", Modality.CT),
        ("CECT portal venous", Modality.CT),
        ("FDG PET", Modality.FDG),
        ("18F-FDG", Modality.FDG),
        ("FDG PET/CT", Modality.FDG),
        ("patient3_fdg_suv", Modality.FDG),
        ("Acetate PET", Modality.ACETATE),
        ("11C-ACT", Modality.ACETATE),
        ("C11-Ac WB", Modality.ACETATE),
        ("PET_Acetate_SUV", Modality.ACETATE),
        ("PET", None),
        ("PET AC", None),
        ("PET/CT", None),
        ("FDG and acetate", None),
        ("T2 CT", None),
        ("18F-choline PET", None),
        ("CT segmentation", None),
        ("FDG label", None),
        ("CT voxel map", None),
        ("CT heat map", None),
        ("factory", None),
        ("", None),
    ],
)
def test_image_names_are_recognized(name: str, modality: Modality | None) -> None:
    assert modality_of_name(name) is modality
