"""SUVbw by the QIBA rules: golden vectors of three vendors, values worked by hand, and refusals with their reasons."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from REACTKDLib.core.dicom.header import day_of_date, seconds_of_datetime, seconds_of_time
from REACTKDLib.core.dicom.suv import PetHeader, suv_factor
from REACTKDLib.core.errors import PetUnitRefused, ReactkdError, SuvRefused
from support.dicom_files import C11, F18, pet_tags
from support.real_data import real_data

GOLDEN = {
    "PHILIPS_BQML": 0.0007463747013889488,
    "PHILIPS_CNTS_AND_BQML_SUV": 0.000551,
    "PHILIPS_CNTS_AND_SUV": 0.000728,
    "SIEMENS": 0.00042748316187197236,
    "GE_MEDICAL_AND_BQML": 0.0005367387681819742,
    "BQML_AC_DT_lessThan_S_DT_SIEMENS": 0.0004069156854009332,
    "CPS_AND_BQML_AC_DT_-_S_DT": 0.00026503312764157046,
    "RADIOPHARM_DATETIME_UNDEFINED": 0.0003721089202818729,
}


def dataset_of(vector: dict) -> Dataset:
    """One image's header from a vector's JSON: the radiopharmaceutical in its sequence, Philips' in its group."""
    dataset, info = Dataset(), Dataset()
    for keyword, value in vector.items():
        if keyword == "PhilipsPETPrivateGroup":
            block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
            for name, offset in (("SUVScaleFactor", 0x00), ("ActivityConcentrationScaleFactor", 0x09)):
                if name in value:
                    block.add_new(offset, "DS", value[name].strip())
        else:
            setattr(info if keyword.startswith("Radi") else dataset, keyword, value)
    dataset.RadiopharmaceuticalInformationSequence = [info]
    return dataset


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_vectors(name):
    vectors = json.loads((real_data("suv_vectors") / f"{name}-instances.json").read_text())
    assert suv_factor(PetHeader.of([dataset_of(v) for v in vectors])) == pytest.approx(GOLDEN[name], rel=1e-6)


def header(times: tuple[str, ...] = ("100000",), **tags) -> PetHeader:
    datasets = []
    for time in times:
        dataset = Dataset()
        dataset.SeriesDate = dataset.AcquisitionDate = "20200102"
        dataset.SeriesTime, dataset.AcquisitionTime = "100000", time
        for keyword, value in pet_tags(**tags).items():
            if value is not None:
                setattr(dataset, keyword, value)
        datasets.append(dataset)
    return PetHeader.of(datasets)


AN_HOUR = 70_000 / (350e6 * 2 ** (-3600 / 6586.2))


def test_an_hour_of_fluorine():
    assert suv_factor(header()) == pytest.approx(AN_HOUR, rel=1e-12)


def test_an_hour_of_carbon_is_not_an_hour_of_fluorine():
    half_life = 20.4 * 60
    factor = suv_factor(header(nuclide=C11, drug=None, half_life=half_life))
    assert factor == pytest.approx(70_000 / (350e6 * 2 ** (-3600 / half_life)))
    one_minute_later = suv_factor(header(nuclide=C11, drug=None, half_life=half_life, SeriesTime="100100"))
    # the series is later than the earliest acquisition, so that acquisition counts
    assert one_minute_later == pytest.approx(factor)
    earlier = suv_factor(header(nuclide=C11, drug=None, half_life=half_life, SeriesTime="095900"))
    assert earlier / factor == pytest.approx(2 ** (-60 / half_life)) == pytest.approx(1 / 1.0346, rel=1e-3)


def test_all_beds_share_the_series_time_and_never_their_own():
    assert suv_factor(header(("101500", "100000", "103000"))) == pytest.approx(AN_HOUR, rel=1e-12)


def test_a_series_made_afterwards_counts_from_the_earliest_acquisition():
    told = header(("093000", "091500"))
    assert suv_factor(told) == pytest.approx(70_000 / (350e6 * 2 ** (-900 / 6586.2)))


def test_admin_is_already_corrected_to_the_injection():
    assert suv_factor(header(DecayCorrection="ADMIN")) == pytest.approx(70_000 / 350e6)


def test_injection_before_midnight():
    told = header(("001500",), SeriesTime="001500", RadiopharmaceuticalStartTime="234500")
    assert suv_factor(told) == pytest.approx(70_000 / (350e6 * 2 ** (-1800 / 6586.2)))


def test_injection_by_date_and_time_alone():
    told = header(RadiopharmaceuticalStartTime="", RadiopharmaceuticalStartDateTime="20200102090000.000000+0100")
    assert suv_factor(told) == pytest.approx(AN_HOUR)


def test_a_datetime_shifted_by_de_identification_gives_way_to_the_clock():
    assert suv_factor(header(RadiopharmaceuticalStartDateTime="19600101090000")) == pytest.approx(AN_HOUR)


def test_ge_private_time_counts_only_near_the_scan():
    def told(private: str) -> float:
        vector = Dataset()
        vector.SeriesDate = vector.AcquisitionDate = "20200102"
        vector.SeriesTime, vector.AcquisitionTime = "110000", "101000"
        vector.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", private)
        for keyword, value in pet_tags().items():
            setattr(vector, keyword, value)
        return suv_factor(PetHeader.of([vector]))

    assert told("20200102100000.00") == pytest.approx(AN_HOUR)
    assert told("19591224100000.00") == pytest.approx(70_000 / (350e6 * 2 ** (-4200 / 6586.2)))


def test_gml_is_suv_already():
    assert suv_factor(header(Units="GML", DecayCorrection="ADMIN")) == 1.0


def test_half_life_of_a_coded_nuclide_need_not_be_stated():
    assert suv_factor(header(half_life=None, nuclide=F18)) == pytest.approx(AN_HOUR)


@pytest.mark.parametrize("units", ["PROPCNTS", "", "CPS", "CM2ML", "PCNT"])
def test_units_without_activity_are_refused(units):
    with pytest.raises(PetUnitRefused, match=units or "not stated"):
        suv_factor(header(Units=units))


def test_no_attenuation_correction_is_refused():
    with pytest.raises(PetUnitRefused, match="attenuation"):
        suv_factor(header(CorrectedImage=["DECY", "SCAT"]))


def test_counts_without_philips_factors_are_refused():
    with pytest.raises(PetUnitRefused, match="CNTS"):
        suv_factor(header(Units="CNTS"))


REFUSED = {
    "the patient's weight is missing": {"PatientWeight": None},
    "weight is stated as 70000 kg": {"PatientWeight": 70_000.0},
    "injected dose is missing": {"RadionuclideTotalDose": None},
    "dose is stated as 350 Bq": {"RadionuclideTotalDose": 350.0},
    "half-life of the radionuclide is missing": {"half_life": None, "nuclide": None},
    "time of injection is missing": {"RadiopharmaceuticalStartTime": ""},
    "minutes apart": {"RadiopharmaceuticalStartTime": "100500"},
    "contradict": {"RadiopharmaceuticalStartDateTime": "20200102083000"},
    "not corrected for decay": {"CorrectedImage": ["ATTN"]},
    "which corrections were made": {"CorrectedImage": None},
    "decay correction is 'not stated'": {"DecayCorrection": None},
    "SUV by LBM": {"Units": "GML", "SUVType": "LBM"},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refusals_say_why(reason):
    with pytest.raises(SuvRefused, match=reason):
        suv_factor(header(**REFUSED[reason]))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("100203.5", 36123.5), ("1002", 36120), ("10", 36000), ("10:02:03", 36123), ("", None), ("25", None), ("9", None)],
)
def test_times(text, seconds):
    assert seconds_of_time(text) == seconds


def test_dates():
    assert day_of_date("20200301") - day_of_date("2020.02.28") == 2
    assert day_of_date("20210229") is None
    assert seconds_of_datetime("20200101") % 86400 == 0
    assert seconds_of_datetime("2020010112") % 86400 == 43200


ODD = st.one_of(st.none(), st.text(max_size=12), st.floats(), st.integers(-(10**12), 10**12), st.just("NaN"))


@given(
    units=st.sampled_from(["BQML", "CNTS", "GML", "PROPCNTS", ""]),
    correction=st.sampled_from(["START", "ADMIN", "NONE", ""]),
    weight=ODD, dose=ODD, half_life=ODD, start=ODD, series=ODD, acquisition=ODD,
)  # fmt: skip
def test_any_header_gives_a_positive_factor_or_a_reason(
    units, correction, weight, dose, half_life, start, series, acquisition
):
    class Odd(dict):
        """Values as a broken header decodes them."""

    info = Odd(
        RadionuclideTotalDose=dose, RadionuclideHalfLife=half_life, RadiopharmaceuticalStartTime=start,
        RadiopharmaceuticalStartDateTime=series,
    )  # fmt: skip
    told = Odd(
        Units=units, DecayCorrection=correction, PatientWeight=weight, SeriesDate="20200102", SeriesTime=series,
        AcquisitionDate="20200102", AcquisitionTime=acquisition, CorrectedImage=["ATTN", "DECY"],
        RadiopharmaceuticalInformationSequence=[info],
    )  # fmt: skip
    try:
        factor = suv_factor(PetHeader.of([told]))
    except ReactkdError as error:
        assert len(str(error)) > 10
    else:
        assert math.isfinite(factor) and factor > 0
