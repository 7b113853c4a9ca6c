"""Each fault of a training is reported in one plain sentence, before anything is written."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.writing.run_lock import running_alone
from support.case_files import write_case
from support.cli_runner import arguments_of
from support.small_cases import small_case
from support.small_training import COHORT, QUICK, TRAIN_SCRIPT, write_config


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--cohort", "nowhere"], "There is no cohort at the path given"),
        (["--cohort", "phantom:hospital?cases=0&size=tiny"], "holds no case"),
        (["--cohort", "phantom:hospital?cases=2&size=tiny"], "fewer than 3 folds"),
        (["--cohort", "phantom:hospital?cases=6&size=tiny"], "has the grade"),
        (["--cohort", "phantom:large?cases=4&size=tiny", "--folds", "1"], "has no patient of"),
        (["--cohort", "phantom:unlabeled?cases=4&size=tiny"], "in the column 'grade' of a list, or in a grades.csv"),
        (["--cohort", "phantom:hospitl"], "no phantom cohort 'hospitl'"),
        (["--cohort", "phantom:hospital?case=3"], "no setting 'case'"),
        (["--cohort", "phantom:hospital?size=huge"], "size"),
        (["--cohort", COHORT, "--external", "phantom:externl"], "no phantom cohort 'externl'"),
        (["--cohort", COHORT, "--method", "react"], "There is no method 'react'; choose one of"),
        (["--cohort", COHORT, "--folds", "2", "--fold", "2"], "There is no fold 2; with 2 folds they are 0 to 1"),
        (["--cohort", COHORT, "--folds", "2", "--stage", "student"], "no trained teacher for fold 0"),
        (["--cohort", COHORT, "--device", "cuda"], "CUDA was asked for, but this PyTorch sees no GPU"),
        (["--cohort", COHORT, "--device", "gpu"], "There is no device 'gpu'"),
        (["--cohort", COHORT, "--teacher-epochs", "-1"], "teacherEpochs must be at least 0, not -1."),
        (["--cohort", COHORT, "--folds", "three"], "Argument --folds: invalid int value: 'three'"),
        (["--cohort", COHORT, "--stage", "all"], "Argument --stage: invalid choice"),
        (["--cohort", COHORT, "--teacherEpoch", "3"], "Unrecognized arguments: --teacherEpoch"),
        (["--cohort", COHORT, "--config", "no.json"], "no.json"),
    ],
)
def test_bad_input_is_refused_in_one_sentence_and_writes_nothing(
    arguments: list[str], sentence: str, train, tmp_path
) -> None:
    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    refused(train(*arguments, "--output", tmp_path / "o"), sentence)
    assert not (tmp_path / "o").exists()


def refused(outcome: tuple[int, str, str], sentence: str) -> None:
    status, _, errors = outcome
    assert status == 1
    assert sentence in errors
    assert errors.count("\n") == 1 and errors.rstrip().endswith(".") and "Traceback" not in errors


def test_a_second_training_in_the_same_folder_is_refused(train, tmp_path: Path) -> None:
    """The second is refused, names the first's process and age, resumed or not, and changes nothing."""
    output = tmp_path / "o"
    with running_alone(output / "run.json", "a training"):
        (output / "STOP").touch()  # for the first training
        before = sorted(output.iterdir())
        for more in ([], ["--resume"]):
            arguments = ["--cohort", COHORT, "--output", output, *more]
            refused(train(*arguments), f"A training runs in the output folder already (process {os.getpid()} on ")
        assert sorted(output.iterdir()) == before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not readable JSON (line 1, column 2: "),
        ('{\n"loss": {},}', "is not readable JSON (line 2, column 1"),
        ("[]", "must be a JSON object"),
        ('{"student": {"filter": 8}}', "student.filter"),
        ('{"student_stage": {"epochs": "many"}}', "student_stage.epochs"),
        ('{"loss": {"modality_dropout": 1.5}}', "modality_dropout"),
    ],
)
def test_a_wrong_setting_is_named(content: str, sentence: str, train, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    told = train("--cohort", COHORT, "--output", tmp_path / "o", "--config", tmp_path / "config.json")
    refused(told, sentence)
    assert not (tmp_path / "o").exists()


def test_a_missing_configuration_is_named(train, tmp_path: Path) -> None:
    told = train("--cohort", COHORT, "--output", tmp_path / "o", "--config", tmp_path / "nowhere.json")
    refused(told, "There is no configuration nowhere.json at the path given; check the path.")


# -- cohorts of files


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Twelve scans of one small case, each different in one voxel, as patients share no scan; in "bad", one is none."""
    root = tmp_path_factory.mktemp("files")
    case = small_case()
    write_case(case, root / "good")
    ct = case.volumes[Modality.CT]
    for n in range(12):
        array = ct.array.copy()
        array[0, 0, 0] = -1000 + n
        write_volume(replace(ct, array=array), root / "good" / f"CT{n}.nii.gz")
    shutil.copytree(root / "good", root / "bad")
    (root / "bad" / "CT0.nii.gz").write_bytes(b"this is no image")
    return root


def entries(grades: str, folder: str = "good") -> list[dict]:
    """One case for each letter: w, m, p; all use the masks of one folder."""
    names = {"w": "well", "m": "moderate", "p": "poor"}
    return [
        {"id": f"{folder}{n}", "grade": names[g], "ct": f"{folder}/CT{n}.nii.gz",
         "segmentation": f"{folder}/segmentation.seg.nrrd"} for n, g in enumerate(grades)
    ]  # fmt: skip


def write_list(root: Path, cases: list[dict], name: str) -> Path:
    (root / name).write_text(json.dumps({"training": cases}))
    return root / name


@pytest.mark.parametrize(
    ("cases", "sentence"),
    [
        ([], "holds no case"),
        ([*entries("wmp"), entries("w")[0]], "good0"),
        ([*entries("wmp"), {**entries("p")[0], "id": "again", "patient": "good0"}], "good0"),
        ([*entries("wmp"), {**entries("p")[0], "id": "odd", "grade": "G2"}], "Case 'odd' has the grade 'G2'"),
        ([*entries("wmp"), {"id": "bare", "grade": "well"}], "Case 'bare' of the datalist needs an image"),
        (entries("wmp"), "patient"),
    ],
    ids=["empty", "case twice", "patient with two grades", "unknown grade", "no image", "too few"],
)
def test_a_wrong_datalist_is_refused(cases: list[dict], sentence: str, files: Path, train, tmp_path: Path) -> None:
    path = write_list(files, cases, "wrong.json")
    refused(train("--cohort", path, "--output", tmp_path / "o", "--config", write_config(tmp_path)), sentence)
    assert not (tmp_path / "o").exists()


def test_an_unreadable_case_is_named_and_left_out_only_when_asked(files: Path, train, tmp_path: Path) -> None:
    path = write_list(files, [*entries("wwwwmmmmpppp"), *entries("w", "bad")], "list.json")
    settings = write_config(
        tmp_path,
        data=QUICK["data"] | {"size": "tiny", "views": 1, "mask_variants": 0},
        method="none",
        student_stage={"epochs": 1, "batch": 4, "rate": 0.003},
    )
    told = ["--cohort", path, "--output", tmp_path / "o", "--config", settings, "--folds", 2, "--fold", 0]
    told += ["--cache", tmp_path / "cache"]
    refused(train(*told), "Case bad0 cannot be read")
    assert not (tmp_path / "o" / "run.json").exists()  # so that the corrected list may use the same folder
    status, text, errors = train(*told, "--skip-unreadable")
    assert (status, errors) == (0, "")
    record = json.loads((tmp_path / "o" / "run.json").read_text())
    assert [left["case"] for left in record["unreadable"]["cohort"]] == ["bad0"]
    assert record["unreadable"]["cohort"][0]["reason"]
    assert "bad0" not in (tmp_path / "o" / "predictions.csv").read_text()
    assert train(*told, "--skip-unreadable", "--resume")[0] == 0


# -- faults of the machine


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, dict[str, torch.Tensor]]:
    """The cache and the weights of a run with enough disk space."""
    folder = tmp_path_factory.mktemp("whole")
    run = with_room(None, folder, folder / "cache")
    assert (run.returncode, run.stderr) == (0, "")
    return folder / "cache", torch.load(folder / "o/bundle/models/model.pt")


def with_room(room: int | None, folder: Path, cache: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """A run in a process that cannot write files larger than `room` bytes; such a write fails as on a full disk."""
    told = {"cohort": COHORT, "output": str(folder / "o"), "folds": 2, "fold": 0, "method": "none",
            "config": str(write_config(folder)), "cache": str(cache)}  # fmt: skip

    def limit() -> None:
        if room is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))

    command = [sys.executable, str(TRAIN_SCRIPT), *arguments_of(TRAIN_SCRIPT.with_suffix(".xml"), told), *more]
    whole = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}  # compiled files would be cut too, and stay
    return subprocess.run(command, capture_output=True, text=True, env=whole, preexec_fn=limit)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "room", "sentence"),
    [
        ("a prepared case", 60_000, "cannot be written"),  # run.json fits, a prepared case does not
        ("a checkpoint", 30_000, "The checkpoint best.pt could not be written (is the disk full?); make room and"),
    ],
)
def test_a_full_disk_is_reported_in_one_sentence_and_the_run_can_be_resumed(
    what, room, sentence, whole, tmp_path: Path
) -> None:
    cache = whole[0] if what == "a checkpoint" else tmp_path / "cache"
    full = with_room(room, tmp_path, cache)
    refused((full.returncode, full.stdout, full.stderr), sentence)
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]  # no partial file
    again = with_room(None, tmp_path, cache, "--resume")
    assert (again.returncode, again.stderr) == (0, "")
    weights = torch.load(tmp_path / "o/bundle/models/model.pt")
    assert all(torch.equal(weights[name], value) for name, value in whole[1].items())


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (MemoryError(), "There was not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "There was not enough memory"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (ModuleNotFoundError("No module named 'sklearn'", name="sklearn.metrics"), "pip install scikit-learn"),
        (ZeroDivisionError("division by zero"), "An unforeseen fault ended the run (ZeroDivisionError)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_any_exception_is_reported_in_one_sentence(fault, sentence: str, train, monkeypatch, tmp_path: Path) -> None:
    def fails(values, on_progress):
        (tmp_path / "run.json").write_text("{}")
        raise fault

    monkeypatch.setattr("REACTKDTrainLib.commands.train.train", fails)
    refused(train("--cohort", COHORT, "--output", tmp_path), sentence)
    details = tmp_path / "error.txt"
    assert details.exists() == isinstance(fault, ZeroDivisionError)
    assert not details.exists() or "division by zero" in details.read_text()
