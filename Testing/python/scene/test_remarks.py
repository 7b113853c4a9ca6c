"""The file reader's remarks are reported with every grade of the node, whichever way the file was read."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.cases.open_job import read_job
from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.worker.files_read import FilesRead
from REACTKDLib.core.worker.folder import ScratchFolder
from REACTKDLib.core.worker.jobs import CheckArrays, from_message, to_message
from REACTKDLib.core.worker.reading import case_from_files
from REACTKDLib.core.worker.wire import read_message, write_message
from REACTKDLib.scene.case import CaseNodes, case_from_nodes
from REACTKDLib.scene.hand_over import hand_over_case
from REACTKDLib.scene.listed_nodes import add_case, images_in_slices
from REACTKDLib.scene.remarks import remarks_of, write_remarks
from REACTKDLib.scene.segments import choose_segments
from support.case_files import SEGMENTATION, write_case
from support.nifti_headers import nifti_with
from support.scene_files import load_segmentation, load_volume
from support.small_cases import small_case

CASE = small_case(modalities=[Modality.CT])
CT = CASE.reference
OTHER = CT.ijk_to_ras + np.array([[0, 0, 0, 13], [0, 0, 0, -7], [0, 0, 0, 3], [0, 0, 0, 0]])


def finished(slices):
    while True:
        try:
            next(slices)
        except StopIteration as end:
            return end.value


def codes(findings) -> list[str]:
    return [finding.code for finding in findings]


@pytest.fixture
def scratch(tmp_path):
    folder = ScratchFolder(tmp_path)
    yield folder
    folder.remove()


def handed_over(nodes: CaseNodes, scratch: ScratchFolder):
    """The case that the worker builds from what the panel hands over."""
    images, masks = finished(hand_over_case(nodes, choose_segments(nodes.segmentation), scratch))
    job = from_message(to_message(CheckArrays(images, masks)))
    return case_from_files(scratch.path, job.images, job.masks, "a")


def test_a_listed_case_keeps_the_findings_of_its_files(scene, scratch, tmp_path):
    ct = nifti_with(CT, tmp_path / "ct.nii", sform=OTHER)
    labels = write_volume(Volume(CASE.liver.astype(np.uint8) + CASE.tumor, CT.ijk_to_ras), tmp_path / "labels.nii")
    found = read_job(Job("a", {Modality.CT: ct}, labels))
    read = read_message(FilesRead, write_message(FilesRead.of(found), scratch.path, "f.npy"), scratch.path)
    listed = add_case(scene, "a", read, *finished(images_in_slices(read)))
    case = handed_over(listed.nodes, scratch)
    assert codes(case.findings) == ["two-places", "mask-by-other-place"]
    assert np.array_equal(case.tumor, CASE.tumor)
    again = case_from_nodes(ct=listed.nodes.reference, segmentation=listed.nodes.segmentation)
    assert case.findings == again.findings


@pytest.mark.parametrize(
    ("header", "code", "words"),
    [
        ({"sform": OTHER}, "two-places", "its sform was used"),
        ({"sform": OTHER, "codes": (1, 2)}, "two-places", "its qform was used"),
        ({"pixdim_times": (0.9, 0.9, 1)}, "two-places", "3D Slicer took another one"),
    ],
    ids=["sform", "qform", "sizes"],
)
def test_a_file_loaded_by_slicer_is_checked(scene, scratch, tmp_path, header, code, words):
    folder = write_case(CASE, tmp_path / "case")
    node = load_volume(nifti_with(CT, tmp_path / "ct.nii", **header), "CT")
    (finding,) = remarks_of(node, Modality.CT)
    assert finding.code == code and words in finding.message and finding.message.count("the CT") <= 1
    case = handed_over(CaseNodes({Modality.CT: node}, load_segmentation(scene, folder / SEGMENTATION, "S")), scratch)
    assert finding in case.findings


def test_a_regular_file_and_a_moved_node_have_no_finding(scene, tmp_path):
    node = load_volume(write_volume(CT, tmp_path / "ct.nii.gz"), "CT")
    assert remarks_of(node, Modality.CT) == ()
    node = load_volume(nifti_with(CT, tmp_path / "two.nii", sform=OTHER), "CT")
    node.SetOrigin(500, 500, 500)
    assert remarks_of(node, Modality.CT) == ()
    (tmp_path / "two.nii").unlink()
    assert remarks_of(node, Modality.CT) == ()


def test_findings_are_kept_with_the_node(scene):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    told = (Finding("a", "warning", "B \u00e9."), Finding("c", "info", "D.", (1.0, 2.0, 3.0)))
    write_remarks(node, told)
    assert remarks_of(node, Modality.CT) == told
    for text in ("", "{", "[1]", '[{"code": 1}]', "{}"):
        node.SetAttribute("REACTKD.Remarks", text)
        assert remarks_of(node, Modality.CT) == ()
