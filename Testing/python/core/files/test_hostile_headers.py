"""MetaImage and NRRD headers that would crash, hang or mislead a library: read correctly, or refused."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from REACTKDLib.core import errors
from REACTKDLib.core.files.volumes import read_raw
from support.small_cases import rotation

VOXELS = np.arange(120, dtype="<i2").reshape(4, 5, 6)
META = """ObjectType = Image
NDims = 3
BinaryData = True
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = 1 2 3
ElementSpacing = 1 2 3
DimSize = 6 5 4
ElementType = MET_SHORT
ElementDataFile = LOCAL
"""
NRRD = """NRRD0005
type: short
dimension: 3
space: left-posterior-superior
sizes: 6 5 4
space directions: (1,0,0) (0,2,0) (0,0,3)
endian: little
encoding: raw
space origin: (1,2,3)
"""
RIGHT = [[-1, 0, 0, -1], [0, -2, 0, -2], [0, 0, 3, 3], [0, 0, 0, 1]]
HOSTILE = ("-1", "0", "1e308", "-1e308", "nan", "inf", "99999999999999999999", "2147483647", "1e-320", "", "x", "%n",
           "1_0", "0x7", "-", "(1,0,0)", "none", "True", "4 4 4 4", "LIST", "\0", "\u0663")  # fmt: skip


def meta(folder: Path, header: str = META, data: bytes = VOXELS.tobytes(), name: str = "a.mha") -> Path:
    (folder / name).write_bytes(header.encode() + data)
    return folder / name


def nrrd(folder: Path, header: str = NRRD, data: bytes = VOXELS.tobytes(), name: str = "a.nrrd") -> Path:
    (folder / name).write_bytes(header.encode() + b"\n" + data)
    return folder / name


def replaced(header: str, key: str, value: str) -> str:
    assert re.search(rf"(?m)^{key}( = |: )", header)
    return re.sub(rf"(?m)^{key}( = |: ).*$", lambda found: f"{key}{found[1]}{value}", header)


def test_the_unchanged_headers_are_read(tmp_path):
    for path in (meta(tmp_path), nrrd(tmp_path)):
        raw = read_raw(path)
        assert np.array_equal(raw.array, VOXELS) and np.array_equal(raw.ijk_to_ras, RIGHT) and raw.findings == ()


META_KEYS = [line.split(" = ")[0] for line in META.splitlines()]
NRRD_KEYS = [line.split(": ")[0] for line in NRRD.splitlines()[1:]]


@pytest.mark.parametrize("value", HOSTILE)
def test_any_header_value_is_read_correctly_or_refused(tmp_path, value):
    """`NDims = -1` and `ElementSpacing = 1e308` once crashed the process; each value is refused or read correctly."""
    made = [meta(tmp_path, replaced(META, key, value), name=f"{n}.mha") for n, key in enumerate(META_KEYS)]
    made += [nrrd(tmp_path, replaced(NRRD, key, value), name=f"{n}.nrrd") for n, key in enumerate(NRRD_KEYS)]
    for path in made:
        try:
            raw = read_raw(path)
        except errors.ReactkdError as error:
            assert len(str(error)) < 300
        else:
            assert np.array_equal(raw.array, VOXELS) and np.isfinite(raw.ijk_to_ras).all()


@pytest.mark.parametrize("value", ["-1", "1e308", "0", "11", "4", "nan"])
def test_an_impossible_number_of_dimensions_is_refused(tmp_path, value):
    for path in (meta(tmp_path, replaced(META, "NDims", value)), nrrd(tmp_path, replaced(NRRD, "dimension", value))):
        with pytest.raises(errors.NotAnImage, match="header of the CT cannot be read"):
            read_raw(path, "the CT")


@pytest.mark.parametrize("sizes", ["6 5 2000000000", "65536 65536 65536", "6 5 999999999999999"])
def test_impossible_sizes_are_refused_without_allocating_memory(tmp_path, sizes):
    for path in (meta(tmp_path, replaced(META, "DimSize", sizes)), nrrd(tmp_path, replaced(NRRD, "sizes", sizes))):
        with pytest.raises(errors.NotAnImage, match="more than any scan has|cut off"):
            read_raw(path)


@pytest.mark.parametrize("key", ["ElementSpacing", "TransformMatrix", "Offset"])
def test_a_misspelled_geometry_field_is_reported_or_refused(tmp_path, key):
    raw = read_raw(meta(tmp_path, META.replace(key, key[:-1] + "q")))
    assert [finding.code for finding in raw.findings] == ["geometry-incomplete"]
    with pytest.raises(errors.NotAnImage, match="header of the image cannot be read"):
        read_raw(nrrd(tmp_path, NRRD.replace("space directions", "space directiens")))


@pytest.mark.parametrize(
    ("header", "more", "error", "words"),
    [
        (META, "DistanceUnits = cm", errors.BadSpacing, "another unit than mm"),
        (META, "ElementToIntensityFunctionSlope = 2", errors.NotAnImage, "scales its values"),
        (META, "DimSize = 6 5 3", errors.NotAnImage, "header"),
        (META, "Position = 9 9 9", errors.NotAnImage, "header"),
        (META, "Orientation = 0 1 0 1 0 0 0 0 1", errors.NotAnImage, "header"),
        (META, "ElementByteOrderMSB = True\nBinaryDataByteOrderMSB = False", errors.NotAnImage, "header"),
        (NRRD, 'space units: "m" "m" "m"', errors.BadSpacing, "another unit than mm"),
        (NRRD, 'space units: "mm" "mm" "cm"', errors.BadSpacing, "another unit than mm"),
        (NRRD, "space units: cm cm cm", errors.NotAnImage, "header"),
        (NRRD, "space units: mm mm mm", errors.NotAnImage, "header"),
        (NRRD, 'space units: "mm" "mm" "mm', errors.NotAnImage, "header"),
        (NRRD, 'space units: "mm", "mm", "mm"', errors.NotAnImage, "header"),
        (NRRD, 'space units: "mm"', errors.NotAnImage, "header"),
        (NRRD, 'space units: "mm" "mm" "mm" "mm"', errors.NotAnImage, "header"),
        (NRRD, "space units:", errors.NotAnImage, "header"),
        (NRRD, 'units: "cm" "cm" "cm"', errors.BadSpacing, "another unit than mm"),
        (NRRD, 'units: "mm" "cm" ""', errors.BadSpacing, "another unit than mm"),
        (NRRD, "units: cm cm cm", errors.NotAnImage, "header"),
        (NRRD, 'units: "mm" "mm"', errors.NotAnImage, "header"),
        (NRRD, "kinds: domain domain time", errors.NotThreeDimensional, "an axis of time"),
        (NRRD, "kinds: time domain domain", errors.NotThreeDimensional, "an axis of time"),
        (NRRD, "kinds: space Time space", errors.NotThreeDimensional, "an axis of time"),
        (NRRD, "spacings: 1 1 1", errors.BadSpacing, "twice"),
        (NRRD, "sizes: 6 5 3", errors.NotAnImage, "header"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(tmp_path, header, more, error, words):
    write = meta if header is META else nrrd
    lines = header.splitlines()
    with pytest.raises(error, match=words):
        read_raw(write(tmp_path, "\n".join([*lines[:-1], more, lines[-1]]) + "\n"))


@pytest.mark.parametrize("unit", ["cm", "m", "um", "inch", "mm per pixel"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_spacings_in_another_unit_than_mm_are_refused(tmp_path, axis, unit):
    units = " ".join(f'"{unit if n == axis else "mm"}"' for n in range(3))
    lines = [line for line in NRRD.splitlines() if not line.startswith("space")]
    header = "\n".join([*lines, "spacings: 0.1 0.2 0.3", f"units: {units}"]) + "\n"
    with pytest.raises(errors.BadSpacing, match="The CT states its geometry in another unit than mm"):
        read_raw(nrrd(tmp_path, header), "the CT")


@pytest.mark.parametrize("line", ['units: "mm" "" "???"', 'space units: "mm" "millimeter" ""',
                                  'units: "MM" " mm " "millimetres"', 'units:"mm""mm" "mm"'])  # fmt: skip
def test_millimeters_in_any_words_are_read(tmp_path, line):
    assert np.array_equal(read_raw(nrrd(tmp_path, NRRD + line + "\n")).ijk_to_ras, RIGHT)


@pytest.mark.parametrize("unit", ["s", "SUV", "cm"])
def test_the_unit_of_a_non_spatial_axis_is_ignored(tmp_path, unit):
    """For an axis of values, or a time axis of length one."""
    four = replaced(replaced(NRRD, "dimension", "4"), "sizes", "6 5 4 1")
    four = replaced(four, "space directions", "(1,0,0) (0,2,0) (0,0,3) none")
    for kind in ("list", "time"):
        more = f'kinds: domain domain domain {kind}\nunits: "mm" "mm" "mm" "{unit}"\n'
        raw = read_raw(nrrd(tmp_path, four + more))
        assert np.array_equal(raw.ijk_to_ras, RIGHT) and np.array_equal(raw.array, VOXELS)
    first = replaced(replaced(four, "sizes", "1 6 5 4"), "space directions", "none (1,0,0) (0,2,0) (0,0,3)")
    raw = read_raw(nrrd(tmp_path, first + f'kinds: list domain domain domain\nunits: "{unit}" "mm" "mm" "mm"\n'))
    assert np.array_equal(raw.ijk_to_ras, RIGHT) and np.array_equal(raw.array, VOXELS)


def test_a_matrix_with_sizes_beside_sizes_is_refused(tmp_path):
    with pytest.raises(errors.BadSpacing, match="in its direction matrix and beside it"):
        read_raw(meta(tmp_path, replaced(META, "TransformMatrix", "2 0 0 0 2 0 0 0 2")))


# -- voxels in other files


def detached(folder: Path, target: str) -> list[Path]:
    """A .mhd and a .nhdr that point to `target`."""
    return [
        meta(folder, replaced(META, "ElementDataFile", target), b"", "a.mhd"),
        nrrd(folder, NRRD + f"data file: {target}\n", b"", "a.nhdr"),
    ]


def test_a_pipe_a_device_or_a_folder_is_refused_as_data_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/dev/zero")
    for target in ("pipe", "folder", "link", "."):
        for path in detached(tmp_path, target):
            with pytest.raises(errors.NotAnImage, match="points to something that is not a file"):
                read_raw(path)


@pytest.mark.parametrize("target", ["/dev/zero", "/etc/hostname", "C:\\scans\\x.raw", "\\\\server\\x.raw", "~/x.raw"])
def test_an_absolute_path_is_refused(tmp_path, target):
    for path in detached(tmp_path, target):
        with pytest.raises(errors.NotAnImage, match="by an absolute path"):
            read_raw(path)


@pytest.mark.parametrize("target", ["../x.raw", "in/../../x.raw", "..\\x.raw", "../x%02d.raw 1 4 1"])
def test_a_data_file_outside_the_folder_of_its_header_is_refused(tmp_path, target):
    """Such a header, from somebody else, would show the voxels of any file of the reader."""
    folder = tmp_path / "given"
    (folder / "in").mkdir(parents=True)
    for name in ("x.raw", *(f"x{n:02d}.raw" for n in range(1, 5)), "..\\x.raw"):
        (tmp_path / name).write_bytes(VOXELS.tobytes() if name == "x.raw" else VOXELS[0].tobytes())
    for path in detached(folder, target):
        with pytest.raises(errors.NotAnImage, match="outside its own folder"):
            read_raw(path)


def test_a_data_file_in_a_folder_beside_its_header_or_behind_a_link_to_it_is_read(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.raw").write_bytes(VOXELS.tobytes())
    for path in detached(tmp_path, "in/x.raw"):
        assert np.array_equal(read_raw(path).array, VOXELS)
    store = tmp_path / "store"  # as archives of content, such as git-annex, keep files
    store.mkdir()
    (store / "1234").write_bytes(VOXELS.tobytes())
    (tmp_path / "y.raw").symlink_to(store / "1234")
    for path in detached(tmp_path, "y.raw"):
        assert np.array_equal(read_raw(path).array, VOXELS)


@pytest.mark.parametrize("target", ["nowhere.raw", "a" * 300, "x\0y", "%d", "%s%n 1 4 1", "%999d 1 4 1", "x%d.raw 1 4",
                                    "x%02d.raw 1 4 0", "x%02d.raw 4 1 1", "x%02d.raw 1 99999999 1", "LIST", "LIST 9D",
                                    "LIST x"])  # fmt: skip
def test_other_data_file_entries_are_refused_with_a_message(tmp_path, target):
    for path in detached(tmp_path, target):
        with pytest.raises(errors.NotAnImage):
            read_raw(path)


@pytest.fixture
def slices(tmp_path) -> Path:
    """The voxels in one file per slice."""
    for number, piece in enumerate(VOXELS, start=1):
        (tmp_path / f"s {number:03d}.raw").write_bytes(piece.tobytes())
    return tmp_path


NAMES = "\n".join(f"s {n:03d}.raw" for n in range(1, 5))


@pytest.mark.parametrize("stated", ["s %03d.raw 1 4 1", "LIST\n" + NAMES, "LIST 2D\n" + NAMES])
def test_metaimage_slices_in_separate_files_are_read(slices, stated):
    raw = read_raw(meta(slices, replaced(META, "ElementDataFile", stated), b"", "a.mhd"))
    assert np.array_equal(raw.array, VOXELS) and np.array_equal(raw.ijk_to_ras, RIGHT)


@pytest.mark.parametrize("stated", ["s %03d.raw 1 4 1", "s %03d.raw 1 4 1 2", "LIST\n" + NAMES, "LIST 2\n" + NAMES])
def test_nrrd_slices_in_separate_files_are_read(slices, stated):
    raw = read_raw(nrrd(slices, NRRD + f"data file: {stated}\n", b"", "a.nhdr"))
    assert np.array_equal(raw.array, VOXELS) and np.array_equal(raw.ijk_to_ras, RIGHT)


def test_a_missing_or_extra_slice_is_refused(slices):
    for names in (NAMES.replace("s 002.raw\n", ""), NAMES + "\ns 004.raw"):
        with pytest.raises(errors.NotAnImage):
            read_raw(meta(slices, replaced(META, "ElementDataFile", "LIST\n" + names), b"", "a.mhd"))
        with pytest.raises(errors.NotAnImage):
            read_raw(nrrd(slices, NRRD + f"data file: LIST\n{names}\n", b"", "a.nhdr"))
    (slices / "s 003.raw").unlink()
    with pytest.raises(errors.NotAnImage, match="its data file is missing"):
        read_raw(meta(slices, replaced(META, "ElementDataFile", "s %03d.raw 1 4 1"), b"", "a.mhd"))


# -- what ITK reads correctly


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    degrees=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 9.0)] * 3),
    origin=st.tuples(*[st.floats(-900, 900)] * 3),
    kind=st.sampled_from(["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"]),
    packed=st.booleans(),
)
def test_values_and_position_equal_those_of_itk_exactly(tmp_path, suffix, degrees, spacing, origin, kind, packed):
    import SimpleITK as sitk

    array = np.random.default_rng(1).integers(0, 100, (4, 5, 6)).astype(kind)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing), image.SetOrigin(origin), image.SetDirection(rotation(degrees).ravel())
    path = str(tmp_path / f"x{suffix[1:].replace('.', '-')}{suffix}")
    sitk.WriteImage(image, path, packed)
    read, raw = sitk.ReadImage(path), read_raw(path)
    lps = np.eye(4)
    lps[:3, :3] = np.array(read.GetDirection()).reshape(3, 3) * read.GetSpacing()
    lps[:3, 3] = read.GetOrigin()
    assert raw.array.dtype == array.dtype and np.array_equal(raw.array, array)
    assert np.allclose(raw.ijk_to_ras, np.diag([-1, -1, 1, 1]) @ lps, rtol=0, atol=1e-14 * np.abs(lps).max())
    assert raw.findings == ()


@pytest.mark.parametrize(
    ("geometry", "matrix"),
    [
        ("space: RAS\nspace origin: (1,2,3)\nspace directions: (1,0,0) (0,2,0) (0,0,3)",
         [[1, 0, 0, 1], [0, 2, 0, 2], [0, 0, 3, 3]]),
        ("space: LAS\nspace origin: (1,2,3)\nspace directions: (1,0,0) (0,2,0) (0,0,3)",
         [[-1, 0, 0, -1], [0, 2, 0, 2], [0, 0, 3, 3]]),
        ("spacings: 1 2 3\naxis mins: 5 6 7\ncenterings: cell cell node",
         [[-1, 0, 0, -5.5], [0, -2, 0, -7], [0, 0, 3, 7]]),
    ],
)  # fmt: skip
def test_the_spaces_of_nrrd_are_converted_to_ras(tmp_path, geometry, matrix):
    header = "\n".join(x for x in NRRD.splitlines() if not x.startswith("space")) + f"\n{geometry}\n"
    raw = read_raw(nrrd(tmp_path, header))
    assert np.allclose(raw.ijk_to_ras[:3], matrix)
    told = [finding.code for finding in raw.findings]
    assert told == ([] if "space:" in geometry else ["geometry-incomplete"])


@pytest.mark.parametrize("encoding", ["ascii", "hex", "raw-big"])
def test_ascii_hex_and_big_endian_data_are_read(tmp_path, encoding):
    data = {"ascii": " ".join(map(str, VOXELS.ravel())).encode(), "hex": VOXELS.tobytes().hex().encode(),
            "raw-big": VOXELS.astype(">i2").tobytes()}[encoding]  # fmt: skip
    header = replaced(NRRD, "encoding", encoding.removesuffix("-big"))
    if encoding == "raw-big":
        header = replaced(header, "endian", "big")
    assert np.array_equal(read_raw(nrrd(tmp_path, header, data)).array, VOXELS)


def test_skipped_bytes_and_lines_are_honored(tmp_path):
    data = VOXELS.tobytes()
    for more, body in (("byte skip: 3", b"abc" + data), ("byte skip: -1", b"any" + data),
                       ("line skip: 2", b"ab\ncd\n" + data)):  # fmt: skip
        assert np.array_equal(read_raw(nrrd(tmp_path, NRRD + more + "\n", body)).array, VOXELS)
    lines = META.splitlines()
    header = "\n".join([*lines[:-1], "HeaderSize = -1", lines[-1]]) + "\n"
    assert np.array_equal(read_raw(meta(tmp_path, header, b"whatever" + data)).array, VOXELS)


@pytest.mark.parametrize("none", ["none", "(nan,nan,nan)"])
@pytest.mark.parametrize("kind", ["list", "vector", "???"])
def test_the_axis_of_values_may_be_at_any_position(tmp_path, none, kind):
    layers = np.stack([VOXELS, VOXELS[::-1]], axis=-1)
    header = replaced(replaced(replaced(NRRD, "dimension", "4"), "sizes", "2 6 5 4"), "space directions",
                      f"{none} (1,0,0) (0,2,0) (0,0,3)") + f"kinds: {kind} domain domain domain\n"  # fmt: skip
    first = read_raw(nrrd(tmp_path, header, layers.tobytes()))
    header = replaced(replaced(header, "sizes", "6 5 4 2"), "kinds", f"domain domain domain {kind}")
    header = replaced(header, "space directions", f"(1,0,0) (0,2,0) (0,0,3) {none}")
    last = read_raw(nrrd(tmp_path, header, np.moveaxis(layers, -1, 0).tobytes()))
    for raw in (first, last):
        assert np.array_equal(raw.array, layers) and np.array_equal(raw.ijk_to_ras, RIGHT)
