"""Lesions inserted into real scans, here tiny phantoms treated as real: answers, shifts per block, the command."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from REACTKDLib.core.errors import OutputNotWritable, UsageError
from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.phantom import acquire, draw_patient
from REACTKDLib.core.phantom.hybrid import hybrid_latents
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.trained_on import TrainedOn
from REACTKDTrainLib.__main__ import main
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.hybrid import around_liver, hybrid_case
from REACTKDTrainLib.content_store import content_key
from REACTKDTrainLib.data.limits import limit_of
from REACTKDTrainLib.data.normalization import LiverWindow
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.release.hybrid_blocks import ANOTHER, block_shifts, lesion_rows, with_block
from REACTKDTrainLib.release.hybrid_nodes import CHANGES, HybridNodes, LiverIntensities, changed
from REACTKDTrainLib.release.hybrids import CYCLE, HybridSettings, evaluate_hybrids
from REACTKDTrainLib.training.outputs import model_metadata
from support.killed import fill, small_disk

BLOCKS = ("input", "bands", "shells")
SETTINGS = HybridSettings(lesions=4, phantoms=2, draws=50)


def scan(number: int, darker: float = 0.0, images: tuple[Modality, ...] = (Modality.CT,)) -> CohortCase:
    """A tiny scan treated as real, with its own lesions; its liver is `darker` HU below a phantom's."""

    def load():
        case = acquire(draw_patient(number), "tiny").case
        ct = case.volumes[Modality.CT]
        volumes = {m: case.volumes[m] for m in images}
        volumes[Modality.CT] = replace(ct, array=ct.array - np.int16(darker), unit=Unit.HU)
        return replace(case, volumes=volumes)

    names = tuple(m.value for m in images)
    return CohortCase(f"scan-{number}", f"scan-{number}", None, names, load, f"scan {number} {darker} {names}")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """An untrained student on the 10 mm grid."""
    torch.manual_seed(0)
    student = Student(StudentConfig(blocks=BLOCKS, hidden=12)).eval()
    about = {"name": "tiny", "version": "0.0.1", "clinical_use": "not for clinical use"}
    trained = (student.config.modalities, TrainedOn({"ct": 1}, 0.0), "tiny", LiverWindow())
    return Bundle.save(tmp_path_factory.mktemp("hybrids") / "model", student, model_metadata(about, *trained, {}, {}))


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def evaluated(bundle, work):
    scans = [scan(3, 100), scan(4, images=(Modality.CT, Modality.FDG))]
    scans.append(CohortCase("pet-alone", "p", None, ("fdg",), scans[0].load, "x"))
    return evaluate_hybrids(bundle, scans, work, SETTINGS)


def test_a_hybrid_has_the_drawn_lesions_alone_and_all_of_the_liver_around_them():
    own = scan(3)
    whole = own.load()
    case = hybrid_case(own, 8, 2)
    hybrid = case.load()
    cut = around_liver(whole, 26.0)
    assert case.grade == 2 == case.truth["shared"].grade and case.patient == own.patient
    assert not (hybrid.tumor & cut.tumor).any() and not (hybrid.liver & cut.tumor).any() and cut.tumor.any()
    assert hybrid.tumor.any() and hybrid.liver[hybrid.tumor].all()
    places = np.linalg.inv(cut.reference.ijk_to_ras) @ [*hybrid.derived["lesion_centers_ras_mm"][0], 1]
    assert hybrid.tumor[tuple(np.rint(places[2::-1]).astype(int))]
    again = np.linalg.inv(whole.reference.ijk_to_ras) @ cut.reference.ijk_to_ras @ [0, 0, 0, 1]
    i, j, k = np.rint(again[:3]).astype(int)
    depth, height, width = cut.reference.shape
    same = whole.reference.array[k : k + depth, j : j + height, i : i + width]
    assert np.array_equal(same, cut.reference.array) and cut.liver.sum() == whole.liver.sum()


def test_each_subset_is_evaluated_on_the_scans_that_have_it(evaluated):
    assert set(evaluated["subsets"]) == {"ct", "fdg", "ct+fdg"}
    assert evaluated["skipped"]["pet-alone"] == "It has no CT."
    scans = {name: own["scans"] for name, own in evaluated["subsets"].items()}
    assert scans["ct"] == ["scan-3", "scan-4"] and scans["fdg"] == ["scan-4"]
    for own in evaluated["subsets"].values():
        for row in own["rows"].values():
            low, high = row["interval95"]
            assert 0 <= low <= high <= 1 and sum(row["mean_probabilities"]) == pytest.approx(1, abs=0.01)
    kept = [seed for seed in range(4) if not any(name.endswith(f"{seed:05d}") for name in evaluated["skipped"])]
    limit = limit_of([hybrid_latents(seed, CYCLE[seed]) for seed in kept], "ct", masks=True)
    best = macro_auc(np.array([CYCLE[seed] for seed in kept]), limit)
    assert evaluated["subsets"]["ct"]["rows"]["exact limit"]["auc"] == pytest.approx(best, abs=1e-4)
    assert "in scan-3" in evaluated["subsets"]["ct"]["rows"] and "in scan-4" not in evaluated["subsets"]["fdg"]["rows"]


def test_shifted_node_blocks_are_identified(evaluated):
    """The first scan's liver is 100 HU darker: its level differs, its texture not more than that of another phantom."""
    assert evaluated["liver_intensities"]["scan-3"]["level"]["ct"] == pytest.approx(
        evaluated["liver_intensities"]["scan-4"]["level"]["ct"] - 100, abs=25
    )
    blocks = evaluated["blocks"]["ct"]
    assert set(blocks) == {*BLOCKS, "topology"} and set(evaluated["blocks"]) == {"ct", "fdg"}
    assert blocks["input"]["scan-3"]["shift"] > 2 * blocks["input"]["scan-4"]["shift"]
    assert blocks["input"]["scan-3"]["shift"] > 2 * blocks["input"][ANOTHER]["shift"]
    assert blocks["shells"]["scan-3"]["shift"] < 2 * blocks["shells"][ANOTHER]["shift"]


def test_changes_shift_a_liver_to_the_phantoms(bundle, tmp_path):
    measured, prepared = LiverIntensities.of, HybridNodes(tmp_path, bundle).prepared(hybrid_case(scan(3, 50), 1, 1))
    wanted = replace(measured(prepared), level={"ct": 105.0})
    assert measured(changed(prepared, CHANGES["liver level"], wanted)).level["ct"] == pytest.approx(105, abs=0.1)
    own = measured(prepared).noise["ct"]
    for share in (2.0, 1.3, 0.9, 0.7):
        other = measured(changed(prepared, CHANGES["noise level"], replace(wanted, noise={"ct": share * own})))
        assert other.noise["ct"] == pytest.approx(share * own, rel=0.05)
    smoothed = measured(changed(prepared, CHANGES["noise level"], replace(wanted, noise={"ct": 0.0})))
    assert smoothed.noise["ct"] < 0.65 * own, "the rest of it is not finer than a voxel"
    assert changed(prepared, (), wanted).images["ct"] is prepared.images["ct"]


def test_stored_node_vectors_keep_their_names(bundle, tmp_path):
    """Results of a run before the class was renamed are still found."""
    nodes, wanted = HybridNodes(tmp_path, bundle), LiverIntensities({"ct": 105.0}, {"ct": 3.5})
    case = hybrid_case(scan(3, 50), 1, 1)
    parts = {"nodes": nodes.store.key(case), "change": "liver level"}
    named = content_key({**parts, "wanted": "Look(level={'ct': 105.0}, noise={'ct': 3.5})"})
    assert nodes.key(case, "liver level", wanted) == named
    assert nodes.key(case, "liver level", None) == content_key({**parts, "wanted": "None"})


def several(case) -> bool:
    """Whether its lesions are kept separate, and there are at least two."""
    rows = lesion_rows(case)
    return rows is not None and len(rows) > 2


def test_a_full_disk_ends_the_evaluation_and_excludes_no_scan(bundle, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        fill(disk, left=8192)
        with pytest.raises(OutputNotWritable, match="make room on the disk"):
            HybridNodes(disk, bundle).make([scan(3)])


def test_a_block_of_another_case_is_put_lesion_by_lesion(bundle, tmp_path):
    nodes = HybridNodes(tmp_path, bundle)
    pairs = [[nodes.get(hybrid_case(s, seed, 1)) for seed in range(1, 13, 4)] for s in (scan(3), scan(4, 50))]
    one, other = next((a, b) for a, b in zip(*pairs, strict=True) if several(a) and several(b))
    mixed = with_block(one, other, ("input",)).regions[0].fixed["ct"]
    rows, theirs = lesion_rows(one), lesion_rows(other)
    assert torch.equal(mixed[rows][:, :2], other.regions[0].fixed["ct"][theirs][:, :2])
    assert torch.equal(mixed[:, 2:], one.regions[0].fixed["ct"][:, 2:])
    whole = with_block(one, other, ("topology",)).regions[0]
    assert torch.equal(whole.masks.topology, other.regions[0].masks.topology)
    alike = block_shifts({"a": pairs[0]}, [pairs[0], pairs[1]], ("ct",), ("input",))["input"]
    assert alike["a"]["shift"] == pytest.approx(alike[ANOTHER]["shift"] / 2, rel=1e-2)  # to itself and the other


def test_the_command_fills_a_page_and_draws_once(bundle, evaluated, work, tmp_path, capsys, monkeypatch):
    from REACTKDTrainLib.cohorts.open_cohort import open_cohort
    from REACTKDTrainLib.release import hybrids

    model, page = tmp_path / "model", tmp_path / "page.md"
    Bundle.save(model, bundle.student, bundle.metadata)
    page.write_text("# A page\n\n<!-- hybrids:auc -->\n<!-- /hybrids -->\n")
    spec = "phantom:large?first=800000&cases=1&size=tiny"
    assert open_cohort(spec).cases[0].modalities == ("ct", "fdg", "acetate")
    command = ["release", "hybrids", "--scans", spec, "--bundle", str(model), "--output", str(tmp_path / "out")]
    command += ["--lesions", "4", "--phantoms", "2", "--page", str(page), "--work", str(work)]
    assert main(command) == 0
    said = capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "hybrids.json").read_text())
    assert said.strip() == (tmp_path / "out" / "hybrids.md").read_text().strip()
    assert "| real scans |" in page.read_text() and 3 <= found["lesions"] <= 4

    def no_room(*arguments):
        raise UsageError("no room")

    monkeypatch.setattr("REACTKDTrainLib.cohorts.hybrid.draw_into", no_room)  # placed lesions are not drawn again
    assert main(command) == 0
    again = json.loads((tmp_path / "out" / "hybrids.json").read_text())
    assert again.pop("skipped").keys() == found.pop("skipped").keys() and again == found
    for wrong, says in ((["--lesions", "5"], "a multiple of 4"), (["--phantoms", "1"], "At least two phantoms")):
        assert main([*command, *wrong]) == 2 and says in capsys.readouterr().err
    with pytest.raises(UsageError, match="No scan can be used"):
        hybrids.evaluate_hybrids(bundle, [], tmp_path / "none", replace(SETTINGS, lesions=4))
