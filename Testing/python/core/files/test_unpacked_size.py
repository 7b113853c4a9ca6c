"""Small files that unpack to more than any scan are refused before their content is in memory."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import pydicom
import pytest

from REACTKDLib.core.errors import NotAnImage, ReactkdError
from REACTKDLib.core.files.dicom.images import read_dicom_volume
from REACTKDLib.core.files.dicom.opened import MOST_INFLATED, opened
from REACTKDLib.core.files.dicom.seg_objects import segmentation_objects
from REACTKDLib.core.files.volumes import read_raw
from REACTKDLib.core.modality import Modality
from support.dicom_files import tissue, write_series

DEFLATED = "1.2.840.10008.1.2.1.99"
ZEROS = bytes(1 << 24)


def deflate(path: Path, more: int = 0, about: int = 0) -> Path:
    """Store a DICOM file with a deflated data set. more: zeros in a private element. about: bytes in its file meta."""
    dataset, plain, meta = pydicom.dcmread(path), io.BytesIO(), io.BytesIO()
    pydicom.dcmwrite(plain, dataset)
    content = plain.getvalue()[144 + dataset.file_meta.FileMetaInformationGroupLength :]
    dataset.file_meta.TransferSyntaxUID = DEFLATED
    if about:
        dataset.file_meta.PrivateInformationCreatorUID = "1.2.3"
        dataset.file_meta.PrivateInformation = bytes(about)
    pydicom.filewriter.write_file_meta_info(meta, dataset.file_meta)
    pack = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    with open(path, "wb") as stream:
        stream.write(bytes(128) + b"DICM" + meta.getvalue() + pack.compress(content))
        if more:
            stream.write(pack.compress(struct.pack("<HH2sHI", 0x7FE1, 0x1010, b"OB", 0, more)))
            for _ in range(more // len(ZEROS)):
                stream.write(pack.compress(ZEROS))
        stream.write(pack.flush())
    return path


def test_a_deflated_series_is_read(tmp_path):
    planes = tissue(5)
    for path in write_series(tmp_path, planes):
        deflate(path)
    assert (read_dicom_volume(tmp_path, Modality.CT)[0].array == planes).all()


@pytest.mark.parametrize("about", [0, 5000])
def test_a_deflated_file_that_unpacks_to_more_than_any_image_is_refused(tmp_path, about):
    paths = write_series(tmp_path, tissue(5))
    path = deflate(paths[2], MOST_INFLATED + (1 << 26), about)
    assert path.stat().st_size < 1 << 22
    tracemalloc.start()
    with pytest.raises(NotAnImage, match="unpacks to more than any image holds"):
        opened(path, stop_before_pixels=True)
    with pytest.raises(ReactkdError, match="1 file beside them cannot be read"):
        read_dicom_volume(tmp_path, Modality.CT)
    with pytest.raises(ReactkdError):
        read_dicom_volume(path, Modality.CT)
    segmentation_objects(path)  # its header cannot be read, which is told when it is opened
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 27


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_more_values_than_any_scan_holds_are_refused_before_they_are_read(tmp_path, encoding):
    """The number of voxels is that of a scan; each of them holds hundreds of values."""
    path = tmp_path / "a.seg.nrrd"
    path.write_text(
        "NRRD0004\ntype: double\ndimension: 4\nspace: left-posterior-superior\nsizes: 200 400 400 400\n"
        "space directions: none (1,0,0) (0,1,0) (0,0,1)\nkinds: list domain domain domain\nendian: little\n"
        f"encoding: {encoding}\nspace origin: (0,0,0)\n\n"
    )
    with open(path, "r+b") as stream:
        stream.truncate(200 * 400**3 * 8 + path.stat().st_size)  # holds no blocks on the disk
    with pytest.raises(NotAnImage, match="more than any scan has"):
        read_raw(path)


def test_compressed_pixels_that_unpack_to_more_than_any_scan_are_refused_before_they_are_decoded(tmp_path):
    def edit(dataset, k):
        dataset.compress("1.2.840.10008.1.2.5")  # run lengths
        dataset.Rows = dataset.Columns = 60_000

    write_series(tmp_path, tissue(5), edit=edit)
    with pytest.raises(NotAnImage, match="more than any scan has"):
        read_dicom_volume(tmp_path, Modality.CT)
