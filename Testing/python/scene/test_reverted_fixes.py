"""An accepted fix that something else takes back, such as the undo of the scene or the Segment Editor, is forgotten."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.findings import Finding
from REACTKDLib.scene.segments import choose_segments
from REACTKDLib.scene.volumes import ijk_to_ras_of
from support.edits import erase, mask_of, paint
from support.script_runs import run


class SceneUndo:
    """The undo of the scene, which applications switch on for the nodes that they choose."""

    def __init__(self, scene: Any, segmentation: Any) -> None:
        self.scene = scene
        segmentation.SetUndoEnabled(True)
        scene.SetUndoOn()

    def save(self) -> None:
        self.scene.SaveStateForUndo()

    def undo(self) -> None:
        self.scene.Undo()

    def redo(self) -> None:
        self.scene.Redo()

    def close(self) -> None:
        self.scene.ClearUndoStack()
        self.scene.ClearRedoStack()
        self.scene.SetUndoOff()


class EditorUndo:
    """The undo of the Segment Editor."""

    def __init__(self, _scene: Any, segmentation: Any) -> None:
        self.history = slicer.vtkSegmentationHistory()
        self.history.SetSegmentation(segmentation.GetSegmentation())

    def save(self) -> None:
        self.history.SaveState()

    def undo(self) -> None:
        self.history.RestorePreviousState()

    def redo(self) -> None:
        self.history.RestoreNextState()

    def close(self) -> None:
        self.history.SetSegmentation(None)


@pytest.fixture(params=[SceneUndo, EditorUndo])
def history(request, scene, nodes):
    """Either history, of the segmentation."""
    made = request.param(scene, nodes.segmentation)
    yield made
    made.close()


@pytest.fixture
def stray(nodes) -> np.ndarray:
    """A lesion in a corner of the image, which is painted in the segment Tumor."""
    where = np.zeros(mask_of(nodes.segmentation, "Tumor", nodes.reference).shape, bool)
    where[1:4, 1:5, 1:6] = True
    paint(nodes.segmentation, "Tumor", where, nodes.reference)
    return where


def propose(fixer, nodes, what: str) -> None:
    """Propose to erase the stray lesion, or to split the lesions."""
    choice = choose_segments(nodes.segmentation)
    if what == "split":
        fixer.split(nodes, choice)
    else:
        place = (ijk_to_ras_of(nodes.reference) @ [3.0, 2.5, 2.0, 1.0])[:3]
        fixer.propose(nodes, choice, Finding("lesion-outside-liver", "warning", "It lies outside.", tuple(place)))
    run(fixer)
    assert fixer.error is None


@pytest.mark.parametrize("what", ["erase", "split"])
def test_a_fix_that_a_history_takes_back_cannot_be_undone_once_more(fixer, nodes, stray, history, what):
    propose(fixer, nodes, what)
    history.save()
    fixer.accept()
    fixer.forget_reverted()
    assert fixer.can_undo
    history.undo()
    assert mask_of(nodes.segmentation, "Tumor", nodes.reference)[stray].all()
    fixer.forget_reverted()
    assert not fixer.can_undo
    with pytest.raises(UsageError, match="No fix was accepted"):
        fixer.undo()
    history.redo()
    assert not mask_of(nodes.segmentation, "Tumor", nodes.reference)[stray].any() or what == "split"


def test_a_history_that_takes_back_only_a_later_stroke_leaves_the_fix(fixer, nodes, stray, history):
    propose(fixer, nodes, "erase")
    fixer.accept()
    fixed = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    history.save()
    paint(nodes.segmentation, "Tumor", np.roll(stray, 20, axis=2), nodes.reference)
    history.undo()
    assert np.array_equal(mask_of(nodes.segmentation, "Tumor", nodes.reference), fixed)
    fixer.forget_reverted()
    fixer.undo()
    assert np.array_equal(mask_of(nodes.segmentation, "Tumor", nodes.reference), fixed | stray)


def test_the_fix_before_one_that_was_taken_back_can_be_undone(fixer, nodes, stray, history):
    before = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    propose(fixer, nodes, "erase")
    fixer.accept()
    propose(fixer, nodes, "split")
    history.save()
    fixer.accept()
    history.undo()
    fixer.forget_reverted()
    assert fixer.can_undo
    fixer.undo()
    assert np.array_equal(mask_of(nodes.segmentation, "Tumor", nodes.reference), before) and not fixer.can_undo


def test_a_fix_is_taken_back_by_hand_only_when_all_of_it_is(fixer, nodes, stray):
    propose(fixer, nodes, "erase")
    fixer.accept()
    part = stray.copy()
    part[1] = False
    paint(nodes.segmentation, "Tumor", part, nodes.reference)
    fixer.forget_reverted()
    assert fixer.can_undo, "a part of it is still erased"
    paint(nodes.segmentation, "Tumor", stray, nodes.reference)
    fixer.forget_reverted()
    assert not fixer.can_undo
    erase(nodes.segmentation, "Tumor", stray, nodes.reference)
    fixer.forget_reverted()
    assert not fixer.can_undo, "the lesion was erased by hand"
