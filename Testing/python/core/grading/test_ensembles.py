"""Ensembles: mean probabilities, the predictions of each member, and explanations that still add up."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from REACTKDLib import grade, load_model
from REACTKDLib.core.errors import BundleAltered, BundleMismatch, TaskMismatch
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.reports.html import report_page
from REACTKDLib.core.reports.report import GradeReport, report_schema
from REACTKDLib.core.reports.share_words import explained, share_line
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.ensemble import ENSEMBLE, MEMBERS, Ensemble, answer_hash, write_ensemble
from support.kidney_phantoms import KIDNEY
from support.small_cases import small_case
from support.small_models import PREPARATION, metadata_for, random_student, write_small_model

SCHEMA = jsonschema.Draft202012Validator(report_schema())
#: different normalization per member, as in the models of different folds
CENTERS = (100.0, 107.0, 118.0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Three models of one training, in the folder of an ensemble."""
    folder = tmp_path_factory.mktemp("ensemble") / "ensemble"
    for seed, center in enumerate(CENTERS):
        student = random_student(seed)
        preparation = replace(PREPARATION, ct_center_hu=center).to_metadata()
        Bundle.save(folder / MEMBERS / f"fold{seed}", student, metadata_for(student, preparation=preparation))
    write_ensemble(folder, [f"fold{seed}" for seed in range(3)])
    return [folder / MEMBERS / f"fold{seed}" for seed in range(3)]


@pytest.fixture(scope="module")
def case():
    return small_case()


@pytest.fixture(scope="module")
def ensemble(folders):
    return load_model(folders, "cpu")


@pytest.fixture(scope="module")
def alone(folders, case):
    return [load_model(folder, "cpu").open(case).grade() for folder in folders]


def values(reports, key, name=None):
    """The values of `key` as an array (members, regions)."""
    found = [[row.value(key) for row in report.regions] for report in reports]
    return np.array([[v if name is None else v[name] for v in rows] for rows in found])


def test_the_result_is_the_mean_of_the_members(ensemble, alone, case):
    result = ensemble.open(case).grade()
    report, members = result.report, [one.report for one in alone]
    assert len({member.grade for member in members}) > 1, "the members must differ for this test"
    for name, value in report.probabilities.items():
        said = [member.probabilities[name] for member in members]
        assert value == pytest.approx(np.mean(said), abs=1e-6)
        spread = report.ensemble.spread[name]
        assert (spread.low, spread.high) == pytest.approx((min(said), max(said)), abs=1e-6)
        assert spread.sd == pytest.approx(np.std(said), abs=1e-6)
    assert report.grade == max(report.probabilities, key=report.probabilities.get)
    assert [m.grade for m in report.ensemble.members] == [m.grade for m in members]
    assert report.ensemble.agreeing(report.grade) == sum(m.grade == report.grade for m in members)
    assert [m.sha256 for m in report.ensemble.members] == [m.model.sha256 for m in members]
    assert report.model.name == "reactkd-test (3 models)" and len(report.model.sha256) == 64


def test_values_of_regions_add_up_to_the_mean(ensemble, alone, case):
    report, members = ensemble.open(case).grade().report, [one.report for one in alone]
    for name, probability in report.probabilities.items():
        shares = values([report], "share_by_grade", name)[0]
        assert shares == pytest.approx(values(members, "share_by_grade", name).mean(axis=0), abs=1e-6)
        assert report.without_regions[name] + shares.sum() == pytest.approx(probability, abs=1e-6)
    muted = ensemble.open(case).grade(mute=[1]).report
    left = report.probabilities[report.grade] - muted.probabilities[report.grade]
    assert report.regions[1].deletion_effect == pytest.approx(left, abs=1e-6)
    assert report.baseline is None and report.logits is None, "a mean of probabilities has no logits"
    assert all(row.contribution is None for row in report.regions)
    assert values([report], "weight")[0] == pytest.approx(values(members, "weight").mean(axis=0), abs=1e-6)


def test_each_member_encodes_once_and_masks_are_read_once(ensemble, case):
    before = ensemble.encoder_calls
    session = ensemble.open(case)
    assert ensemble.encoder_calls - before == 3 * len(session.modalities)
    first = session.grade()
    tumor = case.tumor.copy()
    tumor[np.argwhere(tumor)[0][0]] = False
    session.correct(None, tumor)
    corrected = session.grade()
    assert ensemble.encoder_calls - before == 3 * len(session.modalities)
    assert corrected.report.probabilities != first.report.probabilities
    fresh = ensemble.open(session.case).grade()
    assert corrected.report.probabilities == pytest.approx(fresh.report.probabilities, abs=1e-6)
    placed = {id(member._placed[1]) for member in session._sessions}
    assert len(placed) == 1, "the regions are the same for all members"
    assert session.adopt(case) and session.grade().report.probabilities == first.report.probabilities
    without = session.grade(leave_out=[Modality.ACETATE]).report
    assert without.inputs == ("ct", "fdg") and without.probabilities != first.report.probabilities


def test_report_page_and_figure_describe_the_ensemble(ensemble, case, tmp_path):
    result = ensemble.open(case).grade()
    report = result.report
    assert [error.message for error in SCHEMA.iter_errors(report.to_dict())] == []
    report.write_json(tmp_path / "report.json")
    again = GradeReport.read_json(tmp_path / "report.json")
    assert again.to_dict() == report.to_dict() and again.ensemble.members[0].sha256 == report.ensemble.members[0].sha256
    said = " ".join(map(str, explained(report)))
    agreeing = report.ensemble.agreeing(report.grade)
    assert f"Models that say {report.grade}: {agreeing} of 3" in said and str(share_line(report)) in said
    page = report_page(report)
    assert f"{agreeing} of 3; from model to model" in page and " to " in page and "For poor" not in page
    report.write_csv(tmp_path / "regions.csv")
    header = (tmp_path / "regions.csv").read_text().splitlines()[0]
    assert "share_by_grade_poor" in header
    report.show().savefig(tmp_path / "report.png")
    assert result.voxel_map.array.max() == pytest.approx(1.0) and result.voxel_map_scale > 0


@pytest.fixture
def ensemble_of(tmp_path):
    """A function that makes an ensemble. seen: what each member saw in training, under "trained_on"."""

    def made(*seen, names=("a", "b", "c")) -> Ensemble:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        info = [{"name": name, "trained_on": {"images": {"ct+fdg": 9}, **own}} for name, own in zip(names, seen)]
        return Ensemble(tuple(Bundle.load(write_small_model(folder / str(n), n, **own)) for n, own in enumerate(info)))

    return made


def said_of(ensemble, case, code):
    session = Grader(ensemble, "cpu").open(case)
    session.grade()
    return [str(f.message) for f in session.grade().report.findings if f.code == code]


def test_a_ct_unlike_that_of_training_is_reported_for_the_members_that_it_concerns(ensemble_of, case):
    """The finding named the range of the first of them as that of "the model"."""
    mean = round(float(np.clip(case.volumes[Modality.CT].array[case.liver & ~case.tumor], -160, 240).mean()))
    around, above, higher, below = (
        {"organ_hu": [mean + low, mean + high]} for low, high in ((-5, 5), (20, 40), (30, 60), (-50, -20))
    )
    which = lambda *seen, **more: [  # noqa: E731
        text.split(" on this CT, but ")[1].split(". A CT")[0]
        for text in said_of(ensemble_of(*seen, **more), case, "ct-unlike-training")
    ]
    assert which(around, around, around) == []
    assert which(above, higher, above) == [f"{mean + 20} to {mean + 60} HU in the training of all 3 models"]
    assert which(above, higher) == [f"{mean + 20} to {mean + 60} HU in the training of both models"]
    assert which(around, above, higher) == [
        f"{mean + 20} to {mean + 60} HU in the training of 2 of the 3 models ('b', 'c')"
    ]
    assert which(around, above, {}, names=("same",) * 3) == [
        f"{mean + 20} to {mean + 40} HU in the training of 1 of the 3 models"
    ]
    assert which(above, around, below) == [
        f"{mean + 20} to {mean + 40} HU in the training of 1 of the 3 models ('a')",
        f"{mean - 50} to {mean - 20} HU in the training of 1 of the 3 models ('c')",
    ], "one range from the lowest to the highest would contain the CT"


def test_a_combination_without_training_cases_is_reported_for_the_members_that_it_concerns(ensemble_of, case):
    saw, other = {"images": {"ct+fdg": 9}}, {"images": {"ct": 4, "fdg": 4}}
    ending = "a case with ct and fdg and nothing else; check this grade with care."
    code = "combination-unseen"
    assert said_of(ensemble_of(saw, saw), case, code) == []
    assert said_of(ensemble_of(saw, other), case, code) == [f"In training 1 of the 2 models ('b') never saw {ending}"]
    assert said_of(ensemble_of(other, other), case, code) == [f"In training none of the 2 models ever saw {ending}"]


def test_a_single_model_has_no_ensemble_entry(alone):
    for result in alone:
        assert result.report.ensemble is None and "ensemble" not in result.report.to_dict()
        assert result.report.baseline is not None and result.votes is not None
        assert "Models that say" not in " ".join(map(str, explained(result.report)))


def test_without_a_lesion_no_member_claims_a_grade(ensemble, case):
    report = ensemble.open(case).grade(tumor=np.zeros_like(case.tumor)).report
    assert report.grade is None and report.ensemble is None
    assert [error.message for error in SCHEMA.iter_errors(report.to_dict())] == []


def test_a_folder_of_an_ensemble_is_loaded_as_a_model(folders, ensemble, case):
    folder = folders[0].parents[1]
    report = grade(case, model=folder, device="cpu")
    assert report.probabilities == ensemble.open(case).grade().report.probabilities
    assert answer_hash(folder) == report.model.sha256
    assert answer_hash(folders[0]) == Bundle.load(folders[0]).info["sha256"]
    with pytest.raises(BundleMismatch, match="is an ensemble itself"):
        load_model([folder, folders[0]])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": ["poor", "moderate", "well"]}, "classes"),
        ({"organ": "Kidney"}, "organ"),
        ({"preparation": replace(PREPARATION, spacing_mm=4.0).to_metadata()}, "grid"),
        ({"uncertain": {"top_below": 0.9}}, "rule for an uncertain result"),
        ({"trained_on": {"images": {"ct": 3}, "modality_dropout": 0.0}}, "images"),
    ],
)
def test_members_of_different_tasks_or_inputs_are_refused(folders, tmp_path, change, said):
    student = random_student(7)
    Bundle.save(tmp_path / "other", student, metadata_for(student, **change))
    with pytest.raises(BundleMismatch, match=f"cannot answer together, since they differ in: {said}"):
        load_model([folders[0], tmp_path / "other"])


def test_a_list_of_members_is_checked(folders):
    with pytest.raises(BundleMismatch, match="given twice"):
        load_model([folders[0], folders[0]])
    folder = folders[0].parents[1]
    listing = json.loads((folder / ENSEMBLE).read_text())
    try:
        listing["members"][0]["sha256"] = "0" * 64
        (folder / ENSEMBLE).write_text(json.dumps(listing))
        with pytest.raises(BundleAltered, match="not the one that its list names"):
            Ensemble.load(folder)
        for wrong in ({}, {**listing, "members": listing["members"][:1]}, {**listing, "schema": "other"}):
            (folder / ENSEMBLE).write_text(json.dumps(wrong))
            with pytest.raises(BundleMismatch, match="is not a list of models"):
                load_model(folder)
        outside = [{"folder": "../fold0", "sha256": "0" * 64}] * 2
        (folder / ENSEMBLE).write_text(json.dumps({**listing, "members": outside}))
        with pytest.raises(BundleMismatch, match="outside"):
            load_model(folder)
    finally:
        write_ensemble(folder, [f"fold{seed}" for seed in range(3)])
    assert isinstance(load_model(folder).bundle, Ensemble) and isinstance(load_model(folder), Grader)


def test_a_case_of_another_task_is_refused_as_by_one_model(folders, case):
    session = Grader(Ensemble.load(folders[0].parents[1]), "cpu").open(case)
    with pytest.raises(TaskMismatch):
        session.adopt(replace(case, task=KIDNEY))
    assert session.adopt(case)
