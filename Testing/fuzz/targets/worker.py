"""Messages to the worker: JSON lines with corrupted parts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random

from fuzz.mutations import damaged_json, json_bytes
from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.worker import jobs
from REACTKDLib.core.worker.handler import JobHandler
from support.case_files import NAMES, SEGMENTATION, write_case
from support.small_cases import small_case
from support.worker_runs import save_small_model

_messages: list[dict] = []


def prepare(folder: Path) -> None:
    """Create valid messages: a case given by its files, and one by the names of its arrays."""
    home = write_case(small_case(), folder / "case")
    files = Job("a", {modality: home / name for modality, name in NAMES.items()}, home / SEGMENTATION)
    model = save_small_model(folder / "model")
    matrix = [[2.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 3.0, 0], [0, 0, 0, 1.0]]
    images = [jobs.ImageFile(Modality.CT, "image.npy", matrix, Unit.HU)]
    masks = [jobs.MaskFile("liver", "mask.npy", [4, 5, 6], matrix), jobs.MaskFile("tumor", "t.npy", [2, 2, 2], matrix)]
    every = (
        jobs.WarmUp(model),
        jobs.GradeFiles("k", files, model),
        jobs.ReadFiles(files),
        jobs.GradeArrays("k", images, masks, "id", model),
        jobs.CheckArrays(images, masks),
        jobs.Regrade("k", masks),
        jobs.WhatIf("k", [0], [Modality.CT]),
        jobs.DrawSurfaces("k"),
        jobs.Draw("k"),
        jobs.MendMasks(masks, [4, 5, 6], matrix, "islands", None),
        jobs.SplitMask(masks, [4, 5, 6], matrix),
    )
    _messages[:] = [{"ticket": n, **jobs.to_message(job)} for n, job in enumerate(every)]


def make(rng: Random, folder: Path) -> Path:
    """Corrupt one message."""
    path = folder / "line.json"
    path.write_bytes(json_bytes(damaged_json(rng.choice(_messages), rng), rng))
    return path


def replay(file: Path, folder: Path) -> Path:
    """A message of a past failure."""
    return Path(shutil.copy(file, folder))


def ask(path: Path) -> str:
    """Parse the line as the worker does, and run the job."""
    message = jobs.parsed_line(path.read_bytes())
    if "stop" in message:
        return "stop"
    job = jobs.from_message({key: value for key, value in message.items() if key != "ticket"})
    names = iter(range(100))
    answer = JobHandler(path.parent, lambda: f"{next(names)}.npy").do(job, lambda *_: None, lambda: False)
    json.dumps(answer, allow_nan=False)
    return type(job).__name__
