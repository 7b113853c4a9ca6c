"""Adding a distillation method takes two files, the method and its test, as a page shows: done in a copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.page_code import code_of

REPOSITORY = Path(__file__).resolve().parents[4]
(METHOD,) = code_of("how-to/add_a_distiller.md")
TEST = """import torch
import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import check_method, make_distiller
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.teacher import targets_of
from REACTKDTrainLib.nodes.train import Recipe, train_student, train_teacher
from REACTKDTrainLib.study.presets import PRESETS, preset_of
from REACTKDTrainLib.training.options import RunOptions
from support.node_cases import cases


def test_its_loss():
    torch.manual_seed(0)
    distiller = make_distiller("mean-of-two", DistillationConfig(feature=2.0), 4, 4)
    teacher = type("Targets", (), {"logits": torch.zeros(2, 3)})
    assert distiller.logit_terms(torch.ones(2, 3), teacher, [])["mean"] == 2.0


def test_a_student_learns_by_it():
    table = NodeTable.of(cases(20))
    recipe = Recipe(steps=5, batch=8)
    targets = targets_of(train_teacher(table, recipe), table)
    terms = []
    distiller = make_distiller("mean-of-two", DistillationConfig(), 48, 48)
    train_student(table, recipe, None, distiller, targets, watch=lambda step, found: terms.append(found))
    assert all(found["mean"] > 0 for found in terms)


def test_the_command_line_and_the_study_have_it(tmp_path):
    assert RunOptions(cohort="phantom:hospital", output=tmp_path / "out", method="mean-of-two").method == "mean-of-two"
    assert "mean-of-two" in preset_of("gpu").methods
    with pytest.raises(UsageError, match="mean-of-two"):
        check_method("mean-of-three")
    with pytest.raises(UsageError):
        check_method("mean-of-two+kd")  # it has a term on logits of its own
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    tree = tmp_path_factory.mktemp("adding") / "tree"
    ignored = shutil.ignore_patterns("__pycache__", "Models", "Icons")
    for name in ("REACTKD", "REACTKDTrain", "Testing/support", "Testing/tools"):
        shutil.copytree(REPOSITORY / name, tree / name, ignore=ignored)
    shutil.copy(REPOSITORY / "pyproject.toml", tree)
    (tree / "REACTKDTrain/REACTKDTrainLib/distillation/methods/mean_of_two.py").write_text(METHOD)
    (tree / "Testing/test_mean_of_two.py").write_text(TEST)
    return tree


def run(tree: Path, *arguments: str) -> str:
    path = os.pathsep.join(str(tree / name) for name in ("REACTKD", "REACTKDTrain", "Testing"))
    own = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "1000"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tree, env={**os.environ, **own}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_tests_of_the_added_method_pass(tree: Path) -> None:
    options = ("-q", "-p", "no:cacheprovider", "--rootdir", ".", "-o", "pythonpath=")
    assert f"{TEST.count('def test_')} passed" in run(tree, "-m", "pytest", *options, "Testing/test_mean_of_two.py")


def test_the_module_description_and_the_help_list_the_added_method(tree: Path) -> None:
    run(tree, "Testing/tools/train_xml.py", "--write")
    text = (tree / "REACTKDTrain" / "REACTKDTrain.xml").read_text(encoding="utf-8")
    assert "ifvd, mean-of-two, react-kd-scores or react-kd (the default)" in text
    assert "mean-of-two" in run(tree, "-m", "REACTKDTrainLib", "train", "--help")
