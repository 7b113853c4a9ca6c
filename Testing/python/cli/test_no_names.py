"""A patient's name in headers, paths, IDs and lists reaches no model, cache, log, temporary file or report."""

from __future__ import annotations

import gzip
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.console import SOME_FAILED
from REACTKDLib.core.student.bundle import Bundle
from support.case_files import NAMES, SEGMENTATION, write_case
from support.cli_runner import start
from support.cohort_files import LIVER, MASS, abdomen, place, write
from support.small_cases import small_case
from support.small_training import QUICK, TRAIN_SCRIPT, write_config

# Names of a person, one for each location; only the ID that a user gives may be output, and only as an ID.
ID, FOLDER, HEADER, LIST = "Canary^Given", "Canary^Folder", "Canary^Header", "Canary^List"
CASES = 12


def holding(canary: str, *folders: Path) -> list[str]:
    """The files and folders whose name or content contains the canary, in any encoding that programs write."""
    patterns = [canary.encode(code) for code in ("utf-8", "utf-16-le")] + [canary.replace("^", "-").encode()]
    found = []
    for path in (path for folder in folders for path in folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        if any(p in content or p in os.fsencode(path.name) for p in patterns):
            found.append(path.name)
    return found


def said_in_header(path: Path, canary: str) -> None:
    """Write the canary into description, intent name and file name of a NIfTI header."""
    data = bytearray(gzip.decompress(path.read_bytes()))
    for offset, room in ((148, 80), (328, 16), (14, 18)):
        data[offset : offset + room] = canary.encode().ljust(room, b"\0")
    path.write_bytes(gzip.compress(bytes(data)))


@pytest.fixture
def places(tmp_path) -> tuple[dict[str, str], list[Path]]:
    """The environment of a process whose temporary files and logs can be inspected, and the folders that hold them."""
    folders = {name: tmp_path / name for name in ("temporary", "state")}
    for folder in folders.values():
        folder.mkdir()
    told = {"TMPDIR": str(folders["temporary"]), "REACTKD_LOG_DIR": str(folders["state"])}
    return told, list(folders.values())


@pytest.fixture
def patient(tmp_path) -> Path:
    """A case whose folder and headers name the patient."""
    folder = write_case(small_case(), tmp_path / "in" / FOLDER)
    for name in NAMES.values():
        if (folder / name).exists():
            said_in_header(folder / name, HEADER)
    return folder


def images(folder: Path) -> list[str | Path]:
    return ["--ct", folder / "CT.nii.gz", "--segmentation", folder / SEGMENTATION]


def test_grade_and_check_write_no_patient_name(run_command, bundle_folder, patient, places, tmp_path) -> None:
    told, watched = places
    out = tmp_path / "out"
    graded = run_command("grade", *images(patient), "--bundle", bundle_folder, "--output", out, **told)
    assert (graded.returncode, graded.stderr) == (0, "") and graded.stdout.startswith("Grade: ")  # a pipe: no progress
    checked = run_command("check", *images(patient), **told)
    assert checked.returncode == 0, checked.stderr
    (patient / "CT.nii.gz").write_bytes(b"cut off")
    failed = run_command("grade", *images(patient), "--bundle", bundle_folder, "--output", tmp_path / "o2", **told)
    assert failed.returncode == 2
    for canary in (FOLDER, HEADER):
        assert holding(canary, out, *watched) == []
        assert canary not in checked.stdout + graded.stdout + failed.stderr


def test_batch_writes_the_given_id_and_no_patient_name(run_command, bundle_folder, patient, places, tmp_path) -> None:
    told, watched = places
    worklist, out = tmp_path / "in" / "list.csv", tmp_path / "out"
    rows = ["case,ct,segmentation"]
    rows += [f"{ID}{n},{FOLDER}/{ct},{FOLDER}/{SEGMENTATION}" for n, ct in enumerate(("CT.nii.gz", "absent.nii.gz"))]
    worklist.write_text("\n".join(rows), encoding="utf-8")
    run = run_command("batch", "--worklist", worklist, "--bundle", bundle_folder, "--output", out, **told)
    assert run.returncode == SOME_FAILED, run.stderr
    table = (out / "results.csv").read_text(encoding="utf-8")
    assert f"{ID}0,graded" in table and f"{ID}1,failed" in table
    for canary in (FOLDER, HEADER):
        assert holding(canary, out, *watched) == [] and canary not in run.stderr
    assert holding(ID, *watched) == []


@pytest.mark.slow
def test_a_trained_model_contains_counts_and_no_patient_name(places, tmp_path) -> None:
    told, watched = places
    listed = cohort(tmp_path / "in" / FOLDER)
    config = write_config(tmp_path, data={**QUICK["data"], "doses": False, "size": "tiny", "mask_variants": 0})
    parameters = {
        "cohort": str(listed), "output": str(tmp_path / "out"), "folds": 2, "fold": 0, "config": str(config),
        "cache": str(tmp_path / "cache"), "skipUnreadable": True,
    }  # fmt: skip
    run = start(TRAIN_SCRIPT, parameters, tmp_path, **told).wait()
    assert run.status == "Completed", run.errors
    out, cache = tmp_path / "out", tmp_path / "cache"
    assert len(list(cache.rglob("*.npz"))) >= CASES
    for canary in (ID, FOLDER, HEADER, LIST):
        assert holding(canary, out / "bundle", cache, *watched) == []
    for canary in (FOLDER, HEADER):
        assert holding(canary, out) == [] and canary not in run.errors + " ".join(run.comments + run.text)
    trained = Bundle.load(out / "bundle").info["training"]["cohort"]
    assert trained["cases"] == CASES and trained["skipped"] == 1 and "name" not in trained
    assert set(trained) == {"digital_phantom", "cases", "patients", "grades", "skipped"}
    assert f"{CASES} cases" in (out / "bundle" / "docs" / "README.md").read_text(encoding="utf-8")
    # the run's record names the left-out case by the ID that the user gave
    assert f"{ID} {CASES}" in (out / "run.json").read_text(encoding="utf-8")


def cohort(folder: Path) -> Path:
    """A list of readable cases and one without its CT, each with a patient's name."""
    cases = []
    for n in range(CASES + 1):
        own = folder / f"{FOLDER} {n}"
        uptake = np.where(MASS & LIVER, 4.0 + n, np.where(LIVER, 3.0, 1.0))
        write(uptake.astype(np.float32), place(), own / "PET.nii.gz")
        write(LIVER.astype(np.uint8), place(), own / "liver.nii.gz")
        write((MASS & LIVER).astype(np.uint8), place(), own / "tumor.nii.gz")
        if n < CASES:
            write(abdomen(n), place(), own / "CT.nii.gz")
            said_in_header(own / "CT.nii.gz", HEADER)
        files = {"ct": "CT", "fdg": "PET", "liver": "liver", "tumor": "tumor"}
        case = {role: f"{own.name}/{name}.nii.gz" for role, name in files.items()}
        cases.append({"id": f"{ID} {n}", "patient": f"{ID} {n}", "grade": n % 3, **case})
    listed = folder / f"{LIST}.json"
    listed.write_text(json.dumps({"name": LIST, "training": cases}), encoding="utf-8")
    return listed


if sys.platform == "win32":  # characters that DICOM names have and file names may not
    ID, FOLDER, HEADER, LIST = (name.replace("^", "_") for name in (ID, FOLDER, HEADER, LIST))
