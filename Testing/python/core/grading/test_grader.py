"""Grading: independent of how a case is stored, no encoder run after a mask edit, clear messages where it fails."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import jsonschema
import numpy as np
import pytest
import torch

from REACTKDLib.core.errors import Canceled, GeometryMismatch, NoLiver, NoVolume, UsageError
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.grading.grade_result import GradeResult
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.grading.runner import StudentRunner
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.masks import checks
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.reports.report import GradeReport, report_schema
from REACTKDLib.core.student.network import Student
from support.small_cases import TWO_LESIONS, case_stored, rigid, small_case, storage_variants
from support.small_models import PREPARATION, small_bundle

pytestmark = pytest.mark.usefixtures("one_thread")

SUBSETS = [subset for n in (1, 2, 3) for subset in combinations(Modality, n)]
SCHEMA = jsonschema.Draft202012Validator(report_schema())


@pytest.fixture(scope="module")
def bundle():
    return small_bundle(1)


@pytest.fixture(scope="module")
def case() -> Case:
    return small_case()


@pytest.fixture(scope="module")
def grader(bundle) -> Grader:
    return Grader(bundle, "cpu")


@pytest.fixture(scope="module")
def on_cpu(case, grader) -> GradeResult:
    """The result that every device must give."""
    return grader.open(case).grade()


def logits(result: GradeResult) -> np.ndarray:
    return np.array(list(result.report.logits.values()))


def codes(result: GradeResult) -> list[str]:
    return [finding.code for finding in result.report.findings]


def checked(result: GradeResult) -> GradeResult:
    """Run the checks that every result must pass, and return the result."""
    report = result.report
    assert [error.message for error in SCHEMA.iter_errors(report.to_dict())] == []
    if report.grade is None:
        return result
    assert np.allclose(logits(result), result.votes.logits, atol=1e-5)
    weights = np.exp(logits(result) - logits(result).max())
    assert np.allclose(list(report.probabilities.values()), weights / weights.sum(), atol=1e-6)
    assert report.grade == max(report.probabilities, key=report.probabilities.get)
    assert [r.name for r in report.regions[:-1]] == [r.name for r in result.regions.regions]
    return result


# One image, many ways to store it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_all_48_storage_orders_and_a_rigid_transform_give_the_same_result(case, seed):
    grader = Grader(small_bundle(seed), "cpu")
    expected = checked(grader.open(case).grade())
    rng = np.random.default_rng(seed)
    for order, flips in storage_variants():
        move = rigid(rng.uniform(-12, 12, 3), rng.uniform(-200, 200, 3))
        result = grader.open(case_stored(case, order, flips, move)).grade()
        assert np.abs(logits(result) - logits(expected)).max() < 1e-3, (order, flips)
        assert result.report.grade == expected.report.grade


def test_the_result_depends_on_the_images(case, grader):
    """Without this test, the one above could pass with a model that ignores its inputs."""
    expected = logits(grader.open(case).grade())
    for modality in Modality:
        volume = case.volumes[modality]
        other = volume.with_array(
            np.where(case.tumor, 60, 110) if modality is Modality.CT else np.abs(volume.array) ** 1.5
        )
        changed = replace(case, volumes={**case.volumes, modality: other})
        assert np.abs(logits(grader.open(changed).grade()) - expected).max() > 0.01, modality


def test_a_pet_times_1000_gives_the_same_logits(case, grader):
    louder = {
        m: v if m is Modality.CT else v.with_array(1000 * v.array, unit=Unit.BQML) for m, v in case.volumes.items()
    }
    result = grader.open(replace(case, volumes=louder)).grade()
    assert np.allclose(logits(result), logits(grader.open(case).grade()), atol=1e-4)


def test_a_repeated_grade_is_bit_equal(case, grader):
    first, second = grader.open(case).grade(), grader.open(case).grade()
    assert np.array_equal(first.votes.logits, second.votes.logits)
    assert np.array_equal(first.votes.weights, second.votes.weights)
    assert np.array_equal(first.voxel_map.array, second.voxel_map.array)


# Any subset of inputs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subset", SUBSETS, ids=lambda s: "+".join(m.value for m in s))
def test_every_subset_of_modalities(grader, subset):
    """Without a CT, the masks lie on the grid of the first PET."""
    result = checked(grader.open(small_case(modalities=subset)).grade())
    assert result.report.inputs == tuple(m.value for m in subset)
    assert result.voxel_map.shape == small_case(modalities=subset).reference.shape


def test_leaving_out_a_modality_equals_not_giving_it(case, grader):
    session = grader.open(case)
    calls = session.encoder_calls
    for subset in SUBSETS:
        result = checked(session.grade(leave_out=[m for m in Modality if m not in subset]))
        assert result.report.inputs == tuple(m.value for m in subset)
        if Modality.CT in subset:  # else the reference grid, and with it the network's grid, would differ
            alone = grader.open(replace(case, volumes={m: case.volumes[m] for m in subset}))
            calls += len(subset)
            assert np.allclose(logits(result), logits(alone.grade()), atol=1e-5)
    assert session.encoder_calls == calls
    with pytest.raises(NoVolume):
        session.grade(leave_out=Modality)


def test_an_input_that_the_model_does_not_use_is_reported_and_ignored(case):
    grader = Grader(small_bundle(1, modalities=("ct", "acetate")), "cpu")
    result = checked(grader.open(case).grade())
    assert result.report.inputs == ("ct", "acetate") and "input-ignored" in codes(result)
    with pytest.raises(NoVolume, match="ct, acetate"):
        grader.open(small_case(modalities=(Modality.FDG,)))


def test_masks_may_lie_on_an_image_that_the_model_does_not_read(case):
    result = Grader(small_bundle(1, modalities=("fdg",)), "cpu").open(case).grade()
    assert result.report.inputs == ("fdg",) and result.regions.labels.shape == case.reference.shape


# Lesions --------------------------------------------------------------------------------------------------------------


def twelve() -> list:
    return [((18.0 * i - 27, 20.0 * j - 20, 5.0), 5.0) for i in range(4) for j in range(3)]


LESIONS = {
    "one": ([((20.0, 0, 0), 12.0)], 1),
    "two": (TWO_LESIONS, 2),
    "twelve": (twelve(), 12),
    "touching": ([((0.0, 0, 0), 10.0), ((17.0, 0, 0), 10.0)], 1),
    "at the edge of the liver": ([((55.0, 0, 0), 12.0)], 1),
}


@pytest.mark.parametrize(("lesions", "count"), LESIONS.values(), ids=LESIONS.keys())
def test_each_number_and_position_of_lesions_is_graded(grader, lesions, count):
    result = checked(grader.open(small_case(lesions)).grade())
    assert len(result.regions.lesions) == count and len(result.report.regions) == count + 2
    assert result.report.regions[-1].kind == "topology"


def test_without_a_lesion_no_grade_is_given(case, grader):
    session = grader.open(small_case(()))
    result = checked(session.grade())
    assert result.report.grade is None and result.report.probabilities is None and result.report.uncertain
    assert codes(result) == ["no-lesion"] and result.votes is None
    assert not result.voxel_map.array.any() and result.voxel_map.shape == case.reference.shape
    drawn = session.grade(tumor=case.tumor)
    assert drawn.report.grade is not None and "no-lesion" not in codes(drawn)


def test_a_lesion_of_one_voxel(case, grader):
    tumor = np.zeros_like(case.tumor)
    tumor[tuple(np.argwhere(case.tumor)[0])] = True
    result = checked(grader.open(case).grade(tumor=tumor))
    row = result.report.regions[1]
    assert row.low_resolution and "low-resolution" in codes(result)
    assert row.volume_ml == pytest.approx(case.reference.voxel_ml) and row.weight > 0
    assert not result.report.regions[0].low_resolution


def test_a_second_lesion_of_one_voxel_is_kept_and_changes_the_result(case, grader):
    session = grader.open(case)
    speck = case.tumor.copy()
    far = np.argwhere(case.liver & ~case.tumor)[0]
    speck[tuple(far)] = True
    result = checked(session.grade(tumor=speck))
    assert len(result.regions.lesions) == 3
    assert np.abs(logits(result) - logits(session.grade())).max() > 1e-4


@pytest.mark.parametrize("shift", [(40.0, 0, 0), (0, 35.0, 0), (0, 0, -45.0)])
def test_a_liver_cut_by_the_field_of_view(grader, shift):
    case = small_case(shift=shift)
    result = checked(grader.open(case).grade())
    assert result.regions.regions[0].touches_border and result.report.grade is not None
    assert result.voxel_map.shape == case.reference.shape


def test_a_liver_that_consists_of_tumor_is_graded(case, grader):
    result = checked(grader.open(case).grade(tumor=case.liver))
    assert "no-parenchyma" in codes(result) and result.report.regions[0].centroid_ras_mm is None


def test_an_empty_liver_mask_is_refused(case, grader):
    with pytest.raises(NoLiver):
        grader.open(case.with_masks(liver=np.zeros_like(case.liver), tumor=np.zeros_like(case.tumor)))
    with pytest.raises(NoLiver):
        grader.open(case).grade(liver=np.zeros_like(case.liver))


def test_a_mask_of_another_shape_is_refused(case, grader):
    with pytest.raises(GeometryMismatch):
        grader.open(case).grade(tumor=case.tumor[1:])


# Mask edits -----------------------------------------------------------------------------------------------------------


def edits(case: Case) -> dict[str, dict[str, np.ndarray]]:
    from scipy.ndimage import binary_dilation, binary_erosion

    second = case.tumor.copy()
    second[: second.shape[0] // 2] = False
    return {
        "lesion larger": {"tumor": binary_dilation(case.tumor) & case.liver},
        "lesion smaller": {"tumor": binary_erosion(case.tumor)},
        "lesion dropped": {"tumor": second},
        "liver larger": {"liver": binary_dilation(case.liver)},
        "both": {"liver": binary_dilation(case.liver), "tumor": binary_dilation(case.tumor)},
    }


@pytest.mark.parametrize("name", edits(small_case()))
def test_an_edit_needs_no_encoder_and_equals_a_fresh_run(case, grader, name):
    session, edit = grader.open(case), edits(case)[name]
    before = session.grade()
    calls = session.encoder_calls
    edited = checked(session.grade(**edit))
    assert session.encoder_calls == calls
    assert edited.report.timing_ms["encode"] == 0 and before.report.timing_ms["encode"] > 0
    fresh = grader.open(case.with_masks(**edit)).grade()
    assert np.allclose(logits(edited), logits(fresh), atol=1e-5)
    assert np.abs(logits(edited) - logits(before)).max() > 1e-3
    # The session itself has not changed.
    assert np.array_equal(logits(session.grade()), logits(before))


def test_a_chain_of_edits_equals_a_fresh_run_at_each_of_them(grader):
    """Values cached for lesions are reused at the next edit only if nothing that they depend on has changed."""
    case = small_case(TWO_LESIONS)
    session, chain = grader.open(case), [{}, *edits(case).values(), {}, *reversed(list(edits(case).values())), {}]
    hole = case.liver.copy()
    hole[:, case.liver.shape[1] // 2 - 2 : case.liver.shape[1] // 2] = False  # removes parenchyma near the lesions
    for n, edit in enumerate([*chain, {"liver": hole | case.tumor}, *chain]):
        out = [Modality.CT] if n % 3 == 1 else []
        edited = session.grade(**edit, leave_out=out)
        fresh = grader.open(case.with_masks(**edit)).grade(leave_out=out)
        assert np.allclose(logits(edited), logits(fresh), atol=1e-5), (n, edit.keys())


def test_an_edit_beyond_the_field_reads_the_images_again(case):
    narrow = replace(PREPARATION, shape=(20, 20, 24)).to_metadata()
    grader = Grader(small_bundle(1, info={"preparation": narrow}), "cpu")
    half = case.liver.copy()
    half[:, :, half.shape[2] // 2 :] = False
    small = case.with_masks(liver=half, tumor=case.tumor & half)
    expected = grader.open(small).grade().voxel_map.array
    session = grader.open(small)
    calls = session.encoder_calls
    first = session.grade()
    result = checked(session.grade(liver=case.liver, tumor=case.tumor))
    assert np.array_equal(first.voxel_map.array, expected)  # still the map of the first field
    assert session.encoder_calls == calls + 3 and "field-moved" in codes(result)
    assert np.allclose(logits(result), logits(grader.open(case).grade()), atol=1e-5)


def test_a_liver_beyond_what_was_encoded_is_encoded_again(case):
    """It grows equally on all sides: the network's grid stays, but its feature maps covered only the smaller liver."""
    grader = Grader(small_bundle(1), "cpu")
    inner = tuple(slice((b.start + b.stop) // 2 - 3, (b.start + b.stop + 1) // 2 + 3) for b in bounding_box(case.liver))
    liver, tumor = np.zeros_like(case.liver), np.zeros_like(case.tumor)
    liver[inner], tumor[tuple(slice(b.start + 2, b.start + 4) for b in inner)] = True, True
    session = grader.open(case.with_masks(liver, tumor))
    calls = session.encoder_calls
    session.grade()
    assert session.encoder_calls == calls
    result = checked(session.grade(liver=case.liver))
    assert session.encoder_calls == calls + 3 and "field-moved" in codes(result)
    fresh = grader.open(case.with_masks(case.liver, tumor))
    assert fresh._field.grid.same_as(session._field.grid)
    assert np.allclose(logits(result), logits(fresh.grade()), atol=1e-5)


def _grown(liver: np.ndarray) -> np.ndarray:
    return liver | np.roll(liver, 3, axis=1)


def _with_island(liver: np.ndarray) -> np.ndarray:
    far = liver.copy()
    far[-4:, -4:, -4:] = True
    return far


EDITS = {
    "shrinks": lambda liver: liver & np.roll(liver, 6, axis=2),
    "grows": _grown,
    "shifts": lambda liver: np.roll(liver, (2, 3, -2), axis=(0, 1, 2)),
    "island": _with_island,
    "island-gone": lambda liver: liver,
}


@pytest.mark.parametrize("order", [list(EDITS), ["island", "shrinks", "shifts", "island-gone", "grows"]])
def test_the_same_masks_give_the_same_grade_after_any_edits_and_after_reopening(case, grader, order):
    session = grader.open(checks.checked(case))
    for name in order:
        liver = EDITS[name](case.liver)
        session.correct(liver, case.tumor & liver)
        edited = session.grade()
        fresh = grader.open(checks.checked(replace(case, liver=liver, tumor=case.tumor & liver))).grade()
        assert np.allclose(logits(edited), logits(fresh), rtol=0, atol=1e-6), name
        assert edited.report.grade == fresh.report.grade


def test_a_tumor_outside_the_liver_mask_counts_as_liver(case, grader):
    carved = case.with_masks(liver=case.liver & ~case.tumor)
    assert np.allclose(logits(grader.open(carved).grade()), logits(grader.open(case).grade()), atol=1e-5)


# Muting ---------------------------------------------------------------------------------------------------------------


def test_muting_equals_the_deletion_effect_in_the_report(case, grader):
    session = grader.open(case)
    full = session.grade().report
    for row in full.regions:
        muted = checked(session.grade(mute=[row.name])).report
        change = full.probabilities[full.grade] - muted.probabilities[full.grade]
        assert row.deletion_effect == pytest.approx(change, abs=1e-6)
        gone = next(r for r in muted.regions if r.name == row.name)
        assert gone.weight == 0 and gone.deletion_effect == 0 and set(gone.contribution.values()) == {0.0}
        assert "region-muted" in [f.code for f in muted.findings]


def test_deletion_by_formula_is_the_student_without_that_node(case, bundle, grader):
    """The network's own head recomputes the logits from the remaining embeddings."""
    session = grader.open(case)
    votes = session.grade().votes
    *_, placement = session._placed
    student, runner = bundle.student, session._runner.current
    nodes = runner.pool(*session._features(session._field, tuple(Modality)), placement)
    h = student.decide(nodes, torch.tensor(placement.topology)).embeddings
    for node in range(len(h)):
        left = torch.cat([h[:node], h[node + 1 :]])  # the embeddings keep their differences to the parenchyma
        assert np.allclose(votes.logits_without_each()[node], student.head(left).logits.numpy(), atol=1e-5)


def test_muting_an_unknown_region_is_refused(case, grader):
    with pytest.raises(UsageError, match="Lesion 2"):
        grader.open(case).grade(mute=["Lesion 9"])
    with pytest.raises(UsageError):
        grader.open(case).grade(mute=[9])


# Work: progress, cancel, devices --------------------------------------------------------------------------------------


def test_progress_rises_to_one(case, grader):
    seen = []
    grader.open(case, on_progress=lambda fraction, text: seen.append((fraction, text)))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 1
    assert len(seen) == 5 and all(text for _, text in seen)


@pytest.mark.parametrize("after", [0, 1, 2, 5, 20])
def test_cancel_stops_between_layers(case, bundle, after):
    asked = []

    def is_canceled() -> bool:
        asked.append(1)
        return len(asked) > after

    with pytest.raises(Canceled):
        Grader(bundle, "cpu").open(case, is_canceled=is_canceled)
    assert len(asked) == after + 1
    assert checked(Grader(bundle, "cpu").open(case).grade()).report.grade  # canceling leaves the student usable


def test_findings_of_the_case_are_passed_on(case, grader):
    result = grader.open(case.with_findings(Finding("holes-filled", "info", "Three holes were filled."))).grade()
    assert codes(result) == ["holes-filled"]


def test_an_unknown_device_is_refused(bundle):
    with pytest.raises(UsageError):
        Grader(bundle, "tpu")


class Broken(StudentRunner):
    """A runner that simulates a GPU failing at one step; a real GPU cannot be made to fail on demand."""

    def __init__(self, student: Student, device: str, where: str, error: Exception):
        self.where, self.error = where if device == "cuda" else None, error
        self.decided = False
        self.fail_at("start")
        super().__init__(student, "cpu")

    def fail_at(self, here: str) -> None:
        if self.where == here:
            raise self.error

    def encode(self, *args):
        self.fail_at("encode")
        return super().encode(*args)

    def fuse(self, *args):
        self.fail_at("fuse")
        return super().fuse(*args)

    def decide(self, *args):
        self.fail_at("decide")
        result = super().decide(*args)
        self.decided = True
        return result

    def pool(self, *args):
        if self.decided:  # pooling after the decision belongs to the voxel map
            self.fail_at("map")
        return super().pool(*args)


TROUBLE = {
    "out of memory": (torch.cuda.OutOfMemoryError("CUDA out of memory."), "memory"),
    "no kernel": (RuntimeError("CUDA error: no kernel image is available for execution"), "does not support"),
    "no CUDA": (AssertionError("Torch not compiled with CUDA enabled"), "finds none"),
}


@pytest.mark.parametrize(("error", "words"), TROUBLE.values(), ids=TROUBLE.keys())
@pytest.mark.parametrize("where", ["start", "encode", "fuse", "decide", "map"])
def test_a_gpu_fault_falls_back_to_the_cpu(case, bundle, on_cpu, where, error, words, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "none" not in words)
    session = Grader(bundle, "cuda", runner=lambda student, device: Broken(student, device, where, error)).open(case)
    result = session.grade()
    drawn = result.voxel_map
    assert np.array_equal(logits(result), logits(on_cpu))
    assert np.array_equal(drawn.array, on_cpu.voxel_map.array)
    again = checked(session.grade()).report
    assert again.device == "cpu" and [f.code for f in again.findings] == ["device-fallback"]
    assert words in again.findings[0].message


def test_a_fault_on_the_cpu_is_raised(case, bundle):
    class Faulty(StudentRunner):
        def decide(self, *args):
            raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError, match="a fault of ours"):
        Grader(bundle, "cpu", runner=Faulty).open(case).grade()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_requested_gpu_that_is_missing_falls_back_to_the_cpu(case, bundle):
    result = checked(Grader(bundle, "cuda").open(case).grade())
    assert result.report.device == "cpu" and codes(result) == ["device-fallback"]
    assert codes(Grader(bundle, "auto").open(case).grade()) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_gpu_and_cpu_agree(case, bundle, grader):
    session = Grader(bundle, "cuda").open(case)
    gpu, cpu = checked(session.grade()), grader.open(case).grade()
    assert gpu.report.device == "cuda" and codes(gpu) == []
    assert np.abs(logits(gpu) - logits(cpu)).max() < 1e-3 and gpu.report.grade == cpu.report.grade
    assert np.abs(gpu.voxel_map.array - cpu.voxel_map.array).max() < 1e-2
    again = Grader(bundle, "cuda").open(case).grade()
    assert np.array_equal(logits(gpu), logits(again)) and np.array_equal(gpu.voxel_map.array, again.voxel_map.array)
    assert bundle.student.head.bias.device.type == "cpu"


# What the bundle says -------------------------------------------------------------------------------------------------


def test_a_bundle_with_sets_of_grades_promises_coverage_for_the_images_that_it_was_measured_on(case):
    sets = {"coverage": 0.9, "least": {"ct+fdg+acetate": 0.0, "ct": 1.0}}
    session = Grader(small_bundle(1, info={"grade_sets": sets}), "cpu").open(case)
    report = session.grade().report
    assert report.grades == ("well", "moderate", "poor") and report.grades_coverage == 0.9
    assert GradeReport.from_dict(report.to_dict()).grades == report.grades
    assert session.grade(mute=[1]).report.grades is None  # grade sets were not calibrated for muted regions
    ct = replace(case, volumes={Modality.CT: case.volumes[Modality.CT]})
    assert Grader(small_bundle(1, info={"grade_sets": sets}), "cpu").open(ct).grade().report.grades == (
        Grader(small_bundle(1), "cpu").open(ct).grade().report.grade,
    )
    only = {"coverage": 0.9, "least": {"fdg": 0.1}}
    assert Grader(small_bundle(1, info={"grade_sets": only}), "cpu").open(case).grade().report.grades is None


def test_another_organ_and_task_come_with_the_bundle_alone(case):
    info = {"organ": "Kidney", "lesion": "Cyst", "classes": ["benign", "malignant"], "uncertain": {"top_below": 1.0}}
    grader = Grader(small_bundle(1, info=info, classes=2), "cpu")
    result = grader.open(case).grade()
    schema = jsonschema.Draft202012Validator(report_schema(["benign", "malignant"]))
    assert [e.message for e in schema.iter_errors(result.report.to_dict())] == []
    assert result.report.grade in ("benign", "malignant") and result.report.uncertain
    words = grader.open(small_case(())).grade().report.findings[0].message
    assert "cyst" in words and "kidney" in words and "liver" not in words and "tumor" not in words
    with pytest.raises(NoLiver, match="kidney"):
        grader.open(case.with_masks(liver=np.zeros_like(case.liver), tumor=np.zeros_like(case.tumor)))


STUDENTS = {
    "paper": {"variant": "paper", "cbam": True, "own_stem": False, "norm": "instance", "nonlinearity": "relu",
              "difference": False, "spread": False, "blocks": ("encoder",)},
    "input moments": {"blocks": ("input",)},
    "bands": {"blocks": ("input", "bands")},
    "encoder alone": {"blocks": ("encoder",)},
}  # fmt: skip


@pytest.mark.parametrize("config", STUDENTS.values(), ids=STUDENTS.keys())
def test_students_of_other_configurations_are_graded_with(case, config):
    grader = Grader(small_bundle(3, **config), "cpu")
    session = grader.open(case)
    result = checked(session.grade())
    edited = session.grade(**edits(case)["lesion larger"])
    assert np.allclose(
        logits(edited), logits(grader.open(case.with_masks(**edits(case)["lesion larger"])).grade()), atol=1e-5
    )
    assert result.voxel_map.array.max() in (0.0, 1.0)


def test_a_phantom_is_graded(bundle):
    from REACTKDLib.core.phantom import acquire, draw_patient

    scanned = acquire(draw_patient(5, biology="independent"), "tiny").case
    result = checked(Grader(bundle, "cpu").open(scanned).grade())
    assert result.report.case == scanned.id and len(result.regions.lesions) >= 1


def test_with_every_lesion_muted_no_grade_is_given(case, grader):
    session = grader.open(case)
    lesions = [row.name for row in session.grade().report.regions if row.kind == "tumor"]
    one_left = checked(session.grade(mute=lesions[1:])).report
    assert one_left.grade is not None
    none_left = session.grade(mute=lesions)
    assert none_left.report.grade is None and none_left.report.probabilities is None and none_left.votes is None
    assert [f.code for f in none_left.report.findings if f.severity == "warning"][-1] == "lesions-left-out"
    assert all(row.weight is None and row.deletion_effect is None for row in none_left.report.regions)
    assert session.grade().report.grade is not None
