"""Views: view 0 is the unchanged case; in the others, volumes and masks are warped alike, bit-identical every time."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from REACTKDLib.core.student.prepare import Preparation
from REACTKDTrainLib.cohorts.phantom import phantom_case
from REACTKDTrainLib.cohorts.sizes import preparation_of
from REACTKDTrainLib.data.augmentation import Augmentation, warp, warp_like
from REACTKDTrainLib.data.dose_data import (
    DoseSource,
    at_native_dose,
    prepare_fields,
    prepare_fields_or_note,
)
from REACTKDTrainLib.data.normalization import LiverWindow
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.data.view_maker import ViewMaker
from REACTKDTrainLib.low_dose.field_of_view import TruncatedFieldOfView
from support.tiny_phantoms import STILL


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    store = PreparedStore(tmp_path_factory.mktemp("prepared"), preparation_of("tiny"), variants=2)
    return store.get(phantom_case("hospital", 4, "tiny"))


MOVING = Augmentation(rotate_deg=20, shift_voxels=2, elastic=1.0, level=0)


def test_view_0_is_the_unchanged_case_with_the_experts_masks(prepared) -> None:
    view = ViewMaker(LiverWindow(100.0, 20.0), MOVING)(prepared)
    assert torch.equal(view.images["fdg"], prepared.images["fdg"])
    assert torch.equal(view.images["ct"], (prepared.images["ct"].clamp(-160, 240) - 100) / 20)
    assert view.masks is view.expert is prepared.masks[0] and view.warp_seed is None


def test_later_views_give_the_student_an_annotators_masks_and_the_teacher_the_experts(prepared) -> None:
    maker = ViewMaker(LiverWindow(), STILL)
    assert [maker.variant(prepared, n) for n in range(5)] == [0, 1, 2, 1, 2]
    view = maker(prepared, 1)
    assert view.masks is prepared.masks[1] and view.expert is prepared.masks[0]
    assert view.key == maker(prepared).key  # the teacher's input is the same, so it is evaluated once
    assert ViewMaker(LiverWindow(), STILL, perturbed=False)(prepared, 1).masks is prepared.masks[0]


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_the_number_of_threads_changes_no_bit(prepared, threads) -> None:
    views = []
    for number in (1, 2, 3):
        threads(number)
        views.append(ViewMaker(LiverWindow(), MOVING, seed=3)(prepared, 1))
    for other in views[1:]:
        for m in other.images:
            assert torch.equal(other.images[m], views[0].images[m])
            assert torch.equal(other.fixed[m], views[0].fixed[m])
        assert torch.equal(other.masks.occupancy, views[0].masks.occupancy)


@pytest.mark.slow
def test_the_same_number_gives_the_same_bits_in_another_process(prepared, tmp_path: Path) -> None:
    maker = ViewMaker(LiverWindow(), MOVING, seed=3)
    view = maker(prepared, 1)
    assert view.key != maker(prepared, 2).key != ViewMaker(LiverWindow(), MOVING, seed=4)(prepared, 2).key
    torch.save([prepared.images, view.warp_seed], tmp_path / "in.pt")
    code = f"""
import torch
from REACTKDTrainLib.data.augmentation import Augmentation, warp
images, seed = torch.load({str(tmp_path / "in.pt")!r})
how = Augmentation(rotate_deg=20, shift_voxels=2, elastic=1.0, level=0)
torch.save(warp({{"images": torch.stack(list(images.values()))}}, how, seed)["images"], {str(tmp_path / "out.pt")!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    other = torch.load(tmp_path / "out.pt").half().float()
    assert torch.equal(other[1], view.images["fdg"])


def test_a_kept_view_is_the_same_as_a_fresh_one(prepared, tmp_path: Path) -> None:
    maker = ViewMaker(LiverWindow(), MOVING, folder=tmp_path)
    first, second, bare = maker(prepared, 1), maker(prepared, 1), replace(maker, folder=None)(prepared, 1)
    for other in (second, bare):
        assert all(torch.equal(first.images[m], other.images[m]) for m in first.images)
        assert torch.equal(first.masks.occupancy, other.masks.occupancy)
        assert all(torch.equal(first.fixed[m], other.fixed[m]) for m in first.fixed)


@pytest.mark.parametrize("seed", range(4))
def test_volumes_and_masks_are_warped_alike(seed: int) -> None:
    how = Augmentation(rotate_deg=25, shift_voxels=3, scale=0.1, elastic=2.0, flip=True, level=0)
    marker = torch.zeros(1, 24, 24, 32)
    marker[0, 14:18, 7:11, 20:24] = 1
    out = warp({"images": marker.clone(), "expert": torch.cat([marker, 1 - marker]), "other": marker}, how, seed)
    inside = slice(2, -2)
    for name in ("expert", "other"):
        torch.testing.assert_close(out["images"][0], out[name][0])
    whole = (out["expert"][0] + out["expert"][1])[inside, inside, inside]
    assert whole.max() <= 1 + 1e-5  # a voxel is divided among the regions, as before
    assert 0.6 * marker.sum() < out["images"].sum() < 1.5 * marker.sum()
    assert not torch.allclose(out["images"], marker)


def test_a_field_is_warped_as_the_view_was_whatever_is_warped_with_it(prepared) -> None:
    view = ViewMaker(LiverWindow(), MOVING)(prepared, 2)
    hu = warp_like(view.warp_seed, MOVING, prepared.images["ct"][None])[0]
    middle = tuple(slice(4, -4) for _ in range(3))  # outside, images repeat their edge and fields are 0
    close = (hu[middle] - view.hu[middle]).abs() < 0.51  # views are stored in half precision
    assert close.float().mean() > 0.97


def test_magnitudes_have_their_documented_size() -> None:
    how = Augmentation(rotate_deg=0, shift_voxels=0, elastic=2.0, sigma=4.0, flip=False)
    ramp = torch.arange(48.0).expand(1, 48, 48, 48)
    moved = torch.cat(
        [(warp({"images": ramp.clone()}, how, s)["images"] - ramp)[0, 12:-12, 12:-12, 12:-12] for s in range(4)]
    )
    assert 0.4 < 3 * moved.std() / 2.0 < 1.6  # `elastic` is about three standard deviations, in voxels


@pytest.mark.parametrize(("name", "value"), [("rotate_deg", 200), ("elastic", -1), ("sigma", 0), ("scale", 1)])
def test_a_wrong_augmentation_names_its_field(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Augmentation(**{name: value})


def test_a_view_without_voxels_keeps_what_heads_need(prepared) -> None:
    view = ViewMaker(LiverWindow(), STILL)(prepared, 1)
    light = view.without_voxels()
    assert light.key == view.key and len(light.masks) == len(view.masks)
    assert light.images["ct"].numel() == 0 and set(light.images) == set(view.images)
    assert all(torch.equal(light.fixed[m], view.fixed[m]) for m in view.fixed)


def test_the_window_centers_on_the_liver_of_the_cases_it_is_given(prepared) -> None:
    window = LiverWindow.of([prepared])
    inside = prepared.masks[0].occupancy[0] > 0.99
    assert window(prepared.images["ct"])[inside].median().abs() < 0.01
    assert LiverWindow.of([]) == LiverWindow()


def test_the_window_has_the_scale_and_the_clip_of_the_preparation(prepared) -> None:
    stated = Preparation(ct_center_hu=-700.0, ct_scale_hu=80.0, ct_clip_hu=(-1000.0, 400.0))
    window = LiverWindow.of([prepared], stated)
    assert (window.scale_hu, window.clip_hu) == (80.0, (-1000.0, 400.0)) and window.center_hu > 0
    assert LiverWindow.of([], stated).center_hu == -700.0
    assert window(torch.tensor([-2000.0, 1000.0])).diff().item() == pytest.approx(1400.0 / 80.0)
    assert str(LiverWindow()) == "LiverWindow(center_hu=107.0, scale_hu=25.0)", "keys of caches are made of it"


# -- doses


@pytest.fixture(scope="module")
def dosed(tmp_path_factory):
    """A phantom with its whole field of view, small enough to take seconds, and its noise fields."""
    folder = tmp_path_factory.mktemp("doses")
    case = phantom_case("unlabeled", 3, "tiny", whole_field=True, biology="independent")  # air without bowel gas
    store = PreparedStore(folder / "prepared", preparation_of("tiny"))
    prepare_fields(folder / "doses", store, case)
    return folder / "doses", store, case


def test_the_dose_branch_sees_noise_that_grows_as_the_dose_falls(dosed) -> None:
    folder, store, case = dosed
    view = ViewMaker(LiverWindow(), STILL)(store.get(case))
    source = DoseSource.of(folder, store, [case], LiverWindow(), STILL)
    native = view.images["ct"]
    assert torch.equal(source(view, 5), source(view, 5)) and not torch.equal(source(view, 5), source(view, 6))
    spread = torch.tensor([float((source(view, seed) - native).std()) for seed in range(40)])
    assert spread.min() < 0.5 * spread.max()  # doses are drawn from 0.1 to 1
    fields = source.fields(view)
    quarter = fields.add_to(view.hu.numpy(), 0.25) - view.hu.numpy()
    quantum, electronic = (float(f.astype("f4").std()) for f in (fields.quantum, fields.electronic))
    assert quarter.std() == pytest.approx(math.hypot(3**0.5 * quantum, 15**0.5 * electronic), rel=0.1)


def test_clipped_voxels_carry_no_noise(dosed) -> None:
    """Air stays air at any dose, as in a scan at that dose prepared in the same way."""
    folder, store, case = dosed
    view = ViewMaker(LiverWindow(), STILL)(store.get(case))
    source = DoseSource.of(folder, store, [case], LiverWindow(), STILL)
    air = view.hu <= -159.9
    assert air.any()
    for n in range(8):  # a voxel may hold a thousandth of tissue
        assert float((source(view, n) - view.images["ct"])[air].abs().max()) * LiverWindow().scale_hu < 0.2
    tissue = (view.hu > 40) & (view.hu < 140)
    assert float((source(view, 3) - view.images["ct"])[tissue].abs().mean()) > 0.01


def test_the_dose_branch_gets_the_same_view_as_the_other_branches(dosed) -> None:
    """Including the constant that augmentation added to the CT: air carries no noise, and a crop none at all."""
    folder, store, whole = dosed
    how = replace(STILL, level=0.5)
    crop = phantom_case("hospital", 3, "tiny")
    prepare_fields_or_note(folder, store, crop)
    source = DoseSource.of(folder, store, [whole, crop], LiverWindow(), how)
    view = ViewMaker(LiverWindow(), how)(store.get(whole), 1)
    shift = view.images["ct"] - LiverWindow()(view.hu)
    assert shift.abs().min() > 0.05 and shift.std() < 1e-5
    air = view.hu <= -159.9
    for n in range(8):
        assert float((source(view, n) - view.images["ct"])[air].abs().max()) * LiverWindow().scale_hu < 0.2
    for number in range(3):
        view = ViewMaker(LiverWindow(), how)(store.get(crop), number)
        assert torch.equal(source(view, 5), view.images["ct"])


def test_fields_lie_as_the_view_does(dosed) -> None:
    folder, store, case = dosed
    maker = ViewMaker(LiverWindow(), MOVING)
    source = DoseSource.of(folder, store, [case], LiverWindow(), MOVING)
    plain, moved = source.fields(maker(store.get(case))), source.fields(maker(store.get(case), 1))
    assert plain.quantum.shape == moved.quantum.shape and not (plain.quantum == moved.quantum).all()


def test_fields_are_made_once_and_named_by_content(dosed) -> None:
    folder, store, case = dosed
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    prepare_fields(folder, store, case)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    prepare_fields(folder, replace(store, whole_grid=True), case)
    assert len(list(folder.iterdir())) == len(before) + 1


def test_a_cropped_scan_is_refused_with_the_reason(tmp_path: Path) -> None:
    case = phantom_case("hospital", 3, "tiny")
    with pytest.raises(TruncatedFieldOfView):
        prepare_fields(tmp_path, PreparedStore(tmp_path / "p", preparation_of("tiny")), case)


def test_a_cropped_scan_among_others_is_used_at_its_native_dose(dosed) -> None:
    folder, store, whole = dosed
    crop = phantom_case("hospital", 3, "tiny")
    for _ in range(2):  # the second time it is already cached
        prepare_fields_or_note(folder, store, crop)
    found = at_native_dose(folder, store, [whole, crop])
    assert list(found) == [crop.id] and "crop" in found[crop.id]
    source = DoseSource.of(folder, store, [whole, crop], LiverWindow(), STILL)
    for case, untouched in ((crop, True), (whole, False)):
        view = ViewMaker(LiverWindow(), STILL)(store.get(case))
        assert torch.equal(source(view, 5), view.images["ct"]) is untouched
    with pytest.raises(TruncatedFieldOfView, match="1 of 1 CT scans are crops.*full fields of view"):
        at_native_dose(folder, store, [crop])
