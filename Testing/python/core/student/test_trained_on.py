"""A model is only given inputs it saw in training, and its weights are checked against its metadata part by part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from REACTKDLib.core.errors import BundleMismatch, NoVolume
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.modality import SUBSETS, Modality, subset_name
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.trained_on import TrainedOn
from support.small_cases import small_case
from support.small_models import metadata_for, random_student, small_bundle

CT_AND_FDG = {"images": {"ct+fdg": 60, "ct": 5}, "modality_dropout": 0.3}


def findings_of(bundle: Bundle, case, **options) -> dict[str, str]:
    report = Grader(bundle, "cpu").open(case).grade(**options).report
    return {f.code: f.message for f in report.findings}


def test_an_image_type_without_training_cases_is_left_out_with_a_finding():
    """All three branches exist, with random weights: without the check, the acetate PET would change the grade."""
    case = small_case()
    seen, whole = small_bundle(1, {"trained_on": CT_AND_FDG}), small_bundle(1)
    assert "never trained on acetate" in findings_of(seen, case)["input-ignored"]
    result = Grader(seen, "cpu").open(case).grade().report
    without = Grader(whole, "cpu").open(case).grade(leave_out=[Modality.ACETATE]).report
    assert result.inputs == ("ct", "fdg")
    assert result.probabilities == pytest.approx(without.probabilities, abs=1e-6)
    everything = Grader(whole, "cpu").open(case).grade().report
    assert result.probabilities != pytest.approx(everything.probabilities, abs=1e-3)
    with pytest.raises(NoVolume, match="it reads ct, fdg"):
        Grader(seen, "cpu").open(small_case(modalities=(Modality.ACETATE,)))


def test_a_combination_of_images_without_training_cases_is_reported():
    """Modality dropout trains a model on every subset of inputs; without it, FDG alone was never seen."""
    case = small_case()
    dropout, none = ({**CT_AND_FDG, "modality_dropout": rate} for rate in (0.3, 0.0))
    alone = {"leave_out": [Modality.CT]}
    assert "combination-unseen" not in findings_of(small_bundle(1, {"trained_on": dropout}), case, **alone)
    said = findings_of(small_bundle(1, {"trained_on": none}), case, **alone)
    assert "a case with fdg and nothing else" in said["combination-unseen"]
    assert "combination-unseen" not in findings_of(small_bundle(1, {"trained_on": none}), case)


@pytest.mark.parametrize(
    ("shift", "reported"),
    [(0, False), (-14, False), (14, False), (-17, True), (17, True), (-60, True), (120, True)],
)
def test_a_ct_whose_organ_is_darker_or_brighter_than_in_training_is_reported(shift, reported):
    """As a CT without contrast is, for a model that saw the portal-venous phase only."""
    case = small_case()
    free = case.liver & ~case.tumor
    level = float(case.volumes[Modality.CT].array[free].mean())
    moved = case.volumes[Modality.CT].array + np.int16(shift)
    other = replace(
        case, volumes=case.volumes | {Modality.CT: replace(case.volumes[Modality.CT], array=moved.astype(np.int16))}
    )
    seen = {**CT_AND_FDG, "organ_hu": [round(level), round(level)]}
    said = findings_of(small_bundle(1, {"trained_on": seen}), other)
    assert ("ct-unlike-training" in said) is reported
    if reported:
        mean = np.clip(moved[free], -160, 240).mean()  # as the network reads it
        expected = f"The liver has {mean:.0f} HU on this CT, but {round(level)} to {round(level)} HU in"
        assert said["ct-unlike-training"].startswith(expected)
    assert "ct-unlike-training" not in findings_of(small_bundle(1, {"trained_on": CT_AND_FDG}), other), "not known"


def test_a_ct_that_is_left_out_is_not_compared_with_those_of_training():
    seen = {"images": {"ct+fdg": 9}, "modality_dropout": 0.3, "organ_hu": [300, 310]}
    bundle, case = small_bundle(1, {"trained_on": seen}), small_case()
    assert "ct-unlike-training" in findings_of(bundle, case)
    assert "ct-unlike-training" not in findings_of(bundle, case, leave_out=[Modality.CT])


def test_the_ct_values_of_training_are_rounded_outward_and_kept_in_the_metadata():
    seen = TrainedOn.cases([("ct",), ("ct", "fdg"), ("fdg",)], 0.0, [101.2, 95.9])
    assert seen.organ_hu == (95.0, 102.0)
    assert TrainedOn.from_metadata(seen.to_metadata()) == seen
    assert TrainedOn.cases([("fdg",)], 0.0).organ_hu is None and "organ_hu" not in TrainedOn({"fdg": 1}).to_metadata()


def test_a_bundle_without_trained_on_uses_all_its_modalities():
    assert small_bundle(1).modalities == tuple(Modality) and small_bundle(1).trained_on is None


@given(st.lists(st.sampled_from(SUBSETS), min_size=1, max_size=6), st.sampled_from([0.0, 0.5]))
def test_the_training_inputs_are_counted(cases, dropout):
    seen = TrainedOn.cases(cases, dropout)
    assert TrainedOn.from_metadata(seen.to_metadata()) == seen and sum(seen.images.values()) == len(cases)
    assert set(seen.modalities) == {m for case in cases for m in case}
    for subset in SUBSETS:
        expected = subset in cases or (dropout > 0 and any(set(subset) < set(case) for case in cases))
        assert seen.saw(subset) == expected


@pytest.mark.parametrize(
    ("trained_on", "said"),
    [
        ([], "trained_on must be an object"),
        ({"images": {}}, "at least one combination"),
        ({"images": {"fdg+ct": 3}}, "in the order of reports"),
        ({"images": {"mri": 3}}, "in the order of reports"),
        ({"images": {"": 3}}, "in the order of reports"),
        ({"images": {"ct": 0}}, "number of cases"),
        ({"images": {"ct": True}}, "number of cases"),
        ({"images": {"ct": 2}, "modality_dropout": 7}, "modality_dropout"),
        ({"images": {"acetate": 2}}, "no branch"),
        ({"images": {"ct": 2}, "organ_hu": [90]}, "two numbers"),
        ({"images": {"ct": 2}, "organ_hu": 90}, "two numbers"),
        ({"images": {"ct": 2}, "organ_hu": [90, "120"]}, "organ_hu"),
        ({"images": {"ct": 2}, "organ_hu": [90, 9000]}, "organ_hu"),
        ({"images": {"ct": 2}, "organ_hu": [120, 90]}, "least HU first"),
        ({"images": {"fdg": 2}, "organ_hu": [90, 120]}, "no training case had a CT"),
    ],
)
def test_an_impossible_trained_on_entry_is_refused(trained_on, said, tmp_path):
    student = random_student(1, modalities=("ct", "fdg"))
    with pytest.raises(BundleMismatch, match=said):
        Bundle.save(tmp_path / "model", student, metadata_for(student, trained_on=trained_on))
    assert not (tmp_path / "model").exists()


def test_weights_that_do_not_fit_name_the_part(tmp_path):
    small, large = random_student(1), random_student(1, hidden=16)
    large.config = small.config  # the metadata of one model with the weights of the other
    with pytest.raises(BundleMismatch, match=r"kind has the shape \(2, 16\) where .* asks for \(2, 12\)"):
        Bundle.save(tmp_path / "a", large, metadata_for(small))
    one, all_three = random_student(1, modalities=("ct",)), random_student(1)
    one.config = all_three.config
    with pytest.raises(BundleMismatch, match=r"\S*(fdg|acetate)\S* is missing"):
        Bundle.save(tmp_path / "b", one, metadata_for(all_three))


def test_names_are_those_of_reports():
    assert TrainedOn.cases([("ct", "fdg")], 0.0).images == {subset_name((Modality.CT, Modality.FDG)): 1}
