"""Folds: no patient in two parts, every grade in every part, and a one-sentence refusal where that is impossible."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.folds import FoldsImpossible, make_folds


def case(patient: str, grade: int | None, pair: int = 0, fold: int | None = None) -> CohortCase:
    return CohortCase(f"{patient}-{pair}", patient, grade, ("ct",), lambda: None, f"{patient}{pair}", fold)


def cohort(per_grade: int = 6, pairs: int = 1) -> list[CohortCase]:
    return [case(f"p{g}{n}", g, pair) for g in range(3) for n in range(per_grade) for pair in range(pairs)]


@given(st.integers(2, 4), st.integers(8, 14), st.integers(1, 3), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_no_patient_is_in_two_parts_at_any_level(folds: int, per_grade: int, pairs: int, seed: int) -> None:
    cases = cohort(per_grade, pairs)
    splits = make_folds(cases, folds, seed)
    tested = Counter()
    for split in splits:
        parts = [{c.patient for c in part} for part in (split.train, split.validation, split.test)]
        assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
        assert len(split.train) + len(split.validation) + len(split.test) == len(cases)
        assert all({c.grade for c in part} == {0, 1, 2} for part in (split.train, split.validation, split.test))
        tested.update(c.id for c in split.test)
    assert tested == Counter(c.id for c in cases)  # each case is tested once


def test_the_same_seed_gives_the_same_split_whatever_the_order_of_the_cases() -> None:
    cases = cohort()
    a, b = make_folds(cases, 3, 1), make_folds(cases[::-1], 3, 1)
    assert [{c.id for c in s.validation} for s in a] == [{c.id for c in s.validation} for s in b]
    assert [{c.id for c in s.test} for s in a] != [{c.id for c in s.test} for s in make_folds(cases, 3, 2)]


def test_one_fold_keeps_everything_for_training() -> None:
    (split,) = make_folds(cohort(), 1, validation=0.34)
    assert split.test == () and len(split.validation) == 6 and len(split.train) == 12


def test_a_patient_in_two_given_folds_is_refused() -> None:
    cases = [case(f"p{g}{n}", g, fold=n % 2) for g in range(3) for n in range(6)]
    with pytest.raises(FoldsImpossible, match="puts the patient 'p00' into two folds"):
        make_folds([*cases, case("p00", 0, 1, fold=1)], 2)


def test_folds_of_the_list_are_kept() -> None:
    cases = [case(f"p{g}{n}", g, fold=n % 2) for g in range(3) for n in range(6)]
    for number, split in enumerate(make_folds(cases, 2)):
        assert {c.fold for c in split.test} == {number}


@pytest.mark.parametrize(
    ("cases", "folds", "sentence"),
    [
        (cohort(1), 5, "has 3 patients, fewer than 5 folds"),
        (cohort(2), 3, "Only 2 patients have the grade well"),
        (cohort(1), 2, "Only 1 patient has the grade well"),
        (cohort(1), 1, "validation part has no patient of the grade well; give more patients"),
        ([case("a", 0), case("a", 1, 1), *cohort()], 2, "The patient 'a' has cases of two grades"),
        ([case(f"p{g}{n}", g, fold=0) for g in range(3) for n in range(6)], 2, "has the folds 0 where 2 were"),
        ([case("a", 0, 0, 0), case("a", 0, 1, 1)], 1 + 1, "has 1 patients, fewer than 2"),
        ([case(f"p{g}{n}", g, fold=int(g == 2)) for g in range(3) for n in range(6)], 2, "has no patient of the grade"),
    ],
)  # fmt: skip
def test_impossible_folds_are_refused(cases: list[CohortCase], folds: int, sentence: str) -> None:
    with pytest.raises(FoldsImpossible, match=sentence):
        make_folds(cases, folds)


@pytest.mark.parametrize(("folds", "seed"), [(0, 0), (-2, 0), (3, -1), (3, 2**32)])
def test_invalid_numbers_of_folds_or_seeds_are_refused(folds: int, seed: int) -> None:
    """As given by `--folds 0` and `--seed -1` of cohorts check."""
    with pytest.raises(UsageError, match="give 1 or more" if folds < 1 else "from 0 to 4294967295"):
        make_folds(cohort(), folds, seed)


def test_folds_of_some_cases_alone_are_refused() -> None:
    cases = [case(f"p{g}{n}", g, fold=n % 2) for g in range(3) for n in range(6)]
    cases[7] = case("p11", 1)
    with pytest.raises(FoldsImpossible, match="'p11-0'.*17 others"):
        make_folds(cases, 2)
    make_folds(cases, 1)
