"""Acquisition numbers of a series: overlapping scans are told apart, even with extra single slices in the series.

A single scan stays whole where its numbers differ: numbered by slice, by rotation or by table step.
"""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.core.errors import StackedPhases
from REACTKDLib.core.files.dicom.images import read_dicom_volume
from REACTKDLib.core.files.dicom.index import index_folder
from REACTKDLib.core.files.dicom.phases import split_phases
from REACTKDLib.core.modality import Modality
from support.dicom_files import tissue, uid_of, write_series

STEP = 5.0


def write(folder, slices):
    """Write a series from (acquisition number, position in mm, brightness), with instance numbers in this order."""
    slices = list(slices)
    planes = np.stack([tissue(1, seed=n)[0] + np.int16(extra) for n, (_, _, extra) in enumerate(slices)])

    def edit(dataset, k):
        number, place, _ = slices[k]
        dataset.AcquisitionNumber = number
        dataset.AcquisitionTime = f"1000{(number or 0) % 60:02d}"
        dataset.ImagePositionPatient = [-10.0, -12.0, place]
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid_of("slice", k)

    write_series(folder, planes, edit=edit, spacing=(1, 1, STEP))
    return planes


def scan(number, count=10, start=0.0, extra=0):
    return [(number, start + STEP * k, extra) for k in range(count)]


TWO = {
    "between each other": [*scan(1), *scan(2, start=STEP / 2, extra=50)],
    "on each other": [*scan(1), *scan(2, extra=50)],
    "overlapping": [*scan(1), *scan(2, start=7 * STEP, extra=50)],
    "of three slices": [*scan(1, 3), *scan(2, 3, start=STEP / 2, extra=50)],
}
BESIDE = {
    "no further slice": [],
    "one beyond the end": [(3, 50.0, 0)],
    "one on another": [(3, 20.0, 0)],
    "one that completes the grid": [(3, -STEP / 2, 0)],
    "one by a number between": [(0, 50.0, 0)],
    "several, as of a bolus that is watched": [(10 + n, 20.0, n) for n in range(12)],
    "several at places of their own": [(10 + n, 50.0 + STEP / 2 * n, n) for n in range(12)],
}


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize("two", TWO.values(), ids=TWO)
def test_two_acquisitions_are_separated_whatever_other_slices_the_series_has(tmp_path, two, beside):
    planes = write(tmp_path, [*two, *beside])
    with pytest.raises(StackedPhases, match=f"{2 + len(beside)} acquisitions in one series"):
        read_dicom_volume(tmp_path, Modality.CT)
    first = sum(number == 1 for number, _, _ in two)
    for file, truth in (("1-001.dcm", planes[:first]), (f"1-{first + 1:03d}.dcm", planes[first : len(two)])):
        assert np.array_equal(read_dicom_volume(tmp_path / file, Modality.CT)[0].array, truth), (
            "a file must select its scan"
        )


def of_slices(numbers):
    return [(number, STEP * k, 0) for k, number in enumerate(numbers)]


ONE = {
    "each slice its number": of_slices(range(1, 13)),
    "each slice its number, downwards": of_slices(range(12, 0, -1)),
    "each slice its number, odd ones first": of_slices([1, 7, 2, 8, 3, 9, 4, 10, 5, 11, 6, 12]),
    "each slice its number, which begins again": of_slices([*range(1, 10), 1, 2, 3]),
    "one number for all but the last": of_slices([1] * 11 + [2]),
    "one number for all but the first": of_slices([2] + [1] * 11),
    "one number for all but one between": of_slices([1] * 5 + [2] + [1] * 6),
    "steps of four, the last of one": of_slices([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4]),
    "steps of four, the first of one": of_slices([1, 2, 2, 2, 2, 3, 3, 3, 3]),
    "steps of two, the last of one": of_slices([1, 1, 2, 2, 3, 3, 4]),
    "steps of six": of_slices([1] * 6 + [2] * 6),
    "no numbers": of_slices([None] * 8),
}


@pytest.mark.parametrize("slices", ONE.values(), ids=ONE)
def test_one_scan_with_several_acquisition_numbers_is_read_as_one(tmp_path, slices):
    planes = write(tmp_path, slices)
    for source in (tmp_path, tmp_path / "1-001.dcm"):
        volume, findings = read_dicom_volume(source, Modality.CT)
        assert np.array_equal(volume.array, planes) and findings == []


def test_a_duplicated_slice_is_left_out_where_each_slice_has_its_own_number(tmp_path):
    planes = write(tmp_path, of_slices(range(1, 9)))
    for k in (2, 5):
        (tmp_path / f"again-{k}.dcm").write_bytes((tmp_path / f"1-{k:03d}.dcm").read_bytes())
    volume, (told,) = read_dicom_volume(tmp_path, Modality.CT)
    assert np.array_equal(volume.array, planes) and told.code == "slices-doubled" and "2 slices" in told.message


def test_two_phases_with_the_same_slice_numbers_are_separated(tmp_path):
    write(tmp_path, [*of_slices(range(1, 9)), *[(k + 1, STEP * k, 50) for k in range(8)]])
    with pytest.raises(StackedPhases, match=r"2 acquisitions in one series \(8 \+ 8 images"):
        read_dicom_volume(tmp_path, Modality.CT)
    assert [len(phase) for phase in split_phases(index_folder(tmp_path).series[0], "the CT")] == [8, 8]
