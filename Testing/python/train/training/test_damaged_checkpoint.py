"""A checkpoint with flipped bits or a truncated end is refused in one sentence or loads the same weights."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest
import torch

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.training.checkpoint import load_checkpoint, save_checkpoint

TENSORS = {
    "module": {"a": torch.arange(600.0), "b": torch.ones(3, 50)},
    "optimizer": {"0": {"step": torch.tensor(7.0)}},
}
STATE = {"step": 12, "score": 0.25}


def flat(tensors: dict) -> list[torch.Tensor]:
    return [t for v in tensors.values() for t in (flat(v) if isinstance(v, dict) else [v])]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "last.pt"
    save_checkpoint(path, TENSORS, STATE, "b")
    return path.read_bytes()


def loaded(path: Path, content: bytes) -> str:
    """'refused' or 'same'; anything else fails."""
    path.write_bytes(content)
    try:
        tensors, state = load_checkpoint(path, "b")
    except UsageError as error:
        assert "last.pt" in str(error) and "\n" not in str(error) and str(path.parent) not in str(error)
        return "refused"
    assert state == STATE
    assert all(torch.equal(a, b) for a, b in zip(flat(tensors), flat(TENSORS), strict=True))
    return "same"


def test_a_checkpoint_with_a_flipped_bit_is_refused_or_unchanged(whole, tmp_path) -> None:
    draw, verdicts = random.Random(0), []
    for _ in range(200):
        content = bytearray(whole)
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        verdicts.append(loaded(tmp_path / "last.pt", bytes(content)))
    # most of the file is weights; the rest is unused names of parts, times and padding
    assert verdicts.count("refused") > 100


@pytest.mark.parametrize("kept", [0, 1, 100, 2000, -1, -30])
def test_a_truncated_checkpoint_is_refused(whole, tmp_path, kept) -> None:
    assert loaded(tmp_path / "last.pt", whole[:kept]) == "refused"


def test_an_undamaged_checkpoint_is_read(whole, tmp_path) -> None:
    assert loaded(tmp_path / "last.pt", whole) == "same"


def test_a_checkpoint_that_unpacks_to_more_than_its_file_is_refused(whole, tmp_path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, old.read(part))
    assert loaded(tmp_path / "last.pt", content.getvalue()) == "refused"
