"""run.json of an output folder, with which a resumed run is compared."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.student.bundle import Bundle
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.packages import NEEDED
from REACTKDTrainLib.training.record import add_native_dose, describe_cohort, open_folder, recorded_settings, versions
from support.small_models import metadata_for, random_student


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"configuration": [1], "cohorts": {}}', '{"cohorts": 1}'])
def test_a_record_of_another_kind_is_refused_in_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    record = {"configuration": TrainingConfig().to_dict(), "cohorts": {}}
    with pytest.raises(UsageError, match="run.json in the output folder is not readable"):
        open_folder(tmp_path, record, resume=True)


def begun(model: Path) -> TrainingConfig:
    return TrainingConfig.from_dict({"student_stage": {"initial": str(model)}})


def test_a_model_that_a_training_starts_from_is_recorded_by_its_weights_not_by_its_folder(tmp_path: Path) -> None:
    models = []
    for name, seed in (("alice", 1), ("bob", 1), ("other", 2)):
        student = random_student(seed, filters=4, widths=(4, 8, 8), hidden=12)
        models.append(tmp_path / name)
        Bundle.save(models[-1], student, metadata_for(student))
    settings = [recorded_settings(begun(model)) for model in models]
    assert settings[0] == settings[1] != settings[2]
    assert str(tmp_path) not in json.dumps(settings)
    out = tmp_path / "out"
    open_folder(out, {"configuration": settings[0], "cohorts": {}}, resume=False)
    open_folder(out, {"configuration": settings[1], "cohorts": {}}, resume=True)
    with pytest.raises(UsageError, match="student_stage.initial"):
        open_folder(out, {"configuration": settings[2], "cohorts": {}}, resume=True)


def test_scans_of_two_cohorts_that_share_an_id_are_both_recorded(tmp_path: Path) -> None:
    record = tmp_path / "run.json"
    record.write_text(json.dumps({"format": "kept"}))
    add_native_dose(tmp_path, {"cohort": {"a": "a crop", "b": "another"}, "unlabeled": {"a": "cut off"}})
    found = json.loads(record.read_text())
    assert found["format"] == "kept"
    assert found["native_dose_only"] == {
        "cohort": [{"case": "a", "reason": "a crop"}, {"case": "b", "reason": "another"}],
        "unlabeled": [{"case": "a", "reason": "cut off"}],
    }
    before = record.read_text()
    add_native_dose(tmp_path, {"cohort": {}})
    assert record.read_text() == before


def test_a_run_of_a_release_that_recorded_the_folder_is_resumed(tmp_path: Path) -> None:
    student = random_student(1, filters=4, widths=(4, 8, 8), hidden=12)
    Bundle.save(tmp_path / "model", student, metadata_for(student))
    config = begun(tmp_path / "model")
    open_folder(tmp_path / "out", {"configuration": config.to_dict(), "cohorts": {}}, resume=False)
    open_folder(tmp_path / "out", {"configuration": recorded_settings(config), "cohorts": {}}, resume=True)


def test_the_versions_are_those_of_every_package_that_a_training_needs() -> None:
    assert set(versions()) == {"python", *NEEDED.values()} and versions()["torch"] == metadata.version("torch")


def cohort_of(images: list[str], grades: list[int]) -> Cohort:
    cases = [
        CohortCase(f"c{n}", f"p{n}", grade, ("ct",), list, fingerprint=image)
        for n, (image, grade) in enumerate(zip(images, grades, strict=True))
    ]
    return Cohort("listed", tuple(cases))


@pytest.mark.parametrize("role", ["cohort", "unlabeled", "external"])
@pytest.mark.parametrize("other", [(["a", "x"], [0, 1]), (["a", "b"], [1, 0]), (["b", "a"], [0, 1])])
def test_a_run_is_not_resumed_on_other_images_or_grades_with_equal_counts(role, other, tmp_path: Path) -> None:
    """Only training cases had a hash, so an external cohort could be exchanged: its folds were of two cohorts."""
    record = {"configuration": TrainingConfig().to_dict(), "cohorts": {}}
    first, same, exchanged = (
        record | {"cohorts": {role: describe_cohort(cohort_of(*own))}}
        for own in ((["a", "b"], [0, 1]), (["a", "b"], [0, 1]), other)
    )
    open_folder(tmp_path, first, resume=False)
    open_folder(tmp_path, same, resume=True)
    with pytest.raises(UsageError, match="was started on other cases"):
        open_folder(tmp_path, exchanged, resume=True)


def test_a_run_is_resumed_on_the_same_cases_in_a_list_of_another_name(tmp_path: Path) -> None:
    """A list that was renamed, or moved into another folder of case folders, was refused as other cases."""
    record = {"configuration": TrainingConfig().to_dict()}
    one = cohort_of(["a", "b"], [0, 1])
    other = Cohort("renamed", one.cases, skipped=(("c", "excluded by the layout"),))
    open_folder(tmp_path, record | {"cohorts": {"cohort": describe_cohort(one)}}, resume=False)
    open_folder(tmp_path, record | {"cohorts": {"cohort": describe_cohort(other)}}, resume=True)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"cohort": (["a"], [0])}, r"\(cohort.cases: 2, now 1\)"),
        ({"cohort": (["a", "b"], [0, 2])}, r"\(cohort.grades.moderate: 1, now 0\)"),
        ({"cohort": (["a", "x"], [0, 1])}, r"\(cohort: other cases, images, masks or grades\)"),
        ({"cohort": (["a", "b"], [0, 1]), "external": (["c"], [0])}, r"\(external: none, now given\)"),
    ],
)
def test_the_difference_to_the_cases_of_a_run_is_named(now: dict, said: str, tmp_path: Path) -> None:
    record = {"configuration": TrainingConfig().to_dict()}
    cohorts = [{"cohort": (["a", "b"], [0, 1])}, now]
    before, after = ({role: describe_cohort(cohort_of(*own)) for role, own in each.items()} for each in cohorts)
    open_folder(tmp_path, record | {"cohorts": before}, resume=False)
    with pytest.raises(UsageError, match=f"was started on other cases {said}"):
        open_folder(tmp_path, record | {"cohorts": after}, resume=True)


def test_the_record_of_a_cohort_does_not_depend_on_the_order_of_its_cases() -> None:
    drawn = open_cohort("phantom:external?cases=3&size=tiny")
    turned = Cohort(drawn.name, drawn.cases[::-1], drawn.phantom)
    assert describe_cohort(drawn) == describe_cohort(turned)


def test_a_run_of_a_release_that_recorded_only_counts_is_resumed(tmp_path: Path) -> None:
    new = describe_cohort(cohort_of(["a", "b"], [0, 1]))
    old = {name: value for name, value in new.items() if name != "content"}
    record = {"configuration": TrainingConfig().to_dict()}
    open_folder(tmp_path, record | {"cohorts": {"external": old}}, resume=False)
    open_folder(tmp_path, record | {"cohorts": {"external": new}}, resume=True)
    listed_now = [{"case": "c", "reason": "It has no grade."}]  # which those releases left out without a word
    open_folder(tmp_path, record | {"cohorts": {"external": new | {"skipped": listed_now}}}, resume=True)
    with pytest.raises(UsageError, match="other cases"):
        open_folder(tmp_path, record | {"cohorts": {"external": new | {"cases": 3}}}, resume=True)
