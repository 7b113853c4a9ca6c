"""Evaluation of the explanations: what is painted over, what is shuffled, and what is measured for each case."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.masks.regions import regions_of
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.phantom.biology_shared import SHOWN, LesionLatents, SharedLatents
from REACTKDLib.core.student.bundle import Bundle
from REACTKDTrainLib.__main__ import main
from REACTKDTrainLib.cohorts.base import CENTERS
from REACTKDTrainLib.study.explanation_checks import (
    MEASURES,
    explained,
    measure,
    named_by,
    occluded,
    page,
    shuffled,
)
from support.small_cases import TWO_LESIONS, small_case
from support.small_models import metadata_for, random_student, small_bundle


@pytest.fixture(scope="module")
def case():
    return small_case(TWO_LESIONS)


@pytest.fixture(scope="module")
def bundle():
    return small_bundle(1)


def test_a_lesion_is_painted_over_in_every_image_and_nothing_else_is(case):
    lesion = regions_of(case).mask(2)
    hidden = occluded(case, lesion)
    assert hidden.liver is case.liver and hidden.tumor is case.tumor and set(hidden.volumes) == set(Modality)
    ct, before = hidden.volumes[Modality.CT].array, case.volumes[Modality.CT].array
    assert set(np.unique(ct[lesion])) == {np.median(before[case.liver & ~case.tumor])}
    changed = np.argwhere(ct != before)
    box = np.argwhere(lesion)
    assert (changed.min(axis=0) >= box.min(axis=0) - 1).all() and (changed.max(axis=0) <= box.max(axis=0) + 1).all()
    assert all((hidden.volumes[m].array != case.volumes[m].array).any() for m in Modality)


def test_shuffled_weights_are_a_permutation(bundle):
    before = {name: value.clone() for name, value in bundle.student.named_parameters()}
    other = shuffled(bundle)
    for name, value in other.student.named_parameters():
        assert torch.equal(value.flatten().sort().values, before[name].flatten().sort().values)
        assert torch.equal(dict(bundle.student.named_parameters())[name], before[name])
    assert any(not torch.equal(v, before[n]) for n, v in other.student.named_parameters())
    assert not torch.equal(next(shuffled(bundle, 1).student.parameters()), next(other.student.parameters()))


def test_each_case_has_all_measures_of_its_explanation(case, bundle):
    grader = Grader(bundle, "cpu")
    found = explained(grader.open(case), grader.open(case), grader)
    assert set(found) == {"named", *MEASURES}
    assert found["rank_shuffled"] == pytest.approx(1.0), "the control is the network itself here"
    assert found["gain_shuffled"] == pytest.approx(found["gain_contribution"])
    assert -1 <= found["rank_occlusion"] <= 1
    one = small_case(TWO_LESIONS[:1])
    assert explained(grader.open(one), grader.open(one), grader)["rank_occlusion"] is None


def test_means_leave_out_undefined_measures(case, bundle):
    found = measure(bundle, [case, small_case(TWO_LESIONS[:1]), small_case(())])
    assert found["cases"] == 2 and found["answers"]["rank_occlusion"]["left_out"] == 1
    assert len(page(found).splitlines()) == 4 + len(MEASURES)


def test_named_lesions_are_compared_with_the_deciding_one(bundle):
    """Two lesions: the lesion each method names follows from the answer's own numbers; the second lesion decides."""
    case = small_case(TWO_LESIONS)
    regions = regions_of(case)
    case.derived[CENTERS] = np.array([region.centroid_ras for region in regions.lesions])
    shown = [0.0] * len(SHOWN)
    latents = SharedLatents(0.6, 0.0, (LesionLatents(-1.0, *shown), LesionLatents(1.5, *shown)), 3.0)
    result = Grader(bundle, "cpu").open(case).grade()
    rows, grade = result.report.regions, result.report.grade
    named = named_by(result, grade, {1: 0.2, 2: -0.1})
    assert named["largest change when the lesion is painted over in the images"] == 1
    assert named["largest attention weight"] == 1 + int(rows[2].weight > rows[1].weight)
    share = [result.voxel_map.array[regions.mask(n)].sum() for n in (1, 2)]
    assert named["most of the voxel map (gradient through the feature maps)"] == 1 + int(share[1] > share[0])
    assert named["largest contribution to the predicted grade"] == 1 + int(
        rows[2].contribution[grade] > rows[1].contribution[grade]
    )
    found = measure(bundle, [case, small_case(TWO_LESIONS[:1])], latents=[latents, latents])
    ways = found["deciding"]["inputs"]["ct+fdg+acetate"]
    assert found["deciding"]["cases"] == 1 and ways["chance"]["all"]["mean"] == 0.5
    assert ways["largest attention weight"]["poor"]["mean"] == float(named["largest attention weight"] == 2)
    assert "| exact limit |" in page(found) and "in 1 liver with several" in page(found)


def test_the_command_fills_its_place_on_a_page(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- explanations:questions -->\nold\n<!-- /explanations -->\nafter\n")
    student = random_student()
    Bundle.save(tmp_path / "model", student, metadata_for(student))
    options = ["compare", "explanations", "--cases", "1", "--size", "tiny", "--bundle", str(tmp_path / "model")]
    options += ["--output", str(tmp_path / "told.json"), "--page", str(page)]
    assert main(options) == 0
    found = json.loads((tmp_path / "told.json").read_text())
    assert found["cases"] == 1 and "Digital phantoms: 1 unseen ones" in capsys.readouterr().out
    text = page.read_text()
    assert "old" not in text and text.startswith("before") and text.endswith("after\n") and "| rank correlation" in text
    page.write_text("no place")
    assert main(options) == 2
