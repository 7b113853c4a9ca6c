"""Cases with measured latents: what a node shows, with which errors, and how a study uses them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from REACTKDLib.core.modality import MODALITIES
from REACTKDLib.core.phantom.biology_shared import SHOWN
from REACTKDTrainLib.cohorts.phantom import phantom_case
from REACTKDTrainLib.data.truth import COLUMNS
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.study.nodes import NodeStudy
from REACTKDTrainLib.study.presets import MAP_ARMS, preset_of
from REACTKDTrainLib.study.read_latents import TOLD, read_case, reading_error
from REACTKDTrainLib.study.study import Study


def shared_case(number: int):
    return phantom_case("large", number, "tiny", biology="shared")


def test_a_measured_latent_has_the_stated_share_of_the_variance() -> None:
    table = NodeTable.of([read_case(shared_case(n)) for n in range(600)])
    lesions = table.rows[0].clone()
    lesions[:, 0] = False
    truth = table.node_truth[lesions].numpy()
    for modality in MODALITIES:
        read = table.fixed[modality][0][lesions].numpy()
        names = [name for name, of in SHOWN.items() if of.seen.value == modality]
        assert not read[:, len(names) :].any()
        for column, name in enumerate(names):
            true = truth[:, list(COLUMNS["shared"]).index(name)]
            told = np.corrcoef(read[:, column], true)[0, 1] ** 2
            assert told == pytest.approx(TOLD[name], abs=0.05), name


def test_the_error_of_a_measured_latent_agrees_with_hand_worked_values() -> None:
    """Contrast: variance 5^2 + 11.2^2 = 150.44, of which 98 % are explained: 150.44 (1 / 0.98 - 1) = 3.0702."""
    assert reading_error("contrast_hu") == pytest.approx(np.sqrt(3.07020), abs=1e-4)


def test_a_case_is_measured_deterministically_and_keeps_its_lesions() -> None:
    case = shared_case(3)
    one, again = read_case(case), read_case(case)
    assert all(torch.equal(one.regions[0].fixed[m], again.regions[0].fixed[m]) for m in MODALITIES)
    latents = case.truth["shared"]
    assert len(one.regions[0]) == latents.lesions + 1 and one.truth.deciding_node == latents.deciding + 1
    assert not one.regions[0].fixed["ct"][0].any() and one.regions[0].masks.topology[0] == latents.lesions
    assert one.grade == case.grade == latents.grade


def test_in_the_independent_biology_all_lesions_share_the_latents_of_their_patient() -> None:
    rows = []
    for n in range(300):
        case = read_case(phantom_case("large", n, "tiny", biology="independent"))
        values = case.regions[0].fixed["acetate"][1:, 0]
        if len(values) > 1:
            rows.append((values[:2] * float(np.hypot(*SHOWN["ln_acetate_ratio"][1:3]))).tolist())
    first, second = np.array(rows).T
    assert (first - second).std() == pytest.approx(np.sqrt(2) * reading_error("ln_acetate_ratio"), rel=0.15)


def test_the_map_needs_no_drawn_phantom_and_separates_the_two_kinds(tmp_path, monkeypatch) -> None:
    smoke = preset_of("smoke")
    around = replace(smoke.around, test=60, validation=20, pool=24, sizes=(12,), subsets=1, steps=2)
    monkeypatch.setattr(NodeStudy, "store", property(lambda self: pytest.fail("a store of drawn phantoms was asked")))
    study = Study(replace(smoke, around=around), tmp_path, arms=("shared-0.4", "independent"))
    results = study.run(["map"])
    assert set(results["map"]) == {"shared-0.4", "independent"} and not results["nodes"]
    assert results["map"]["independent"]["sizes"]["12"]["differences"]["react-kd/same - kd/same"]["ct"]["runs"] == 1
    assert (tmp_path / "figures" / "map.png").exists()
    table = (tmp_path / "tables" / "map.md").read_text()
    assert "| shared, 0.4 |" in table and "drawn" not in table
    level = NodeStudy(around, tmp_path, "tiny", arm=MAP_ARMS[0])
    drawn = NodeStudy(replace(around, drawn=True), tmp_path, "tiny", arm=MAP_ARMS[0])
    assert not {run.key for run in level.choice_runs()} & {run.key for run in drawn.choice_runs()}
