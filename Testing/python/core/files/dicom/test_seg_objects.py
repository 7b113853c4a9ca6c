"""Several SEG objects in one folder: merged where they do not conflict, else the user chooses; never just the first."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.cases.open_case import open_case, read_any_segmentation
from REACTKDLib.core.errors import AmbiguousSeries, NotAnImage
from REACTKDLib.core.files.dicom.seg_objects import segmentation_objects
from support.dicom_files import uid_of, write_seg, write_series
from support.kidney_phantoms import KIDNEY

SHAPE = (12, 24, 28)
D, H, W = np.indices(SHAPE)
LIVER = ((D - 6) / 4.5) ** 2 + ((H - 12) / 9) ** 2 + ((W - 13) / 11) ** 2 < 1
MASS = ((D - 5) ** 2 + (H - 10) ** 2 + (W - 9) ** 2) < 9
VEIN = (D < 3) & (H > 20)


@pytest.fixture(scope="module")
def ct(tmp_path_factory):
    """A CT of twelve slices."""
    values = np.random.default_rng(0).normal(40, 12, SHAPE)
    values[:, :3] = -1000
    folder = tmp_path_factory.mktemp("study") / "ct"
    return write_series(folder, np.rint(values).astype(np.int16), spacing=(2.0, 2.5, 3.0))


@pytest.fixture
def write(ct, tmp_path):
    """write(one, two, ...): a folder with one SEG per dict of masks; a dict may also hold `edit` and `on` (images)."""

    def make(*objects, series="one", to="segs"):
        for number, masks in enumerate(objects, start=1):

            def edit(dataset, number=number, masks=masks):
                dataset.SeriesInstanceUID = uid_of("segs", series if series == "one" else number)
                dataset.InstanceNumber = number
                if "edit" in masks:
                    masks["edit"](dataset)

            named = {name: mask for name, mask in masks.items() if name not in ("edit", "on")}
            write_seg(tmp_path / to / f"{number}.dcm", masks.get("on", ct), named, edit=edit)
        return tmp_path / to

    return make


def test_objects_with_more_than_255_segments_together_are_read(ct, write):
    def vessels(part):
        named = {f"Portal vein #{part}-{n}": np.zeros(SHAPE, dtype=bool) for n in range(130)}
        for number, mask in enumerate(named.values()):
            mask[7 + part].flat[number] = True
        return named

    file = read_any_segmentation(write({"Liver": LIVER, **vessels(0)}, {"Mass": MASS, **vessels(1)}))
    masks = {"Liver": LIVER, **vessels(0), "Mass": MASS, **vessels(1)}
    assert [segment.name for segment in file.segments] == list(masks)
    volumes = [int(file.mask([n]).sum()) for n in range(len(file.segments))]
    assert volumes == [int(mask.sum()) for mask in masks.values()]
    case = open_case(ct[0].parent, segmentation=write({"Liver": LIVER, **vessels(0)}, {"Mass": MASS, **vessels(1)}))
    assert np.array_equal(case.tumor, MASS) and np.array_equal(case.liver, LIVER | MASS)


@pytest.mark.parametrize("series", ["one", "each its own"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_liver_and_tumor_in_two_objects_are_one_case(ct, write, series, order):
    parts = ({"Liver": LIVER}, {"Mass": MASS}, {"Portal vein": VEIN})
    case = open_case(ct[0].parent, segmentation=write(*(parts[n] for n in order), series=series))
    whole = open_case(ct[0].parent, segmentation=write({"Liver": LIVER, "Mass": MASS, "Portal vein": VEIN}, to="whole"))
    assert np.array_equal(case.liver, LIVER | MASS) and np.array_equal(case.tumor, MASS)
    assert np.array_equal(case.liver, whole.liver) and np.array_equal(case.tumor, whole.tumor)
    (told,) = (f.message for f in case.findings if f.code == "segmentation-of-several-objects")
    assert "3 DICOM objects" in told and "Mass" in told


@settings(max_examples=15, deadline=None)
@given(corner=st.tuples(*(st.integers(0, n - 3) for n in SHAPE)), size=st.integers(1, 3))
def test_every_voxel_keeps_its_place(ct, tmp_path_factory, corner, size):
    folder = tmp_path_factory.mktemp("parts")
    mass = np.zeros(SHAPE, dtype=bool)
    mass[tuple(slice(c, c + size) for c in corner)] = True
    write_seg(folder / "a.dcm", ct, {"Mass": mass})
    write_seg(folder / "b.dcm", ct, {"Liver": LIVER})
    file = read_any_segmentation(folder)
    assert [s.name for s in file.segments] == ["Mass", "Liver"]
    for index, mask in enumerate((mass, LIVER)):
        found = np.argwhere(file.mask([index]))[:, ::-1] @ file.ijk_to_ras[:3, :3].T + file.ijk_to_ras[:3, 3]
        lps = np.argwhere(mask)[:, ::-1] * (2.0, 2.5, 3.0) + (-10.0, -12.0, 100.0)
        assert np.allclose(found, lps * (-1, -1, 1), atol=1e-3)


CLASHES = {
    "an old and a corrected version": ({"Liver": LIVER, "Mass": MASS}, {"Liver": LIVER, "Mass": np.roll(MASS, 3, 2)}),
    "two tumors by name and by code": ({"Liver": LIVER, "Mass": MASS}, {"Lesion 2": np.roll(MASS, 8, 2)}),
    "a version that lost its tumor": ({"Liver": LIVER, "Mass": MASS}, {"Liver": LIVER}),
    "a structure that is neither": ({"Portal vein": VEIN, "Liver": LIVER}, {"portal vein ": VEIN, "Mass": MASS}),
    "three of them": ({"Liver": LIVER}, {"Mass": MASS}, {"Mass": MASS}),
}


@pytest.mark.parametrize("series", ["one", "each its own"])
@pytest.mark.parametrize("clash", CLASHES)
def test_several_versions_are_listed_for_the_user_to_choose(ct, write, clash, series):
    folder = write(*CLASHES[clash], series=series)
    with pytest.raises(AmbiguousSeries) as refused:
        open_case(ct[0].parent, segmentation=folder)
    sentence = str(refused.value)
    assert "Segmentation 1: " in sentence and "Segmentation 2: " in sentence and "HCC_001" not in sentence
    first = next(iter(CLASHES[clash][0]))
    assert f"1: {first}" in sentence and str(folder) not in sentence
    chosen = read_any_segmentation(folder / "2.dcm")
    assert [s.name.strip() for s in chosen.segments] == [name.strip() for name in CLASHES[clash][1]]


def test_conflicts_are_checked_for_the_structures_of_the_task(write):
    """Two renal masses conflict in a kidney task; two livers next to them do not."""
    masses = ({"Kidney": LIVER, "Renal mass": MASS}, {"oncocytoma": np.roll(MASS, 3, 2)})
    livers = ({"Kidney": LIVER, "Liver": VEIN}, {"Renal mass": MASS, "Whole liver": VEIN})
    with pytest.raises(AmbiguousSeries, match="of the same structures"):
        read_any_segmentation(write(*masses, to="masses"), KIDNEY)
    assert len(read_any_segmentation(write(*livers, to="livers"), KIDNEY).segments) == 4
    with pytest.raises(AmbiguousSeries, match="of the same structures"):
        read_any_segmentation(write(*livers, to="again"))


def test_objects_of_another_series_or_patient_are_not_put_together(ct, write, tmp_path):
    other = write_series(tmp_path / "other", np.zeros(SHAPE, np.int16), spacing=(2.0, 2.5, 3.0), name="other")
    with pytest.raises(AmbiguousSeries, match="not drawn on one series"):
        open_case(ct[0].parent, segmentation=write({"Liver": LIVER}, {"Mass": MASS, "on": other}))

    def rename(dataset):
        dataset.PatientID = "HCC_002"

    with pytest.raises(AmbiguousSeries, match="not drawn on one series"):
        read_any_segmentation(write({"Liver": LIVER}, {"Mass": MASS, "edit": rename}, to="patients"))


def test_a_duplicated_object_counts_once(ct, write):
    folder = write({"Liver": LIVER, "Mass": MASS})
    pydicom.dcmread(folder / "1.dcm").save_as(folder / "copy.dcm")
    assert len(segmentation_objects(folder)) == 1
    assert np.array_equal(open_case(ct[0].parent, segmentation=folder).tumor, MASS)


def test_a_folder_without_a_segmentation_names_what_it_holds(ct):
    with pytest.raises(NotAnImage, match=r"no segmentation series \(it holds 'CT'\)"):
        read_any_segmentation(ct[0].parent)
