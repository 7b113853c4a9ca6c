"""The whole command at its smallest: every table and figure, no run repeated, and a note that numbers mean nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from REACTKDTrainLib.__main__ import main
from REACTKDTrainLib.distillation.methods import METHODS
from REACTKDTrainLib.study import presets
from support.dask_cluster import dask_cluster


def run(output, *more: str) -> str:
    command = [sys.executable, "-m", "REACTKDTrainLib", "study", "--preset", "smoke", "--output", str(output), *more]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_smoke_study_makes_every_table_and_figure_once(tmp_path) -> None:
    answered = run(tmp_path, "--jobs", "2")
    assert "the numbers mean nothing" in answered and "left" in answered
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["study"]["meaningless"] and results["study"]["digital_phantom"]
    assert len(results["methods"]["rows"]) == len(METHODS) + 1 and len(results["ablation"]["rows"]) == 9
    assert list(results["methods"]["rows"])[-1] == list(results["ablation"]["rows"])[-1] == "Bayes limit"
    assert set(results["external"]["rows"]["react-kd"]) == {"native", "mild", "severe", "mixed"}
    pair = results["nodes"]["shared"]["sizes"]["12"]["differences"]["react-kd/same - kd/same"]["ct"]
    assert pair["runs"] == 2 and pair["interval95"][0] <= pair["difference"] <= pair["interval95"][1]
    tables = {p.stem for p in (tmp_path / "tables").glob("*.md")}
    assert {"table1_ct", "table2", "table3", "table4", "tests", "teachers", "map"} <= tables
    of_arms = {f"{table}_{arm}" for table in ("primary", "nodes") for arm in ("shared", "independent")}
    assert of_arms | {"deciding_shared", "deciding_by_grade_shared"} <= tables
    assert {"chance", "exact limit"} < set(results["deciding"]["shared"]["inputs"]["ct"])
    assert all("Digital phantom" in p.read_text() for p in (tmp_path / "tables").glob("*.md"))
    figures = ("roc", "decision_curves", "calibration", "embedding", "attention", "dose_response", "primary_shared")
    figures += ("primary_independent", "map", "deciding_shared")
    for name in figures:
        for suffix in (".png", ".svg"):
            assert (tmp_path / "figures" / (name + suffix)).stat().st_size > 5000
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("*.npz")}
    assert {p.parent.name for p in before} == {"nodes", "choices", "methods", "teachers", "ablation", "external"}
    again = run(tmp_path, "--jobs", "2")
    assert "runs are there already" in again and not re.search(r"\(\d+ of \d+\)", again), "no run may be repeated"
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("*.npz")} == before


@pytest.mark.slow  # three processes load PyTorch
def test_the_node_level_runs_on_a_cluster(tmp_path, monkeypatch) -> None:
    """With a tenth of the phantoms of 'smoke', since each takes a second to draw; the sizes are sent to the workers."""
    pytest.importorskip("distributed")
    smoke = presets.preset_of("smoke")
    few = replace(smoke, nodes=replace(smoke.nodes, test=6, validation=3, pool=6, sizes=(6,), subsets=1, variants=0))
    monkeypatch.setattr(presets, "preset_of", lambda name: few)
    output = tmp_path / "study"
    command = ["study", "--preset", "smoke", "--output", str(output), "--part", "nodes"]
    with dask_cluster(tmp_path) as (address, _):
        assert main([*command, "--dask", address]) == 0
    results = json.loads((output / "results.json").read_text())
    assert set(results["nodes"]) == {"shared", "independent"}
    done = {path: path.stat().st_mtime_ns for path in (output / "runs").rglob("*.npz")}
    assert {path.parent.name for path in done} == {"choices", "nodes"}
    assert main(command) == 0  # in this process: these are the same runs, so none is repeated
    assert {path: path.stat().st_mtime_ns for path in (output / "runs").rglob("*.npz")} == done
