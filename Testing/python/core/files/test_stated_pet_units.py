"""The unit of PET values: from NRRD's own field, from text of the program that wrote the file, or from both."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.core import errors
from REACTKDLib.core.files.volumes import read_raw, read_volume
from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.modality import Modality

PET = np.abs(np.random.default_rng(0).normal(3, 1, (6, 7, 8))).astype("<f4")  # SUV, judged by its values
HEADER = """NRRD0005
type: float
dimension: 3
space: left-posterior-superior
sizes: 8 7 6
space directions: (3,0,0) (0,3,0) (0,0,3)
space origin: (0,0,0)
endian: little
encoding: raw
"""
WORDS = {"Bq/ml": Unit.BQML, "BQML": Unit.BQML, "SUVbw": Unit.SUVBW, "g/ml": Unit.SUVBW, "kBq/ml": Unit.UNKNOWN,
         "SUVlbm": Unit.UNKNOWN, "counts": Unit.UNKNOWN}  # fmt: skip


def pet(tmp_path, *lines):
    path = tmp_path / "pet.nrrd"
    path.write_bytes((HEADER + "".join(f"{line}\n" for line in lines) + "\n").encode() + PET.tobytes())
    return path


@pytest.mark.parametrize("form", ["sample units: {}", "sampleunits: {}", 'Sample Units: "{}"', "units:={}"])
@pytest.mark.parametrize("word", WORDS)
def test_the_unit_is_read_from_the_field_or_from_text(tmp_path, word, form):
    volume = read_volume(pet(tmp_path, form.format(word)), Modality.FDG)
    assert volume.unit is WORDS[word] and not volume.unit_inferred
    assert np.array_equal(volume.array, PET)


@pytest.mark.parametrize("line", ["sample units:", "sample units: a.u.", "content: Bq/ml"])
def test_without_a_stated_unit_the_values_decide(tmp_path, line):
    volume = read_volume(pet(tmp_path, line), Modality.FDG)
    assert volume.unit is Unit.SUVBW and volume.unit_inferred


@pytest.mark.parametrize("other", WORDS)
@pytest.mark.parametrize("own", WORDS)
@pytest.mark.parametrize("text", ["units:={}", "DICOM Units:={}", "sample units:={}"])
def test_two_different_units_are_refused(tmp_path, own, other, text):
    for lines in ((f"sample units: {own}", text.format(other)), (text.format(other), f"sample units: {own}")):
        path = pet(tmp_path, *lines)
        if WORDS[own] is WORDS[other]:
            assert read_volume(path, Modality.FDG).unit is WORDS[own]
            continue
        with pytest.raises(errors.NotPet) as caught:
            read_volume(path, Modality.FDG)
        said = "The header of the FDG PET states one unit of its values in 'sample units' and another one beside it"
        assert str(caught.value).startswith(said)


def test_units_of_other_images_are_ignored(tmp_path):
    raw = read_raw(pet(tmp_path, "sample units: Bq/ml", "units:=HU"))
    assert np.array_equal(raw.array, PET) and raw.findings == ()
