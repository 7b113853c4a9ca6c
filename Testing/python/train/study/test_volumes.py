"""What a study on volumes refuses before any training, and what it reports for a case that lacks images."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.masks.regions import regions_of
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.data import dose_data
from REACTKDTrainLib.data.graded_lesions import GradeWithoutLesion
from REACTKDTrainLib.low_dose.field_of_view import TruncatedFieldOfView
from REACTKDTrainLib.study.answers import NODES, answers
from REACTKDTrainLib.study.external import ExternalStudy
from REACTKDTrainLib.study.figures import _attention
from REACTKDTrainLib.study.presets import preset_of
from REACTKDTrainLib.study.volumes import VolumeStudy
from support.small_cases import small_case
from support.tiny_phantoms import fold_data, tiny_cases


def study_of(folder, *modalities: tuple[str, ...], doses: bool = False) -> VolumeStudy:
    """A study whose cases have these images; opening one of them fails the test."""
    preset = preset_of("smoke")
    training = replace(preset.training, data=replace(preset.training.data, doses=doses))
    study = VolumeStudy(replace(preset, training=training), "", folder, folder)
    opened = lambda: pytest.fail("opened")  # noqa: E731
    cases = [CohortCase(f"c{n}", f"c{n}", n % 3, own, opened, f"f{n}") for n, own in enumerate(modalities)]
    study.__dict__["cohort"] = Cohort("own", tuple(cases))
    return study


@pytest.mark.parametrize(
    ("modalities", "said"),
    [(("fdg",), "Case 'c1' has no CT"), (("ct",), "Case 'c1' has no PET")],
)
def test_a_case_without_images_for_a_teacher_is_refused_before_the_work(modalities, said, tmp_path) -> None:
    """Some rows of the ablation are taught only by the structure-and-function branch."""
    with pytest.raises(UsageError, match=said):
        study_of(tmp_path, ("ct", "fdg"), modalities).prepare()


def test_an_external_case_of_the_training_set_is_refused_before_the_work(tmp_path) -> None:
    """Recognized by content, whatever names the two lists use."""
    study = study_of(tmp_path, ("ct", "fdg"), ("ct", "fdg"))
    external = ExternalStudy(study, "")
    external.__dict__["cohort"] = Cohort("other", (replace(study.cohort.cases[1], id="x7", patient="x7"),))
    with pytest.raises(UsageError, match=r"Case x7 \(c1 there\) of the external cohort is in the cohort too"):
        external.prepare()


def test_cohorts_of_mostly_crops_are_refused_for_doses(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(dose_data, "_note", lambda *_: "It is a crop.")
    study = study_of(tmp_path, ("ct", "fdg"), ("ct", "fdg"), doses=True)
    study.__dict__["store"] = SimpleNamespace(
        prepare=lambda *_: None, lesions=lambda _case: 1, scans=lambda case: {"ct": case.id}
    )
    with pytest.raises(TruncatedFieldOfView, match="2 of 2 CT scans are crops"):
        study.prepare()


def test_a_graded_case_without_a_lesion_is_refused_before_the_doses_are_simulated(tmp_path) -> None:
    """That takes hours for a hospital's cases, and was done first."""
    opened = small_case()
    study = study_of(tmp_path, ("ct", "fdg"), ("ct", "fdg"), doses=True)
    empty = replace(opened, tumor=np.zeros_like(opened.tumor))
    cases = [replace(c, load=lambda own=own: own) for c, own in zip(study.cohort.cases, (opened, empty))]
    study.__dict__["cohort"] = Cohort("own", tuple(cases))
    with pytest.raises(GradeWithoutLesion, match="Case c1 has a grade, but its masks mark no lesion"):
        study.prepare()
    assert not (tmp_path / "doses").exists()
    assert [study.store.lesions(case) for case in cases] == [len(regions_of(opened).lesions), 0]


def test_the_stored_grade_is_predicted_from_all_images_of_a_case(tmp_path) -> None:
    student = Student(StudentConfig(modalities=("ct",), filters=4, widths=(4, 8, 8), hidden=12))
    found = answers(student, fold_data(tmp_path, tiny_cases(3)))
    assert np.isnan(found["p_ct+fdg+acetate"]).all()
    np.testing.assert_array_equal(found["predicted"], found["p_ct"].argmax(axis=1))


@pytest.mark.parametrize(("kept", "said"), [(True, "predicted: poor"), (False, "predicted: not kept")])
def test_regions_are_shown_beside_the_grade_that_they_decided(kept: bool, said: str) -> None:
    """A case with CT only has no answer for all images, and runs of earlier releases stored no other answer."""
    masks = torch.zeros(2, 2, 4, 4)
    masks[1, 1] = 1
    prepared = SimpleNamespace(masks=[SimpleNamespace(occupancy=masks)], images={"ct": torch.zeros(2, 4, 4)})
    hospital = SimpleNamespace(cohort=SimpleNamespace(cases=[SimpleNamespace(id="c")]), prepared=lambda case: prepared)
    found = {"case": np.array(["c"]), "grade": np.array([0]), "effect": np.array([[0.1, 0.2, np.nan]])}
    found |= {"p_ct+fdg+acetate": np.full((1, 3), np.nan)} | ({"predicted": np.array([2])} if kept else {})
    figure = Figure()
    FigureCanvasAgg(figure)
    _attention(figure, SimpleNamespace(hospital=hospital), found)
    assert said in figure.axes[0].get_title()


@pytest.mark.parametrize(("lesions", "said"), [(0, "0 lesions"), (1, "1 lesion"), (7, "7 lesions"), (12, "12 lesions")])
def test_all_lesions_of_a_shown_case_are_counted(lesions: int, said: str) -> None:
    """Effects are stored only for the parenchyma and seven lesions."""
    masks = torch.zeros(1 + lesions, 2, 4, 4)
    prepared = SimpleNamespace(masks=[SimpleNamespace(occupancy=masks)], images={"ct": torch.zeros(2, 4, 4)})
    hospital = SimpleNamespace(cohort=SimpleNamespace(cases=[SimpleNamespace(id="c")]), prepared=lambda case: prepared)
    effect = np.full((1, NODES), np.nan)
    effect[0, : 1 + lesions] = 0.1
    found = {"case": np.array(["c"]), "grade": np.array([0]), "effect": effect, "predicted": np.array([2])}
    figure = Figure()
    FigureCanvasAgg(figure)
    _attention(figure, SimpleNamespace(hospital=hospital), found)
    assert figure.axes[0].get_title().endswith(f"({said})")
