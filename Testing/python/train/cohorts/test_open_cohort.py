"""Opening cohorts: numbered phantoms, datalists, worklists, folders; and faults in them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.files.fingerprint import fingerprint_of
from REACTKDLib.core.job_engines import Engine
from REACTKDTrainLib.cohorts.open_cohort import open_cohort, size_of
from REACTKDTrainLib.cohorts.sizes import preparation_of
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.training.preparation import UnreadableCase, prepare_cases, without
from support.case_files import write_case
from support.small_cases import small_case


def test_phantoms_have_the_grade_distribution_of_their_cohort() -> None:
    cohort = open_cohort("phantom:hospital?cases=24&size=tiny")
    assert [sum(c.grade == g for c in cohort.cases) for g in range(3)] == [6, 12, 6]
    assert cohort.phantom and len({c.fingerprint for c in cohort.cases}) == 24
    whole = open_cohort("phantom:hospital")
    assert len(whole) == 97 and [sum(c.grade == g for c in whole.cases) for g in range(3)] == [24, 49, 24]
    assert [c.id for c in cohort.cases] == [c.id for c in open_cohort("phantom:hospital?cases=24").cases]


def test_size_and_field_change_what_is_cached() -> None:
    prints = {
        open_cohort(f"phantom:large?cases=1&{more}", whole_field=field).cases[0].fingerprint
        for more, field in (("size=tiny", False), ("size=small", False), ("size=tiny", True), ("first=9", False))
    }
    assert len(prints) == 4
    assert size_of("phantom:large?size=small") == "small" and size_of("a/folder") == "full"
    with pytest.raises(ReactkdError, match="whole_field of a phantom cohort must be 0 or 1, not '2'"):
        open_cohort("phantom:large?cases=1&whole_field=2")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Three case folders; two belong to one patient."""
    root = tmp_path_factory.mktemp("files")
    for n, name in enumerate(("one", "two", "three")):
        write_case(small_case(seed=n), root / "cases" / name)
    return root


def entry(name: str, **changes) -> dict:
    folder = f"cases/{name}"
    return {"id": name, "ct": f"{folder}/CT.nii.gz", "segmentation": f"{folder}/segmentation.seg.nrrd"} | changes


def write_list(root: Path, entries: list[dict], name: str = "list.json") -> str:
    (root / name).write_text(json.dumps({"name": "ours", "training": entries}))
    return str(root / name)


def test_a_datalist_gives_cases_that_open(files: Path) -> None:
    entries = [
        entry("one", grade="well", patient="p", fold=0, fdg="cases/one/FDG.nii.gz"),
        entry("two", grade=2, patient="p2", fold=1),
        entry("three"),
    ]
    cohort = open_cohort(write_list(files, entries))
    assert [(c.id, c.patient, c.grade, c.fold) for c in cohort.cases] == [
        ("one", "p", 0, 0), ("two", "p2", 2, 1), ("three", "three", None, None)]  # fmt: skip
    assert cohort.cases[0].modalities == ("ct", "fdg")
    case = pickle.loads(pickle.dumps(cohort.cases[0].load))()  # as it is sent to another process
    assert case.tumor.any() and len(case.volumes) == 2


def test_a_folder_of_cases_takes_grades_from_its_sheet(files: Path) -> None:
    (files / "cases" / "grades.csv").write_text("case,grade,patient\none,well,a\ntwo,poor,b\n")
    try:
        cohort = open_cohort(str(files / "cases"))
    finally:
        (files / "cases" / "grades.csv").unlink()
    assert {c.id: (c.grade, c.patient) for c in cohort.cases} == {
        "one": (0, "a"), "two": (2, "b"), "three": (None, "three")}  # fmt: skip


def test_a_worklist_may_have_a_grade_column(files: Path) -> None:
    path = files / "work.csv"
    path.write_text("case,ct,segmentation,grade\none,cases/one/CT.nii.gz,cases/one/segmentation.seg.nrrd,1\n")
    (case,) = open_cohort(str(path)).cases
    assert case.grade == 1 and case.load().liver.any()


def test_a_changed_file_is_another_case(files: Path) -> None:
    first = open_cohort(write_list(files, [entry("one")])).cases[0].fingerprint
    other = open_cohort(write_list(files, [entry("one", ct="cases/two/CT.nii.gz")])).cases[0].fingerprint
    assert (
        first != other == open_cohort(write_list(files, [entry("one", ct="cases/two/CT.nii.gz")])).cases[0].fingerprint
    )


def test_another_entry_for_the_same_files_is_another_case(files: Path) -> None:
    """A corrected list must not reuse what was prepared from the wrong one."""

    def fingerprint(columns: str, cells: str) -> str:
        path = files / "said.csv"
        path.write_text(
            f"case,ct,segmentation,{columns}\none,cases/one/CT.nii.gz,cases/one/segmentation.seg.nrrd,{cells}\n"
        )
        return open_cohort(str(path)).cases[0].fingerprint

    said = [("grade", "1"), ("fdg", "cases/one/FDG.nii.gz"), ("acetate", "cases/one/FDG.nii.gz")]
    said += [("tumor", "Mass"), ("tumor", "Mass;Cyst"), ("liver", "Mass")]
    found = [fingerprint(*one) for one in said]
    assert len(set(found)) == len(said)
    paths = [files / "cases" / "one" / name for name in ("CT.nii.gz", "FDG.nii.gz", "segmentation.seg.nrrd")]
    assert found[0] == fingerprint_of([paths[0], paths[2]], "one")  # cases prepared by earlier releases stay valid
    assert found[1] == fingerprint_of(paths, "one")


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([], "holds no case"),
        ([entry("one"), entry("one")], "names 'one' more than once"),
        ([entry("one", grade="G2")], "Case 'one' has the grade 'G2'; give well, moderate or poor"),
        ([entry("one", grad=1)], "unknown key 'grad'"),
        ([entry("one", fold=-1)], "has the fold -1"),
        ([{"id": "one", "ct": "x"}], "needs an image"),
    ],
)
def test_a_wrong_datalist_is_refused(files: Path, entries: list[dict], sentence: str) -> None:
    with pytest.raises(ReactkdError, match=sentence):
        open_cohort(write_list(files, entries))


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("", "No cohort was given"),
        ("nowhere", "no cohort at the path"),
        ("phantom:hospital?cases=x", "must be a whole number, not 'x'"),
        ("phantom:hospital?size=big", "no size 'big'"),
        ("phantom:clinic", "no phantom cohort 'clinic'"),
        ("phantom:hospital?color=1", "no setting 'color'"),
        ("phantom:hospital?cases=24&cases=12", "says one setting twice"),
        ("phantom:hospital?cases", "not written as"),
    ],
)
def test_an_unknown_cohort_is_refused(spec: str, sentence: str) -> None:
    with pytest.raises(ReactkdError, match=sentence):
        open_cohort(spec)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_unreadable_case_is_named_and_skipped_only_on_request(files: Path, tmp_path: Path, workers: int) -> None:
    (files / "broken.nii.gz").write_bytes(b"not an image")
    entries = [entry("one", grade=0), entry("two", ct="broken.nii.gz"), entry("three", ct="gone.nii.gz")]
    cohort = open_cohort(write_list(files, entries))
    store = PreparedStore(tmp_path, preparation_of("tiny"))
    failed = prepare_cases(cohort.cases, store.get, Engine(workers))
    assert sorted(failed) == ["three", "two"]
    with pytest.raises(UnreadableCase, match=r"Case two cannot be read \(and 1 more\): .*skip-unreadable"):
        without(cohort, failed, skip=False)
    kept = without(cohort, failed, skip=True)
    assert [c.id for c in kept.cases] == ["one"] and [name for name, _ in kept.skipped] == ["two", "three"]
    assert len(list(tmp_path.iterdir())) == 1  # no partial output
