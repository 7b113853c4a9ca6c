"""A list with the same fault in several cases is refused once, with all of them."""

from __future__ import annotations

import json

import pytest

from REACTKDLib.core.cases.worklist import read_worklist
from REACTKDLib.core.errors import UsageError

FILES = {"ct": "c.nii.gz", "segmentation": "s.nrrd"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ct": 7}, "has a file that is not text for 'a', 'b'; give one path"),
        ({"liver": "l.nrrd", "tumor": "t.nrrd"}, "and masks in files of their own for 'a', 'b'; leave one"),
        ({"segmentation": None, "liver": "l.nrrd"}, "has 'liver' but no 'tumor' for 'a', 'b'; give both masks"),
        ({"grad": 1}, "has the unknown key 'grad'; known are id, "),
        ({"different_patients_ok": "perhaps"}, "The value of different_patients_ok is neither yes nor no for 'a', 'b'"),
    ],
)
def test_all_cases_with_a_fault_are_named(tmp_path, changes, sentence):
    entries = [{"id": name, **FILES, **(changes if name in "ab" else {})} for name in "abc"]
    (tmp_path / "list.json").write_text(json.dumps({"training": entries}))
    with pytest.raises(UsageError) as refused:
        read_worklist(tmp_path / "list.json")
    assert sentence in str(refused.value)


def test_all_unknown_keys_are_named(tmp_path):
    entries = [{"id": "a", **FILES, "ct_image": "x"}, {"id": "b", **FILES, "grad": "well"}]
    (tmp_path / "list.json").write_text(json.dumps({"training": entries}))
    with pytest.raises(UsageError, match="The datalist has the unknown keys 'ct_image', 'grad'; known are id"):
        read_worklist(tmp_path / "list.json")


def test_all_rows_with_a_bad_permission_are_named(tmp_path):
    rows = ["case,ct,segmentation,different_patients_ok"]
    rows += [f"{name},c.nii.gz,s.nrrd,{word}" for name, word in (("a", "perhaps"), ("b", "yes"), ("", "2"))]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    with pytest.raises(UsageError, match="is neither yes nor no for 'a', 'case-3'; write one of them"):
        read_worklist(tmp_path / "list.csv")


def test_at_most_five_are_named(tmp_path):
    entries = [{"id": f"a{n}", **FILES, "ct": n + 1} for n in range(8)]
    (tmp_path / "list.json").write_text(json.dumps({"training": entries}))
    with pytest.raises(UsageError, match="for 'a0', 'a1', 'a2', 'a3', 'a4' and 3 more; give one path"):
        read_worklist(tmp_path / "list.json")


@pytest.mark.parametrize(("name", "refused"), [("tumor_segment", True), ("masks", True), ("liver_labels", True),
                                               ("tumor_size", False), ("ct_date", False)])  # fmt: skip
def test_a_column_of_labels_is_not_a_measurement(tmp_path, name, refused):
    """A number names a label of a label map too: a column that holds labels must not be ignored."""
    (tmp_path / "list.csv").write_text(f"case,ct,segmentation,{name}\na,c.nii.gz,s.nrrd,2\n")
    if refused:
        with pytest.raises(UsageError, match=f"unknown columns '{name}'"):
            read_worklist(tmp_path / "list.csv")
    else:
        assert len(read_worklist(tmp_path / "list.csv")) == 1
