"""Touching lesions in the scene: one region until they are split into a segment each, and one again after undo."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.core.masks.checks import checked
from REACTKDLib.core.masks.regions import regions_of
from REACTKDLib.scene.case import nodes_from_case, read_case
from REACTKDLib.scene.hand_over import masks_stamp
from REACTKDLib.scene.segments import choose_segments, lesions_of, mask_on
from support.panel_steps import segments_as_bytes
from support.scene_cases import make_case
from support.script_runs import run

TOUCHING = {(-40.0, 20.0, 30.0): 14.0, (-40.0, -5.5, 30.0): 12.0}


@pytest.fixture
def touching(scene):
    case = make_case(lesions=TOUCHING)
    return nodes_from_case(scene, case)


def case_now(nodes):
    return checked(read_case(nodes, choose_segments(nodes.segmentation)))


def necks_of(case):
    return [finding for finding in case.findings if finding.code == "lesion-neck"]


@pytest.mark.parametrize("name", ["Tumor", "Hypodense"])
def test_a_neck_is_found_split_and_restored(fixer, touching, name):
    data = touching.segmentation.GetSegmentation()
    data.GetSegment("Tumor").SetName(name)  # recognized by its code; only "Tumor" is a lesion's name
    before, case = segments_as_bytes(touching.segmentation), case_now(touching)
    (neck,) = necks_of(case)
    assert len(regions_of(case).lesions) == 1
    fixer.propose(touching, choose_segments(touching.segmentation), neck)
    run(fixer)
    assert fixer.error is None and segments_as_bytes(touching.segmentation) == before
    stays = name == "Tumor"
    assert [one for one, _ml in fixer.proposal.lesions] == (["Lesion 2"] if stays else ["Lesion 2", "Lesion 3"])
    fixer.accept()
    after = case_now(touching)
    assert len(regions_of(after).lesions) == 2 and necks_of(after) == []
    assert np.array_equal(after.tumor, case.tumor) and np.array_equal(after.liver, case.liver)
    volumes = sorted((region.volume_ml for region in regions_of(after).lesions), reverse=True)
    assert volumes == pytest.approx([11.5, 7.2], rel=0.1)
    fixer.undo()
    assert np.array_equal(mask_on(touching.segmentation, ["Tumor"], touching.reference), case.tumor)
    assert len(regions_of(case_now(touching)).lesions) == 1


def test_segment_names_decide_whether_touching_lesions_are_separate(fixer, touching):
    choice = choose_segments(touching.segmentation)
    fixer.propose(touching, choice, necks_of(case_now(touching))[0])
    run(fixer)
    fixer.accept()
    choice, data = choose_segments(touching.segmentation), touching.segmentation.GetSegmentation()
    assert lesions_of(touching.segmentation, choice) == choice.tumors == ("Tumor", "Lesion_2")
    stamp = masks_stamp(touching, choice)
    data.GetSegment("Lesion_2").SetName("Necrosis")
    assert masks_stamp(touching, choice) != stamp, "so that the answer is known to be outdated"
    assert len(regions_of(case_now(touching)).lesions) == 1


def test_two_segments_reach_the_report_through_the_worker(scene, touching, fixer):
    from REACTKDLib.core.images.grid import Grid
    from REACTKDLib.core.masks.regions import RegionSet
    from REACTKDLib.core.worker.reading import masks_from_files
    from REACTKDLib.scene.hand_over import hand_over_masks

    choice = choose_segments(touching.segmentation)
    fixer.propose(touching, choice, necks_of(case_now(touching))[0])
    run(fixer)
    fixer.accept()
    choice, case = choose_segments(touching.segmentation), case_now(touching)
    scratch = fixer.dispatcher.client.scratch
    steps = hand_over_masks(touching, choice, scratch)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            files = end.value
            break
    grid = Grid(case.reference.shape, case.reference.ijk_to_ras)
    drawn = masks_from_files(scratch.path, files, grid)
    regions = RegionSet.from_masks(drawn.liver | drawn.tumor, drawn.tumor, grid.ijk_to_ras, drawn.lesions)
    assert np.array_equal(regions.labels, regions_of(case).labels) and len(regions.lesions) == 2
