"""Writing volumes to files and reading them back, and files that must be refused."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from REACTKDLib.core import errors
from REACTKDLib.core.files.volumes import _check_written, _write_image, read_volume, write_volume
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.modality import Modality
from support.case_files import patched_nifti
from support.real_data import real_data
from support.small_cases import placed, rotation, small_case

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
# NIfTI stores geometry in single precision, ITK's qform rounds directions to about 1e-7 of a radian.
TOLERANCE_MM = {".nii.gz": 2e-3, ".nii": 2e-3, ".nrrd": 1e-9, ".mha": 1e-6}
DIM, PIXDIM, QFORM, SFORM, SROW = 40, 80, 252, 254, 280

angles = st.tuples(*[st.floats(-180, 180)] * 3)
spacings = st.tuples(*[st.floats(0.3, 9.0)] * 3)
shifts = st.tuples(*[st.floats(-900, 900)] * 3)
shapes = st.tuples(*[st.integers(2, 7)] * 3)


@pytest.fixture
def plain_nifti(tmp_path):
    """The bytes of a small, valid CT as uncompressed NIfTI."""
    rng = np.random.default_rng(1)
    volume = Volume(rng.normal(40, 60, (4, 5, 6)).astype(np.int16), np.diag([1.0, 1.5, 3.0, 1.0]), Unit.HU)
    return write_volume(volume, tmp_path / "plain.nii").read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(angles, spacings, shifts, shapes, st.booleans(), st.sampled_from([np.int16, np.uint8, np.float32]))
def test_a_round_trip_keeps_values_and_position(tmp_path, suffix, degrees, spacing, shift, shape, mirrored, dtype):
    directions = rotation(degrees) @ np.diag([-1.0 if mirrored else 1.0, 1.0, 1.0])
    matrix = placed(shape, spacing, np.asarray(shift), directions)
    array = np.random.default_rng(0).uniform(0, 200, shape).astype(dtype)
    path = write_volume(Volume(array, matrix), tmp_path / f"volume{suffix}")
    read = read_volume(path)
    assert read.array.dtype == dtype
    assert np.array_equal(read.array, array)
    corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * [*shape[::-1], 1]
    apart = np.abs(corners @ (read.ijk_to_ras - matrix).T).max()
    assert apart < TOLERANCE_MM[suffix]


def test_axes_of_a_file_are_those_of_slicer(tmp_path):
    """ITK writes LPS: i to the left and j to the back, as on scanners, must be read as -R and -A."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    image.SetOrigin((10.0, 20.0, 30.0))
    image.SetSpacing((0.5, 0.6, 2.0))
    sitk.WriteImage(image, str(tmp_path / "lps.nrrd"))
    volume = read_volume(tmp_path / "lps.nrrd")
    assert np.allclose(volume.ijk_to_ras, [[-0.5, 0, 0, -10], [0, -0.6, 0, -20], [0, 0, 2.0, 30], [0, 0, 0, 1]])
    assert volume.array[1, 2, 3] == 23


def test_same_volume_gives_the_same_bytes(tmp_path):
    volume = small_case().volumes[Modality.FDG]
    first = write_volume(volume, tmp_path / "a.nii.gz").read_bytes()
    assert write_volume(volume, tmp_path / "b.nii.gz").read_bytes() == first


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_a_written_file_with_another_voxel_is_refused(tmp_path, dtype):
    """A disk that keeps the length of a file but not its content, whose voxels no reader would reject."""
    array = np.arange(60, dtype=dtype).reshape(3, 4, 5)
    if dtype == "float32":
        array[0, 0, :2] = np.nan, -0.0
    volume = Volume(array, np.eye(4), checked=True)
    path = tmp_path / "x.nii"
    _write_image(volume, path, ".nii")
    _check_written(path, array, volume.ijk_to_ras)
    other = array.copy()
    other[2, 3, 4] = 7
    for wrong in (other, array[:2], array.astype(np.float64) + 1):
        with pytest.raises(OSError, match="did not keep what was written"):
            _check_written(path, wrong, volume.ijk_to_ras)
    with pytest.raises(OSError, match="did not keep what was written"):
        _check_written(path, array, np.diag([2.0, 1.0, 1.0, 1.0]))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(OSError, match="the disk is full"):
        _check_written(path, array, volume.ijk_to_ras)


def test_write_leaves_nothing_behind_when_it_fails(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(errors.OutputNotWritable):
        write_volume(small_case().reference, tmp_path / "file" / "volume.nii.gz")
    with pytest.raises(errors.UsageError, match=r"\.jpg"):
        write_volume(small_case().reference, tmp_path / "volume.jpg")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "name", ["a.NII.GZ", "a.Nii.gz", "a.nii.GZ", "a.NII", "a.Nii", "a.NRRD", "a.Nrrd", "a.MHA", "a.Mha"]
)
def test_a_suffix_in_capitals_is_accepted(tmp_path, name):
    """ITK knows a suffix only in some spellings; an unknown one used to be reported as a full disk."""
    volume = small_case().reference
    path = write_volume(volume, tmp_path / name)
    assert path == tmp_path / name and [p.name for p in tmp_path.iterdir()] == [name]
    plain = write_volume(volume, tmp_path / "plain" / name.lower())
    assert path.read_bytes() == plain.read_bytes()
    assert np.array_equal(read_volume(path).array, volume.array)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ([(PIXDIM, "f", [-1.0])], errors.BadSpacing),
        ([(PIXDIM + 8, "f", [0.0])], errors.BadSpacing),
        ([(PIXDIM, "f", [float("nan")])], errors.BadSpacing),
        ([(QFORM, "2h", [0, 1]), (SROW, "12f", [1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0])], errors.SingularDirection),
        ([(QFORM, "2h", [0, 1]), (SROW, "12f", [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0])], errors.BadSpacing),
        ([(QFORM, "2h", [0, 1]), (SROW, "12f", [1, 0.3, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0])], errors.SkewedAxes),
        ([(DIM, "8h", [4, 6, 5, 2, 2, 1, 1, 1])], errors.NotThreeDimensional),
        ([(DIM, "8h", [2, 6, 20, 1, 1, 1, 1, 1])], errors.NotThreeDimensional),
        ([(DIM, "8h", [3, 6, 5, 40, 1, 1, 1, 1])], errors.NotAnImage),
    ],
    ids=["negative", "zero", "nan", "singular", "zero axis", "tilted gantry", "4D", "2D", "cut off"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_faulty_nifti_header_is_refused(tmp_path, plain_nifti, changes, error, packed):
    data = patched_nifti(plain_nifti, changes)
    path = tmp_path / ("bad.nii.gz" if packed else "bad.nii")
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(error):
        read_volume(path, Modality.CT)


def test_series_of_one_volume_is_a_volume(tmp_path, plain_nifti):
    (tmp_path / "one.nii").write_bytes(patched_nifti(plain_nifti, [(DIM, "8h", [4, 6, 5, 4, 1, 1, 1, 1])]))
    assert read_volume(tmp_path / "one.nii").shape == (4, 5, 6)


NRRD = """NRRD0004
type: short
dimension: 3
{geometry}
sizes: 6 5 4
endian: little
encoding: raw

"""
SPACE = "space: left-posterior-superior\nspace origin: (0,0,0)\nspace directions: {}"
META = """ObjectType = Image
NDims = 3
BinaryData = True
TransformMatrix = {matrix}
Offset = 0 0 0
ElementSpacing = {spacing}
DimSize = 6 5 4
ElementType = MET_SHORT
ElementDataFile = LOCAL
"""
EYE = "1 0 0 0 1 0 0 0 1"


@pytest.mark.parametrize(
    ("name", "header", "error"),
    [
        ("a.nrrd", NRRD.format(geometry="spacings: -1 1 1"), errors.BadSpacing),
        ("a.nrrd", NRRD.format(geometry="spacings: 0 1 1"), errors.BadSpacing),
        ("a.nrrd", NRRD.format(geometry=SPACE.format("(1,0,0) (1,0,0) (0,0,1)")), errors.SingularDirection),
        ("a.nrrd", NRRD.format(geometry=SPACE.format("(0,0,0) (0,1,0) (0,0,1)")), errors.BadSpacing),
        ("a.mha", META.format(matrix=EYE, spacing="-1 1 1"), errors.BadSpacing),
        ("a.mha", META.format(matrix=EYE, spacing="1 0 1"), errors.BadSpacing),
        ("a.mha", META.format(matrix="1 0 0 1 0 0 0 0 1", spacing="1 1 1"), errors.SingularDirection),
        ("a.mha", META.format(matrix=EYE, spacing="1 one 1"), errors.NotAnImage),
    ],
)
def test_faulty_text_header_is_refused(tmp_path, name, header, error):
    (tmp_path / name).write_bytes(header.encode() + np.arange(120, dtype="<i2").tobytes())
    with pytest.raises(error):
        read_volume(tmp_path / name)


@pytest.mark.parametrize("directions", ["(-1,0,0) (0,1,0) (0,0,2)", "(1,0.2,0) (0,1,0) (0,0,2)"], ids=["flip", "shear"])
def test_signed_and_tilted_nrrd_is_read(tmp_path, directions):
    header = NRRD.format(geometry=SPACE.format(directions))
    (tmp_path / "a.nrrd").write_bytes(header.encode() + np.arange(120, dtype="<i2").tobytes())
    rows = [[float(x) for x in vector.strip("()").split(",")] for vector in directions.split()]
    expected = np.diag([-1.0, -1.0, 1.0]) @ np.array(rows).T
    assert np.allclose(read_volume(tmp_path / "a.nrrd").ijk_to_ras[:3, :3], expected)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_half_copied_file_is_refused(tmp_path, suffix, share):
    path = write_volume(small_case().reference, tmp_path / f"whole{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(errors.NotAnImage):
        read_volume(path)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha", "a.txt", "a"])
def test_text_is_not_an_image(tmp_path, name):
    (tmp_path / name).write_text("Dear colleague, please find the images attached.")
    with pytest.raises(errors.NotAnImage):
        read_volume(tmp_path / name)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(errors.FileMissing, match="the acetate PET"):
        read_volume(tmp_path / "nowhere.nii.gz", Modality.ACETATE)
    with pytest.raises(errors.NotAnImage, match="DICOM"):
        read_volume(tmp_path, Modality.CT)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_numbers(tmp_path, value, dtype, suffix):
    """ITK reads NaN in NIfTI as 0, so NaN must be detected before."""
    import SimpleITK as sitk

    array = np.full((4, 5, 6), 50, dtype=dtype)
    array[3, 4, 5] = value
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f"nan{suffix}"))
    with pytest.raises(errors.NotFinite):
        read_volume(tmp_path / f"nan{suffix}", Modality.CT)


def test_color_image_is_refused(tmp_path):
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), dtype=np.uint8), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "color.nrrd"))
    with pytest.raises(errors.NotThreeDimensional, match="3 values in each voxel"):
        read_volume(tmp_path / "color.nrrd")


def test_messages_do_not_contain_the_path(tmp_path):
    folder = tmp_path / "CANARY^NAME"
    folder.mkdir()
    (folder / "CANARY.nii.gz").write_text("no image")
    for path in (folder / "CANARY.nii.gz", folder / "CANARY.nrrd", folder):
        with pytest.raises(errors.ReactkdError) as caught:
            read_volume(path, Modality.CT)
        assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "modality", "unit"),
    [
        ("totalseg/example_ct_sm.nii.gz", Modality.CT, Unit.HU),
        ("acrin_nsclc_042/CT.nii.gz", Modality.CT, Unit.HU),
        ("acrin_nsclc_042/PET_BQML.nii.gz", Modality.FDG, Unit.BQML),
        ("sts001_petct/CT/nifti/image/image.nii.gz", Modality.CT, Unit.HU),
        ("sts001_petct/PET/nifti/image/image.nii.gz", Modality.FDG, Unit.SUVBW),
    ],
)
def test_real_files_are_read_with_their_unit(name, modality, unit):
    assert read_volume(real_data(name), modality).unit is unit


@pytest.mark.parametrize("name", ["acrin_nsclc_042/CT.nii.gz", "sts001_petct/CT/nifti/image/image.nii.gz"])
def test_a_real_ct_given_as_pet_is_refused(name):
    with pytest.raises(errors.NotPet, match="below zero"):
        read_volume(real_data(name), Modality.FDG)


@pytest.mark.parametrize("name", ["acrin_nsclc_042/PET_BQML.nii.gz", "sts001_petct/PET/nifti/image/image.nii.gz"])
def test_a_real_pet_given_as_ct_is_refused(name):
    with pytest.raises(errors.NotHounsfield):
        read_volume(real_data(name), Modality.CT)
