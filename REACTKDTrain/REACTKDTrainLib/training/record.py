"""run.json: the settings, cohorts, versions and hardware of a run, without names of users, machines or folders."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.student.bundle import model_hash
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.worker.training_run import FORMAT, RECORD, STAGES
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.cohorts.base import Cohort
from REACTKDTrainLib.content_store import content_key
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.packages import NEEDED
from REACTKDTrainLib.training.processes import Processes

#: prefix of the hash that identifies an initial model
WEIGHTS = "sha256 "
_SCAN_DIGITS = 16
_DEPTH = 3  # run/ensemble/members/fold0


def describe_run(
    config: TrainingConfig,
    cohorts: dict[str, Cohort],
    device: torch.device,
    processes: Processes,
) -> dict:
    """Return the content of run.json. cohorts: role ('cohort', 'unlabeled', 'external') -> cohort."""
    return {
        "format": FORMAT,
        "configuration": recorded_settings(config),
        "seed": config.seed,
        **_task_of(cohorts["cohort"].task),
        "cohorts": {role: describe_cohort(cohort) for role, cohort in cohorts.items()},
        "versions": versions(),
        "hardware": {
            "machine": platform.machine(),
            "system": platform.system(),
            "cpu_cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "processes": processes.world,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        },
        "revision": revision(),
    }


def recorded_settings(config: TrainingConfig) -> dict:
    """Return the settings as in run.json: an initial model is identified by the hash of its weights, not its folder."""
    values = config.to_dict()
    for stage in STAGES.values():
        initial = values[stage]["initial"]
        if initial and not initial.startswith(WEIGHTS):
            values[stage]["initial"] = WEIGHTS + str(model_hash(initial))
    return values


def _task_of(task: Task) -> dict:
    """Return a task other than the built-in one, in its file format."""
    return {} if task == HCC_GRADE else {"task": task.to_dict()}


def describe_cohort(cohort: Cohort) -> dict:
    """Return numbers about a cohort, without names. content: a hash of the cases with their images, masks and grades,
    in any order, by which another cohort with equal numbers is recognized.
    """
    grades = [case.grade for case in cohort.cases]
    return {
        "name": cohort.name,
        "digital_phantom": cohort.phantom,
        "cases": len(cohort),
        "patients": len({case.patient for case in cohort.cases}),
        "grades": {name: grades.count(n) for n, name in enumerate(cohort.task.class_names)}
        | {"none": grades.count(None)},
        "skipped": [{"case": case, "reason": reason} for case, reason in cohort.skipped],
        "content": content_key(
            {"cases": sorted([case.id, case.patient, case.fingerprint, str(case.grade)] for case in cohort.cases)}
        ),
    }


def revision() -> str | None:
    """Return the git revision of this source, with '+' if it was modified; None for an installed copy."""
    here = Path(__file__).resolve()
    try:
        asked = dict(cwd=here.parent, capture_output=True, text=True, timeout=10)
        known = subprocess.run(["git", "ls-files", "--error-unmatch", here.name], **asked)
        head = subprocess.run(["git", "rev-parse", "HEAD"], **asked)
        changed = subprocess.run(["git", "status", "--porcelain", "--untracked-files=no"], **asked)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if known.returncode or head.returncode:  # the installation may be inside an unrelated repository
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def check_free(folder: Path, resume: bool) -> None:
    """Raise UsageError if the folder contains a run and `resume` is False."""
    if not resume and (Path(folder) / RECORD).exists():
        raise UsageError("The output folder holds a run already; resume it (--resume), or choose another folder.")


def open_folder(folder: Path, record: dict, resume: bool) -> None:
    """Write run.json, or check that the existing run can be resumed.

    Raises: UsageError if the folder contains another run, or a run although `resume` is False.
    """
    path = Path(folder) / RECORD
    if not path.exists():
        write_text(path, json.dumps(record, indent=2) + "\n")
        return
    try:
        old = parse_json(path.read_text(encoding="utf-8"))
        known, cohorts = dict(old["configuration"]), old["cohorts"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UsageError(
            "The file run.json in the output folder is not readable; choose another output folder."
        ) from error
    check_free(folder, resume)
    changed = difference(completed(known), record["configuration"])
    if changed:
        raise UsageError(
            f"The run in the output folder was started with other settings ({changed}); resume with the same ones, "
            "or choose another output folder."
        )
    changed = cohorts_differ(cohorts, record["cohorts"])
    if changed:
        raise UsageError(
            f"The run in the output folder was started on other cases ({changed}); give the same cohort, or choose "
            "another output folder."
        )


def cohorts_differ(old: dict[str, dict], new: dict[str, dict]) -> str | None:
    """Return the first difference between cohorts by role, each from `describe_cohort`; see `difference`.

    Cohorts with the same content are equal, whatever their lists are called. Earlier releases recorded no content; the
    numbers and the name are then compared.
    """
    for role in sorted(set(old) | set(new)):
        if role not in old or role not in new:
            return f"{role}: given, now none" if role in old else f"{role}: none, now given"
        one, other = old[role], new[role]
        known = "content" in one and "content" in other
        if known and one["content"] == other["content"]:
            continue
        left_out = {"content", "skipped"} | ({"name"} if known else set())
        shown = ({key: value for key, value in own.items() if key not in left_out} for own in (one, other))
        changed = difference(*shown, f"{role}.")
        if changed is not None:
            return changed
        if known:
            return f"{role}: other cases, images, masks or grades"
    return None


def completed(configuration: dict) -> dict:
    """Return a configuration with settings added that its release did not have, and the hash of the weights in place of
    an initial model's folder; an unreadable configuration is returned unchanged.
    """
    try:
        return recorded_settings(TrainingConfig.from_dict(configuration))
    except UsageError:
        return configuration


def add_unreadable(folder: Path, record: dict, cohorts: dict[str, Cohort]) -> None:
    """Write into run.json which cases were excluded because they could not be read, and why.

    They have their own key: `cohorts` stays as requested, because a resumed run is compared with it.
    """
    left_out = {}
    for role, cohort in cohorts.items():
        known = len(record["cohorts"][role]["skipped"])  # the cases that the cohort itself excluded come first
        more = [{"case": case, "reason": reason} for case, reason in cohort.skipped[known:]]
        left_out |= {role: more} if more else {}
    if not left_out:
        return
    _add(folder, {"unreadable": left_out})


def add_native_dose(folder: Path, scans: dict[str, dict[str, str]]) -> None:
    """Write into run.json which scans the dose branch used only at their original dose, and why.

    scans: role -> {case: reason}; cases of two cohorts may have the same id.
    """
    found = {
        role: [{"case": case, "reason": reason} for case, reason in own.items()] for role, own in scans.items() if own
    }
    if found:
        _add(folder, {"native_dose_only": found})


def add_scans(folder: Path, scans: Iterable[Mapping[str, str]], earlier: Collection[str] = ()) -> None:
    """Write into run.json hashes of the scans that networks are trained on, by which an evaluation recognizes them.

    scans: `scan_contents` of each case. earlier: those of the student's initial model.
    """
    found = sorted(set(scans_of_run(folder)).union(earlier, *(short_hashes(own) for own in scans)))
    if found:
        _add(folder, {"scans": found})


def scans_of_run(folder: Path) -> frozenset[str]:
    """Return what `add_scans` wrote; nothing for a folder without a run, or a run of an earlier release."""
    try:
        record = parse_json((Path(folder) / RECORD).read_text(encoding="utf-8"))
        return frozenset(record.get("scans", ()))
    except (OSError, ValueError, TypeError, AttributeError):
        return frozenset()


def run_of_model(model: Path | str) -> Path | None:
    """Return the folder of the run that a model's folder is in, also as a member of its ensemble; None if copied."""
    around = list(Path(model).absolute().parents)[:_DEPTH]
    return next((folder for folder in around if (folder / RECORD).is_file()), None)


def short_hashes(scans: Mapping[str, str]) -> set[str]:
    """Return the beginnings of the hashes of a case's scans. Those of a million scans differ, almost certainly."""
    return {content[:_SCAN_DIGITS] for content in scans.values()}


def _add(folder: Path, entries: dict) -> None:
    path = Path(folder) / RECORD
    old = parse_json(path.read_text(encoding="utf-8"))
    write_text(path, json.dumps(old | entries, indent=2) + "\n")


def difference(old: dict, new: dict, where: str = "") -> str | None:
    """Return the first setting that differs, such as 'student.hidden: 48, now 32'."""
    for name in sorted(set(old) | set(new)):
        a, b = old.get(name), new.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            found = difference(a, b, f"{where}{name}.")
            if found:
                return found
        elif a != b:
            return f"{where}{name}: {a}, now {b}"
    return None


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of the packages that a training needs, None for one that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in NEEDED.values():
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found
