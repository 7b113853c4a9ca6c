"""The fuzz command: it finds crashes, hangs and exceptions, reproduces inputs from seeds, and finds none today."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from fuzz.driver import Child, questions
from fuzz.mutations import damaged_bytes, damaged_json, damaged_text
from fuzz.targets import SHARES

ROOT = Path(__file__).resolve().parents[3]


def fuzz(*arguments: str, output: Path) -> subprocess.CompletedProcess:
    paths = os.pathsep.join(str(ROOT / part) for part in ("REACTKD", "REACTKDTrain", "Testing"))
    return subprocess.run(
        [sys.executable, "-m", "fuzz", *arguments, "--output", str(output)],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )


def test_some_damaged_inputs_of_every_reader_are_read_correctly_or_refused(tmp_path: Path) -> None:
    # one process: each loads the libraries and creates the valid files, which takes longer than the inputs
    result = fuzz("--inputs", "150", "--seed", "90000", "--processes", "1", output=tmp_path)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    for name in SHARES:
        assert f"\n{name} " in result.stdout


@pytest.mark.slow
def test_two_thousand_damaged_inputs_are_read_correctly_or_refused(tmp_path: Path) -> None:
    result = fuzz("--inputs", "2000", output=tmp_path)
    assert result.returncode == 0, result.stdout[-8000:]


@pytest.mark.parametrize(
    ("code", "verdict", "hang_s"),
    [
        ("import os, signal; input(); os.kill(os.getpid(), signal.SIGSEGV)", "crash", 30.0),
        ("import time; input(); time.sleep(60)", "hang", 0.1),  # the only one whose time limit must pass
        ('while input(): print(\'{"verdict": "accepted", "text": ""}\', flush=True)', "accepted", 30.0),
    ],
)
def test_a_reader_that_crashes_or_hangs_is_reported_and_the_next_input_is_tested(
    code: str, verdict: str, hang_s: float
) -> None:
    child = Child([sys.executable, "-c", code], hang_s=hang_s, start_s=0.0)
    try:
        for _ in range(2):
            assert child.ask({"target": "images", "seed": 0})[0]["verdict"] == verdict
    finally:
        child.remove()
    assert not child.folder.exists()


def test_a_reader_that_raises_prints_or_returns_wrong_voxels_is_reported(tmp_path: Path) -> None:
    """An exception outside the hierarchy, wrong voxels, and output on the terminal."""
    breaker = tmp_path / "broken.py"
    breaker.write_text(
        "import os, sys\n"
        "import fuzz.child, fuzz.targets\n"
        "class Broken:\n"
        "    prepare = staticmethod(lambda folder: None)\n"
        "    make = staticmethod(lambda rng, folder: folder)\n"
        "    kind = iter(('raise', 'wrong', 'print', 'fine'))\n"
        "    def ask(self, path):\n"
        "        kind = next(self.kind)\n"
        "        if kind == 'raise': raise IndexError('x')\n"
        "        if kind == 'wrong': raise fuzz.targets.Wrong('other voxels')\n"
        "        if kind == 'print': os.write(2, b'library says no')\n"
        "broken = Broken()\n"
        "fuzz.child.target = lambda name: broken\n"
        "fuzz.child.main(__import__('pathlib').Path(sys.argv[1]))\n"
    )
    child = Child([sys.executable, str(breaker)])
    try:
        verdicts = [child.ask({"target": "images", "seed": n})[0]["verdict"] for n in range(4)]
    finally:
        child.remove()
    assert verdicts == ["unforeseen", "wrong", "printed", "accepted"]


def test_the_same_seed_makes_the_same_input() -> None:
    for seed in range(20):
        a, b = (Random(f"x:{seed}") for _ in range(2))
        assert damaged_bytes(b"abcdefgh" * 9, a) == damaged_bytes(b"abcdefgh" * 9, b)
        assert damaged_text("sizes: 3 4 5\nspace: left\n", a) == damaged_text("sizes: 3 4 5\nspace: left\n", b)
        assert str(damaged_json({"a": [1, {"b": 2}]}, a)) == str(damaged_json({"a": [1, {"b": 2}]}, b))


def test_the_inputs_are_divided_among_all_readers() -> None:
    asked = list(questions(1000, 7, list(SHARES), corpus=False))
    assert abs(len(asked) - 1000) <= len(SHARES)
    assert {question["target"] for question in asked} == set(SHARES)
    assert min(question["seed"] for question in asked) == 7
