"""The study at hospital size on node vectors: the same folds, rows and tables as on volumes, from tiny phantoms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.nodes.node_store import NodeStore
from REACTKDTrainLib.nodes.train import Recipe, predict
from REACTKDTrainLib.study.answers import node_answers
from REACTKDTrainLib.study.external import ExternalStudy
from REACTKDTrainLib.study.hospital_nodes import HospitalNodes
from REACTKDTrainLib.study.presets import HospitalNodesConfig, Preset, preset_of
from REACTKDTrainLib.study.study import Study
from REACTKDTrainLib.study.tables import tables_of
from REACTKDTrainLib.training.config import DataConfig, TrainingConfig
from REACTKDTrainLib.training.run_checks import SameScan


def tiny(**changes) -> Preset:
    """The preset 'cpu' at hospital size, reduced to a minimum but with the same structure."""
    heads = Recipe(steps=3, batch=8)
    small = replace(
        preset_of("cpu"),
        training=TrainingConfig(folds=2, data=DataConfig(size="tiny", mask_variants=1, doses=False, validation=0.3)),
        hospital=16,
        external=3,
        seeds=1,
        headline=("none", "kd", "react-kd"),
        methods=("none", "kd", "at", "crd", "react-kd"),
        doses=("native", "mixed"),
        draws=50,
        hospital_nodes=HospitalNodesConfig(unlabeled=3, pretraining=heads, heads=heads),
    )
    return replace(small, **changes)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A study with all its parts, at hospital size."""
    study = Study(tiny(), tmp_path_factory.mktemp("hospital"))
    return study, study.run(["methods", "ablation", "external"])


def test_every_table_of_the_paper_exists_and_names_its_data(done):
    study, results = done
    rows = results["methods"]["rows"]
    assert list(rows) == ["none", "kd", "react-kd", "crd", "Bayes limit"]  # 'at' compares feature maps
    tables = tables_of(results)
    assert {"table1_ct", "table2", "table3", "table4", "teachers", "tests"} <= set(tables)
    title, table = tables["table2"]
    assert title == "Table II: node term, edge term, Gromov-Wasserstein term" and len(table) == 1 + 8 + 1
    assert table[1][:3] == ["", "", ""] and table[8][:3] == ["yes"] * 3 and table[9][0] == "Bayes limit"
    assert [row[0] for row in tables["teachers"][1][1:]] == ["teacher", "structure function", "dose"]
    assert set(results["external"]["rows"]["react-kd"]) == {"native", "mixed"}
    assert "16 cases in 2 folds, node vectors of size tiny" in (study.output / "tables" / "table2.md").read_text()
    assert {"roc", "calibration", "attention"} <= {p.stem for p in (study.output / "figures").iterdir()}


def test_nothing_is_done_twice_and_a_row_is_the_same_in_another_process(done):
    study, _ = done
    files = {path: path.stat().st_mtime_ns for path in (study.output / "runs").rglob("*.npz")}
    again = Study(tiny(), study.output)
    again.run(["methods", "ablation"])
    assert {path: path.stat().st_mtime_ns for path in (study.output / "runs").rglob("*.npz")} == files
    run = again.hospital.method_runs(["react-kd"], [0])[0]
    kept, made = again.files.get(run), run.make()
    assert all(np.array_equal(kept[name], value, equal_nan=value.dtype.kind == "f") for name, value in made.items())


def test_the_ablation_without_any_term_has_logits_only(done):
    study, _ = done
    level = study.hospital
    assert list(level.ablations)[0] == "neither" and list(level.ablations)[-1] == "node+edge+gw"
    bare, logits = level.config_of("react-kd", 0, ()), level.config_of("kd", 0)
    found = [predict(level.student(config, 0), level.table, ("ct",)) for config in (bare, logits)]
    torch.testing.assert_close(*found)
    whole = level.config_of("react-kd", 0, ("node", "edge", "gw"))
    assert whole.distillation == level.config_of("react-kd", 0).distillation


def test_test_patients_train_no_model_of_their_fold(done):
    study, _ = done
    for fold, split in enumerate(study.hospital.splits):
        whole, part = (set(study.hospital._training_table(fold, w).patients) for w in (True, False))
        held_out, tested = ({c.patient for c in cases} for cases in (split.validation, split.test))
        assert not tested & whole and not (tested | held_out) & part and whole == part | held_out
    assert not {c.patient for c in study.hospital.unlabeled} & {c.patient for c in study.hospital.cohort.cases}


def test_outputs_of_a_table_equal_those_of_its_batches_and_regions(done):
    study, _ = done
    level = study.hospital
    student, table = level.student(level.config_of("none", 0), 0), level.table
    found = node_answers(student, table)
    for name in ("ct", "fdg+acetate", "ct+fdg+acetate"):
        np.testing.assert_allclose(found[f"p_{name}"], predict(student, table, tuple(name.split("+"))), atol=1e-6)
    nodes = table.rows[0].sum(dim=1).numpy()
    np.testing.assert_array_equal(np.isfinite(found["effect"]).sum(axis=1), nodes)
    assert found["hidden"].shape == (16, student.config.hidden) and np.isfinite(found["hidden"]).all()


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("recorded", [False, True])
def test_a_scan_that_was_saved_again_is_not_tested_by_a_student_that_learned_from_it(
    external: bool, recorded: bool, tmp_path, monkeypatch
) -> None:
    """Its file differs, so it was tested as another patient's. Earlier releases recorded no scans."""
    own, again = [patient(n) for n in (3, 4)], patient(3, "again")
    level = HospitalNodes(tiny(), "", tmp_path, tmp_path)
    level.__dict__["cohort"] = Cohort("own", (*own, *(() if external else (again,))))
    outside = ExternalStudy(level, "")
    outside.__dict__["cohort"] = Cohort("other", (again,))
    if not recorded:
        monkeypatch.setattr(NodeStore, "scans", lambda *_: {})
    said = r"x3again \(x3 there\) of the external" if external else "x3 and x3again of the cohort are one scan under"
    with pytest.raises(SameScan, match=said):
        (outside if external else level).prepare()


def patient(number: int, copy: str = "") -> CohortCase:
    """A tiny phantom as a patient. copy: name of a copy, whose file differs."""
    case = open_cohort(f"phantom:large?cases=1&first={number}&size=tiny", "tiny").cases[0]
    name = f"x{number}{copy}"
    return replace(case, id=name, patient=name, truth=None, fingerprint=case.fingerprint + copy)


def test_patients_are_used_without_latents_and_need_all_images(tmp_path):
    level = HospitalNodes(tiny(), "phantom:hospital?cases=4&size=tiny", tmp_path, tmp_path)
    cohort = open_cohort("phantom:hospital?cases=4&size=tiny", "tiny")
    assert len(level.unlabeled) == 3 and level.unlabeled[0].modalities == ("ct",)
    patients = replace(cohort, cases=tuple(replace(case, truth=None) for case in cohort.cases), phantom=False)
    other = HospitalNodes(tiny(), "", tmp_path, tmp_path)
    other.cohort = patients
    assert other.unlabeled == () and other.pretrained is None
    first = replace(cohort.cases[0], modalities=("ct", "fdg"))
    other.cohort = replace(patients, cases=(first, *patients.cases[1:]))
    with pytest.raises(UsageError, match="has no acetate; with this preset every case needs CT and both PETs"):
        other.prepare()


def test_the_presets_of_two_cores_have_three_seeds_of_every_row_that_they_can_ask(tmp_path):
    preset = preset_of("cpu")
    level = HospitalNodes(preset, "", tmp_path, tmp_path)
    rows = {"none", "kd", "crd", "awmt", "react-kd", "react-kd-scores"}
    assert set(level.methods(preset.methods)) == set(level.methods(preset.headline)) == rows and preset.seeds == 3
    assert level.ablation_seeds == range(3) and len(level.ablations) == 8
    assert preset.training.data.size == "full" and preset_of("quick").hospital_nodes is not None
    assert preset_of("gpu").hospital_nodes is None
