"""A PET has one SUV factor, whether its folder is given or another program loaded it from the same files.

Only some elements are read from the images after the first; the tests record which ones.
"""

from __future__ import annotations

import pytest

from REACTKDLib.core.files.dicom import loaded_pet, suv
from REACTKDLib.core.files.dicom.images import read_dicom_volume
from REACTKDLib.core.files.dicom.loaded_pet import headers_of, understood
from REACTKDLib.core.files.dicom.opened import opened
from REACTKDLib.core.files.dicom.rescale import check_alike, rescale_of
from REACTKDLib.core.files.dicom.suv import PetHeader
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.modality import ROLES, Modality
from support.dicom_files import pet_tags, tissue, write_series

ROLE = ROLES[Modality.FDG]


class Watched:
    """A header that records which elements were read."""

    def __init__(self, dataset):
        self.dataset, self.asked = dataset, set()

    def get(self, keyword, *default):
        self.asked.add(keyword)
        return self.dataset.get(keyword, *default)

    def __getattr__(self, name):
        if name[0].isupper():
            self.asked.add(name)
        return getattr(self.dataset, name)

    def __getitem__(self, key):
        self.asked.add(key)
        return self.dataset[key]


def pet(folder, edit=None):
    stored = tissue(5) + 3000
    return write_series(folder, abs(stored), modality="PT", common=pet_tags(), edit=edit)


def watched(folder) -> list[Watched]:
    return [Watched(opened(path, stop_before_pixels=True)) for path in pet(folder)]


def test_suv_reads_only_the_listed_elements_of_each_image(tmp_path):
    headers = watched(tmp_path)
    PetHeader.of(headers)
    assert all(header.asked == set(suv.OF_EACH_IMAGE) for header in headers[1:])
    assert headers[0].asked > set(suv.OF_EACH_IMAGE), "the first one is read whole"


def test_a_loaded_pet_reads_only_the_needed_elements_of_each_image(tmp_path):
    headers = watched(tmp_path)
    for header in headers:
        rescale_of(header, "PT", ROLE)
    check_alike(headers, "PT", ROLE)
    PetHeader.of(headers)
    assert all(header.asked == set(loaded_pet.OF_EACH_IMAGE) for header in headers[1:])
    read = headers_of([str(path) for path in sorted(tmp_path.iterdir())])
    for header, whole in zip(read[1:], headers[1:]):
        assert all(header.get(keyword) == whole.dataset.get(keyword) for keyword in loaded_pet.OF_EACH_IMAGE)


CHANGES = {
    "nothing": {},
    "offsets from UTC": {"TimezoneOffsetFromUTC": ["+0100", "+0100", "+0200", "+0200", "+0200"]},
    "one offset, of the last alone": {"TimezoneOffsetFromUTC": [None, None, None, None, "+0200"]},
    "times": {"AcquisitionTime": ["100400", "100300", "095000", "100200", "100500"]},
    "days": {"AcquisitionDate": ["20010812", "20010812", "20010811", "20010812", "20010812"]},
    "slopes": {"RescaleSlope": [1, 2, 1, 2, 1]},
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES)
def test_a_folder_and_its_loaded_node_give_the_same_suv(tmp_path, changed):
    def edit(dataset, k):
        for keyword, values in changed.items():
            if values[k] is not None:
                setattr(dataset, keyword, values[k])

    files = [str(path) for path in pet(tmp_path, edit)]
    volume, findings = read_dicom_volume(tmp_path, Modality.FDG)
    factor, unit, _ = loaded_pet.suv_of([opened(path, stop_before_pixels=True) for path in files], ROLE)
    as_stored = Volume(volume.array / (factor or 1), volume.ijk_to_ras)
    loaded, more = understood(as_stored, None, files, Modality.FDG)
    assert loaded.unit == volume.unit == unit
    assert [f.message for f in more] == [f.message for f in findings]
    assert abs(loaded.array / volume.array - 1).max() < 1e-5
    refused = changed is CHANGES["offsets from UTC"]
    assert (unit is Unit.BQML) == refused and ("offsets from UTC" in "".join(map(str, findings))) == refused
