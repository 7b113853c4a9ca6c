"""`grade` on real images. None has a liver tumor, so no particular grade is expected."""

from __future__ import annotations

import json

import numpy as np

from REACTKDLib.__main__ import main
from REACTKDLib.core.files.volumes import read_volume
from support.real_data import real_data


def test_a_slab_with_stated_labels_gives_no_grade_and_the_stated_masks(tmp_path, bundle_folder):
    data = real_data("totalseg")
    files = ["--ct", str(data / "example_ct_sm.nii.gz"), "--segmentation", str(data / "example_seg.nii.gz")]
    output = ["--bundle", str(bundle_folder), "--output", str(tmp_path / "out"), "--device", "cpu"]
    assert main(["grade", *files, "--liver", "5", *output]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["grade"] is None and report["baseline"] is None
    assert {"no-lesion", "liver-cut", "coarse-pixels"} <= {finding["code"] for finding in report["findings"]}
    regions = read_volume(tmp_path / "out" / "regions.nii.gz")
    source = read_volume(data / "example_ct_sm.nii.gz")
    assert np.allclose(regions.ijk_to_ras, source.ijk_to_ras, atol=1e-3)
    truth = read_volume(data / "example_seg.nii.gz").array == 5
    assert np.count_nonzero((regions.array == 1) != truth) <= 1  # one hole of one voxel is filled


def test_a_slab_without_stated_labels_is_refused(tmp_path, bundle_folder, capsys):
    data = real_data("totalseg")
    files = ["--ct", str(data / "example_ct_sm.nii.gz"), "--segmentation", str(data / "example_seg.nii.gz")]
    assert main(["grade", *files, "--bundle", str(bundle_folder), "--output", str(tmp_path / "out")]) == 2
    assert "No segment is recognized as the liver" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
