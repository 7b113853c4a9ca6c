"""A worker's answers equal those of the same work in this process, and no image is encoded twice."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.cases.open_job import open_job
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.masks.checks import checked
from REACTKDLib.core.masks.surface import surface_of
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.progress import never_canceled, no_progress
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.ensemble import answer_hash
from REACTKDLib.core.worker import jobs
from REACTKDLib.core.worker.answers import answer_from
from REACTKDLib.core.worker.client import WorkerClient
from REACTKDLib.core.worker.events import JobDone, JobFailed, JobProgress
from REACTKDLib.core.worker.handler import JobHandler
from support.case_files import write_case
from support.small_cases import small_case
from support.small_models import write_small_model
from support.worker_runs import files_in, grade_job, hand_over, wait


@pytest.fixture(scope="module")
def client() -> Iterator[WorkerClient]:
    made = WorkerClient()
    yield made
    made.close()


def do(client: WorkerClient, job: jobs.Job):
    event = wait(client, client.submit(job))
    assert isinstance(event, JobDone), event
    return event.result


def test_a_grade_is_that_of_the_same_work_here(client, model, case):
    here = Grader(Bundle.load(model.bundle), "cpu").open(checked(case)).grade()
    seen: list = []
    event = wait(client, client.submit(grade_job(client, case, model)), seen)
    answer = event.result
    assert answer.report.grade == here.report.grade
    assert answer.report.probabilities == pytest.approx(here.report.probabilities, abs=1e-6)
    assert answer.report.to_dict()["findings"] == here.report.to_dict()["findings"]
    assert np.array_equal(answer.regions.labels, here.regions.labels)
    assert [region.box for region in answer.regions.regions] == [region.box for region in here.regions.regions]
    assert answer.encoder_calls == 3 and answer.read_anew
    told = [e for e in seen if isinstance(e, JobProgress)]
    assert [e.fraction for e in told] == sorted(e.fraction for e in told)
    assert {"Reading the images", "Analyzing CT", "Deciding"} <= {e.text for e in told}
    drawing = do(client, jobs.Draw("a"))
    whole = np.zeros(case.reference.shape, np.float32)
    whole[drawing.box] = drawing.voxel_map
    assert np.abs(whole - here.voxel_map.array).max() < 1e-5
    assert drawing.scale == pytest.approx(here.voxel_map_scale, rel=1e-4)


def test_surfaces_lie_around_their_regions(client, model, case):
    answer = do(client, grade_job(client, case, model))
    drawn = do(client, jobs.DrawSurfaces("a"))
    for region in answer.regions.lesions:
        surface = drawn.surfaces[region.label]
        a, b, c = (surface.points[surface.triangles[:, n]].astype(float) for n in range(3))
        assert (a * np.cross(b, c)).sum() / 6000 == pytest.approx(region.volume_ml, rel=0.2)  # ml; positive: outward
        outward = ((surface.points - np.array(region.centroid_ras)) * surface.normals).sum(axis=1)
        assert (outward > 0).mean() > 0.95


@pytest.mark.parametrize("stopped_after", [0, 1, None])
def test_surfaces_drawn_ahead_are_those_of_the_last_answer(client, model, case, monkeypatch, stopped_after):
    names = (client.scratch.new_name() for _ in range(100))
    handler = JobHandler(client.scratch.path, lambda: next(names))
    drawn = []

    def counted(regions, region):
        drawn.append(region.label)
        return surface_of(regions, region)

    monkeypatch.setattr("REACTKDLib.core.masks.surface.surface_of", counted)

    def done(job):
        return answer_from(handler.do(job, no_progress, never_canceled), job, client.scratch.path)

    handler.draw_ahead(lambda: False)
    assert not drawn, "nothing was graded yet"
    answer = done(grade_job(client, case, model, "here"))
    labels = [region.label for region in answer.regions.regions]
    handler.draw_ahead(lambda: len(drawn) == stopped_after)
    assert drawn == labels[:stopped_after]
    surfaces = done(jobs.DrawSurfaces("here")).surfaces
    assert drawn == labels and list(surfaces) == labels, "each is drawn once"
    smaller = replace(case, tumor=case.tumor & (np.arange(case.tumor.shape[2]) % 2 == 0))
    done(jobs.Regrade("here", hand_over(client, smaller)[1]))
    again = done(jobs.DrawSurfaces("here")).surfaces
    assert len(drawn) == len(labels) + len(again), "surfaces of other masks must be computed again"


@pytest.mark.parametrize("gone", ["for others", "by another key", "corrected"])
def test_a_dropped_case_is_removed_from_memory(client, model, case, gone):
    """An answer is as large as its images, so it must be released."""
    names = (client.scratch.new_name() for _ in range(100))
    handler = JobHandler(client.scratch.path, lambda: next(names))
    handler.do(grade_job(client, case, model, "first"), no_progress, never_canceled)
    kept = weakref.ref(handler._last["first"])
    if gone == "corrected":
        handler.do(jobs.Regrade("first", hand_over(client, case)[1], "second"), no_progress, never_canceled)
    elif gone == "by another key":
        handler._grade_case("second", case, model, no_progress, never_canceled)
    else:
        for number in range(2):  # other cases, which are not drawn
            ct = case.volumes[Modality.CT]
            read = replace(case, volumes={Modality.CT: replace(ct, array=ct.array + 1 + number)})
            handler._grade_case(f"other {number}", read, model, no_progress, never_canceled)
    gc.collect()
    assert kept() is None


def test_measures_of_regions_come_with_the_grade(client, model, case):
    report = do(client, grade_job(client, case, model)).report
    liver, lesion = (row.measures for row in report.regions[:2])
    assert list(lesion.uptake) == ["fdg", "acetate"] and report.regions[-1].measures is None
    fdg = lesion.uptake["fdg"]
    assert liver.uptake["fdg"].suv_mean == pytest.approx(2.5, abs=0.3) and fdg.suv_mean == pytest.approx(5.0, abs=0.8)
    assert fdg.to_liver == pytest.approx(fdg.suv_max / liver.uptake["fdg"].suv_mean, rel=1e-3)
    assert lesion.longest_axial_diameter_mm == pytest.approx(28, abs=4)


def test_the_same_images_are_not_encoded_again(client, model, case):
    first = do(client, grade_job(client, case, model, "a"))
    again = do(client, grade_job(client, replace(case, id="other name"), model, "b"))
    assert again.encoder_calls == 0 and not again.read_anew and again.report.case == "other name"
    assert again.report.probabilities == first.report.probabilities
    fails = wait(client, client.submit(jobs.Draw("a")))  # the images are now held under the new key
    assert isinstance(fails, JobFailed) and fails.code == "case-not-open"


def test_corrected_masks_need_no_encoder(client, model, case):
    do(client, grade_job(client, case, model))
    tumor = case.tumor.copy()
    tumor[: tumor.shape[0] // 2] = False
    other = case.with_masks(tumor=tumor)
    _, masks = hand_over(client, other)
    answer = do(client, jobs.Regrade("a", masks))
    assert answer.encoder_calls == 0 and np.array_equal(answer.regions.labels > 1, tumor)
    fresh = Grader(Bundle.load(model.bundle), "cpu").open(checked(other)).grade()
    assert answer.report.probabilities == pytest.approx(fresh.report.probabilities, abs=1e-6)


def test_what_if_changes_no_open_case(client, model, case):
    first = do(client, grade_job(client, case, model))
    less = do(client, jobs.WhatIf("a", ["Lesion 1"], ["fdg", "acetate"]))
    assert less.report.inputs == ("ct",) and "region-muted" in [f.code for f in less.report.findings]
    assert do(client, jobs.WhatIf("a")).report.probabilities == first.report.probabilities
    wrong = wait(client, client.submit(jobs.WhatIf("a", leave_out=[m.value for m in Modality])))
    assert isinstance(wrong, JobFailed) and wrong.code == "no-volume"


def test_at_most_two_cases_are_open(client, model):
    cases = [small_case(seed=n) for n in range(3)]
    for n, one in enumerate(cases):
        do(client, grade_job(client, one, model, f"held-{n}"))
    assert isinstance(wait(client, client.submit(jobs.WhatIf("held-0"))), JobFailed)
    do(client, jobs.WhatIf("held-1"))
    do(client, grade_job(client, small_case(seed=9), model, "held-3"))  # the case used last stays
    do(client, jobs.WhatIf("held-1"))
    assert isinstance(wait(client, client.submit(jobs.WhatIf("held-2"))), JobFailed)


def test_a_case_that_was_read_ahead_is_ready_when_its_images_come(client, model, tmp_path):
    write_case(small_case(seed=4), tmp_path / "next")
    files = files_in(tmp_path / "next")
    assert {Modality.CT, Modality.FDG} <= set(files.images) and files.segmentation
    wait(client, client.submit(jobs.OpenFiles(files, model), background=True))
    read = open_job(files)
    answer = do(client, grade_job(client, read, model, "next"))
    assert answer.encoder_calls == 0 and not answer.read_anew


def test_prefetching_an_open_case_keeps_its_key(client, model, tmp_path):
    write_case(small_case(seed=6), tmp_path / "shown")
    files = files_in(tmp_path / "shown")
    do(client, grade_job(client, open_job(files), model, "shown"))
    wait(client, client.submit(jobs.OpenFiles(files, model), background=True))
    do(client, jobs.Draw("shown"))  # still open under its key, with its answer


def test_a_case_is_graded_from_files(client, model, tmp_path):
    write_case(small_case(seed=5), tmp_path / "one")
    answer = do(client, jobs.GradeFiles("file", files_in(tmp_path / "one"), model))
    assert answer.report.grade is not None and answer.report.case == "case"


def test_no_call_of_the_client_blocks(client, model, case):
    do(client, grade_job(client, case, model))
    job = grade_job(client, small_case(seed=11), model)
    started = time.thread_time()
    ticket = client.submit(job)
    longest = time.thread_time() - started
    while True:
        started = time.thread_time()
        found = client.poll()
        longest = max(longest, time.thread_time() - started)
        if any(isinstance(event, JobDone) and event.ticket == ticket for event in found):
            break
        time.sleep(0.002)
    assert longest < 0.05


def test_no_file_is_left_in_the_folder(client, model, case):
    before = set(client.scratch.path.glob("*.npy"))  # another test may hand over more files than it uses
    do(client, grade_job(client, case, model))
    do(client, jobs.DrawSurfaces("a"))
    do(client, jobs.Draw("a"))
    assert set(client.scratch.path.glob("*.npy")) <= before


def test_a_split_of_chosen_segments_leaves_worker_and_case(client, model, case):
    do(client, grade_job(client, case, model))
    process, matrix = client.process_id, case.reference.ijk_to_ras.tolist()
    job = jobs.SplitMask(hand_over(client, case)[1], list(case.liver.shape), matrix, ["tumor"])
    event = wait(client, client.submit(job))
    assert isinstance(event, JobDone) or event.code == "usage"  # a single lesion cannot be split
    do(client, jobs.WhatIf("a"))
    assert client.process_id == process
    names = [jobs.SegmentFile("empty", [0, 0, 0], "", "", [0, 0, 0], matrix)]
    assert jobs.handed_over(job) == [mask.file for mask in job.masks] and len(job.masks) == 2
    assert jobs.handed_over(jobs.SaveSegments(Path("x"), names)) == []  # an empty segment has no file


def test_a_case_from_files_reports_each_finding_once(client, model, case, tmp_path):
    """The same findings as on the command line: thick slices, a lesion of one voxel, and any others."""
    volume = case.reference
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 2] *= 6.0 / np.linalg.norm(matrix[:3, 2])
    tumor = case.tumor.copy()
    tumor[tuple(np.argwhere(case.liver & ~case.tumor)[0])] = True
    thick = Case("thick", {Modality.CT: replace(volume, ijk_to_ras=matrix)}, case.liver, tumor)
    files = files_in(write_case(thick, tmp_path / "case"))
    here = Grader(Bundle.load(model.bundle), "cpu").open(open_job(files)).grade().report.findings
    for key in ("x", "x"):  # first read from files, then found among the cases held
        told = do(client, jobs.GradeFiles(key, files, model)).report.findings
        assert len(told) == len(set(told)) and {"thick-slices", "one-voxel-lesion"} <= {f.code for f in told}
        as_told = sorted(map(str, (finding.to_dict() for finding in told)))
        assert as_told == sorted(map(str, (finding.to_dict() for finding in here)))


def test_files_that_windows_locks_are_removed_with_a_later_job(client, model, case, monkeypatch):
    def kept(_path, missing_ok=False):
        raise PermissionError("in use")

    before = set(client.scratch.path.iterdir())
    job = grade_job(client, case, model)
    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.unlink", kept)
        answer = do(client, job)
    assert set(client.scratch.path.iterdir()) - before, "nothing could be removed"
    drawing = do(client, jobs.Draw(answer.key))
    assert set(client.scratch.path.iterdir()) <= before
    box = answer.regions.box
    assert answer.regions.labels[box].any() and drawing.voxel_map.shape == tuple(part.stop - part.start for part in box)


def test_a_model_that_was_trained_again_in_its_folder_is_read_again(client, case, tmp_path):
    model = jobs.Model(str(write_small_model(tmp_path)), "cpu")
    first = do(client, grade_job(client, case, model, "trained"))
    write_small_model(tmp_path, seed=1)
    assert submitted(client, jobs.Regrade("trained", hand_over(client, case)[1])).code == "case-not-open"
    second = do(client, grade_job(client, case, model, "trained"))
    assert second.report.model.sha256 == answer_hash(tmp_path) != first.report.model.sha256
    assert second.report.probabilities != first.report.probabilities


def submitted(client: WorkerClient, job: jobs.Job) -> JobFailed:
    """Submit a job, and wait until it fails."""
    event = wait(client, client.submit(job))
    assert isinstance(event, JobFailed), event
    return event
