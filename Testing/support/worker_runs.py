"""Runs of a worker in tests: handing over a case, waiting for a job, and runners that fail or are slow."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path

import torch

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grading.runner import StudentRunner
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.worker import events, jobs
from REACTKDLib.core.worker.arrays import write_array, write_mask
from REACTKDLib.core.worker.client import WorkerClient
from support.small_models import write_small_model


def save_small_model(folder: Path, device: str = "cpu") -> jobs.Model:
    """Write a fast student."""
    return jobs.Model(str(write_small_model(folder / "small")), device)


def files_in(folder: Path) -> Job:
    """Return the files that `case_files.write_case` wrote."""
    names = {path.name.split(".")[0].lower(): path for path in folder.iterdir()}
    return Job("case", {m: names[m.value] for m in Modality if m.value in names}, names.get("segmentation"))


def hand_over(client: WorkerClient, case: Case) -> tuple[list[jobs.ImageFile], list[jobs.MaskFile]]:
    """Write the arrays of a case into the worker's folder."""
    images, masks = [], []
    for modality, volume in case.volumes.items():
        name = client.scratch.new_name()
        write_array(client.scratch.path / name, volume.array)
        images.append(jobs.ImageFile(modality, name, volume.ijk_to_ras.tolist(), volume.unit))
    matrix = case.reference.ijk_to_ras.tolist()
    for role, mask in (("liver", case.liver), ("tumor", case.tumor)):
        name = client.scratch.new_name()
        write_mask(client.scratch.path / name, mask)
        masks.append(jobs.MaskFile(role, name, list(mask.shape), matrix, role))
    return images, masks


def grade_job(client: WorkerClient, case: Case, model: jobs.Model, key: str = "a") -> jobs.GradeArrays:
    """Hand over a case and return the job that grades it."""
    return jobs.GradeArrays(key, *hand_over(client, case), case.id, model)


def wait(
    client: WorkerClient,
    ticket: int,
    seen: list | None = None,
    until: Callable[[events.Event], bool] = lambda _: False,
    seconds: float = 300.0,
) -> events.Event:
    """Poll as a timer would until the ticket has ended, or until `until` is True for an event; return that event."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = None
        for event in client.poll():
            if seen is not None:
                seen.append(event)
            ended = isinstance(event, events.JobDone | events.JobFailed | events.JobCanceled)
            if found is None and ((ended and event.ticket == ticket) or until(event)):
                found = event
        if found is not None:
            return found
        time.sleep(0.002)
    raise AssertionError(f"nothing was heard of ticket {ticket}")


class OutOfMemory(StudentRunner):
    """Imitates a GPU with too little memory, which cannot be produced on a real one."""

    def __init__(self, student: object, device: str) -> None:
        super().__init__(student, "cpu")
        self.fails = device == "cuda"

    def encode(self, *arguments: object) -> object:
        """Fail as CUDA does."""
        if self.fails:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return super().encode(*arguments)


class Faulty(StudentRunner):
    """Imitates an unexpected error whose text quotes the program's data."""

    def encode(self, name: str, *arguments: object) -> object:
        """Fail as a library does."""
        patient = "^".join(("Doe", "Canary"))
        raise RuntimeError(f"cannot encode {patient} from /data/{patient}/{name}.nii.gz")


class ReportsGarbage(StudentRunner):
    """Fails with the number of objects that the process leaves out of garbage collection."""

    def encode(self, *arguments: object) -> object:
        """Fail with the number."""
        raise UsageError(f"{gc.get_freeze_count()} objects")


class Stubborn(StudentRunner):
    """Imitates a long call into a library that cannot be interrupted."""

    def encode(self, *arguments: object) -> object:
        """Ignore everything for half a minute."""
        time.sleep(30)
        return super().encode(*arguments)


class Patient(StudentRunner):
    """Takes ten seconds, and can be canceled."""

    def encode(self, name: str, image: object, check: Callable[[], None] = lambda: None, box: object = None) -> object:
        """Check for cancellation every 20 ms."""
        for _ in range(500):
            time.sleep(0.02)
            check()
        return super().encode(name, image, check, box)
