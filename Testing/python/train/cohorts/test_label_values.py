"""Which values of a label file are labels: the same for one combined file and for separate liver and tumor files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from REACTKDLib.core.cases.open_case import open_case
from REACTKDLib.core.cases.open_job import open_job
from REACTKDLib.core.cases.worklist import read_worklist
from REACTKDLib.core.errors import NotASegmentation
from REACTKDLib.core.files.label_values import mask_of, whole_labels
from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.images.volume import Volume
from REACTKDTrainLib.cohorts.listed import listed_cohort
from support.case_files import NAMES, write_case
from support.small_cases import small_case

CASE = small_case()
LABELS = CASE.liver.astype(np.uint8) + (CASE.liver & CASE.tumor)
MATRIX = CASE.reference.ijk_to_ras


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_case(CASE, tmp_path_factory.mktemp("labels"))


def saved(array: np.ndarray, path):
    return write_volume(Volume(array, MATRIX), path)


def listed(folder, liver: np.ndarray, tumor: np.ndarray):
    """A list of one case with separate files for liver and tumor."""
    saved(liver, folder / "l.nii.gz"), saved(tumor, folder / "t.nii.gz")
    images = {m.value: NAMES[m] for m in CASE.modalities}
    entry = {"id": "a", **images, "liver": "l.nii.gz", "tumor": "t.nii.gz", "grade": "poor"}
    (folder / "list.json").write_text(json.dumps({"training": [entry]}), encoding="utf-8")
    return folder / "list.json"


SCALES = {"nibabel-uint8": 255 / 2 * (2 / 255) + 0.0039, "int16": 1.0000153, "noise": 1 + 2e-7, "below": 0.996}


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_labels_close_to_whole_numbers_are_rounded(folder, tmp_path, scale):
    path = saved((LABELS * scale).astype(np.float32), tmp_path / "labels.nii.gz")
    case = open_case(folder / "CT.nii.gz", segmentation=path)
    assert np.array_equal(case.tumor, CASE.tumor)
    assert np.array_equal(case.liver, CASE.liver | CASE.tumor)
    assert "labels-rounded" in [finding.code for finding in case.findings]


@given(st.integers(0, 300), st.floats(-0.5, 0.5, width=32))
def test_labels_within_0_02_of_a_whole_number_are_accepted_and_others_refused(label, away):
    array = np.full((1, 1, 2), np.float64(label) + away)
    if abs(away) <= 0.019:
        labels, findings = whole_labels(array, "the mask")
        assert labels.tolist() == [[[label, label]]]
        assert bool(findings) == (array[0, 0, 0] != label)
    elif abs(away) > 0.021:
        with pytest.raises(NotASegmentation, match="one half|below zero"):
            whole_labels(array, "the mask")


def fractions(mask: np.ndarray) -> np.ndarray:
    return gaussian_filter(mask.astype(np.float32), 0.8)


GRADED = {
    "softmax": fractions,
    "floor": lambda mask: np.where(mask, 1, 1e-4 + 0.1).astype(np.float32),
    "percent": lambda mask: np.rint(100 * fractions(mask)).astype(np.uint8),
    "bytes": lambda mask: np.rint(255 * fractions(mask)).astype(np.uint8),
    "distances": lambda mask: np.where(mask, 3, -2).astype(np.int16),
}


@pytest.mark.parametrize("which", ["liver", "tumor"])
@pytest.mark.parametrize("made", GRADED.values(), ids=GRADED)
def test_a_mask_file_of_fractions_is_refused_by_batch_and_training(folder, made, which):
    masks = {"liver": CASE.liver.astype(np.uint8), "tumor": CASE.tumor.astype(np.uint8)}
    path = listed(folder, **{**masks, which: made(masks[which])})
    for read in (lambda: open_job(read_worklist(path)[0]), lambda: listed_cohort(path).cases[0].load()):
        with pytest.raises(NotASegmentation, match=f"The {which} mask .*(cut it at one half|give a label map)"):
            read()


@pytest.mark.parametrize("scale", [1, 255, 0.996])
def test_a_mask_file_with_any_single_value_is_read(folder, scale):
    kind = np.float32 if scale == 0.996 else np.uint8
    path = listed(folder, (CASE.liver * scale).astype(kind), (CASE.tumor * scale).astype(kind))
    for case in (open_job(read_worklist(path)[0]), listed_cohort(path).cases[0].load()):
        assert np.array_equal(case.tumor, CASE.tumor)
        assert np.array_equal(case.liver, CASE.liver | CASE.tumor)
        assert [f.code for f in case.findings].count("labels-rounded") == (2 if scale == 0.996 else 0)


def test_numbered_lesions_are_not_read_as_probabilities():
    lesions = np.zeros((8, 30, 30), dtype=np.uint8)
    for n in range(49):
        lesions[2:5, n // 7 * 4 : n // 7 * 4 + 3, n % 7 * 4 : n % 7 * 4 + 3] = n + 1
    mask, findings = mask_of(lesions, "the tumor mask")
    assert np.array_equal(mask, lesions > 0)
    assert not findings
