"""The index of a folder: any layout, ten thousand files in little memory, progress reports that can cancel."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import psutil
import pydicom
import pytest

from REACTKDLib.core.errors import Canceled, FileMissing
from REACTKDLib.core.files.dicom.index import index_folder
from support.dicom_files import uid_of, write_series

FILES, SERIES = 10_000, 50


def write_many(folder: Path, files: int) -> None:
    """Write small CT slices in 50 series and folders, by patching the bytes of one file."""
    (template,) = write_series(folder / "template", np.zeros((1, 4, 4), np.int16))
    dataset = pydicom.dcmread(template)
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = "1.2.3.1000000", "1.2.4.10"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.1000000"
    dataset.ImagePositionPatient = ["0", "0", "000000"]
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    content = out.getvalue()
    template.unlink()
    assert content.count(b"1.2.3.1000000") == 2 and content.count(b"1.2.4.10") == 1 and content.count(b"\\000000") == 1
    for n in range(files):
        place = folder / f"{n % SERIES:02d}" / "deep"
        place.mkdir(parents=True, exist_ok=True)
        own = content.replace(b"1.2.3.1000000", f"1.2.3.1{n:06d}".encode())
        own = own.replace(b"1.2.4.10", f"1.2.4.{n % SERIES + 10:02d}".encode())
        (place / f"{n:06d}").write_bytes(own.replace(b"\\000000", f"\\{n // SERIES:06d}".encode()))


@pytest.mark.slow
def test_ten_thousand_files_in_bounded_memory_with_progress(tmp_path):
    write_many(tmp_path, FILES)
    index_folder(tmp_path / "00")  # so that the imports and caches of pydicom are not counted
    process, told, resident = psutil.Process(), [], []

    def tell(fraction: float, text: str) -> None:
        told.append((fraction, text))
        resident.append(process.memory_info().rss)

    index = index_folder(tmp_path, tell)
    assert (len(index.series), index.files, index.passed_over) == (SERIES, FILES, 0)
    assert all(len(series.slices) == FILES // SERIES for series in index.series)
    assert max(resident) - resident[0] < 30_000_000  # 10,000 headers with all their elements would take over 200 MB
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and len(told) > FILES // 100
    assert told[-2][1].endswith(f"of {FILES} files")


def test_progress_can_cancel(tmp_path):
    write_series(tmp_path, np.zeros((3, 4, 4), np.int16))

    def stop(fraction, text):
        raise Canceled("Stopped.")

    with pytest.raises(Canceled):
        index_folder(tmp_path, stop)


def test_files_of_one_series_in_several_folders_are_one_series(tmp_path):
    paths = write_series(tmp_path / "a", np.zeros((4, 4, 4), np.int16))
    (tmp_path / "b").mkdir()
    paths[3].rename(tmp_path / "b" / "x")
    (series,) = index_folder(tmp_path).series
    assert len(series.slices) == 4 and series.uid == uid_of("HCC_001", "study", "series")
    assert series.patient == "HCC_001" and "HCC_001" not in series.title


def test_a_missing_folder_is_refused():
    with pytest.raises(FileMissing):
        index_folder("nowhere-at-all")
