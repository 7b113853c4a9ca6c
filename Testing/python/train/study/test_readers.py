"""`readers table`, `agreement` and `study` on the files that several readers left next to a list."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.cases.case_list import open_case_list
from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.review.corrected_masks import CorrectedMasks
from REACTKDLib.core.review.review import Review
from REACTKDTrainLib.__main__ import main
from support.case_files import write_case, write_masks
from support.kidney_phantoms import TASK_FILE
from support.killed import PATH
from support.scene_cases import make_case

SHAPE, SPACING = (22, 36, 40), (4.4, 4.6, 6.0)
NAMES = ("a", "b", "c", "d", "e", "f")
TRUTH = (0, 0, 1, 1, 2, 2)
GIVEN = {"Anna": ((0, 1, 1, 0, 2, 1), (0, 0, 1, 1, 2, 1)), "Bert": ((0, 0, 1, 2, 2, 2), (0, 0, 1, 1, 2, 2))}


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": PATH}
    line = [sys.executable, "-m", "REACTKDTrainLib", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300, env=environment)


@pytest.fixture(scope="module")
def listed(tmp_path_factory) -> Path:
    """Six cases with grades; two readers of a study, who both corrected the masks of the first case."""
    folder = tmp_path_factory.mktemp("list")
    case = make_case(SHAPE, SPACING)
    write_case(case, folder / "a")
    rows = "".join(f"{n},a/CT.nii.gz,a/segmentation.seg.nrrd,{GRADES[g]}\n" for n, g in zip(NAMES, TRUTH))
    (folder / "list.csv").write_text(f"case,ct,segmentation,grade\n{rows}")
    cases = open_case_list(folder / "list.csv")
    for number, (reader, stages) in enumerate(GIVEN.items()):
        review = Review(cases.review_file)
        review.read_as(reader)
        for place, name in enumerate(NAMES):
            unaided, aided = (GRADES[stage[place]] for stage in stages)
            review.update(name, reader={"grade": aided}, unaided={"grade": unaided, "seconds": 40.0 + place})
            shown = {"grade": GRADES[TRUTH[place]], "probabilities": None, "model": model()}
            review.update(name, aided={"grade": aided, "seconds": 5.0, "shown": shown})
        masks = CorrectedMasks(cases, review)
        target = masks.target(cases.cases[0])
        tumor = np.roll(case.tumor, number + 1, axis=2) & case.liver
        write_masks(case.liver, tumor, case.reference.ijk_to_ras, target)
        review.update("a", masks=masks.saved_as(target, cases.cases[0], {}))
    return folder


def model() -> dict[str, str]:
    return {"name": "m", "version": "1", "sha256": "0"}


def test_table_and_study_of_two_readers(listed, tmp_path, capsys):
    assert main(["readers", "table", str(listed / "list.csv"), "--output", str(tmp_path / "readers.csv")]) == 0
    assert capsys.readouterr() == ("Wrote readers.csv.\n", "")
    with open(tmp_path / "readers.csv", encoding="utf-8", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 12
    output = tmp_path / "study.json"
    words = ["--truth", str(listed / "list.csv"), "--output", str(output), "--draws", "200"]
    assert main(["readers", "study", str(tmp_path / "readers.csv"), *words]) == 0
    said, errors = capsys.readouterr()
    assert errors == "" and "| Anna | 6 |" in said and "mean of 2" in said
    found = json.loads(output.read_text())
    anna, bert = found["readers"]["Anna"], found["readers"]["Bert"]
    assert (anna["changed"], anna["better"], anna["worse"]) == (2, 2, 0) and anna["unaided_seconds"] == 42.5
    assert bert["accuracy_unaided"]["value"] == pytest.approx(5 / 6) and bert["auc_aided"]["value"] == 1.0
    assert bert["kappa_model_aided"]["value"] == 1.0 and found["mean"]["cases"] == 6
    assert found["mean"]["auc_aided"]["value"] == pytest.approx((anna["auc_aided"]["value"] + 1) / 2)


def test_agreement_without_corrected_masks_shows_no_empty_table(tmp_path, capsys):
    """An interval of -0.08 to 0.88 was shown as "-0.08-0.88"."""
    rows = "".join(f"{name},a/CT.nii.gz,a/masks.seg.nrrd\n" for name in NAMES)
    (tmp_path / "list.csv").write_text(f"case,ct,segmentation\n{rows}")
    cases = open_case_list(tmp_path / "list.csv")
    for reader, grades in (("Anna", TRUTH), ("Bert", (0, 2, 0, 1, 2, 0))):
        review = Review(cases.review_file)
        review.read_as(reader)
        for name, grade in zip(NAMES, grades, strict=True):
            review.update(name, reader={"grade": GRADES[grade]})
    assert main(["readers", "agreement", str(tmp_path / "list.csv"), "--draws", "200"]) == 0
    said = capsys.readouterr().out
    assert "structure" not in said and said.endswith("No masks of two readers to compare.\n")
    assert re.search(r"\| Anna \| Bert \| 6 \| 50 % \| 0\.\d{3} \(-\d\.\d+ to \d\.\d+\) \|", said), said


@pytest.mark.slow
def test_agreement_of_grades_and_masks(listed, tmp_path):
    done = command("readers", "agreement", listed / "list.csv", "--output", tmp_path / "out.json", "--draws", "100")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert set(found["grades"]) == {"reader", "unaided", "aided"}
    (pair,) = found["grades"]["aided"]
    assert pair["readers"] == ["Anna", "Bert"] and pair["same"] == pytest.approx(5 / 6)
    dice = {(*pair["readers"], pair["structure"]): pair["dice"]["value"] for pair in found["masks"]["pairs"]}
    assert set(dice) == {
        (*pair, part) for pair in (("Anna", "Bert"), ("Anna", "the list"), ("Bert", "the list"))
        for part in ("liver", "tumor")
    }  # fmt: skip
    assert dice["Anna", "Bert", "liver"] == 1.0
    assert 0.3 < dice["Bert", "the list", "tumor"] < dice["Anna", "the list", "tumor"] < 1
    assert found["masks"]["left_out"] == [] and "| tumor | Anna | Bert | 1 |" in done.stdout


def test_readings_of_another_task_follow_its_classes(tmp_path, capsys):
    """Two classes instead of three, in the task's order; the AUC is then the mean of sensitivity and specificity."""
    truth = [
        ("benign", "benign", "malignant"),
        ("malignant", "malignant", "malignant"),
        ("malignant", "benign", "malignant"),
    ]
    rows = "".join(f"k{n},Anna,{unaided},{aided}\n" for n, (_, unaided, aided) in enumerate(truth))
    (tmp_path / "readers.csv").write_text(f"case,reader,unaided_grade,aided_grade\n{rows}")
    (tmp_path / "truth.csv").write_text("case,grade\n" + "".join(f"k{n},{t[0]}\n" for n, t in enumerate(truth)))
    command = ["readers", "study", str(tmp_path / "readers.csv"), "--truth", str(tmp_path / "truth.csv")]
    assert main(command) == 2
    assert "give well, moderate or poor" in capsys.readouterr().err
    output = tmp_path / "study.json"
    assert main([*command, "--task", str(TASK_FILE), "--draws", "50", "--output", str(output)]) == 0
    anna = json.loads(output.read_text())["readers"]["Anna"]
    assert (anna["changed"], anna["better"], anna["worse"]) == (2, 1, 1)
    assert anna["auc_unaided"]["value"] == pytest.approx((1 + 0.5) / 2) and anna["auc_aided"]["value"] == 0.5


@pytest.mark.parametrize(
    ("table", "truth", "sentence"),
    [
        ("case,reader\na,x\n", "case,grade\na,well\n", "lacks the column"),
        ("case,reader,unaided_grade,aided_grade\na,x,,well\n", "case,grade\na,well\n", "no finished reading"),
        ("case,reader,unaided_grade,aided_grade\na,x,well,nice\n", "case,grade\na,well\n", "has the grade 'nice'"),
        ("case,reader,unaided_grade,aided_grade\na,x,well,well\na,x,well,poor\n", "case,grade\na,well\n", "two rows"),
        ("case,reader,unaided_grade,aided_grade\na,x,well,well\n", "case,grade\nb,well\n", "both name cases alike"),
        ("case,reader,unaided_grade,aided_grade\na,x,well,well\n", "case,grade\na,\n", "holds no grade"),
        ("case,reader,unaided_grade,aided_grade\n", "case,grade\na,well\n", "table of readers is empty"),
    ],
)
def test_unusable_tables_are_refused_in_one_sentence(tmp_path, capsys, table, truth, sentence):
    (tmp_path / "readers.csv").write_text(table)
    (tmp_path / "truth.csv").write_text(truth)
    assert main(["readers", "study", str(tmp_path / "readers.csv"), "--truth", str(tmp_path / "truth.csv")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and sentence in err and len(err.splitlines()) == 1


def test_a_list_without_readings_is_refused(tmp_path, capsys):
    (tmp_path / "list.csv").write_text("case,ct,segmentation\na,x,y\n")
    for line in (
        ["table", str(tmp_path / "list.csv"), "--output", str(tmp_path / "o.csv")],
        ["agreement", str(tmp_path / "list.csv")],
    ):
        assert main(["readers", *line]) == 2
        assert "Nobody has graded" in capsys.readouterr().err
    assert not (tmp_path / "o.csv").exists()
