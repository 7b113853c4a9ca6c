"""Model folders: metadata and weights, most with matching hashes, as an attacker would create them."""

from __future__ import annotations

import hashlib
import io
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from fuzz.mutations import VALUES, cut, damaged_bytes, damaged_json, json_bytes
from fuzz.targets import Wrong
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.reports.html import write_page
from REACTKDLib.core.student.bundle import METADATA, WEIGHTS, Bundle
from REACTKDLib.core.student.bundle_metadata import HASH, description_hash
from support.small_cases import small_case
from support.small_models import metadata_for, random_student

ABSURD = (-1, 0, 1, 2, 7, 0.5, 1e-320, 1e-7, 1e7, 1e38, 1e308, 2**31, 2**63, 10**400, math.nan, math.inf, -math.inf)
# Sections of our metadata whose values become numbers, layers and limits.
MADE_INTO = ("student", "preparation", "uncertain", "classes", "modalities")

_good: list[Path] = []


def prepare(folder: Path) -> None:
    """Save a small student with random weights."""
    student = random_student()
    Bundle.save(folder / "bundle", student, metadata_for(student, uncertain={"top_below": 0.5, "margin_below": 0.1}))
    _good[:] = [folder / "bundle"]


def make(rng: Random, folder: Path) -> Path:
    """Corrupt metadata or weights; in four of five inputs the hashes match the result."""
    home = folder / "bundle"
    shutil.copytree(_good[0], home)
    kinds = (_unsigned, _described, _absurd, _bytes, _tensors)
    rng.choices(kinds, (20, 20, 25, 10, 25))[0](home, rng)
    return home


def replay(file: Path, folder: Path) -> Path:
    """Put a past failure into a valid bundle: metadata (.json, hashes updated) or a tensor file (.pt)."""
    home = folder / "bundle"
    shutil.copytree(_good[0], home)
    if file.suffix == ".pt":
        _put_weights(home, file.read_bytes())
    else:
        _put_metadata(home, json.loads(file.read_text(encoding="utf-8")))
    return home


def ask(path: Path) -> str:
    """Load, grade, and write the reports that name the model."""
    bundle = Bundle.load(path)
    report = Grader(bundle).open(small_case()).grade().report
    names, values = tuple(report.probabilities), tuple(report.probabilities.values())
    if not _signed_anew(path) and bundle.classes != Bundle.load(_good[0]).classes:
        raise Wrong(f"other classes were believed: {bundle.classes}")
    if names != bundle.classes or len(names) != 3 or report.grade not in names:
        raise Wrong(f"the grade is {report.grade!r} of {names}, where the model has {bundle.classes}")
    if not all(0 <= value <= 1 for value in values) or abs(sum(values) - 1) > 1e-5:
        raise Wrong(f"the probabilities are {values}")
    for region in report.regions:
        if not all(map(math.isfinite, (region.weight, region.deletion_effect, *region.contribution.values()))):
            raise Wrong(f"a number of {region.name} is not finite: {region}")
    report.write_json(path / "report.json")
    report.write_csv(path / "regions.csv")
    write_page(path / "report.html", report)
    return report.grade


def _signed_anew(path: Path) -> bool:
    hashes = [json.loads((folder / METADATA).read_text())["reactkd"].get(HASH) for folder in (path, _good[0])]
    return hashes[0] != hashes[1]


def _unsigned(home: Path, rng: Random) -> None:
    """Corruption that the hashes reveal."""
    if rng.random() < 0.5:
        path = home / METADATA
        path.write_bytes(json_bytes(damaged_json(json.loads(path.read_text()), rng), rng))
    else:
        path = home / WEIGHTS
        data = path.read_bytes()
        path.write_bytes(cut(data, rng) if rng.random() < 0.2 else damaged_bytes(data, rng))


def _described(home: Path, rng: Random) -> None:
    """Corruption anywhere in our section of the metadata, or in MONAI's."""
    metadata = json.loads((home / METADATA).read_text())
    if rng.random() < 0.75:
        metadata["reactkd"] = damaged_json(metadata["reactkd"], rng)
    else:
        metadata = damaged_json(metadata, rng)
    _put_metadata(home, metadata)


def _absurd(home: Path, rng: Random) -> None:
    """Give one to three settings a value that is invalid or at the edge of the valid range."""
    metadata = json.loads((home / METADATA).read_text())
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        section: Any = metadata["reactkd"][rng.choice(MADE_INTO)]
        key = rng.choice(list(section) if isinstance(section, dict) else range(len(section)))
        if isinstance(section[key], list) and section[key] and rng.random() < 0.6:
            section, key = section[key], rng.randrange(len(section[key]))
        section[key] = rng.choice(ABSURD if rng.random() < 0.7 else VALUES)
    _put_metadata(home, metadata)


def _bytes(home: Path, rng: Random) -> None:
    """Corrupted bytes of the tensor file, with a matching hash."""
    data = (home / WEIGHTS).read_bytes()
    _put_weights(home, cut(data, rng) if rng.random() < 0.1 else damaged_bytes(data, rng))


def _tensors(home: Path, rng: Random) -> None:
    """A tensor file that PyTorch opens without an error but that holds other tensors."""
    import torch

    state = dict(torch.load(home / WEIGHTS, weights_only=True))
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(list(state))
        changed = rng.choice(_tensor_damages())(state.pop(name), rng)
        key = rng.choice(("", 3, None, name.upper(), "x" * 5000)) if rng.random() < 0.1 else name
        if rng.random() > 0.05:
            state[key] = changed
    buffer = io.BytesIO()
    torch.save(state, buffer)
    _put_weights(home, buffer.getvalue())


def _tensor_damages() -> tuple[Callable[[Any, Random], Any], ...]:
    import torch

    kinds = (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int8, torch.bool, torch.complex64)
    numbers = (0.0, 1e-45, 1e18, 3e38, -3e38, math.nan, math.inf)
    return (
        lambda t, rng: t.to(rng.choice(kinds)),
        lambda t, rng: t.double() * 1e300,
        lambda t, rng: torch.full_like(t, rng.choice(numbers)),
        lambda t, rng: t * 10.0 ** rng.randrange(0, 38),
        lambda t, rng: t.flatten()[: rng.randrange(t.numel() + 1)],
        lambda t, rng: t.unsqueeze(0),
        lambda t, rng: t.to_sparse() if t.ndim else t.reshape(1),
        lambda t, rng: t.flatten()[:1].expand(10**12),
        lambda t, rng: t.to("meta"),
        lambda t, rng: torch.quantize_per_tensor(t.float(), 0.1, 10, torch.qint8),
        lambda t, rng: torch.nn.Parameter(t.float()),
        lambda t, rng: rng.choice((3, None, "x", [t], {"": t})),
    )


def _put_metadata(home: Path, metadata: Any) -> None:
    ours = metadata.get("reactkd") if isinstance(metadata, dict) else None
    if isinstance(ours, dict):
        ours[HASH] = description_hash(metadata)
    (home / METADATA).write_text(json.dumps(metadata), encoding="utf-8")


def _put_weights(home: Path, content: bytes) -> None:
    (home / WEIGHTS).write_bytes(content)
    metadata = json.loads((home / METADATA).read_text())
    metadata["reactkd"]["sha256"] = hashlib.sha256(content).hexdigest()
    _put_metadata(home, metadata)
