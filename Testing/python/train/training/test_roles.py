"""The cohorts of a run: a fault in one does not affect another, and no case is in two."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from REACTKDLib.core.errors import FileMissing, UsageError
from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.progress import no_progress
from REACTKDTrainLib import evaluate, train
from REACTKDTrainLib.cohorts.base import Cohort
from REACTKDTrainLib.cohorts.folds import FoldsImpossible, make_folds
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.data import scan_content
from REACTKDTrainLib.data.scan_content import scan_contents
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.distillation.losses import random_presence
from REACTKDTrainLib.training import run_cohorts
from REACTKDTrainLib.training.dry_run import dry_run
from REACTKDTrainLib.training.experiment import Experiment
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.predictions import Prediction, write_rows
from REACTKDTrainLib.training.preparation import UnreadableCase
from REACTKDTrainLib.training.processes import Processes
from REACTKDTrainLib.training.record import scans_of_run
from REACTKDTrainLib.training.run_checks import check_apart, check_other_folds
from REACTKDTrainLib.training.run_cohorts import RunCohorts
from support.case_files import write_case, write_masks
from support.small_training import COHORT, QUICK, write_config


def cohorts_of(folder: Path, **options) -> RunCohorts:
    asked = RunOptions(COHORT, folder / "out", folds=2, **options)
    return RunCohorts(asked, asked.training_config("tiny"))


def run_of(folder: Path, **options) -> Experiment:
    own = cohorts_of(folder, **options)
    return Experiment(own.options, own.config, torch.device("cpu"), Processes(), no_progress)


def test_an_unreadable_case_does_not_remove_its_namesake_in_another_cohort(tmp_path: Path, monkeypatch) -> None:
    """Two hospitals may both name a patient P001; doses are prepared for the training cohorts only."""
    own = open_cohort(COHORT)
    names = [case.id for case in own.cases]
    others = [replace(case, fingerprint=f"other {case.fingerprint}") for case in own.cases]
    dosed = set()

    def prepare(doses, store, case) -> None:
        dosed.update([case.fingerprint] if doses is not None else [])
        if case.fingerprint == others[3].fingerprint:
            raise FileMissing("It is not there.")

    monkeypatch.setattr(run_cohorts, "prepare_one", prepare)
    found = cohorts_of(tmp_path, skip_unreadable=True).prepare(
        {"cohort": own, "external": Cohort("other", tuple(others))}
    )
    assert [case.id for case in found["cohort"].cases] == names and found["cohort"].skipped == ()
    assert [case.id for case in found["external"].cases] == [*names[:3], *names[4:]]
    assert dosed == {case.fingerprint for case in own.cases}


def test_folds_made_impossible_by_unreadable_cases_leave_no_folder(tmp_path: Path, monkeypatch) -> None:
    """The corrected cohort may reuse the folder, as after an unreadable case."""
    poor = [case.fingerprint for case in open_cohort(COHORT).cases if case.grade == 2]

    def prepare(doses, store, case) -> None:
        if case.fingerprint in poor[1:]:
            raise FileMissing("It is not there.")

    monkeypatch.setattr(run_cohorts, "prepare_one", prepare)
    config = write_config(tmp_path)
    run = run_of(tmp_path, skip_unreadable=True, config=config, loggers="")
    with pytest.raises(FoldsImpossible, match="1 patient has the grade poor"):
        run.run()
    assert not (tmp_path / "out" / "run.json").exists()


def test_a_fold_is_not_trained_beside_one_that_was_tested_on_other_cases(tmp_path: Path) -> None:
    """The folds of a list were changed between two calls: a case was held out twice, and another one never."""
    config = write_config(tmp_path)
    run = run_of(tmp_path, fold=1, config=config, method="none")
    of_other_seed = make_folds(open_cohort(COHORT).cases, 2, seed=5)[0].test
    thirds = (1 / 3, 1 / 3, 1 / 3)
    rows = [Prediction(c.id, c.patient, 0, c.grade, "student", "ct", True, thirds) for c in of_other_seed]
    write_rows(run.output / "fold0" / "test.json", rows)
    with pytest.raises(FoldsImpossible, match="fold 0 .*tested on other cases.*remove fold0"):
        run.run()
    assert not (run.output / "run.json").exists() and not (run.output / "fold1").exists()


@pytest.fixture(scope="module")
def listed(tmp_path_factory) -> tuple[Path, list[str]]:
    """Tiny phantoms as files; the first one again, saved by another program in another format and axis order."""
    folder = tmp_path_factory.mktemp("listed")
    rows = []
    for case in open_cohort(COHORT).cases:
        opened = case.load()
        write_case(replace(opened, volumes={Modality.CT: opened.volumes[Modality.CT]}), folder / case.id)
        rows.append(f"{case.id},{case.id}/CT.nii.gz,{case.id}/segmentation.seg.nrrd,{GRADES[case.grade]}")
    own = sitk.ReadImage(str(folder / rows[0].split(",")[1]))
    sitk.WriteImage(sitk.DICOMOrient(own, "ASR"), str(folder / "twin.nrrd"))
    return folder, [*rows, f"twin,twin.nrrd,{rows[0].split(',', 2)[2]}"]


@pytest.mark.parametrize("external", [False, True])
def test_a_scan_that_was_saved_again_is_refused_under_a_second_patient(external: bool, listed, tmp_path: Path) -> None:
    """Its file differs, so it was trained on in one fold and tested in another."""
    folder, rows = listed
    head, lists = "case,ct,segmentation,grade", {"own.csv": rows[:-1], "twin.csv": rows[-1:], "all.csv": rows}
    for name, own in lists.items():
        (folder / name).write_text("\n".join([head, *own]) + "\n")
    config = write_config(tmp_path, data={"size": "tiny", "doses": False, "mask_variants": 2})
    given = {"cohort": str(folder / ("own.csv" if external else "all.csv")), "config": config, "method": "none"}
    given |= {"external": str(folder / "twin.csv")} if external else {}
    asked = RunOptions(output=tmp_path / "out", folds=2, cache=folder / "cache", **given)
    run = Experiment(asked, asked.training_config("tiny"), torch.device("cpu"), Processes(), no_progress)
    said = "is in the cohort too" if external else "are one scan under two patients"
    with pytest.raises(UsageError, match=f"twin.*{said}"):
        run.run()
    assert not (tmp_path / "out" / "run.json").exists()
    with pytest.raises(UsageError, match=f"twin.*{said}"):
        dry_run(asked)


def test_the_scans_of_cases_that_an_earlier_release_prepared_are_recorded(listed, tmp_path: Path, monkeypatch) -> None:
    """Its files hold no hashes of them, so `evaluate` accepted the training cases. Each image is read again once."""
    folder, rows = listed
    (folder / "own.csv").write_text("\n".join(["case,ct,segmentation,grade", *rows[:-1]]) + "\n")
    read = []
    monkeypatch.setattr(PreparedStore, "scans", lambda *_: {})
    monkeypatch.setattr(scan_content, "scan_contents", lambda case: read.append(case.id) or scan_contents(case))
    data = {"size": "tiny", "doses": False, "views": 2, "mask_variants": 0}
    config = write_config(tmp_path, data=data, student_stage={"epochs": 1, "batch": 4})
    result = train(folder / "own.csv", tmp_path / "out", folds=1, method="none", config=config, device="cpu")
    assert len(scans_of_run(tmp_path / "out")) == len(rows) - 1 == len(read)
    with pytest.raises(UsageError, match="trained on scans of 'twin'"):
        (folder / "twin.csv").write_text(f"case,ct,segmentation,grade\n{rows[-1]}\n")
        evaluate(result, folder / "twin.csv", device="cpu")


@pytest.fixture(scope="module")
def unmarked(listed) -> tuple[list[str], str]:
    """Rows of `listed` with absolute paths, and that of a further case, whose masks mark no lesion."""
    folder, rows = listed
    cases = open_cohort(COHORT).cases
    grades = [case.grade for case in cases]
    place = grades.index(max(grades, key=grades.count))  # of the most frequent grade, so that folds stay possible
    opened = cases[place].load()
    tumor = np.zeros_like(opened.tumor)
    write_masks(opened.liver, tumor, opened.reference.ijk_to_ras, folder / "unmarked.seg.nrrd")
    whole = [",".join([name, f"{folder}/{ct}", f"{folder}/{m}", g]) for name, ct, m, g in (r.split(",") for r in rows)]
    name, ct, _, grade = whole[place].split(",")
    return [row for n, row in enumerate(whole[:-1]) if n != place], f"{name},{ct},{folder}/unmarked.seg.nrrd,{grade}"


@pytest.mark.parametrize("role", ["cohort", "external", "unlabeled"])
def test_a_graded_case_without_a_lesion_is_refused_or_left_out(role: str, unmarked, tmp_path: Path) -> None:
    """It was trained on and measured, but neither `grade` nor `evaluate` gives such a case a grade."""
    rows, own = unmarked
    name = own.split(",")[0]
    for file, lines in {"cohort": [*rows, own] if role == "cohort" else rows, "other": [own]}.items():
        (tmp_path / f"{file}.csv").write_text("\n".join(["case,ct,segmentation,grade", *lines]) + "\n")
    data = {"size": "tiny", "doses": role == "unlabeled", "mask_variants": 0}
    given = {"cohort": str(tmp_path / "cohort.csv"), "config": write_config(tmp_path, data=data)}
    given |= {} if role == "cohort" else {role: str(tmp_path / "other.csv")}
    asked = RunOptions(output=tmp_path / "out", folds=2, method="none" if role != "unlabeled" else "kd", **given)
    run = RunCohorts(asked, asked.training_config("tiny"))
    opened, _ = run.checked()
    if role == "unlabeled":  # its grade is not used
        run.options = replace(asked, stage="student")  # makes no noise of these crops
        assert [case.id for case in run.prepare(opened)["unlabeled"].cases] == [name]
        return
    with pytest.raises(UnreadableCase, match=f"Case {name} cannot be read: It has a grade, but its masks mark no les"):
        run.prepare(opened)
    run.options = replace(asked, skip_unreadable=True)
    if role == "external":
        with pytest.raises(UnreadableCase, match=f"No case of the cohort other can be read; the first, {name}: It has"):
            run.prepare(opened)
        return
    found = run.prepare(opened)["cohort"]
    assert name not in {case.id for case in found.cases} and len(found) == len(rows)
    assert found.skipped[0][0] == name and "mark no lesion" in found.skipped[0][1]


@pytest.mark.parametrize("part", ["test", "external"])
def test_predictions_of_other_folds_are_compared_with_the_cases_of_now(part: str, tmp_path: Path) -> None:
    cases = open_cohort(COHORT).cases
    splits, external = make_folds(cases, 2), cases[:3]
    of_now = {"test": splits[0].test, "external": external}
    for name, own in of_now.items():
        rows = [Prediction(c.id, c.patient, 0, c.grade, "teacher", "ct", True, (1.0, 0.0, 0.0)) for c in own]
        write_rows(tmp_path / "fold0" / f"{name}.json", rows)
    check_other_folds(tmp_path, splits, [1], external)
    write_rows(tmp_path / "fold0" / f"{part}.json", rows[:-1])
    check_other_folds(tmp_path, splits, [0, 1], external)  # fold 0 is predicted again
    with pytest.raises(FoldsImpossible, match="fold 0 .*tested on other cases"):
        check_other_folds(tmp_path, splits, [1], external)
    with pytest.raises(FoldsImpossible, match="fold 2 .*tested on other cases"):
        (tmp_path / "fold0").rename(tmp_path / "fold2")
        check_other_folds(tmp_path, splits, [0, 1], external)


@pytest.mark.parametrize(
    "cohorts",
    [
        {"external": COHORT},
        {"unlabeled": COHORT},
        {"external": "phantom:external?cases=4&size=tiny", "unlabeled": "phantom:external?cases=2&size=tiny"},
        {"external": COHORT.replace("size=tiny", "size=small")},
        {"external": f"{COHORT}&whole_field=1"},
    ],
)
def test_one_case_in_two_cohorts_of_a_run_is_refused_before_anything_is_prepared(cohorts: dict, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="phantom-(hospital|external)-00000.*take it out of one of them"):
        cohorts_of(tmp_path, **cohorts).checked()


@pytest.mark.parametrize("stage", ["both", "student"])
def test_a_case_without_an_image_of_the_student_is_refused_before_the_work(stage: str, tmp_path) -> None:
    """Modality dropout would resample forever, since the case has no image to keep."""
    config = write_config(tmp_path, student={"modalities": ["fdg", "acetate"], "cbam": False}, data={"doses": False})
    spec = "phantom:external?cases=30&size=tiny"
    options = RunOptions(spec, tmp_path / "out", folds=2, method="none", stage=stage, config=config)
    run = RunCohorts(options, options.training_config("tiny"))
    with pytest.raises(UsageError, match=r"phantom-external-00000 has ct where the student reads fdg, acetate alone"):
        run.checked()
    with pytest.raises(ValueError, match="needs an image"):
        random_presence(1, (), 0.3, torch.Generator())


def test_latents_of_patients_are_refused_before_the_teachers_are_trained(tmp_path: Path, monkeypatch) -> None:
    """Patients have no latents, and those of two biologies are not the same."""
    patients = open_cohort(COHORT)
    cases = [replace(case, truth=None) for case in patients.cases]
    mixed = [*patients.cases[:8], *open_cohort(f"{COHORT}&biology=independent").cases[8:]]
    for changed, said in ((cases, "Only digital phantoms"), (mixed, "two biologies")):
        monkeypatch.setattr(run_cohorts, "open_cohort", lambda *_, own=changed: Cohort("patients", tuple(own)))
        config = write_config(tmp_path, loss={"auxiliary": 0.5})
        with pytest.raises(UsageError, match=f"{said}.*set loss.auxiliary to 0"):
            cohorts_of(tmp_path, config=config).checked()
        assert cohorts_of(tmp_path, config=config, stage="teacher").checked()


def test_a_file_missing_in_two_cohorts_does_not_count_as_shared(tmp_path: Path) -> None:
    rows = [f"{grade}{n},CT.nii.gz,masks.nii.gz,{grade}" for grade in ("well", "moderate", "poor") for n in range(6)]
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("\n".join(["case,ct,segmentation,grade", *rows]) + "\n")
    options = RunOptions(str(tmp_path / "a.csv"), tmp_path / "out", folds=2, external=str(tmp_path / "b.csv"))
    run = RunCohorts(options, options.training_config("tiny"))
    assert set(run.checked()[0]) == {"cohort", "external"}


def written(folder: Path, name: str, value: int) -> str:
    """An image or mask of 8 x 8 x 8 voxels whose first voxel is `value`; all files have the same size."""
    array = np.zeros((8, 8, 8), dtype=np.int16)
    array[0, 0, 0] = value
    return write_volume(Volume(array, np.eye(4)), folder / f"{name}.nrrd").name


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "B9"},  # under another name
        {"id": "B9", "segmentation": "other"},  # and drawn by another reader
        {"id": "B9", "fdg": "pet"},  # and with an additional image
        {"id": "A1", "grade": "poor", "segmentation": "other"},
    ],
)
def test_a_scan_under_another_name_or_with_other_masks_is_the_same_scan(changes: dict, tmp_path: Path) -> None:
    """An image file that appears in two lists is a leak between them, whatever other files it is listed with."""
    values = {"ct": 1, "other-ct": 2, "pet": 3, "masks": 4, "other": 5}
    files = {name: written(tmp_path, name, value) for name, value in values.items()}
    entry = {"id": "A1", "ct": "ct", "segmentation": "masks", "grade": "well"}

    def opened(name: str, **entry: str) -> Cohort:
        listed = {key: files.get(value, value) for key, value in entry.items()}
        (tmp_path / f"{name}.json").write_text(json.dumps({"training": [listed]}))
        return open_cohort(str(tmp_path / f"{name}.json"))

    cohort = opened("cohort", **entry)
    for role in ("external", "unlabeled"):
        with pytest.raises(UsageError, match=rf"Case {changes['id']}.* of the {role} cohort is in the cohort too"):
            check_apart({"cohort": cohort, role: opened("other", **entry | changes)})
    check_apart({"cohort": cohort, "external": opened("apart", **entry | changes | {"ct": "other-ct"})})


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("role", ["cohort", "external"])
def test_one_scan_under_two_patients_is_refused_where_folds_would_part_them(role: str, copied: bool, tmp_path) -> None:
    """By the file itself or by a copy. Two readings of one patient, and cohorts only for testing, remain accepted."""
    files = {name: written(tmp_path, name, value) for name, value in {"ct": 1, "a": 2, "b": 3}.items()}
    again = written(tmp_path, "copy", 1) if copied else files["ct"]

    def opened(patient: str) -> dict[str, Cohort]:
        first = {"id": "A1", "patient": "P1", "ct": files["ct"], "segmentation": files["a"], "grade": "well"}
        both = [first, first | {"id": "A2", "patient": patient, "ct": again, "segmentation": files["b"]}]
        (tmp_path / "list.json").write_text(json.dumps({"training": both}))
        return {role: open_cohort(str(tmp_path / "list.json"))}

    check_apart(opened("P1"))
    if role == "external":
        check_apart(opened("P2"))
    else:
        with pytest.raises(
            UsageError, match=r"Cases A1 and A2 of the cohort are one scan under two patients.*one patient"
        ):
            check_apart(opened("P2"))


def test_external_cases_that_teachers_cannot_predict_are_not_other_cases(tmp_path: Path) -> None:
    """Those without CT have no prediction; the next fold was refused, and again after the fold was trained anew."""
    splits, external = make_folds(open_cohort(COHORT).cases, 2), open_cohort(COHORT).cases[:3]
    external = (*external[:2], replace(external[2], modalities=("fdg",)))
    for name, own in {"test": splits[0].test, "external": external[:2]}.items():
        rows = [Prediction(c.id, c.patient, 0, c.grade, "teacher", "ct", True, (1.0, 0.0, 0.0)) for c in own]
        write_rows(tmp_path / "fold0" / f"{name}.json", rows)
    check_other_folds(tmp_path, splits, [1], external)
    with pytest.raises(FoldsImpossible, match="fold 0 .*tested on other cases"):
        check_other_folds(tmp_path, splits, [1], external[1:])
    write_rows(tmp_path / "fold0" / "external.json", [replace(row, model="student") for row in rows])
    with pytest.raises(FoldsImpossible, match="fold 0 .*tested on other cases"):
        check_other_folds(tmp_path, splits, [1], external)


@pytest.mark.parametrize("stage", ["teacher", "both"])
def test_an_external_case_without_an_image_that_the_student_reads_is_refused(stage: str, tmp_path: Path) -> None:
    """It ended the training with an unexpected fault, after the student was trained."""
    pet = [replace(case, modalities=("fdg",), fingerprint=case.fingerprint + "x") for case in open_cohort(COHORT).cases]
    config = write_config(tmp_path, student={**QUICK["student"], "modalities": ["ct"]})
    run = cohorts_of(tmp_path, config=config, stage=stage, method="kd")
    opened = run.open()
    run.open = lambda: opened | {"external": Cohort("pet", tuple(replace(c, id=f"x{c.id}") for c in pet))}
    if stage == "teacher":
        run.checked()
        return
    with pytest.raises(UsageError, match=f"Case x{pet[0].id} has fdg where the student reads ct alone"):
        run.checked()
