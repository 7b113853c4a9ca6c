"""Answers stored next to a list, used only if the review refers to the same answer; the reading order of a list."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from REACTKDLib.core.cases.case_list import CaseList, ListedCase
from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.review.arrangement import ORDERS, Arrangement
from REACTKDLib.core.review.record import CaseReview, answer_of
from REACTKDLib.core.review.review import Review
from REACTKDLib.core.review.stored_answers import StoredAnswers
from support.scene_cases import make_case, make_result


@pytest.fixture(scope="module")
def report():
    return make_result(make_case()).report


@pytest.fixture
def listed(tmp_path: Path) -> tuple[CaseList, Review]:
    (tmp_path / "ct.nii").write_bytes(b"0")
    case = ListedCase(Job("a"))
    cases = CaseList(tmp_path / "list.csv", (case,))
    return cases, Review(cases.review_file)


def test_a_stored_result_is_read_back_with_all_its_regions(listed, report):
    cases, review = listed
    stored, case = StoredAnswers(*listed), cases.cases[0]
    assert stored.keep(case, report)
    assert stored.of(case) is None, "a result without an entry in the review must not be used"
    review.update("a", answer=answer_of(report))
    found = stored.of(case)
    assert found.report.to_dict() == report.to_dict() and not found.masks_changed and not found.files_changed
    review.update("a", answer={**answer_of(report), "outdated": True})
    assert stored.of(case).masks_changed
    image = cases.path.parent / "ct.nii"
    os.utime(image, (time.time() + 60,) * 2)
    assert stored.of(case, [image]).files_changed
    os.utime(image, (1.0, 1.0))
    assert not stored.of(case, [image]).files_changed
    assert stored.of(case, [image.with_name("gone")]).files_changed


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"grade": 1}', "null"])
def test_a_damaged_file_or_a_result_of_other_inputs_is_not_used(listed, report, damage):
    cases, review = listed
    stored, case = StoredAnswers(*listed), cases.cases[0]
    stored.keep(case, report)
    review.update("a", answer={**answer_of(report), "tumor_ml": 0.25})
    assert stored.of(case) is None, "another answer than the review's"
    review.update("a", answer=answer_of(report))
    assert stored.of(case) is not None
    stored.file_of(case).write_text(damage)
    assert stored.of(case) is None


def test_a_reader_with_corrected_masks_has_a_separate_result(listed, report):
    cases, review = listed
    stored, case = StoredAnswers(*listed), cases.cases[0]
    common = stored.file_of(case)
    review.read_as("Dr. Lee")
    assert stored.file_of(case) == common
    review.update("a", masks={"file": "x.seg.nrrd", "liver": [], "tumor": []})
    assert stored.file_of(case) != common and stored.file_of(case).name == common.name
    assert stored.keep(case, report) and not common.exists()


def rows():
    def record(share: float | None, findings: int = 0) -> CaseReview:
        if share is None:
            return CaseReview()
        answer = {"grade": "poor", "probabilities": {"poor": share}, "findings": [{}] * findings}
        return CaseReview(answer=answer)

    records = {"A1": record(0.9, 1), "b": record(None), "a2": record(0.5, 3), "C": record(0.7, 1)}
    no_grade = CaseReview(answer={"grade": None, "probabilities": None, "findings": [{}]})
    return [(n, ListedCase(Job(name)), known) for n, (name, known) in enumerate({**records, "d": no_grade}.items())]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("listed", "A1 b a2 C d"),
        ("least certain", "a2 C A1 b d"),
        ("most certain", "A1 C a2 b d"),
        ("findings", "a2 A1 C d b"),
    ],
)
def test_cases_are_sorted_by_the_chosen_order(order, expected):
    assert order in ORDERS
    assert [row[1].id for row in Arrangement(order=order).of(rows())] == expected.split()


def test_the_search_ignores_upper_and_lower_case():
    assert [row[1].id for row in Arrangement(" a ").of(rows())] == ["A1", "a2"]
    assert Arrangement("x").of(rows()) == []
    assert replace(Arrangement("x"), search="").of(rows()) == rows()
