"""A task file defines the question and the organ: it is read strictly, and every text about the organ follows it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import REACTKDLib.core.task as module
from REACTKDLib.core.errors import AmbiguousSegment, FileMissing, NoLiver, TaskMismatch, TaskNotValid
from REACTKDLib.core.files.dicom import codes
from REACTKDLib.core.files.recognition import Candidate, choose, recognize_code, recognize_name
from REACTKDLib.core.files.segments import terminology_codes, terminology_entry
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.masks.checks import checked
from REACTKDLib.core.masks.fixes import FIXES, fix_words
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.reports.html import report_page
from REACTKDLib.core.reports.report import GradeReport, report_schema
from REACTKDLib.core.reports.share_words import explained
from REACTKDLib.core.task import HCC_GRADE, Task
from support.kidney_phantoms import KIDNEY, MASS_HU, TASK_FILE, draw, with_classes
from support.small_models import small_bundle

SCHEMA = json.loads(Path(module.__file__).with_name("task.schema.json").read_text(encoding="utf-8"))
INFO = {"task": KIDNEY.to_dict(), "classes": ["benign", "malignant"], "organ": "Kidney", "lesion": "Mass"}
CODED = {"code": {"value": "1", "scheme": "SCT", "meaning": "Mass"}}


def kidney(**changes: Any) -> dict[str, Any]:
    """The file of the second task with changes; a change to None removes the key."""
    data = {**json.loads(TASK_FILE.read_text(encoding="utf-8")), **changes}
    return {key: value for key, value in data.items() if value is not None}


def kidney_case(name: str = "malignant") -> Case:
    ct, organ, mass = draw(3, MASS_HU[name])
    return checked(Case("case", {Modality.CT: ct}, organ, mass, task=KIDNEY))


def test_tasks_are_written_as_they_are_read():
    for task in (HCC_GRADE, KIDNEY, with_classes("a", "b", "c", "d")):
        data = json.loads(json.dumps(task.to_dict()))
        jsonschema.validate(data, SCHEMA)
        assert Task.from_dict(data) == task
    assert Task.from_dict(HCC_GRADE.to_dict()) is HCC_GRADE  # including its texts for translators
    jsonschema.validate(kidney(), SCHEMA)
    assert KIDNEY.lesion.many == "masses" and KIDNEY.organ.one == "a kidney" and KIDNEY.modalities == ("ct",)


def test_long_class_names_get_distinct_codes():
    """DICOM allows 16 characters for a code value, and a report distinguishes the classes only by their codes."""
    names = [f"histologic grade group {n}" for n in range(1, 101)]
    task = with_classes(*names)
    values = [one.code.value for one in task.classes]
    values += [codes.per_class(kind, "Share of grade", name)[0] for kind in ("P", "BASE", "SHARE") for name in names]
    assert len(set(values)) == len(values) == 400 and max(map(len, values)) <= 16
    assert codes.per_class("BASE", "", "moderate")[0] == "BASE-MODERATE"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lesion": None}, "it names no lesion, and an organ alone cannot be graded"),
        ({"organ": None}, "it names no organ"),
        ({"organ": {"name": "Kidney"}}, "organ.name must be words of lower-case letters"),
        ({"organ": {"name": "kidney", "volume": [1, 2]}}, "organ has the key 'volume', which is not known"),
        ({"organ": {"name": "kidney", "volume_ml": [300, 50]}}, "organ.volume_ml must begin with the smaller number"),
        ({"organ": {"name": "kidney", "hu": [float("nan"), 5]}}, "organ.hu must be a number"),
        ({"organ": {"name": "kidney", "side": "top"}}, "organ.side must be one of left, right"),
        ({"organ": {"name": "mass"}}, "organ and lesion have a word in common"),
        ({"lesion": {"name": "mass", "code": {"value": "1"}}}, "lesion.code must be an object with value, scheme"),
        ({"classes": ["benign"]}, "classes must be a list of 2 to 100 classes"),
        ({"classes": ["benign", {"name": "other", "synonyms": ["Benign"]}]}, "a name or synonym in common"),
        ({"lesion": {"name": "mass", "codes": 5}}, "lesion.codes must be a list of objects"),
        ({"lesion": {"name": "mass", "codes": [5]}}, r"lesion.codes must be an object"),
        ({"classes": [CODED | {"name": "a"}, CODED | {"name": "b"}]}, "two classes have one code"),
        ({"classes": ["benign", "../up"]}, r"classes\[1\].name must begin with a letter"),
        ({"modalities": ["mr"]}, "modalities must be some of ct, fdg, acetate"),
        ({"uncertain": {"top_below": 2}}, "uncertain.top_below must be a number from 0 to 1"),
        ({"name": "Kidney mass"}, "name must be lower-case letters"),
        ({"schema": "reactkd-task/2"}, "schema must be 'reactkd-task/1'"),
        ({"colour": "red"}, "the task has the key 'colour', which is not known"),
    ],
)
def test_a_faulty_file_is_refused_with_a_sentence(changes, words, tmp_path):
    path = tmp_path / "task.json"
    path.write_text(json.dumps(kidney(**changes)), encoding="utf-8")
    with pytest.raises(TaskNotValid, match=words) as fault:
        Task.read(path)
    assert str(fault.value).count(".") >= 1 and str(tmp_path) not in str(fault.value)


@pytest.mark.parametrize(
    ("longest", "put"),
    [
        (120, lambda text: {"title": text}),
        (300, lambda text: {"intended_use": text}),
        (64, lambda text: {"organ": {"name": "kidney", "one": text}}),
        (64, lambda text: {"organ": {"name": "kidney", "title": text}}),
        (64, lambda text: {"lesion": {"name": "mass", "many": text}}),
        (64, lambda text: {"classes": ["benign", {"name": "other", "title": text}]}),
        (64, lambda text: {"classes": ["benign", {"name": "other", "short": text}]}),
        (64, lambda text: {"classes": ["benign", {"name": "other", "synonyms": [text]}]}),
    ],
)
def test_the_schema_takes_texts_as_long_as_the_reader_does(longest, put):
    for more, taken in ((0, True), (1, False)):
        data = kidney(**put("x" * (longest + more)))
        assert not list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(data)) == taken
        with nullcontext() if taken else pytest.raises(TaskNotValid, match=f"at most {longest} characters"):
            Task.from_dict(data)


def test_a_task_without_an_image_is_refused_by_both():
    data = kidney(modalities=[])
    assert list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(data))
    with pytest.raises(TaskNotValid, match="modalities must be some of"):
        Task.from_dict(data)


def test_a_file_that_is_not_a_task_is_refused(tmp_path):
    with pytest.raises(FileMissing):
        Task.read(tmp_path / "nothing.json")
    (tmp_path / "task.json").write_text("{", encoding="utf-8")
    twice = tmp_path / "twice.json"
    twice.write_text('{"schema": "reactkd-task/1", "organ": {"name": "kidney", "name": "spleen"}}')
    with pytest.raises(TaskNotValid, match="^The task file has 'name' twice; leave one.$"):
        Task.read(twice)
    with pytest.raises(TaskNotValid, match="not readable JSON"):
        Task.read(tmp_path / "task.json")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_of_any_editor_is_read(tmp_path, encoding):
    (tmp_path / "task.json").write_text(json.dumps(HCC_GRADE.to_dict()), encoding=encoding)
    assert Task.read(tmp_path / "task.json") is HCC_GRADE


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Left kidney", "liver"), ("renal parenchyma", "liver"), ("Kidneys", "liver"), ("Renal mass 1", "tumor"),
        ("RCC", "tumor"), ("angiomyolipomas", "tumor"), ("kidney tumor", "tumor"), ("Liver", None), ("HCC", None),
        ("liver tumor", None), ("kidney vessels", None), ("Kidney - Tumor", None), ("kidney without mass", "liver"),
    ],
)  # fmt: skip
def test_names_are_read_by_the_words_of_the_task(name, kind):
    assert recognize_name(name, KIDNEY) == kind


def test_a_name_of_several_words_is_matched_as_a_whole():
    organ = replace(KIDNEY.organ, name="adrenal gland", many="adrenal glands", beside=(), synonyms=())
    task = replace(KIDNEY, organ=organ)
    assert recognize_name("Left adrenal gland", task) == recognize_name("adrenal_gland", task) == "liver"
    assert recognize_name("AdrenalGland mass", task) == "tumor" and recognize_name("gland", task) is None


def test_segments_are_chosen_by_the_codes_of_the_task():
    assert recognize_code(("SCT", "64033007"), task=KIDNEY).kind == "liver"
    assert recognize_code(("SCT", "10200004"), task=KIDNEY).kind is None  # here the liver is another structure
    assert recognize_code(("SCT", "4147007"), ("SCT", "64033007"), KIDNEY).kind == "tumor"
    assert recognize_code(("SCT", "4147007"), ("SCT", "10200004"), KIDNEY).kind is None
    assert terminology_codes(terminology_entry("tumor", KIDNEY)) == (("SCT", "4147007"), ("SCT", "64033007"))
    candidates = [Candidate("1", "Kidney"), Candidate("2", "Renal mass"), Candidate("3", "Liver")]
    assert choose(candidates, None, None, KIDNEY).livers == (0,)
    with pytest.raises(NoLiver, match="No segment is recognized as the kidney among 'Liver'") as refused:
        choose(candidates[2:], None, None, KIDNEY)
    assert "(--organ NAME or LABEL" in str(refused.value)
    drawn = [Candidate("1", "Kidney"), Candidate("2", "mass"), Candidate("3", "mass AI")]
    with pytest.raises(AmbiguousSegment, match=r"\(--lesions NAME or LABEL"):
        choose(drawn, None, None, KIDNEY)
    with pytest.raises(NoLiver, match=r"\(--liver NAME or LABEL"):
        choose(candidates[:1], None, None)
    parts = [Candidate(str(n), f"segment {n}") for n in range(1, 9)]
    with pytest.raises(NoLiver):  # only the liver is divided into Couinaud's segments
        choose(parts, None, None, KIDNEY)


def test_checks_take_ranges_and_words_from_the_task():
    assert {finding.code for finding in kidney_case().findings} == {"coarse-pixels"}
    ct, organ, mass = draw(3, 60.0)
    strict = replace(KIDNEY, organ=replace(KIDNEY.organ, volume_ml=(500.0, 900.0), hu=(-20.0, 60.0), side="left"))
    found = {f.code: f.message for f in checked(Case("c", {Modality.CT: ct}, organ, mass, task=strict)).findings}
    assert "which is small for a kidney (500 to 900 ml)" in found["liver-volume"]
    assert "inside the kidney mask where a kidney has 30 to 200" in found["liver-not-tissue"]
    free = replace(KIDNEY, organ=replace(KIDNEY.organ, volume_ml=None, hu=None))
    assert "liver-volume" not in {
        f.code for f in checked(Case("c", {Modality.CT: ct}, organ, mass, task=free)).findings
    }
    assert [fix_words(code, KIDNEY) for code in FIXES] and "kidney" in fix_words("holes-filled", KIDNEY)
    assert fix_words("holes-filled", HCC_GRADE) == "Fill the small holes of the liver"
    with pytest.raises(NoLiver, match="The kidney mask is empty; draw the kidney"):
        checked(Case("c", {Modality.CT: ct}, organ & False, mass, task=KIDNEY))


def test_a_report_carries_another_task_and_the_built_in_one_adds_nothing():
    bundle = small_bundle(info=INFO, classes=2, modalities=("ct",))
    report = Grader(bundle).open(kidney_case()).grade().report
    data = json.loads(report.to_json())
    jsonschema.validate(data, report_schema(bundle.classes, ["ct"]))
    assert GradeReport.from_dict(data).task == KIDNEY and list(report.probabilities) == ["benign", "malignant"]
    page = report_page(report)
    assert report.task.class_title(report.grade) in page and "liver" not in page.lower()
    assert report.grade in " ".join(explained(report))
    ours = small_bundle()
    ct, organ, mass = draw(3, 60.0)
    case = checked(Case("case", {Modality.CT: ct}, organ, mass))
    own = Grader(ours).open(case).grade().report.to_dict()
    assert "task" not in own and GradeReport.from_dict(own).task is HCC_GRADE


def test_a_model_stores_its_task_and_refuses_a_case_of_another():
    bundle = small_bundle(info=INFO, classes=2, modalities=("ct",))
    assert bundle.task == KIDNEY and small_bundle().task is HCC_GRADE
    ct, organ, mass = draw(3, 60.0)
    with pytest.raises(TaskMismatch, match="read for the task 'hcc-grade' where the model answers 'kidney-mass'"):
        Grader(bundle).open(checked(Case("case", {Modality.CT: ct}, organ, mass)))
    older = small_bundle(info={"organ": "Spleen", "lesion": "Cyst"})  # older models could name another organ
    assert older.task.organ.name == "spleen" and older.task.organ.volume_ml is None
    found = Grader(older).open(checked(Case("case", {Modality.CT: ct}, organ, np.zeros_like(mass)))).grade().report
    assert "No cyst is marked in the spleen, so no grade is given." in [f.message for f in found.findings]


def test_the_rule_for_uncertain_answers_is_that_of_the_task():
    bundle = small_bundle(info={**INFO, "task": {**INFO["task"], "uncertain": {"top_below": 1.0}}}, classes=2,
                          modalities=("ct",))  # fmt: skip
    case = replace(kidney_case(), task=bundle.task)
    assert Grader(bundle).open(case).grade().report.uncertain


BLANK, LINES, LONG = " ", "a\nb", "x" * 65
BORDERS = [
    *((("organ", "volume_ml"), value, good)
      for value, good in (([0, 20000], True), ([-1, 5], False), ([0, 20001], False))),
    *((("organ", key), value, good)
      for key in ("hu", "usual_hu")
      for value, good in (([-1100, 4000], True), ([-1101, 0], False), ([0, 4001], False))),
    *((("title",), value, value == "x" * 65) for value in (BLANK, LINES, LONG)),
    *((("intended_use",), value, False) for value in (BLANK, LINES, "x" * 301)),
    *((("organ", "code", key), value, False)
      for key in ("value", "scheme", "meaning") for value in (BLANK, LINES, LONG)),
    *((("organ", "codes", 0, key), value, False) for key in ("value", "scheme") for value in (BLANK, LINES, LONG)),
    *((("organ", "codes", 0, key), "x" * 64, True) for key in ("value", "scheme")),
    *((("classes", 0, key), value, False) for key in ("title", "short") for value in (BLANK, LINES, LONG)),
    *((("organ", key), value, False) for key in ("one", "many", "title") for value in (BLANK, LINES, LONG)),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "good"), BORDERS)
def test_the_schema_and_the_program_draw_the_same_borders(path, value, good):
    data = json.loads(TASK_FILE.read_text(encoding="utf-8"))
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(data) is good
    if good:
        Task.from_dict(data)
    else:
        with pytest.raises(TaskNotValid):
            Task.from_dict(data)
