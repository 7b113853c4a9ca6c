"""Rescale slope and intercept of every slice: never guessed, always plausible, and consistent within a series."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.errors import BadRescale, MixedSeries, ReactkdError
from REACTKDLib.core.files.dicom.images import read_dicom_volume
from REACTKDLib.core.files.dicom.loaded_pet import understood
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality
from support.dicom_files import pet_tags, write_series

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom warns about the values tested here
SLICES = 5


def tissue() -> np.ndarray:
    values = np.random.default_rng(2).normal(40, 25, (SLICES, 10, 12))
    values[:, :3] = -1000
    return np.rint(values).astype(np.int16)


def uptake() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 32000, (SLICES, 8, 8)).astype(np.int16)


def write(folder: Path, modality: str, edit) -> None:
    if modality == "CT":
        write_series(folder, tissue() + 1024, intercept=-1024, edit=edit)
    else:
        slopes = [3e-4, 2e-4, 5e-5, 1e-4, 3e-4]
        write_series(folder, uptake(), modality="PT", slope=slopes, common=pet_tags(Units="GML"), edit=edit)


def read(folder: Path, modality: str):
    return read_dicom_volume(folder, Modality.CT if modality == "CT" else Modality.FDG)


@pytest.mark.parametrize("where", [{0}, {2}, set(range(SLICES))], ids=["first", "middle", "all"])
@pytest.mark.parametrize(
    ("modality", "keyword", "name"),
    [("CT", "RescaleSlope", "slope"), ("CT", "RescaleIntercept", "intercept"), ("PT", "RescaleSlope", "slope")],
)
@pytest.mark.parametrize("how", ["deleted", "empty"])
def test_a_missing_slope_or_intercept_is_refused(tmp_path, modality, keyword, name, where, how):
    def edit(dataset, k):
        if k in where:
            delattr(dataset, keyword) if how == "deleted" else setattr(dataset, keyword, None)

    write(tmp_path, modality, edit)
    with pytest.raises(BadRescale, match=f"does not state the rescale {name} of every slice"):
        read(tmp_path, modality)


def test_a_pet_needs_no_intercept(tmp_path):
    write(tmp_path, "PT", lambda d, k: delattr(d, "RescaleIntercept"))
    slopes = np.array([3e-4, 2e-4, 5e-5, 1e-4, 3e-4])
    assert np.allclose(read(tmp_path, "PT")[0].array, uptake() * slopes[:, None, None], rtol=1e-6)


@settings(max_examples=15, deadline=None)
@given(
    modality=st.sampled_from(["CT", "PT"]),
    k=st.integers(0, SLICES - 1),
    slope=st.sampled_from(["0", "NaN", "inf", "-inf", "1e30", "-1e30", "-1", "-0.0003", "1e-30", "1E+99", "0.0"]),
)
def test_an_impossible_slope_is_refused(modality, k, slope):
    def edit(dataset, n):
        if n == k:
            dataset.RescaleSlope = slope

    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), modality, edit)
        with pytest.raises(BadRescale, match="rescale slope"):
            read(Path(folder), modality)


@pytest.mark.parametrize("intercept", ["NaN", "1e30", "0", "4096", "-3000"])
def test_an_impossible_intercept_of_one_ct_slice_is_refused(tmp_path, intercept):
    write(tmp_path, "CT", lambda d, k: setattr(d, "RescaleIntercept", intercept) if k == 2 else None)
    with pytest.raises(BadRescale):
        read(tmp_path, "CT")


@pytest.mark.parametrize("intercept", ["1e12", "-1e12", "5e9", "inf"])
def test_an_impossible_intercept_of_a_pet_is_refused(tmp_path, intercept):
    write(tmp_path, "PT", lambda d, k: (setattr(d, "RescaleIntercept", intercept), setattr(d, "RescaleSlope", "2")))
    with pytest.raises(BadRescale):
        read(tmp_path, "PT")


def test_a_ct_with_different_rescale_values_for_each_slice_is_read_correctly(tmp_path):
    """Some converters use the whole 16-bit range for each slice."""

    def edit(dataset, k):
        slope = 0.05 + 0.01 * k
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{slope:g}", f"{100 - 10 * k:g}"
        values = (tissue()[k].astype(float) - (100 - 10 * k)) / slope
        dataset.PixelData = np.rint(values).astype("<i2").tobytes()

    write(tmp_path, "CT", edit)
    assert np.abs(read(tmp_path, "CT")[0].array - tissue()).max() < 0.06


@pytest.mark.parametrize("slope", ["2", "0.5", "10"])
@pytest.mark.parametrize("k", [0, 2, SLICES - 1])
def test_an_impossible_slope_of_one_ct_slice_is_refused(tmp_path, slope, k):
    write(tmp_path, "CT", lambda d, n: setattr(d, "RescaleSlope", slope) if n == k else None)
    with pytest.raises(BadRescale, match=f"cannot be true for slice {k + 1} of 5" if k else "of 5"):
        read(tmp_path, "CT")


@pytest.mark.parametrize(("slope", "k"), [("1", 2), ("1", 0), ("1000", 4), ("1e-8", 2)])
def test_an_impossible_slope_of_one_pet_slice_is_refused(tmp_path, slope, k):
    write(tmp_path, "PT", lambda d, n: setattr(d, "RescaleSlope", slope) if n == k else None)
    with pytest.raises(BadRescale, match=f"cannot be true for slice {k + 1} of 5"):
        read(tmp_path, "PT")


def test_a_ct_with_two_kinds_of_stored_slices_is_read_correctly(tmp_path):
    """Half of the slices are stored as HU, the others 1,024 higher with the matching intercept."""

    def edit(dataset, k):
        if k >= 3:
            dataset.RescaleIntercept = "0"
            dataset.PixelData = tissue()[k].astype("<i2").tobytes()

    write(tmp_path, "CT", edit)
    assert np.array_equal(read(tmp_path, "CT")[0].array, tissue())


MIXES = {
    "units": ("PT", lambda d: setattr(d, "Units", "BQML"), r"different units \('BQML', 'GML'\)"),
    "units missing": ("PT", lambda d: delattr(d, "Units"), r"different units \('GML', 'none'\)"),
    "kinds of SUV": ("PT", lambda d: setattr(d, "SUVType", "LBM"), "different kinds of SUV"),
    "rescale types": ("CT", lambda d: setattr(d, "RescaleType", "MGML"), r"rescale types \('HU', 'MGML'\)"),
    "patients": ("CT", lambda d: setattr(d, "PatientID", "HCC_777"), "different patients"),
    "names": ("PT", lambda d: setattr(d, "PatientName", "Roe^Richard"), "different patients"),
}


@pytest.mark.parametrize("k", [0, 3])
@pytest.mark.parametrize("name", MIXES)
def test_what_is_mixed_inside_a_series_is_refused(tmp_path, name, k):
    modality, change, words = MIXES[name]
    write(tmp_path, modality, lambda d, n: change(d) if n == k else None)
    with pytest.raises(MixedSeries, match=words) as caught:
        read(tmp_path, modality)
    assert "777" not in str(caught.value) and "roe" not in str(caught.value).lower()


@pytest.mark.parametrize("change", ["no slope", "units"])
def test_the_files_of_a_pet_that_slicer_loaded_are_judged_too(tmp_path, change):
    def edit(dataset, k):
        if k == 3 and change == "units":
            dataset.Units = "BQML"
        elif k == 3:
            del dataset.RescaleSlope

    write(tmp_path, "PT", edit)
    volume = Volume(uptake().astype(np.float32), np.eye(4))
    with pytest.raises(MixedSeries if change == "units" else BadRescale):
        understood(volume, None, [str(path) for path in sorted(tmp_path.iterdir())], Modality.FDG)


def test_omitted_optional_elements_are_not_taken_for_mixed_slices(tmp_path):
    def edit(dataset, k):
        if k == 1:
            dataset.RescaleType, dataset.PatientBirthDate, dataset.PatientName = "HU", "19500101", ""
        if k == 2:
            dataset.PatientName = "hcc_001^"

    write(tmp_path, "CT", edit)
    assert np.array_equal(read(tmp_path, "CT")[0].array, tissue())


@settings(max_examples=10, deadline=None)
@given(slopes=st.lists(st.floats(0.01, 5.0), min_size=4, max_size=7))
def test_different_slopes_for_each_slice_are_applied(slopes):
    stored = np.random.default_rng(4).integers(1, 32000, (len(slopes), 8, 8)).astype(np.int16)
    with tempfile.TemporaryDirectory() as folder:
        write_series(Path(folder), stored, modality="PT", slope=slopes, common=pet_tags(Units="GML"))
        try:
            volume, findings = read(Path(folder), "PT")
        except ReactkdError as error:
            raise AssertionError("honest slopes were refused") from error
    written = np.array([float(f"{s:.8g}"[:16]) for s in slopes])
    assert findings == [] and np.allclose(volume.array, stored * written[:, None, None], rtol=1e-5)
