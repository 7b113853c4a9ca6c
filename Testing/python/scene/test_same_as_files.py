"""The scene and the command line agree: the same files give the same case and the same logits."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.commands.phantom import FILES, SEGMENTATION, write_phantom
from REACTKDLib.core.cases.open_case import open_case
from REACTKDLib.core.files.segmentation_writer import write_segmentation
from REACTKDLib.core.files.volumes import read_volume
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.masks.checks import checked
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.phantom import acquire, draw_patient
from REACTKDLib.scene.case import case_from_nodes
from support.real_data import real_data
from support.scene_files import load_segmentation, load_volume
from support.small_models import small_bundle


def _through_the_scene(scene, volumes, segmentation, **options) -> Case:
    nodes = {modality.value: load_volume(path, modality.value) for modality, path in volumes.items()}
    return checked(case_from_nodes(**nodes, segmentation=load_segmentation(scene, segmentation, "masks"), **options))


def _assert_same(ours: Case, theirs: Case) -> None:
    assert ours.modalities == theirs.modalities
    for modality, volume in theirs.volumes.items():
        assert np.array_equal(ours.volumes[modality].array, volume.array)
        corner = np.array([*np.array(volume.shape[::-1]) - 1, 1.0])
        assert np.abs((ours.volumes[modality].ijk_to_ras - volume.ijk_to_ras) @ corner).max() < 0.02  # mm
        assert ours.volumes[modality].unit == volume.unit
    assert np.array_equal(ours.liver, theirs.liver)
    assert np.array_equal(ours.tumor, theirs.tumor)
    assert [f.code for f in ours.findings] == [f.code for f in theirs.findings]


def test_a_phantom_gives_the_same_case_and_logits_in_scene_and_files(scene, tmp_path):
    write_phantom(acquire(draw_patient(46, biology="independent"), size="small"), tmp_path)
    volumes = {modality: tmp_path / FILES[modality.value] for modality in Modality}
    ours = _through_the_scene(scene, volumes, tmp_path / SEGMENTATION)
    theirs = open_case(**{m.value: p for m, p in volumes.items()}, segmentation=tmp_path / SEGMENTATION)
    _assert_same(ours, theirs)
    grader = Grader(small_bundle(), device="cpu")
    logits = [grader.open(case).grade().report.logits for case in (ours, theirs)]
    assert logits[0] == pytest.approx(logits[1], abs=1e-3)


def test_a_real_ct_with_a_label_map_gives_the_same_case_in_scene_and_files(scene):
    data = real_data("totalseg")
    ct, labels = data / "example_ct_sm.nii.gz", data / "example_seg.nii.gz"
    ours = _through_the_scene(scene, {Modality.CT: ct}, labels, liver_segment="5", tumor_segments=[])
    _assert_same(ours, open_case(ct, segmentation=labels, liver="5", tumor=[]))


def test_a_real_pet_ct_gives_the_same_case_in_scene_and_files(scene, tmp_path):
    """CT and PET of one patient on their own grids, with a thresholded liver and a ball in it as the tumor."""
    from scipy.ndimage import binary_erosion, binary_opening, label

    data = real_data("acrin_nsclc_042")
    volumes = {Modality.CT: data / "CT.nii.gz", Modality.FDG: data / "PET_BQML.nii.gz"}
    ct = read_volume(volumes[Modality.CT], Modality.CT)
    soft = binary_opening(binary_erosion((ct.array > 20) & (ct.array < 160), iterations=2), iterations=2)
    parts, _ = label(soft)
    liver = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    distance = np.argwhere(liver)
    middle = distance[np.argmin(((distance - distance.mean(axis=0)) ** 2).sum(axis=1))]
    tumor = np.zeros_like(liver)
    tumor[tuple(slice(m - 1, m + 3) for m in middle)] = True
    masks = [("Liver", "liver", liver), ("Tumor", "tumor", tumor & liver)]
    segmentation = write_segmentation(masks, ct.ijk_to_ras, tmp_path / "masks.seg.nrrd")
    theirs = open_case(*volumes.values(), segmentation=segmentation)
    _assert_same(_through_the_scene(scene, volumes, segmentation), theirs)
