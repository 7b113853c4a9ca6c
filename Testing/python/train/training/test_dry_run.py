"""`--dry-run`: every case is read, the findings are reported, and nothing is written."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.modality import Modality
from REACTKDTrainLib.cohorts.base import Cohort
from REACTKDTrainLib.cohorts.folds import FoldsImpossible
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.low_dose.field_of_view import TruncatedFieldOfView
from REACTKDTrainLib.training import dry_run as module
from REACTKDTrainLib.training import run_cohorts
from REACTKDTrainLib.training.dry_run import dry_run
from REACTKDTrainLib.training.options import RunOptions
from support.small_models import write_small_model
from support.small_training import write_config


def marked(case: Case, count: int) -> Case:
    """Change the first voxels of each image, which are air."""
    volumes = {m: replace(v, array=v.array.copy()) for m, v in case.volumes.items()}
    for modality, volume in volumes.items():
        volume.array.flat[:count] = -900 if modality is Modality.CT else 0.001
    return replace(case, volumes=volumes)


def opened(spec: str, size: str, whole: bool, *others) -> Cohort:
    """The cohort; all cases share one patient's images, which are drawn once, but for some voxels of air, since one
    scan of many patients is refused; and the last case cannot be read.
    """
    cohort = open_cohort(spec, size, whole, *others)
    one = cohort.cases[0].load()

    def unreadable():
        raise UsageError("Its liver is empty.")

    cases = [replace(case, load=partial(marked, one, n)) for n, case in enumerate(cohort.cases[:-1])]
    return replace(cohort, cases=(*cases, replace(cohort.cases[-1], load=unreadable)))


def test_a_dry_run_prints_its_findings_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_cohorts, "open_cohort", opened)
    config = write_config(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    told, seen = {"cohort": "phantom:hospital?cases=16&size=tiny", "folds": 2, "config": config}, []
    lines = dry_run(RunOptions(output=tmp_path / "out", **told), lambda fraction, text: seen.append(fraction))
    text = "\n".join(lines)
    assert sorted(tmp_path.rglob("*")) == before
    assert seen[-1] == 1.0 and len(seen) == 16
    assert lines[0].startswith("Cohort phantom hospital: 16 cases of 16 patients; well ")
    assert "images: ct+fdg+acetate 16" in text and re.search(r"voxels: \d+ x \d+ x \d+, of .* mm\n", text)
    assert re.search(r"\n  liver \d{3,4} ml; \d+ lesions, \d in each case\n", text), "one case, 16 times"
    assert re.search(r"Fold 1 of 0 to 1: \d training \(\d/\d/\d\), \d validation \(\d/\d/\d\), 8 test", text)
    assert re.search(r"Steps in a fold x cases in a step: teacher heads \d+ x 64, teacher \d+ x \d+, ", text)
    assert "A step of more cases than the fold has takes them several times." in text and re.search(
        r"Time, about: .* to prepare", text
    )
    assert re.search(r"Memory, about: 0\.\d\d GB", text)
    assert lines[-2].endswith("cannot be read: Its liver is empty.") and "1 case would be left out" in lines[-1]


def test_a_case_that_cannot_be_read_is_not_compared_with_others(tmp_path: Path, monkeypatch) -> None:
    """A training leaves it out before it compares the scans; the dry run was refused for a scan of two patients."""

    def some(*given) -> Cohort:
        cohort = opened(*given)
        same = cohort.cases[0].load()
        bare = replace(cohort.cases[1], load=lambda: replace(same, liver=np.zeros_like(same.liver)))
        return replace(cohort, cases=(cohort.cases[0], bare, *cohort.cases[2:]))

    monkeypatch.setattr(run_cohorts, "open_cohort", some)
    told = {"cohort": "phantom:hospital?cases=16&size=tiny", "folds": 2, "config": write_config(tmp_path)}
    lines = dry_run(RunOptions(output=tmp_path / "out", **told))
    assert "2 cases would be left out with --skip-unreadable, or end the run." in lines


def test_cases_without_a_grade_are_reported_as_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a list of 197 cases it counted 191, and nothing said where six had gone."""

    def some(*given) -> Cohort:
        cohort = opened(*given)
        return replace(cohort, cases=tuple(replace(c, grade=None) if n in (3, 9) else c
                                           for n, c in enumerate(cohort.cases)))  # fmt: skip

    monkeypatch.setattr(run_cohorts, "open_cohort", some)
    told = {"cohort": "phantom:hospital?cases=24&size=tiny", "folds": 2, "config": write_config(tmp_path)}
    lines = dry_run(RunOptions(output=tmp_path / "out", **told))
    names = [case.id for case in open_cohort(told["cohort"]).cases]
    assert lines[0].startswith("Cohort phantom hospital: 22 cases of 22 patients; ")
    assert f"  left out: 2 cases; the first, {names[3]}: It has no grade." in lines


def test_graded_cases_without_a_lesion_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No model grades them, so a training refuses them, or leaves them out."""

    def some(*given) -> Cohort:
        cohort = opened(*given)
        one = cohort.cases[0].load()
        bare = replace(cohort.cases[3], load=lambda: replace(marked(one, 40), tumor=np.zeros_like(one.tumor)))
        return replace(cohort, cases=(*cohort.cases[:3], bare, *cohort.cases[4:]))

    told = {"cohort": "phantom:hospital?cases=16&size=tiny", "folds": 2, "config": write_config(tmp_path)}
    said = []
    for cohort_of in (opened, some):
        monkeypatch.setattr(run_cohorts, "open_cohort", cohort_of)
        lines = dry_run(RunOptions(output=tmp_path / "out", **told))
        said.append([line for line in lines if "mark no lesion" in line])
        assert f"{1 + len(said[-1])} case" in lines[-1]  # one cannot be read
    case = open_cohort(told["cohort"]).cases[3].id
    assert said[0] == [] and len(said[1]) == 1
    assert said[1][0].startswith(f"Case {case} cannot be read: It has a grade, but its masks mark no lesion")


def test_a_dry_run_says_how_many_weights_of_an_initial_model_are_taken(tmp_path: Path, monkeypatch) -> None:
    """It was shown while cases were read, on a terminal alone, and was gone when the lines were printed."""
    monkeypatch.setattr(run_cohorts, "open_cohort", opened)
    model = write_small_model(tmp_path / "model")
    config = write_config(tmp_path, student_stage={"initial": str(model), "epochs": 1, "batch": 4})
    asked = {"cohort": "phantom:hospital?cases=16&size=tiny", "folds": 2, "method": "none", "config": config}
    lines = dry_run(RunOptions(output=tmp_path / "out", **asked))
    (line,) = [line for line in lines if "weights of the initial model" in line]
    assert re.match(r"The student begins with (all \d+|\d+ of \d+) weights of the initial model", line)


def test_a_class_with_fewer_patients_than_folds_is_refused_before_a_case_is_read(tmp_path: Path) -> None:
    seen: list[str] = []
    options = RunOptions("phantom:hospital?cases=12&size=tiny", tmp_path / "out", folds=8)
    with pytest.raises(FoldsImpossible, match="Only . patients have the grade .* choose fewer folds"):
        dry_run(options, lambda fraction, text: seen.append(text))
    assert not seen and not (tmp_path / "out").exists()


def test_the_estimated_time_includes_the_dose_simulation(tmp_path: Path, monkeypatch) -> None:
    """For cohorts used for dose training, the whole field of view is simulated; for the external one, nothing is."""
    made = []

    def slow(store, case, prepared) -> dict:
        made.append(case.id)
        if case.id.endswith("00001"):
            raise TruncatedFieldOfView("It is a crop.")
        time.sleep(0.5)
        return {}

    monkeypatch.setattr(run_cohorts, "open_cohort", opened)
    monkeypatch.setattr(module, "fields_of", slow)
    config = write_config(tmp_path, data={"doses": True, "views": 2, "mask_variants": 1})
    told = {"cohort": "phantom:hospital?cases=16&size=tiny", "external": "phantom:large?cases=5&size=tiny"}
    text = "\n".join(dry_run(RunOptions(output=tmp_path / "out", folds=2, config=config, **told)))
    assert [name.rsplit("-", 1)[0] for name in made] == ["phantom-hospital"] * 3 and len(made) == 3
    assert re.search(r"to prepare \([\d.]+ s a case, and 0\.5\d* s for the noise of a CT\)", text)
    assert not any(tmp_path.rglob("doses"))


def test_a_folder_that_holds_a_run_is_refused_as_the_run_refuses_it(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text("{}")
    options = RunOptions("phantom:hospital?cases=12&size=tiny", tmp_path / "out", folds=2)
    with pytest.raises(UsageError, match="holds a run already; resume it"):
        dry_run(options, lambda *_: pytest.fail("began"))


@pytest.mark.parametrize(("crops", "refused"), [(0, False), (3, False), (8, False), (9, True), (16, True)])
def test_cropped_scans_are_reported_and_refused_if_they_are_the_majority(
    crops: int, refused: bool, tmp_path, monkeypatch
) -> None:
    """Of 16 scans, `crops` show only the liver and 26 mm around it; the run is refused if these are more than half."""
    spec = "phantom:hospital?cases=16&size=tiny"
    whole, part = (open_cohort(f"{spec}&whole_field={n}").cases[0].load() for n in (1, 0))

    def some(given: str, *_) -> Cohort:
        cohort = open_cohort(given)
        return replace(
            cohort,
            cases=tuple(
                replace(case, load=partial(marked, part if n < crops else whole, n))
                for n, case in enumerate(cohort.cases)
            ),
        )

    monkeypatch.setattr(run_cohorts, "open_cohort", some)
    monkeypatch.setattr(module, "fields_of", lambda *_: {})
    config = write_config(tmp_path, data={"doses": True, "views": 2, "mask_variants": 0})
    options = RunOptions(spec, tmp_path / "out", folds=2, config=config)
    if refused:
        with pytest.raises(TruncatedFieldOfView, match=f"{crops} of 16 CT scans are crops"):
            dry_run(options)
        return
    said = [line for line in dry_run(options) if "cut off" in line]
    assert len(said) == bool(crops) and all(f": {crops} CT scans of 16, the first" in line for line in said)
