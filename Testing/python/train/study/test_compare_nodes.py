"""The comparison of students with and without a teacher, on generated cases."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from REACTKDLib.core.files.volumes import read_volume, write_volume
from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.modality import Modality
from REACTKDTrainLib.__main__ import main
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.study import compare_nodes
from REACTKDTrainLib.study.compare_nodes import METHODS, compare, page, students_of
from support.case_files import write_case
from support.node_cases import cases


def test_the_methods_differ_by_their_teaching_alone():
    """With no training steps they are the same student: the same seed draws the same weights, whatever the method."""
    students = students_of(NodeTable.of(cases(40)), steps=1, seed=3)
    assert set(students) == set(METHODS)
    first = [s.topology_in.weight for s in students.values()]
    assert all((w - first[0]).abs().max() < 0.01 for w in first)


def test_grades_of_a_list_in_other_words_are_mapped(tmp_path, monkeypatch):
    """`compare nodes --map` opens both cohorts with the given words; without it, the first grade is refused."""
    monkeypatch.setattr(compare_nodes.NodeStore, "get", lambda store, case: case.grade)
    monkeypatch.setattr(compare_nodes.NodeTable, "of", list)
    monkeypatch.setattr(compare_nodes, "compare", lambda tables, test, *more: {"test": test})
    monkeypatch.setattr(compare_nodes, "page", str)
    monkeypatch.setattr(compare_nodes, "check_scans_apart", lambda *_: None)  # no scan of this list exists
    rows = "".join(f"{n},{n}.nii.gz,{n}.seg.nrrd,G{n % 3 + 1}\n" for n in range(12))
    (tmp_path / "list.csv").write_text(f"case,ct,segmentation,grade\n{rows}")
    cohorts = ["--cohort", str(tmp_path / "list.csv"), "--test", str(tmp_path / "list.csv")]
    command = ["compare", "nodes", "--nodes", str(tmp_path / "nodes"), "--output", str(tmp_path / "o.json"), *cohorts]
    assert main(command) == 2 and not (tmp_path / "o.json").exists()
    assert main([*command, "--map", "G1=well", "G2=moderate", "G3=poor"]) == 0
    assert sorted(json.loads((tmp_path / "o.json").read_text())["test"]) == [0] * 4 + [1] * 4 + [2] * 4


def test_the_expected_time_is_printed_first(tmp_path, monkeypatch):
    monkeypatch.setattr(compare_nodes.NodeStore, "get", lambda store, case: case)
    monkeypatch.setattr(compare_nodes.NodeTable, "of", list)
    monkeypatch.setattr(compare_nodes, "compare", lambda tables, test, *more: [len(tables), len(test)])
    told = []
    cohorts = ("phantom:hospital?cases=12&size=tiny", "phantom:large?cases=4&size=tiny")
    found = compare_nodes.compare_cohorts(
        tmp_path, *cohorts, 3, [0, 1], 150, False, lambda share, text: told.append(text)
    )
    assert found == [3, 4]
    assert told[0] == "16 cases to prepare and 24 trainings: about 3 min on one core"
    assert told[-1] == "preparing cases, 15 of 16"


def test_scans_of_one_patient_do_not_count_as_patients():
    """Each test case twice, as two scans of its patient: no new information, so the same differences and intervals."""
    folds = [NodeTable.of(cases(30, seed=n)) for n in (1, 2)]
    once = cases(60, seed=9)
    twice = [replace(case, id=f"{case.id}-{scan}") for scan in "ab" for case in once]
    found = [compare(folds, NodeTable.of(own), steps=3, seeds=[0]) for own in (once, twice)]
    assert [own["cases"] for own in found] == [60, 120]
    assert found[1]["inputs"] == found[0]["inputs"]
    trained_on_both = compare([NodeTable.of(twice)], NodeTable.of(cases(12)), steps=1, seeds=[0])
    assert trained_on_both["training_patients"] == [60]


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        (["ct", "ct+fdg"], ["ct"], "Case 1 has the CT and the FDG PET where case 0 has the CT"),
        (["ct+fdg"], ["ct", "ct+fdg"], "Case 1 has the CT and the FDG PET where case 0 has the CT"),
        (
            ["ct"],
            ["ct+fdg"],
            "The cases to be asked about have the CT and the FDG PET where the students learn from the CT",
        ),
        ([], ["ct"], "no case with a grade"),
        (["ct"], [], "no case with a grade"),
    ],
)
def test_cases_with_other_images_are_refused_before_the_work(tmp_path, capsys, train, test, said):
    for name, images in (("train", train), ("test", test)):
        rows = ["case,ct,fdg,segmentation,grade"]
        for n, own in enumerate(images * 18 or ["ct"]):
            fdg = f"{n}_fdg.nii.gz" if "fdg" in own else ""
            grade = ("well", "moderate", "poor")[n // 2 % 3] if images else ""
            rows.append(f"{n},{name}{n}.nii.gz,{fdg},{n}.seg.nrrd,{grade}")
        (tmp_path / f"{name}.csv").write_text("\n".join(rows))
    lists = ["--cohort", str(tmp_path / "train.csv"), "--test", str(tmp_path / "test.csv")]
    command = ["compare", "nodes", "--nodes", str(tmp_path / "nodes"), "--output", str(tmp_path / "o.json"), *lists]
    assert main(command) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "nodes").exists() and not (tmp_path / "o.json").exists()


def test_students_are_not_tested_on_their_training_cases(tmp_path, capsys):
    """The numbers 3 to 14 are among the first 2000, which are the default test cases."""
    lists = ["--cohort", "phantom:large?cases=12&first=3&size=tiny"]
    command = ["compare", "nodes", "--nodes", str(tmp_path / "nodes"), "--output", str(tmp_path / "o.json"), *lists]
    assert main(command) == 2
    assert "phantom-large-00003 of the external cohort is in the cohort too" in capsys.readouterr().err
    assert not (tmp_path / "nodes").exists() and not (tmp_path / "o.json").exists()


def test_students_are_not_tested_on_a_training_scan_that_was_saved_again(tmp_path, capsys):
    """Only files were compared; another format, or another compression, has another file."""
    head = "case,ct,segmentation,grade"
    rows = []
    for number, case in enumerate(open_cohort("phantom:hospital?cases=16&size=tiny").cases):
        opened = case.load()
        write_case(replace(opened, volumes={Modality.CT: opened.volumes[Modality.CT]}), tmp_path / str(number))
        rows.append(f"p{number},{number}/CT.nii.gz,{number}/segmentation.seg.nrrd,{GRADES[case.grade]}")
    volume = read_volume(tmp_path / "3" / "CT.nii.gz", Modality.CT)
    write_volume(volume, tmp_path / "again.nrrd")
    (tmp_path / "own.csv").write_text("\n".join([head, *rows]) + "\n")
    (tmp_path / "test.csv").write_text(f"{head}\nt,again.nrrd,3/segmentation.seg.nrrd,{rows[3].split(',')[-1]}\n")
    lists = ["--cohort", str(tmp_path / "own.csv"), "--test", str(tmp_path / "test.csv"), "--folds", "2"]
    command = ["compare", "nodes", "--nodes", str(tmp_path / "nodes"), "--output", str(tmp_path / "o.json"), *lists]
    assert main([*command, "--steps", "1"]) == 2
    assert "Case t (p3 there) of the external cohort is in the cohort too" in capsys.readouterr().err
    assert not (tmp_path / "o.json").exists()


@pytest.mark.slow
def test_gains_come_with_intervals_and_a_table():
    folds = [NodeTable.of(cases(30, seed)) for seed in (0, 1)]
    told = []
    found = compare(folds, NodeTable.of(cases(120, 9)), 20, [0], lambda share, text: told.append((share, text)))
    assert [share for share, _ in told] == [0, 0.5, 1] and "1 of 2 sets" in told[1][1]
    assert found["cases"] == 120 and found["training_patients"] == [30, 30]
    for by in found["inputs"].values():
        for row in by.values():
            for gain in row["gains"].values():
                low, high = gain["interval95"]
                assert low <= gain["difference"] <= high and 0 <= gain["p"] <= 1
    text = page(found)
    assert text.count("\n| ") == 8 and "120 unseen" in text


def unseen(grades, images) -> NodeTable:
    table = NodeTable.of(cases(24, 9))
    return replace(
        table, grade=table.grade.clamp(max=grades - 1), fixed={m: x for m, x in table.fixed.items() if m in images}
    )


@pytest.mark.parametrize(
    ("grades", "images", "names"), [(3, ("ct",), ["CT"]), (2, ("ct", "fdg", "acetate"), ["CT", "PET", "all"])]
)
def test_cases_with_missing_images_or_grades_are_compared_on_the_others(grades, images, names):
    found = compare([NodeTable.of(cases(20))], unseen(grades, images), 1, [0])
    assert list(found["inputs"]) == names
    json.dumps(found, allow_nan=False)
    text = page(found)
    assert text.count("\n| ") == 2 + 2 * len(names) and "nan" not in text and "None" not in text
    assert (found["inputs"]["CT"]["expert's masks"]["none"] is None) is (grades == 2)


@pytest.mark.parametrize(("who", "phantoms"), [(None, True), ("fold", False), ("test", False)])
def test_patients_are_not_named_phantoms(who, phantoms):
    """Their truth is unknown; one cohort of patients is enough."""
    tables = {"fold": NodeTable.of(cases(20)), "test": NodeTable.of(cases(20, 9))}
    tables |= {name: replace(own, truth=(None,) * len(own)) for name, own in tables.items() if name == who}
    found = compare([tables["fold"]], tables["test"], 1, [0])
    assert found["digital_phantom"] is phantoms and page(found).startswith("Digital phantoms: [20]") is phantoms
    assert "[20] training patients in the folds" in page(found)


FOUND = {"cases": 1, "training_patients": [1], "seeds": [0], "inputs": {}}


@pytest.mark.parametrize(
    "given",
    [
        ["--nodes", "n"],
        ["--cohort", "phantom:hospital"],
        ["--test", "phantom:large?cases=9"],
        ["--folds", "3"],
        ["--seeds", "0"],
        ["--steps", "150"],
        ["--map", "G1=well"],
        ["--made-only"],
    ],
)
def test_an_option_that_existing_results_ignore_is_refused(given, tmp_path, capsys):
    """They were left aside, so a page could get a table of five folds for a command that asks for three."""
    page, output = tmp_path / "page.md", tmp_path / "o.json"
    page.write_text("<!-- comparison:nodes -->\n<!-- /comparison -->\n")
    output.write_text(json.dumps(FOUND))
    command = ["compare", "nodes", "--output", str(output), "--page", str(page)]
    before = page.read_text()
    assert main([*command, *given]) == 2
    said = capsys.readouterr().err
    assert f"{given[0]} has no effect" in said and said.count("\n") == 1 and page.read_text() == before
    assert main(command) == 0 and "tested on 1 unseen" in page.read_text()


def test_node_vectors_are_needed_where_there_are_no_results(tmp_path, capsys):
    assert main(["compare", "nodes", "--output", str(tmp_path / "o.json")]) == 2
    assert "--nodes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "needs"),
    [
        ("nodes --nodes {}/n --output {}/o.json", "comparison"),
        ("methods --output {}/o", "comparison"),
        ("explanations --output {}/o.json", "explanations"),
    ],
)
@pytest.mark.parametrize("text", ["no marks\n", None])
def test_a_page_that_cannot_take_the_table_is_refused_before_the_work(command, needs, text, tmp_path, capsys):
    """It was looked at only after hours of training."""
    if text is not None:
        (tmp_path / "page.md").write_text(text)
    words = [word.format(tmp_path) for word in command.split()]
    assert main(["compare", *words, "--page", str(tmp_path / "page.md")]) == 2
    said = capsys.readouterr().err
    assert "page.md" in said and said.count("\n") == 1, needs
    assert [path.name for path in tmp_path.iterdir()] == ([] if text is None else ["page.md"])
