"""Damaged files: a flipped bit never gives other voxels, a truncated file is named as such, libraries print nothing."""

from __future__ import annotations

import gzip
import random
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from REACTKDLib.core import errors
from REACTKDLib.core.files.volumes import read_raw
from support.case_files import SEGMENTATION, write_masks
from support.small_cases import rotation, small_case

CASE = small_case()
PACKED = ("image.nii.gz", "image.nrrd", "image.mha", "image.mhd", "image.nhdr", SEGMENTATION)
PLAIN = ("plain.nii", "plain.nrrd", "plain.mha", "plain.mhd", "plain.nhdr")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The small CT and its masks in every format, written by ITK."""
    import SimpleITK as sitk

    folder = tmp_path_factory.mktemp("formats")
    image = sitk.GetImageFromArray(CASE.reference.array.astype(np.int16)[:14])
    image.SetSpacing((4.0, 4.0, 3.5))
    image.SetDirection(rotation((10, 20, 30)).ravel())
    for name in (*PACKED[:-1], *PLAIN):
        sitk.WriteImage(image, str(folder / name), name.startswith("image"))
    write_masks(CASE.liver, CASE.tumor, CASE.reference.ijk_to_ras, folder / SEGMENTATION)
    return folder


def voxel_file(path: Path) -> tuple[Path, int]:
    """The file that holds the voxels, and the offset at which they begin."""
    data = path.read_bytes()
    if path.suffix in (".mhd", ".nhdr"):
        beside = [p for p in path.parent.iterdir() if p.name.startswith(f"{path.stem}.") and "raw" in p.suffix + p.stem]
        names = [p for p in beside if p.name.encode() in data]
        assert len(names) == 1, beside
        return names[0], 0
    mark = {".nrrd": b"\n\n", ".mha": b"LOCAL\n"}.get(path.suffix)
    return path, data.index(mark) + len(mark) if mark else 10 if path.suffix == ".gz" else 352


@pytest.fixture
def copy(folder, tmp_path):
    """Copy a file and its voxels for damaging; return (file, file of the voxels, their offset)."""

    def make(name: str) -> tuple[Path, Path, int]:
        voxels, start = voxel_file(folder / name)
        for path in {folder / name, voxels}:
            (tmp_path / path.name).write_bytes(path.read_bytes())
        return tmp_path / name, tmp_path / voxels.name, start

    return make


@pytest.mark.parametrize("name", PACKED)
def test_a_flipped_bit_never_gives_other_voxels(folder, copy, name):
    path, voxels, start = copy(name)
    right, data, rng = read_raw(folder / name).array, voxels.read_bytes(), random.Random(name)
    refused = 0
    for at in [*(rng.randrange(start, len(data)) for _ in range(60)), len(data) - 1, len(data) - 5]:
        spoiled = bytearray(data)
        spoiled[at] ^= 1 << rng.randrange(8)
        voxels.write_bytes(spoiled)
        try:
            assert np.array_equal(read_raw(path).array, right)
        except errors.NotAnImage as error:
            assert "damaged" in str(error)
            refused += 1
    assert refused > 30  # some bits have no effect, such as the distance from which a run of zeros is copied


@pytest.mark.parametrize("name", [*PACKED, *PLAIN])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_reported_as_truncated(copy, capfd, name, share):
    path, voxels, start = copy(name)
    data = voxels.read_bytes()
    voxels.write_bytes(data[: start + int(share * (len(data) - start))])
    with pytest.raises(errors.NotAnImage, match="The file of the CT is cut off or damaged"):
        read_raw(path, "the CT")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", [*PACKED, *PLAIN])
def test_more_voxels_than_the_header_states_are_refused(copy, name):
    path, voxels, start = copy(name)
    data = voxels.read_bytes()
    if name in PACKED:
        compress = zlib.compress if name.startswith("image.m") else gzip.compress
        body = zlib.decompress(data[start if name != "image.nii.gz" else 0 :], zlib.MAX_WBITS | 32)
        data = data[: start if name != "image.nii.gz" else 0] + compress(body + bytes(range(1, 101)))
        header = path.read_bytes()
        if b"CompressedDataSize" in header:
            _resize(path, voxels, data, start)
        else:
            voxels.write_bytes(data)
    else:
        voxels.write_bytes(data + bytes(range(1, 101)))
    with pytest.raises(errors.NotAnImage, match="more voxels than its header states"):
        read_raw(path)


def _resize(path: Path, voxels: Path, data: bytes, start: int) -> None:
    """Write voxel data of another compressed size, and state that size in the header."""
    header = path.read_bytes()[:start] if path == voxels else path.read_bytes()
    lines = header.split(b"\n")
    new = [b"CompressedDataSize = %d" % (len(data) - start) if b"CompressedDataSize" in x else x for x in lines]
    if path == voxels:
        path.write_bytes(b"\n".join(new) + data[start:])
    else:
        path.write_bytes(b"\n".join(new))
        voxels.write_bytes(data)


@pytest.mark.parametrize("name", ["plain.nii", "plain.mha", "plain.nrrd"])
def test_padding_after_the_voxels_is_accepted(folder, copy, name):
    path, voxels, _ = copy(name)
    voxels.write_bytes(voxels.read_bytes() + bytes(512))
    assert np.array_equal(read_raw(path).array, read_raw(folder / name).array)


@pytest.mark.parametrize("name", ["image.mhd", "image.nhdr", "plain.mhd", "plain.nhdr"])
def test_a_missing_data_file_is_named(copy, capfd, name):
    path, voxels, _ = copy(name)
    voxels.unlink()
    with pytest.raises(errors.NotAnImage, match="header alone, and its data file is missing"):
        read_raw(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["image.nii.gz", "image.nrrd"])
def test_a_gzip_stream_of_several_members_is_read(folder, copy, name):
    """bgzip and pigz write such streams."""
    path, voxels, start = copy(name)
    start = 0 if name.endswith(".gz") else start
    data = voxels.read_bytes()
    body = gzip.decompress(data[start:])
    third = len(body) // 3
    parts = [body[:third], body[third : 2 * third], body[2 * third :]]
    voxels.write_bytes(data[:start] + b"".join(map(gzip.compress, parts)))
    assert np.array_equal(read_raw(path).array, read_raw(folder / name).array)
    voxels.write_bytes(data[:start] + b"".join(map(gzip.compress, parts[:2])))
    with pytest.raises(errors.NotAnImage, match="cut off"):
        read_raw(path)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from([*PACKED, *PLAIN]),
    changes=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.one_of(st.none(), st.integers(0, 600)),
)
def test_any_damaged_header_is_read_or_refused(folder, tmp_path, name, changes, cut):
    data = bytearray((folder / name).read_bytes())
    if name.endswith(".gz"):
        data = bytearray(gzip.decompress(data))
    for at, value in changes:
        data[at % len(data)] = value
    data = bytes(data[:cut])
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    try:
        assert read_raw(tmp_path / name).array.ndim in (3, 4)
    except errors.ReactkdError as error:
        assert len(str(error)) < 300 and str(error).endswith(".")
