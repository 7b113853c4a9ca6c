"""What a study is made of: runs that are kept, measures of rows, the limit, tables, the page, refusals."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.job_pool import JobPool
from REACTKDLib.core.phantom.latents import draw_latents
from REACTKDLib.core.phantom.posterior import shared_posterior
from REACTKDLib.core.shard import Shard
from REACTKDTrainLib.__main__ import main
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.cohorts.phantom import phantom_case
from REACTKDTrainLib.commands.study import PARTS_OF
from REACTKDTrainLib.data.limits import latents_of, limit_of
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import make_distiller
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.evaluation.metrics import summarize, summarize_seeds
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.results.tables import as_csv, markdown
from REACTKDTrainLib.study import results
from REACTKDTrainLib.study.external import MIXED, mixed_level
from REACTKDTrainLib.study.node_figures import draw_map, draw_primary
from REACTKDTrainLib.study.nodes import FIRST, TRIALS, NodeStudy, at_edge
from REACTKDTrainLib.study.page import comparison, insert_tables
from REACTKDTrainLib.study.presets import ARMS, COMPARED, MAP_ARMS, PRESETS, preset_of
from REACTKDTrainLib.study.results import pooled
from REACTKDTrainLib.study.runs import Run, RunFiles
from REACTKDTrainLib.study.study import PARTS, Study, caption_of
from REACTKDTrainLib.study.tables import map_of, tables_of
from REACTKDTrainLib.study.volumes import VolumeStudy
from support.node_cases import cases


def some_run(found=None, row="kd", make=dict) -> Run:
    return Run("methods", row, 0, 0, found or {"rate": 1}, make)


# ---- options
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--part", "methods", "--arm", "shared"], "--arm is for the parts nodes and map"),
        (["--part", "methods", "external", "--ready"], "--ready is for the parts nodes and map"),
        (["--part", "nodes", "--cohort", "x.csv"], "--cohort is for the parts methods, seeds, ablation and external"),
        (["--part", "nodes", "map", "--external", "x.csv"], "--external is for the part external, which --part leaves"),
        (["--part", "methods", "--external", "x.csv"], "--external is for the part external, which --part leaves"),
        (["--part", "map", "--cohort", "x.csv", "--map", "G1=well"], "--cohort is for the parts methods"),
        (["--tables", "--part", "methods"], "--tables runs nothing, so --part"),
        (["--tables", "--arm", "shared"], "--tables runs nothing, so --arm"),
        (["--tables", "--jobs", "2"], "so --jobs means nothing"),
        (["--tables", "--dask", "tcp://a:1"], "so --dask means nothing"),
        (["--tables", "--shard", "1/2"], "so --shard means nothing"),
        (["page", "study", "page.md"], "so --preset has no effect"),
        (["--map", "G1=well"], "so --map means nothing"),
    ],
)
def test_an_option_without_effect_is_refused(given, words, tmp_path, capsys):
    assert main(["study", "--preset", "smoke", "--output", str(tmp_path / "out"), *given]) == 1
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and not (tmp_path / "out").exists()


def test_every_option_belongs_to_an_existing_part():
    assert {part for parts in PARTS_OF.values() for part in parts} == set(PARTS)


def test_the_cohort_of_finished_runs_may_be_given_again(tmp_path, capsys):
    """The tables are made anew from all finished runs, and find those of a cohort by its cases."""
    (tmp_path / "runs" / "methods").mkdir(parents=True)
    (tmp_path / "runs" / "methods" / "a.npz").touch()
    arguments = ["study", "--preset", "smoke", "--output", str(tmp_path), "--part", "nodes", "--arm", "shard"]
    assert main([*arguments, "--cohort", "x.csv"]) == 1
    assert "There is no arm 'shard'" in capsys.readouterr().err  # the next fault
    assert main([*arguments, "--external", "x.csv"]) == 1
    assert "--external is for the part external" in capsys.readouterr().err


# ---- runs
def test_the_key_of_a_run_covers_all_that_its_result_depends_on(tmp_path):
    files, run = RunFiles(tmp_path), some_run()
    assert files.get(run) is None and not files.done(run)
    files.put(run, {"p": np.eye(3)})
    np.testing.assert_array_equal(files.get(some_run())["p"], np.eye(3))
    for other in (some_run({"rate": 2}), some_run(row="at"), replace(run, fold=1), replace(run, seed=1)):
        assert files.get(other) is None and other.key != run.key
    files.path(run).write_bytes(b"half of it")
    assert files.get(run) is None


def test_a_study_makes_each_run_once(tmp_path, monkeypatch):
    made = []

    def make():
        made.append(1)
        return {"p": np.zeros(1)}

    study = Study(preset_of("smoke"), tmp_path)
    monkeypatch.setattr(study, "runs_of", lambda kind: [some_run(make=make), some_run({"rate": 3}, make=make)])
    shown = []
    with JobPool(study.make) as pool:
        for _ in range(2):
            study._do("methods", pool, lambda fraction, text: shown.append((round(fraction, 2), text)))
    assert len(made) == 2
    first, second = (f"methods: {n} of 2 runs are there already" for n in (0, 2))
    assert [fraction for fraction, _ in shown] == [0, 0.5, 1, 1] and (shown[0][1], shown[-1][1]) == (first, second)


def test_a_run_of_another_process_is_awaited_and_repeated_after_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr("REACTKDTrainLib.study.study.ELSEWHERE_S", 0.01)
    made = []
    ours, theirs = (some_run({"rate": n}, make=lambda n=n: made.append(n) or {"p": np.zeros(1)}) for n in (3, 4))
    study = Study(preset_of("smoke"), tmp_path, shard=Shard(2, 2))
    monkeypatch.setattr(study, "runs_of", lambda kind: [ours, theirs])
    with JobPool(study.make) as pool, ExitStack() as other:
        assert other.enter_context(RunFiles(tmp_path / "runs").claimed(theirs))
        study._do("methods", pool, lambda _, text: other.close() if "another process does the last 1" in text else None)
    assert made == [3, 4] and study.files.done(theirs)


# ---- measures
def test_measures_of_one_seed_are_those_of_the_metrics_and_seeds_are_averaged():
    rng = np.random.default_rng(0)
    grades, patients = np.repeat([0, 1, 2], 12), np.arange(36)
    p, q = rng.dirichlet(np.ones(3), 36), rng.dirichlet(np.ones(3), 36)
    one = summarize_seeds(grades, [p], patients, 100)
    wanted = summarize(grades, p, patients, draws=100)
    for name in ("macro_auc", "accuracy", "macro_f1", "brier", "ece"):
        assert one[name]["value"] == pytest.approx(wanted[name])
    assert one["macro_auc"]["interval95"] == pytest.approx(wanted["macro_auc_interval95"])
    both = summarize_seeds(grades, [p, q], patients, 100)["macro_auc"]
    assert both["value"] == pytest.approx((macro_auc(grades, p) + macro_auc(grades, q)) / 2)
    assert len(both["of_each_seed"]) == 2


def test_folds_are_pooled_in_a_fixed_order():
    a = {
        "case": np.array(["c", "a"]),
        "patient": np.array(["c", "a"]),
        "grade": np.array([2, 0]),
        "p": np.array([[3.0], [1.0]]),
    }
    b = {"case": np.array(["b"]), "patient": np.array(["b"]), "grade": np.array([1]), "p": np.array([[2.0]])}
    found = pooled([a, b], "p")
    assert found["p"][:, 0].tolist() == [1, 2, 3] and found["fold"].tolist() == [0, 1, 0]


def test_the_limit_is_the_exact_posterior_and_patients_have_none():
    rng = np.random.default_rng(0)
    grades = np.repeat([0, 1, 2], 100)
    latents = np.array([list(draw_latents(rng, int(g)).to_dict().values()) for g in grades])
    more, less = limit_of(latents, "ct+fdg+acetate"), limit_of(latents, "ct")
    np.testing.assert_allclose(more.sum(axis=1), 1)
    assert macro_auc(grades, more) > macro_auc(grades, less)
    margin = macro_auc(grades, limit_of(latents, "fdg")) - macro_auc(grades, limit_of(latents, "fdg", masks=False))
    assert margin > 0  # a mask shows the margin whatever the images are
    case = phantom_case("hospital", 0, "tiny", biology="independent")
    assert latents_of([case]).shape == (1, 10)
    assert latents_of([replace(case, truth=None)]) is None


def test_the_limit_of_the_shared_biology_is_the_one_in_each_phantoms_truth():
    cases = [phantom_case("large", n, "tiny", heterogeneity=0.4) for n in range(3)]
    expected = [shared_posterior(case.truth["shared"], ("ct", "fdg"))[0] for case in cases]
    np.testing.assert_allclose(limit_of(latents_of(cases), "ct+fdg", masks=False), expected)
    assert not np.allclose(limit_of(latents_of(cases), "fdg"), limit_of(latents_of(cases), "fdg", masks=False))


@pytest.mark.parametrize(("cohort", "shares"), [("external", (0.46, 0.38, 0.16)), ("large", (0.25, 0.5, 0.25))])
def test_the_limit_uses_the_grade_distribution_of_its_cohort(cohort, shares, monkeypatch):
    """Whichever phantoms stand in whichever table; the mean of an exact posterior is the share of each grade."""
    own = open_cohort(f"phantom:{cohort}?cases=400&first=0")
    grades, names = np.array([case.grade for case in own.cases]), np.array([case.id for case in own.cases])
    asked = []
    kept = lambda latents, *more: asked.append(limit_of(latents, *more)) or asked[-1]  # noqa: E731
    monkeypatch.setattr(results, "limit_of", kept)
    level = SimpleNamespace(cohort=own)
    found = results._limit(level, {"case": names, "grade": grades, "patient": names}, 5)
    fold = {"p_ct": np.full((400, 3), 1 / 3), "grade": grades, "patient": names}
    monkeypatch.setattr(results, "by_row", lambda *_: {"none@native": {0: [fold]}})
    preset = SimpleNamespace(draws=5)
    outside = SimpleNamespace(cohort=own, hospital=SimpleNamespace(splits=[0], preset=preset))
    table = results.external_table(outside, None, [])
    wanted = macro_auc(grades, limit_of(latents_of(own.cases), "ct", cohort))
    assert found["ct"]["macro_auc"]["value"] == pytest.approx(wanted)
    assert table["rows"]["Bayes limit"]["native"]["macro_auc"]["value"] == pytest.approx(wanted)
    assert len(asked) == 4 and all(np.abs(p.mean(axis=0) - shares).max() < 0.03 for p in asked)


# ---- design
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_every_method_and_the_eight_ablations(name, tmp_path):
    preset = preset_of(name)
    assert set(COMPARED) <= set(preset.methods) and preset.seeds >= 2
    level = VolumeStudy(preset, "", tmp_path, tmp_path)
    assert list(level.ablations)[0] == "neither" and len(level.ablations) == 8
    for row, parts in level.ablations.items():
        assert row == ("+".join(parts) or "neither")
        config = level.config_of("react-kd", 0, parts)
        assert config.distillation.teacher == ("fused" if "dose" in parts else "structure_function")
        assert (config.distillation.graph > 0) == ("graph" in parts) and config.student.cbam == ("cbam" in parts)


def test_the_design_has_what_the_primary_comparison_needs():
    for name in ("cpu", "gpu"):
        nodes = preset_of(name).nodes
        assert nodes.test >= 2000 and nodes.subsets >= 20 and nodes.sizes == (65, 97, 260)
        rivals = {"crd"} if name == "cpu" else {"crd", "awmt"}
        assert set(nodes.methods) == {"none", "kd", "react-kd", "react-kd-scores"} | rivals
        assert set(preset_of(name).around.methods) == {"none", "kd", "react-kd", "react-kd-scores"}
        for method in nodes.methods:
            assert not make_distiller(method, DistillationConfig(), 48, 48).needs_maps
        assert FIRST["test"] >= 500_000  # asked nothing before
        assert nodes.pool >= nodes.subsets * nodes.sizes[0]  # no two subsets of the decision share a patient


def test_both_biologies_are_the_first_axis_and_every_method_is_tuned_alike(tmp_path):
    assert [arm.name for arm in ARMS] == ["shared", "independent"]
    assert [arm.heterogeneity for arm in MAP_ARMS] == [0.0, 0.4, 0.6, 0.8, None]
    assert {len(trials) for trials in TRIALS.values()} == {18}
    assert all(len({str(t) for t in trials}) == 18 for trials in TRIALS.values())
    levels = [NodeStudy(preset_of("smoke").nodes, tmp_path, "tiny", arm=arm) for arm in (*ARMS, *MAP_ARMS)]
    for of_grade in zip(*(level.cases["test"] for level in levels)):
        assert len({case.fingerprint for case in of_grade}) == 5
    assert len({run.key for level in levels for run in level.choice_runs()}) == 5 * 7 * 2
    nodes, around = preset_of("cpu").nodes, preset_of("cpu").around
    assert around.sizes == (65,)
    tuned = ("trials", "trial_subsets", "subsets", "steps", "batch", "test", "validation", "pool")
    assert [getattr(around, name) for name in tuned] == [getattr(nodes, name) for name in tuned]


def test_of_equal_trials_the_first_is_chosen(tmp_path):
    """A difference below half a thousandth is noise; the published weights stand first."""
    level = NodeStudy(replace(preset_of("cpu").nodes, test=10, validation=10, pool=65), tmp_path / "nodes", "tiny")
    files, own = RunFiles(tmp_path / "runs"), [run for run in level.choice_runs() if run.row == "kd/large"]
    assert level.chosen(files, "kd", "large") == {"logits": 0.7}, "without trials the default must be used"
    for trial, score in {0: 0.6, 3: 0.6003, 5: 0.6012, 7: 0.6014}.items():
        files.put(own[trial], {"score": np.array(score)})
    assert level.chosen(files, "kd", "large") == TRIALS["kd"][5]


def test_a_choice_at_the_edge_of_its_grid_is_named():
    assert at_edge("kd", 10, {"logits": 22.0}) == ["logits"] and at_edge("kd", 10, {"logits": 5.6}) == []
    assert at_edge("kd", 1, {"logits": 0.7}) == []  # nothing else was tried
    assert at_edge("react-kd", 10, {"graph": 0.03, "logits": 2.8}) == ["graph"]


def level_with_pool(folder, *of_grades: int) -> NodeStudy:
    level = NodeStudy(preset_of("smoke").nodes, folder)
    grades = np.repeat([0, 1, 2], of_grades)
    level._tables["pool"] = SimpleNamespace(grade=SimpleNamespace(numpy=lambda: grades))
    return level


def test_training_subsets_keep_the_shares_of_grades_and_are_the_same_for_all(tmp_path):
    level = level_with_pool(tmp_path, 25, 50, 25)
    grades = level.table("pool").grade.numpy()
    for number in range(5):
        own = level.subset(65, number).numpy()
        assert len(set(own)) == 65
        assert np.abs(np.bincount(grades[own]) - [16.25, 32.5, 16.25]).max() <= 1
    assert level.subset(65, 0).tolist() == level.subset(65, 0).tolist() != level.subset(65, 1).tolist()


@pytest.mark.parametrize(("pool", "size"), [((500, 500, 300), 65), ((331, 433, 536), 65), ((40, 31, 30), 20)])
def test_a_round_of_subsets_shares_no_patient(tmp_path, pool, size):
    level = level_with_pool(tmp_path, *pool)
    hands = sum(pool) // size
    dealt = [level.subset(size, n).tolist() for n in range(2 * hands)]
    assert all(len(set(hand)) == size for hand in dealt)
    for turn in (dealt[:hands], dealt[hands:]):
        assert len(set().union(*turn)) == hands * size
    grades = level.table("pool").grade.numpy()
    for hand in dealt:
        assert np.abs(np.bincount(grades[hand], minlength=3) - size * np.array(pool) / sum(pool)).max() <= 2
    assert level.shared(size, range(hands)) == 0
    between = hands**2 / (hands * (2 * hands - 1))  # of all pairs, those of one hand of either round
    assert level.shared(size, range(2 * hands)) == pytest.approx(between * size / (hands * size), rel=0.2)


def test_the_teacher_of_the_pool_does_not_depend_on_who_trains_it(tmp_path):
    """In a process that begins with what this teacher says of the test phantoms, where no gradient is kept, too."""
    table = NodeTable.of(cases(40))
    answered = []
    threads = torch.get_num_threads()
    for number in (1, 2):
        level = NodeStudy(preset_of("smoke").nodes, tmp_path)
        level._tables |= {"pool": table, "test": table.pick(torch.arange(10))}
        torch.set_num_threads(number)
        try:
            answered.append(level._teacher()["p_fused"])
        finally:
            torch.set_num_threads(threads)
    assert np.array_equal(*answered) and answered[0].shape == (10, 3)
    assert np.ptp(answered[0], axis=0).max() > 0.01, "the teacher must have learned"


def test_mixed_doses_include_every_level_and_are_fixed_for_each_case():
    levels = [mixed_level(f"case {n}") for n in range(60)]
    assert set(levels) == set(MIXED) and levels == [mixed_level(f"case {n}") for n in range(60)]


# ---- tables and page
def measured(value: float) -> dict:
    names = ("macro_auc", "accuracy", "macro_precision", "macro_recall", "macro_f1", "quadratic_kappa")
    return {n: {"value": value, "interval95": [value - 0.1, value + 0.1]} for n in names}


def some_results() -> dict:
    rows = {m: {i: measured(v) for i in ("ct", "fdg+acetate", "ct+fdg+acetate")} | {"seeds": [0]}
            for m, v in (("none", 0.6), ("kd", 0.7), ("react-kd", 0.65))}  # fmt: skip
    rows["Bayes limit"] = {i: measured(0.9) for i in ("ct", "fdg+acetate", "ct+fdg+acetate")}
    hardware = {"device": "CPU", "machine": "x86_64", "threads": 1}
    study = {"digital_phantom": True, "preset": "cpu", "cases": 97, "folds": 3, "size": "small", "seeds": 3,
             "on": "volumes", "nodes": None, "hardware": hardware, "meaningless": False}  # fmt: skip
    labels = {"none": "Student alone", "kd": "KD (logits)", "react-kd": "REACT-KD"}
    return {"study": study, "methods": {"rows": rows, "tests": {}, "labels": labels}}


def test_tables_have_the_papers_columns_and_the_limit_last():
    tables = tables_of(some_results())
    assert set(tables) == {"table1_ct", "table1_fdg_acetate", "table1_ct_fdg_acetate", "table3"}
    _, table = tables["table1_ct"]
    assert table[0][:6] == ["method", "AUC", "accuracy", "precision", "recall", "F1"]
    assert table[-1][0] == "Bayes limit" and table[2][1] == "0.700 (0.60-0.80)"
    assert markdown(table).splitlines()[1].count("---") == len(table[0])
    assert as_csv(table).splitlines()[3].startswith("REACT-KD,0.650 (0.55-0.75)")


def node_results(gain: float, drawn: bool = True) -> dict:
    found = {"difference": gain, "interval95": [gain - 0.01, gain + 0.01], "p": 0.2, "runs": 20, "of_each_run": [gain]}
    names = [f"{m}/{t} - kd/{t}" for m in ("react-kd", "react-kd-scores") for t in ("same", "large")]
    columns = ("ct", "ct_masks1", "fdg+acetate", "ct+fdg+acetate")
    size = {
        "auc": {"kd/large": {c: [0.7] for c in columns}},
        "chosen": {"kd/large": {"logits": 22.0}},
        "at_edge": {"kd/large": ["logits"]},
        "differences": {n: dict.fromkeys(columns, found) for n in names},
    }
    return {"sizes": {"65": size}, "limit": dict.fromkeys(columns, 0.9), "drawn": drawn}


def test_the_map_has_every_heterogeneity_then_the_independent_biology():
    results = some_results() | {
        "nodes": {"shared": node_results(0.02), "independent": node_results(0.0)},
        "map": {"shared-0.4": node_results(0.01, drawn=False), "shared-0": node_results(-0.01, drawn=False)},
    }
    tables = tables_of(results)
    assert {"primary_shared", "primary_independent", "nodes_shared", "nodes_independent", "map"} <= set(tables)
    _, rows = tables["map"]
    assert [row[0] for row in rows[1:]] == [
        "shared, 0",
        "shared, 0.4",
        "shared, 0.6 (drawn phantoms)",
        "independent (drawn phantoms)",
    ]
    assert rows[3][1].startswith("+0.0200") and len(rows[0]) == 5
    assert "logits 22 (edge)" in tables["nodes_shared"][1][1]
    figure = Figure()
    draw_map(figure, map_of(results))
    axis = figure.axes[0]
    assert [t.get_text() for t in axis.get_xticklabels()] == ["0", "0.4", "0.6", "independent\nbiology"]
    draw_primary(Figure(), results["nodes"]["shared"])
    alone = json.loads(json.dumps(results).replace('"interval95": [0.01, 0.03]', '"interval95": null'))
    assert alone["nodes"]["shared"] != results["nodes"]["shared"]
    draw_primary(Figure(), alone["nodes"]["shared"])  # of one training subset
    draw_map(Figure(), map_of(alone))
    ungraded = json.loads(json.dumps(alone).replace('"difference": 0.02', '"difference": null'))
    draw_primary(Figure(), ungraded["nodes"]["shared"])  # of test cases that lack a grade
    assert [entry["gains"] for entry in map_of(ungraded) if entry["arm"] == "shared"] == [{}]
    draw_map(Figure(), map_of(ungraded))


def test_the_page_gets_the_tables_of_the_study_and_names_parts_that_were_not_run(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(some_results()))
    page = tmp_path / "page.md"
    page.write_text("# A\n<!-- study:table3 -->\nold\n<!-- /study -->\nkept\n<!-- study:table4 -->\n<!-- /study -->\n")
    assert insert_tables(tmp_path, page) == ["table4"]
    text = page.read_text()
    assert "| REACT-KD | 0.650" in text and "old" not in text and "kept" in text and "Not run" in text
    again = page.read_text()
    insert_tables(tmp_path, page)
    assert page.read_text() == again


def test_the_comparison_with_the_paper_names_the_methods_that_are_better(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(some_results()))
    page = tmp_path / "page.md"
    page.write_text("<!-- study:paper -->\n<!-- /study -->\n<!-- study:caption -->\n<!-- /study -->\n")
    insert_tables(tmp_path, page)
    text = page.read_text()
    assert "| methods above REACT-KD on CT | none (AWMT-KD 0.1 below it, all images) | kd |" in text
    assert "-5.0 on CT" in text and "Digital phantom" in text


@pytest.mark.parametrize(
    ("own", "external", "said"),
    [
        (True, None, "Digital phantom; preset"),
        (True, True, "Digital phantom; preset"),
        (True, False, "Digital phantom; preset.*; Table IV on a cohort of patients;"),
        (False, True, "Cohort of patients; preset.*; Table IV on digital phantoms;"),
        (False, False, "Cohort of patients; preset"),
    ],
)
def test_tables_state_whether_they_are_of_patients_or_phantoms(own, external, said, tmp_path):
    """Also where Table IV alone was run, whose students learned from the study's own cohort."""
    study = Study(preset_of("smoke"), tmp_path)
    study.__dict__["hospital"] = SimpleNamespace(cohort=SimpleNamespace(phantom=own, cases=()))
    study.__dict__["outside"] = SimpleNamespace(cohort=SimpleNamespace(phantom=external, cases=()))
    for part in ("methods",) if external is None else ("external",):
        (tmp_path / "runs" / part).mkdir(parents=True)
        (tmp_path / "runs" / part / "a.npz").touch()
    results = {"study": study._described()}
    text = caption_of(results)
    assert re.match(said, text) and ("Table IV" in text) is ("Table IV" in said)
    kind = "digital phantoms" if own else "patients"
    assert comparison(results)[0] == ["what", "the paper (patients)", f"this study ({kind})"]


# ---- refusals
def test_faults_are_reported_in_one_sentence(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("nothing")
    assert main(["study", "page", str(tmp_path), str(page)]) == 1
    assert "run the study first" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["study", "--preset", "smoke", "--output", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.strip() == "The output is a file; give a folder."
    assert main(["study", "--preset", "smoke", "--output", str(tmp_path / "o"), "--part", "figures"]) == 1
    assert "choose some of nodes, methods" in capsys.readouterr().err
    assert main(["study", "--preset", "smoke", "--output", str(tmp_path / "o"), "--arm", "shard"]) == 1
    assert "There is no arm 'shard'; choose some of shared, independent, shared-0" in capsys.readouterr().err


def test_runs_of_one_arm_are_some_of_those_of_all(tmp_path):
    def keys(kind, *arms):
        return {run.key for run in Study(preset_of("smoke"), tmp_path, arms=arms).runs_of(kind)}

    for kind, arms in {"choices": ("shared", "independent"), "map": tuple(arm.name for arm in MAP_ARMS)}.items():
        each = [keys(kind, arm) for arm in arms]
        assert set().union(*each) == keys(kind) and sum(map(len, each)) == len(keys(kind))
        assert all(each)


def test_too_few_node_files_are_refused(tmp_path):
    level = NodeStudy(preset_of("smoke").nodes, tmp_path, "tiny", ready=True)
    with pytest.raises(UsageError, match="The biology shared has too few node files; leave out --ready"):
        level.prepare()


def test_tables_of_a_folder_without_a_study_are_refused(tmp_path, capsys):
    assert main(["study", "--tables", "--preset", "smoke", "--output", str(tmp_path / "mistyped")]) == 1
    assert "There is no finished run of a study in the folder given" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.json"))


def test_tables_of_one_biology_generate_no_phantoms_of_another(tmp_path):
    """They once drew every phantom of every biology before they showed the runs of the one that was done."""
    smoke = preset_of("smoke")
    few = replace(smoke.nodes, test=3, validation=3, pool=6, sizes=(6,), subsets=1, methods=("none",), trials=1)
    tiny = replace(smoke, nodes=replace(few, steps=1, variants=0))
    Study(tiny, tmp_path, arms=("shared",)).run(["nodes"])
    files = sorted(tmp_path.rglob("*.npz"))
    for ready in (False, True):
        results = Study(tiny, tmp_path, ready=ready).write()
        assert list(results["nodes"]) == ["shared"] and results["map"] == {}
        assert results["nodes"]["shared"]["cases"] == {"test": 3, "validation": 3, "pool": 6}
        assert sorted(tmp_path.rglob("*.npz")) == files
