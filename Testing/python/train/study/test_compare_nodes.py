"""The comparison of students with and without a teacher, on cases that are drawn."""

from __future__ import annotations

import pytest

from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.study.compare_nodes import METHODS, compare, page, students_of
from support.node_cases import cases


def test_the_methods_differ_by_their_teaching_alone():
    """With no step taken they are one student: the same seed draws the same weights, whatever the method."""
    students = students_of(NodeTable.of(cases(40)), steps=1, seed=3)
    assert set(students) == set(METHODS)
    first = [s.topology_in.weight for s in students.values()]
    assert all((w - first[0]).abs().max() < 0.01 for w in first)


@pytest.mark.slow
def test_gains_come_with_intervals_and_a_table():
    folds = [NodeTable.of(cases(30, seed)) for seed in (0, 1)]
    found = compare(folds, NodeTable.of(cases(120, 9)), steps=20, seeds=[0])
    assert found["cases"] == 120 and found["training_patients"] == [30, 30]
    for by in found["inputs"].values():
        for row in by.values():
            for gain in row["gains"].values():
                low, high = gain["interval95"]
                assert low <= gain["difference"] <= high and 0 <= gain["p"] <= 1
    text = page(found)
    assert text.count("\n| ") == 8 and "120 unseen" in text
