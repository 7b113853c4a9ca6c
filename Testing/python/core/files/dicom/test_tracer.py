"""The tracer: by code, then half-life, then text; contradictory or other tracers are never read as FDG."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from REACTKDLib.core.files.dicom.tracer import nuclide_of_half_life, recognize_tracer
from REACTKDLib.core.modality import Modality
from support.dicom_files import ACETATE_DRUG, C11, F18, FDG_DRUG, pet_tags

FDG, ACETATE = Modality.FDG, Modality.ACETATE
CHOLINE = ("126703", "DCM", "Choline C^11^")
HALF_F, HALF_C = 6586.2, 20.4 * 60

CASES = {
    "code": (dict(drug=FDG_DRUG, nuclide=F18, half_life=HALF_F), FDG, "code"),
    "acetate by code": (dict(drug=ACETATE_DRUG, nuclide=C11, half_life=HALF_C), ACETATE, "code"),
    "old SNOMED codes": (dict(drug=("C-B1031", "SRT", "FDG"), nuclide=("C-111A1", "SRT", "18F"), half_life=None), FDG,
                         "code"),
    "code without half-life": (dict(drug=ACETATE_DRUG, nuclide=None, half_life=None), ACETATE, "code"),
    "vendor's code, text in its meaning (ACRIN)": (
        dict(drug=("Y-X1743", "99SDM", "FDG -- fluorodeoxyglucose"), nuclide=("C-111A1", "99SDM", "18F"),
             half_life=6588.0), FDG, "text"),
    "half-life alone": (dict(drug=None, nuclide=None, half_life=HALF_C), ACETATE, "half-life"),
    "half-life of Siemens": (dict(drug=None, nuclide=None, half_life=1223.4), ACETATE, "half-life"),
    "nuclide alone": (dict(drug=None, nuclide=F18, half_life=None), FDG, "half-life"),
    "text alone": (dict(drug=None, nuclide=None, half_life=None, drug_text="C-11 Acetate"), ACETATE, "text"),
    "Fluorodeoxyglucose": (dict(drug=None, nuclide=None, half_life=None, drug_text="Fluorodeoxyglucose"), FDG, "text"),
    "half-life against code": (dict(drug=FDG_DRUG, nuclide=None, half_life=HALF_C), None, "nothing"),
    "nuclide against half-life": (dict(drug=None, nuclide=F18, half_life=HALF_C), None, "nothing"),
    "half-life against text": (dict(drug=None, nuclide=None, half_life=HALF_C, drug_text="FDG"), None, "nothing"),
    "another tracer of carbon by code": (dict(drug=CHOLINE, nuclide=C11, half_life=HALF_C), None, "code"),
    "another tracer of fluorine by text": (dict(drug=None, nuclide=F18, half_life=HALF_F, drug_text="F-18 PSMA-1007"),
                                           None, "text"),
    "gallium": (dict(drug=None, nuclide=None, half_life=4057.7, drug_text="Ga-68 DOTATATE"), None, "text"),
    "nothing": (dict(drug=None, nuclide=None, half_life=None), None, "nothing"),
}  # fmt: skip


def header(**tags) -> Dataset:
    dataset = Dataset()
    for keyword, value in pet_tags(**tags).items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize("name", CASES)
def test_tracers_are_recognized_by_code_half_life_and_text(name):
    tags, modality, basis = CASES[name]
    tracer = recognize_tracer(header(**tags))
    assert (tracer.modality, tracer.basis) == (modality, basis)


OTHERS = ("18F-FDGal", "2-[18F]fluoro-2-deoxy-D-galactose", "DCFPyL", "Pylarify", "Axumin", "FACBC", "Cerianna")


@pytest.mark.parametrize("text", OTHERS)
@pytest.mark.parametrize("nuclide", [F18, None])
def test_other_tracers_with_fluorine_18_are_not_fdg(text, nuclide):
    tracer = recognize_tracer(header(drug=None, nuclide=nuclide, half_life=HALF_F, drug_text=text))
    assert (tracer.modality, tracer.basis) == (None, "text")


def test_without_the_radiopharmaceutical_sequence_the_description_is_used():
    dataset = Dataset()
    dataset.SeriesDescription = "WB FDG AC"
    assert recognize_tracer(dataset).modality is FDG
    assert recognize_tracer(Dataset()).modality is None


@pytest.mark.parametrize(
    ("seconds", "nuclide"),
    [(6586, "18F"), (6588, "18F"), (1220, "11C"), (1225, "11C"), (4080, None), (0, None), (None, None), (-6586, None)],
)
def test_half_lives_give_the_nuclide(seconds, nuclide):
    assert nuclide_of_half_life(seconds) == nuclide


@given(text=st.text(max_size=30), half_life=st.one_of(st.none(), st.floats(0, 1e5)))
def test_acetate_is_never_recognized_for_fluorine_18_nor_fdg_for_carbon_11(text, half_life):
    dataset = {
        "RadiopharmaceuticalInformationSequence": [{"Radiopharmaceutical": text, "RadionuclideHalfLife": half_life}]
    }
    tracer = recognize_tracer(dataset)
    nuclide = nuclide_of_half_life(half_life)
    assert not (tracer.modality is ACETATE and nuclide == "18F")
    assert not (tracer.modality is FDG and nuclide == "11C")
