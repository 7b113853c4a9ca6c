"""Listed cases are loaded into the scene and saved: as drawn, in short slices of work, sparing the user's nodes."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import slicer

from REACTKDLib.core.cases.case_list import open_case_list, with_masks
from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.files.segmentations import read_segmentation
from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.worker.client import WorkerClient
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.scene.case import case_from_nodes
from REACTKDLib.scene.case_loader import CaseLoader
from REACTKDLib.scene.exporting import CaseExporter
from REACTKDLib.scene.segments import choose_segments
from REACTKDLib.scene.session import grade_in_scene
from support.case_files import write_case, write_masks
from support.edits import ball, erase, mask_of, paint
from support.killed import fill, small_disk
from support.scene_cases import HandMadeGrader, make_case

LESION = (-40.0, 20.0, 30.0)


@pytest.fixture
def loader(scene, dispatcher):
    loader = CaseLoader(scene, dispatcher)
    yield loader
    loader.unload()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("cases")
    write_case(make_case(), root / "a")
    write_case(make_case(lesions={LESION: 10.0}), root / "b")
    write_case(make_case(), root / "broken")
    (root / "broken" / "CT.nii.gz").write_text("no image")
    return root


def files_of(folder: Path, name: str, masks: Path | None = None) -> Job:
    cases = open_case_list(folder)
    return with_masks(cases.cases[cases.find(name)].job, masks)


def run(loader: CaseLoader, start, *arguments) -> str | None:
    """Run `start` to completion and return the reported error. No slice of work may take long."""
    told, longest = [], 0.0
    start(*arguments, told.append)
    until = time.monotonic() + 60
    while not told:
        assert time.monotonic() < until
        before = time.thread_time()
        loader.dispatcher.poll()
        loader.work()
        longest = max(longest, time.thread_time() - before)
        time.sleep(0.005)
    assert longest < 0.5  # typically far less
    return None if told[0] is None else str(told[0])


def test_a_loaded_case_has_the_content_of_its_files(loader, folder):
    assert run(loader, loader.open, "a", files_of(folder, "a")) is None
    listed, case = loader.loaded, make_case()
    assert listed.case_id == "a" and listed.problem == "" and loader.present and not loader.edited
    read = case_from_nodes(
        *(listed.nodes.volumes[m] for m in Modality), segmentation=listed.nodes.segmentation, case_id="a"
    )
    assert (read.liver == (case.liver | case.tumor)).all() and (read.tumor == case.tumor).all()
    for modality, volume in read.volumes.items():
        assert np.array_equal(volume.array, case.volumes[modality].array)
        assert volume.unit is case.volumes[modality].unit
        assert np.allclose(volume.ijk_to_ras, case.volumes[modality].ijk_to_ras, atol=1e-2)
    assert listed.choice is None, "left to recognition, so that a lesion that is added counts"
    choice = choose_segments(listed.nodes.segmentation)
    assert (len(choice.livers), len(choice.tumors), choice.keep_specks) == (1, 1, False)
    display = listed.nodes.reference.GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (-60, 200) and not display.GetAutoWindowLevel()


def test_the_next_case_replaces_the_former_and_the_users_nodes_stay(loader, scene, folder):
    own = scene.AddNewNodeByClass("vtkMRMLModelNode", "a model of the user")
    before = scene.GetNumberOfNodes()
    assert run(loader, loader.open, "a", files_of(folder, "a")) is None
    first = [node.GetID() for node in loader.loaded.nodes.all()]
    nodes = loader.loaded.nodes.volumes
    segmentation = loader.loaded.nodes.segmentation
    grade_in_scene(scene, *(nodes[m] for m in Modality), segmentation=segmentation, grader=HandMadeGrader())
    with_case = scene.GetNumberOfNodes()
    assert run(loader, loader.open, "b", files_of(folder, "b")) is None
    assert not any(
        scene.GetNodeByID(i) is not None and i not in [n.GetID() for n in loader.loaded.nodes.all()] for i in first
    )
    assert scene.GetNumberOfNodes() < with_case, "the results of the former case are gone with it"
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1
    assert scene.IsNodePresent(own)
    loader.unload()
    # the subject hierarchy and the layout's own nodes may come with the first case; all inputs and results are removed
    for kind in ("Segmentation", "ScalarVolume", "Table", "ScriptedModule"):
        assert scene.GetNumberOfNodesByClass(f"vtkMRML{kind}Node") == 0
    assert scene.IsNodePresent(own) and scene.GetNumberOfNodes() <= before + 3


def test_a_removed_case_takes_along_all_results_of_its_images(loader, scene, folder):
    assert run(loader, loader.open, "a", files_of(folder, "a")) is None
    nodes = loader.loaded.nodes
    other = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Second reader")
    other.GetSegmentation().DeepCopy(nodes.segmentation.GetSegmentation())
    grade_in_scene(scene, *(nodes.volumes[m] for m in Modality), segmentation=other, grader=HandMadeGrader())
    loader.unload()
    assert scene.IsNodePresent(other)
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1
    for kind in ("ScalarVolume", "Table", "ScriptedModule"):
        assert scene.GetNumberOfNodesByClass(f"vtkMRML{kind}Node") == 0


def test_a_case_that_cannot_be_read_leaves_the_scene_unchanged(loader, scene, folder):
    assert run(loader, loader.open, "a", files_of(folder, "a")) is None
    nodes = scene.GetNumberOfNodes()
    error = run(loader, loader.open, "broken", files_of(folder, "broken"))
    assert error.startswith("The file of the CT is not an image")
    assert loader.loaded.case_id == "a" and loader.present and scene.GetNumberOfNodes() == nodes
    assert run(loader, loader.open, "b", files_of(folder, "b")) is None


def test_a_stop_while_reading_leaves_the_scene_unchanged(loader, scene, folder):
    nodes = scene.GetNumberOfNodes()
    told = []
    loader.open("a", files_of(folder, "a"), told.append)
    loader.work()
    loader.stop()
    assert not loader.busy and loader.doing == "" and told == []
    for _ in range(40):
        loader.dispatcher.poll()
        loader.work()
        time.sleep(0.01)
    assert scene.GetNumberOfNodes() == nodes and loader.loaded is None
    assert run(loader, loader.open, "a", files_of(folder, "a")) is None


def test_a_case_read_ahead_is_not_read_again(loader, folder):
    files = files_of(folder, "b")
    loader.read_ahead(files)
    loader.read_ahead(files)
    until = time.monotonic() + 60
    while loader._ahead is None:
        assert time.monotonic() < until
        loader.dispatcher.poll()
        time.sleep(0.01)
    submitted = loader.dispatcher.client._count
    assert run(loader, loader.open, "b", files) is None
    assert loader.dispatcher.client._count == submitted
    loader.read_ahead(files_of(folder, "a"))
    loader.stop()
    while loader.dispatcher.waiting:
        loader.dispatcher.poll()
        time.sleep(0.01)
    assert not list(loader.dispatcher.client.scratch.path.glob("*.npy")), "what is not used any more is removed"


@pytest.mark.parametrize("edit", ["paint", "erase", "add", "remove", "rename"])
def test_an_edit_is_detected_saved_and_read_back(loader, folder, tmp_path, edit):
    files = files_of(folder, "a")
    before = {path: path.read_bytes() for path in (folder / "a").iterdir()}
    assert run(loader, loader.open, "a", files) is None
    nodes, reference = loader.loaded.nodes, loader.loaded.nodes.reference
    data = nodes.segmentation.GetSegmentation()
    where = ball(reference, (-20.0, 10.0, 50.0), 8.0)
    if edit == "paint":
        paint(nodes.segmentation, "Tumor", where, reference)
    elif edit == "erase":
        erase(nodes.segmentation, "Tumor", ball(reference, LESION, 20.0), reference)
    elif edit == "add":
        data.AddEmptySegment("New", "Lesion; new", [0.1, 0.5, 0.9])
        paint(nodes.segmentation, "Lesion; new", where, reference)
    elif edit == "remove":
        data.RemoveSegment(data.GetSegmentIdBySegmentName("Tumor"))
    else:
        data.GetSegment(data.GetSegmentIdBySegmentName("Tumor")).SetName("HCC")
    assert loader.edited
    names = [data.GetNthSegment(n).GetName() for n in range(data.GetNumberOfSegments())]
    drawn = {name: mask_of(nodes.segmentation, name, reference) for name in names}
    path = tmp_path / "own" / "a.seg.nrrd"
    assert run(loader, loader.save, path) is None
    assert not loader.edited and path.is_file()
    assert {path: path.read_bytes() for path in (folder / "a").iterdir()} == before
    assert run(loader, loader.open, "a", files_of(folder, "a", path)) is None
    again = loader.loaded.nodes
    assert loader.loaded.nodes is not nodes
    found = again.segmentation.GetSegmentation()
    assert [found.GetNthSegment(n).GetName() for n in range(found.GetNumberOfSegments())] == names
    for name in names:
        assert (mask_of(again.segmentation, name, again.reference) == drawn[name]).all(), name
    if edit == "add":
        assert np.allclose(found.GetSegment(found.GetSegmentIdBySegmentName(names[-1])).GetColor(), (0.1, 0.5, 0.9))


def test_display_changes_are_not_edits(loader, folder):
    assert run(loader, loader.open, "a", files_of(folder, "a")) is None
    segmentation = loader.loaded.nodes.segmentation
    segmentation.CreateClosedSurfaceRepresentation()
    segmentation.GetDisplayNode().SetVisibility(False)
    segmentation.GetSegmentation().GetNthSegment(0).SetColor(1, 0, 0)
    assert not loader.edited


def test_save_now_writes_the_masks_synchronously(loader, folder, tmp_path):
    assert run(loader, loader.open, "a", files_of(folder, "a")) is None
    nodes = loader.loaded.nodes
    paint(nodes.segmentation, "Tumor", ball(nodes.reference, (-20.0, 10.0, 50.0), 8.0), nodes.reference)
    tumor = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    loader.save_now(tmp_path / "a.seg.nrrd")
    assert not loader.edited
    saved = read_segmentation(tmp_path / "a.seg.nrrd")
    assert saved.mask([1]).sum() == tumor.sum()


def test_masks_are_saved_although_the_temporary_folder_is_full(scene, folder, tmp_path):
    """It is often on another disk than the list, and nobody could leave the case without losing the edits."""
    with small_disk(tmp_path / "disk", "16m") as disk:
        dispatcher = JobDispatcher(WorkerClient(scratch_parent=disk))
        loader = CaseLoader(scene, dispatcher)
        assert run(loader, loader.open, "a", files_of(folder, "a")) is None
        nodes = loader.loaded.nodes
        paint(nodes.segmentation, "Tumor", ball(nodes.reference, (-20.0, 10.0, 50.0), 8.0), nodes.reference)
        tumor = mask_of(nodes.segmentation, "Tumor", nodes.reference)
        paths = [tmp_path / name for name in ("a.seg.nrrd", "b.seg.nrrd", "removed.seg.nrrd")]
        fill(disk, 0)
        before = set(dispatcher.client.scratch.path.iterdir())
        assert run(loader, loader.save, paths[0]) is None and not loader.edited
        exporter = CaseExporter(scene, dispatcher)
        exporter.save_masks(nodes, paths[1])
        while exporter.busy:
            exporter.poll()
        assert exporter.error is None
        scene.RemoveNode(nodes.segmentation)
        assert run(loader, loader.save, paths[2]) is None
        for path in paths:
            assert read_segmentation(path).mask([1]).sum() == tumor.sum()
        assert set(dispatcher.client.scratch.path.iterdir()) <= before, "the full disk must hold no new file"
        loader.unload()
        dispatcher.close()


def test_a_save_that_fails_keeps_the_edit(loader, folder, tmp_path):
    assert run(loader, loader.open, "a", files_of(folder, "a")) is None
    nodes = loader.loaded.nodes
    paint(nodes.segmentation, "Tumor", ball(nodes.reference, (-20.0, 10.0, 50.0), 8.0), nodes.reference)
    (tmp_path / "file").touch()
    error = run(loader, loader.save, tmp_path / "file" / "a.seg.nrrd")
    assert "cannot be written" in error and loader.edited and loader.present


def test_a_case_without_masks_can_be_drawn(loader, folder, tmp_path):
    job = Job("a", {Modality.CT: folder / "a" / "CT.nii.gz"})
    assert run(loader, loader.open, "a", job) is None
    nodes = loader.loaded.nodes
    assert "draw the masks" in loader.loaded.problem and loader.loaded.choice is None
    assert nodes.segmentation.GetSegmentation().GetNumberOfSegments() == 0 and not loader.edited
    nodes.segmentation.GetSegmentation().AddEmptySegment("Liver", "Liver")
    paint(nodes.segmentation, "Liver", make_case().liver, nodes.reference)
    assert loader.edited and run(loader, loader.save, tmp_path / "a.seg.nrrd") is None
    assert read_segmentation(tmp_path / "a.seg.nrrd").mask([0]).sum() == make_case().liver.sum()


def test_a_label_map_with_stated_labels_is_loaded(loader, folder, tmp_path):
    labels = make_case().liver.astype(np.int16) * 300
    labels[make_case().tumor] = 7
    write_volume(Volume(labels, make_case().reference.ijk_to_ras), tmp_path / "labels.nrrd")
    job = Job("a", {Modality.CT: folder / "a" / "CT.nii.gz"}, tmp_path / "labels.nrrd", ("300",), ("7",))
    assert run(loader, loader.open, "a", job) is None
    nodes = loader.loaded.nodes
    assert (mask_of(nodes.segmentation, "Tumor", nodes.reference) == make_case().tumor).all()
    assert len(loader.loaded.choice.livers) == len(loader.loaded.choice.tumors) == 1


def test_a_removed_node_is_not_an_edit_and_the_next_case_opens(loader, scene, folder):
    assert run(loader, loader.open, "a", files_of(folder, "a")) is None
    scene.RemoveNode(loader.loaded.nodes.segmentation)
    assert not loader.present and not loader.edited
    assert run(loader, loader.open, "b", files_of(folder, "b")) is None
    assert loader.present


def test_under_a_transform_the_saved_masks_stay_in_their_own_frame(loader, scene, folder, tmp_path):
    assert run(loader, loader.open, "a", files_of(folder, "a")) is None
    nodes = loader.loaded.nodes
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = (10, 20, 30)
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    for node in loader.loaded.nodes.all():
        node.SetAndObserveTransformNodeID(transform.GetID())
    assert not loader.edited
    assert run(loader, loader.save, tmp_path / "a.seg.nrrd") is None
    assert run(loader, loader.open, "a", files_of(folder, "a", tmp_path / "a.seg.nrrd")) is None
    again = loader.loaded.nodes
    assert (mask_of(again.segmentation, "Tumor", again.reference) == make_case().tumor).all()
    assert scene.IsNodePresent(transform)
    assert nodes is not again


def test_masks_finer_than_the_image_keep_their_own_grid(loader, folder, tmp_path):
    case = make_case()
    matrix = case.reference.ijk_to_ras @ np.diag([0.5, 0.5, 1.0, 1.0])
    masks = [np.repeat(np.repeat(mask, 2, axis=1), 2, axis=2) for mask in (case.liver, case.tumor)]
    path = write_masks(*masks, matrix, tmp_path / "fine.seg.nrrd")
    job = Job("a", {Modality.CT: folder / "a" / "CT.nii.gz"}, path)
    assert run(loader, loader.open, "a", job) is None
    segmentation = loader.loaded.nodes.segmentation
    segment = segmentation.GetSegmentation().GetSegment(segmentation.GetSegmentation().GetNthSegmentID(1))
    segment.SetName("HCC")
    assert run(loader, loader.save, tmp_path / "saved.seg.nrrd") is None
    saved = read_segmentation(tmp_path / "saved.seg.nrrd")
    assert np.allclose(np.linalg.norm(saved.ijk_to_ras[:3, :3], axis=0), np.linalg.norm(matrix[:3, :3], axis=0))
    assert saved.mask([1]).sum() == masks[1].sum()
