"""A batch over a list in a worker: every case gets an answer or a reason, and a stop keeps finished work."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace

import numpy as np
import pytest

from REACTKDLib.core.cases.case_list import open_case_list, with_masks
from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.review.review import Review
from REACTKDLib.core.review.stored_answers import StoredAnswers
from REACTKDLib.core.review.table import review_csv
from REACTKDLib.core.worker.batch_run import BatchRun
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from support.case_files import write_case, write_masks
from support.result_rows import rows_in, rows_of
from support.small_cases import small_case
from support.waits import within

NAMES = ("a", "b", "broken", "d/e")


@pytest.fixture
def cases(tmp_path):
    lines = ["case,ct,fdg,segmentation"]
    for number, name in enumerate(NAMES):
        write_case(small_case(seed=number), tmp_path / str(number))
        lines.append(f"{name},{number}/CT.nii.gz,{number}/FDG.nii.gz,{number}/segmentation.seg.nrrd")
    (tmp_path / "2" / "CT.nii.gz").write_text("no image")
    (tmp_path / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    return open_case_list(tmp_path / "list.csv")


def plain_files(case) -> Job:
    return case.job


def finish(run: BatchRun, dispatcher: JobDispatcher, until=lambda: False) -> None:
    end = time.monotonic() + 120
    while run.running and not until():
        assert time.monotonic() < end
        dispatcher.poll()
        time.sleep(0.005)


def test_every_case_leaves_an_answer_or_a_reason(cases, dispatcher, model):
    review, heard = Review(cases.review_file), []
    run = BatchRun(dispatcher, cases, review, plain_files, model, changed=lambda: heard.append(1))
    fractions = []
    finish(run, dispatcher, lambda: fractions.append(run.fraction))
    assert (run.state, run.done, run.failed, run.total, run.fraction) == ("done", 4, 1, 4, 1.0)
    assert np.diff(fractions).min() > -1e-9 and heard
    assert (
        run.summary == "3 of 4 cases graded now. 1 failed; the table above says why. "
        "The table is results.csv in list.csv.reactkd.results."
    )
    again = Review(cases.review_file)
    assert [again.of(name).state for name in NAMES] == ["graded", "graded", "to do", "graded"]
    assert again.of("broken").failure["code"] == "not-an-image" and "the CT" in again.of("broken").failure["reason"]
    answer = again.of("a").answer
    assert answer["inputs"] == ["ct", "fdg"] and answer["lesions"] == 2 and not answer["outdated"]
    rows = rows_of(cases.results_folder)
    assert list(rows) == list(NAMES) and rows["broken"]["error"] == "not-an-image"
    assert sum(float(rows["a"][f"p_{name}"]) for name in ("well", "moderate", "poor")) == pytest.approx(1, abs=1e-3)
    assert rows["a"]["grade"] == answer["grade"] and rows["a"]["lesions"] == "2" and rows["a"]["reviewed"] == "no"
    written = sorted(path.name for path in cases.results_folder.iterdir())
    assert written[:2] == ["a.json", "b.json"] and len(written) == 4 and "results.csv" in written
    report = GradeReport.read_json(cases.results_folder / "a.json")
    assert report.case == "a" and report.grade == answer["grade"]


def test_only_missing_results_are_graded_unless_all_are_requested(cases, dispatcher, model):
    review = Review(cases.review_file)
    finish(BatchRun(dispatcher, cases, review, plain_files, model), dispatcher)
    first = review.of("a").answer
    review.update("b", answer={**review.of("b").answer, "outdated": True})
    run = BatchRun(dispatcher, cases, review, plain_files, model)
    assert run.total == 2  # the outdated case and the failed one
    finish(run, dispatcher)
    assert not review.of("b").answer["outdated"] and review.of("a").answer == first
    run = BatchRun(dispatcher, cases, review, plain_files, model, again=True)
    assert run.total == 4
    run.cancel()
    finish(run, dispatcher)


def test_a_list_whose_cases_are_all_graded_has_nothing_to_do(cases, dispatcher, model):
    review = Review(cases.review_file)
    for name in NAMES:
        review.update(name, answer={"grade": None, "probabilities": None, "outdated": False, "uncertain": True,
                                    "inputs": ["ct"], "device": "cpu", "findings": [],
                                    "model": {"name": "m", "version": "1", "sha256": "0"}})  # fmt: skip
    run = BatchRun(dispatcher, cases, review, plain_files, model)
    assert run.state == "done" and run.fraction == 1 and run.summary == "Every case of the list has a grade already."


def test_a_batch_stops_within_a_second_and_continues(cases, dispatcher, model):
    review = Review(cases.review_file)
    run = BatchRun(dispatcher, cases, review, plain_files, model)
    finish(run, dispatcher, lambda: run.done == 1)
    with within(1.0):
        run.cancel()
        assert run.state == "canceling"
        finish(run, dispatcher)
    assert (
        run.state == "canceled" and run.done == 1 and run.summary.endswith("results.csv in list.csv.reactkd.results.")
    )
    assert "stopped" in run.summary
    assert [review.of(name).state for name in NAMES] == ["graded", "to do", "to do", "to do"]
    assert list(rows_of(cases.results_folder)) == list(NAMES)
    rest = BatchRun(dispatcher, cases, review, plain_files, model)
    assert rest.total == 3
    finish(rest, dispatcher)
    assert rest.done == 3


def test_a_batch_continues_after_the_worker_ended(cases, dispatcher, model):
    """As when memory runs out: that case fails with a reason, the others are graded."""
    import os
    import signal

    review = Review(cases.review_file)
    run = BatchRun(dispatcher, cases, review, plain_files, model)
    finish(run, dispatcher, lambda: run.done == 1)
    os.kill(dispatcher.client.process_id, signal.SIGKILL)
    finish(run, dispatcher)
    assert run.state == "done" and run.failed == 2
    assert review.of("b").failure["code"] == "worker-died" and review.of("d/e").state == "graded"


def test_corrected_masks_are_graded(cases, dispatcher, model, tmp_path):
    case = small_case()
    one = np.zeros_like(case.tumor)
    one[np.unravel_index(np.flatnonzero(case.tumor)[:1], one.shape)] = True
    path = write_masks(case.liver, one, case.reference.ijk_to_ras, tmp_path / "corrected.seg.nrrd")
    review = Review(cases.review_file)
    files_of = lambda case: with_masks(case.job, path if case.id == "a" else None)  # noqa: E731
    finish(BatchRun(dispatcher, cases, review, files_of, model), dispatcher)
    assert review.of("a").answer["lesions"] == 1 and review.of("b").answer["lesions"] == 2


@pytest.mark.parametrize("how", ["for the first time", "again"])
def test_masks_that_are_saved_while_their_case_is_graded_are_graded(cases, dispatcher, model, tmp_path, how):
    """The reader works on during grading; an answer for the old masks must not be stored for the new ones."""
    case, path = small_case(), tmp_path / "corrected.seg.nrrd"
    one = np.zeros_like(case.tumor)
    one[np.unravel_index(np.flatnonzero(case.tumor)[:1], one.shape)] = True
    if how == "again":
        write_masks(case.liver, case.tumor, case.reference.ijk_to_ras, path)
        os.utime(path, (1e9, 1e9))
    review = Review(cases.review_file)
    files_of = lambda case: with_masks(case.job, path if case.id == "a" and path.exists() else None)  # noqa: E731
    run = BatchRun(dispatcher, cases, review, files_of, model)
    assert run.doing == "a"
    client = dispatcher.client
    finish(run, dispatcher, lambda: client._running is not None)
    time.sleep(0.2)  # by now the worker has read the masks
    write_masks(case.liver, one, case.reference.ijk_to_ras, path)
    finish(run, dispatcher)
    assert review.of("a").answer["lesions"] == 1 and not review.of("a").answer["outdated"]
    assert (run.done, run.failed) == (4, 1)


def test_results_that_cannot_be_written_are_reported(cases, dispatcher, model):
    review = Review(cases.review_file)
    cases.results_folder.touch()
    run = BatchRun(dispatcher, cases, review, plain_files, model)
    finish(run, dispatcher)
    assert run.state == "done" and run.failed == 1 and "could not be written" in run.summary
    assert Review(cases.review_file).of("a").state == "graded"


def test_a_table_without_any_result_is_written(cases):
    rows = rows_in(review_csv(cases, Review(cases.review_file)))
    assert list(rows) == list(NAMES) and json.dumps(rows["a"]["state"]) == '"to do"' and "p_well" not in rows["a"]


def test_a_case_that_fails_the_second_time_keeps_no_report_of_the_first(cases, dispatcher, model, tmp_path):
    review = Review(cases.review_file)
    finish(BatchRun(dispatcher, cases, review, plain_files, model), dispatcher)
    first = (cases.results_folder / "a.json").read_bytes()
    good = (tmp_path / "0" / "CT.nii.gz").read_bytes()
    (tmp_path / "0" / "CT.nii.gz").write_text("no image")
    finish(BatchRun(dispatcher, cases, review, plain_files, model, again=True), dispatcher)
    assert not (cases.results_folder / "a.json").exists() and (cases.results_folder / "b.json").is_file()
    assert (cases.results_folder / "earlier" / "a.json").read_bytes() == first
    row = rows_of(cases.results_folder)["a"]
    assert (row["state"], row["grade"], row["error"]) == ("failed", "", "not-an-image")
    assert "p_well" in row and row["p_well"] == ""
    (tmp_path / "0" / "CT.nii.gz").write_bytes(good)
    run = BatchRun(dispatcher, cases, review, plain_files, model)
    assert run.total == 2, "the one that failed now is tried again"
    finish(run, dispatcher)
    assert review.of("a").failure is None and (cases.results_folder / "a.json").is_file()


def test_a_named_readers_batch_leaves_what_others_have(cases, dispatcher, model):
    """Graded on the reader's own masks: the shared answer and table, and those of other readers, are unchanged."""
    review = Review(cases.review_file)
    finish(BatchRun(dispatcher, cases, review, plain_files, model), dispatcher)
    case, shared = cases.cases[0], [cases.results_folder / name for name in ("a.json", "results.csv")]
    before = [path.read_bytes() for path in shared]
    other = Review(cases.review_file)
    other.read_as("Dr. Lee")
    masks = {"file": f"{cases.masks_folder.name}/a.seg.nrrd", "liver": ["Liver"], "tumor": ["Tumor"]}
    other.update(case.id, masks=masks)
    no_liver = lambda listed: replace(listed.job, liver=("Spleen",)) if listed is case else listed.job  # noqa: E731
    corrected = lambda listed: replace(listed.job, tumor=()) if listed is case else listed.job  # noqa: E731
    for files, failed in ((corrected, 1), (no_liver, 2)):  # the broken case fails each time
        run = BatchRun(dispatcher, cases, other, files, model, again=True)
        finish(run, dispatcher)
        assert run.state == "done" and run.failed == failed
        assert [path.read_bytes() for path in shared] == before
        own = StoredAnswers(cases, other).folder
        assert own.name in run.summary and (own / "results.csv").is_file()
    assert StoredAnswers(cases, review).of(case).report.grade == review.of(case.id).answer["grade"]
