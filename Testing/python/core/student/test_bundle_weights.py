"""Weights whose hashes agree but that do not fit the student: other names, other dtypes, values that overflow."""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from pathlib import Path

import pytest
import torch

from REACTKDLib.core.errors import BundleMismatch, BundleUnsafe
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.student.bundle import METADATA, WEIGHTS, Bundle
from REACTKDLib.core.student.bundle_metadata import HASH, description_hash
from support.small_cases import small_case
from support.small_models import random_student


def replace_weights(folder: Path, state: dict) -> None:
    """Save other tensors and update both hashes."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    replace_file(folder, buffer.getvalue())


def replace_file(folder: Path, content: bytes) -> None:
    (folder / WEIGHTS).write_bytes(content)
    data = json.loads((folder / METADATA).read_text())
    data["reactkd"]["sha256"] = hashlib.sha256(content).hexdigest()
    data["reactkd"][HASH] = description_hash(data)
    (folder / METADATA).write_text(json.dumps(data))


@pytest.mark.parametrize("key", [None, 3, ("head", "bias")])
def test_tensors_whose_names_are_not_text_are_refused(folder, key):
    state = random_student(4).state_dict()
    replace_weights(folder, {**state, key: torch.zeros(1)})
    with pytest.raises(BundleUnsafe):
        Bundle.load(folder)


def test_weights_that_unpack_to_more_than_their_file_are_refused_unread(folder, monkeypatch):
    """PyTorch reads compressed parts too, so that a file of a megabyte could fill the memory."""
    compressed = io.BytesIO()
    with zipfile.ZipFile(folder / WEIGHTS) as old, zipfile.ZipFile(compressed, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, old.read(part) + bytes(1 << 20) * part.filename.endswith("data/0"))
    replace_file(folder, compressed.getvalue())
    monkeypatch.setattr(torch, "load", lambda *args, **options: pytest.fail("the file was unpacked"))
    with pytest.raises(BundleMismatch, match="larger when unpacked"):
        Bundle.load(folder)


KINDS = {
    "whole numbers": lambda t: t.to(torch.int64),
    "true and false": lambda t: t.to(torch.bool),
    "complex": lambda t: t.to(torch.complex64) * 1j,
    "sparse": lambda t: t.to_sparse(),
    "without values": lambda t: t.to("meta"),
    "quantized": lambda t: torch.quantize_per_tensor(t, 0.1, 10, torch.qint8),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_weights_of_another_kind_are_refused_and_not_truncated(folder, kind):
    state = random_student(4).state_dict()
    replace_weights(folder, {name: KINDS[kind](t) if t.ndim else t for name, t in state.items()})
    with pytest.raises(BundleMismatch) as caught:
        Bundle.load(folder)
    assert "do not fit" in str(caught.value)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16])
def test_weights_of_another_precision_are_converted(folder, kind):
    state = {name: t.to(kind) for name, t in random_student(4).state_dict().items()}
    replace_weights(folder, state)
    for name, tensor in Bundle.load(folder).student.state_dict().items():
        assert torch.equal(tensor, state[name].float()), name


@pytest.mark.parametrize("name", [
    "encoders.stems.ct.weight", "encoders.trunks.pet.block2.convs.1.bias", "encoders.projections.fdg.2.weight",
    "fused_in.bias", "fixed_in.acetate.weight", "topology_in.weight", "mix.1.weight", "head.null", "head.score.weight",
    "head.classify.weight",
])  # fmt: skip
def test_weights_so_large_that_they_overflow_never_give_a_grade_of_nan(folder, name):
    """Each value is finite, so loading succeeds; overflowing sums would give the first class with probability NaN."""
    state = random_student(4).state_dict()
    state[name] = torch.full_like(state[name], 3e38)
    replace_weights(folder, state)
    session_of = Grader(Bundle.load(folder), "cpu").open
    try:
        report = session_of(small_case()).grade().report
    except BundleMismatch as error:
        assert "gives no number" in str(error)
        return
    numbers = [*report.probabilities.values()]
    for region in report.regions:
        numbers += [region.weight, region.deletion_effect, *region.contribution.values()]
    assert sum(report.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert all(math.isfinite(n) for n in numbers)
