"""What a reader sees: the deciding region stands out, nothing is hidden, nothing is on the wrong side."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import vtk
from scipy.ndimage import binary_dilation, binary_erosion

from demo.views import PHANTOM_NOTE, Views
from host.pictures import saturation, write_png
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.case import nodes_from_case
from REACTKDLib.scene.colors import show_legend
from REACTKDLib.scene.heat_map import hide_from_slices, show_in_slices
from REACTKDLib.scene.lesion_names import LesionNames
from REACTKDLib.scene.outputs import outputs_of
from REACTKDLib.scene.pet_colors import GRAY, pet_table
from REACTKDLib.scene.pet_outlines import forget_pet_outlines, outline_on_pet
from REACTKDLib.scene.session import SceneSession
from support.scene_cases import HandMadeGrader, make_case

pytestmark = pytest.mark.rendering

# Three lesions of different sizes in one axial plane; left to right in the picture, the largest is in the middle.
LESIONS = {(-5.0, 20.0, 45.0): 9.0, (-40.0, 10.0, 45.0): 14.0, (-75.0, 25.0, 45.0): 6.5}
MINUS = {"largest": (0.30, 0.08, -0.10), "middle": (0.02, 0.25, -0.1), "smallest": (0.1, 0.05, 0.2)}
EFFECTS = MINUS | {"smallest, against the grade": (0.1, 0.05, -0.2), "faint": (0.004, 0.012, -0.002)}


@cache
def the_case() -> Case:
    return make_case(lesions=LESIONS)


class Graded:
    """A graded case on the screen."""

    def __init__(self, host, effects) -> None:
        self.views = Views(host)
        self.nodes = nodes_from_case(host.scene, the_case())
        session = SceneSession(host.scene, self.nodes, HandMadeGrader(effects=effects))
        self.result = session.grade()
        self.outputs = outputs_of(session.parameter_node)

    def arrange(self) -> None:
        self.views.arrange(self.nodes, self.outputs, self.result, PHANTOM_NOTE)

    def labels_in(self, view) -> np.ndarray:
        """The region label at each pixel, from geometry alone, (height, width)."""
        regions = self.result.regions
        ras = view.ras_of_pixels().reshape(-1, 3)
        inverse = np.linalg.inv(regions.ijk_to_ras)
        kji = np.rint(ras @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)[:, ::-1]
        inside = ((kji >= 0) & (kji < regions.labels.shape)).all(axis=1)
        labels = np.zeros(len(ras), int)
        labels[inside] = regions.labels[tuple(kji[inside].T)]
        return labels.reshape(view.size[::-1])


@pytest.fixture
def graded(host, request):
    graded = Graded(host, getattr(request, "param", EFFECTS["middle"]))
    yield graded
    graded.views.close()


@pytest.mark.parametrize("graded", EFFECTS.values(), ids=EFFECTS, indirect=True)
def test_lesion_with_the_largest_effect_is_the_most_salient_color(graded):
    graded.arrange()
    for name in ("axial", "coronal"):
        _assert_leader_stands_out(graded, name)


def _assert_leader_stands_out(graded, name):
    view = getattr(graded.views, name)
    salience, labels = saturation(view.pixels()), graded.labels_in(view)
    rows = graded.result.report.regions[1:-1]
    leader = 2 + int(np.argmax([row.importance for row in rows]))
    shown = [label for label in np.unique(labels) if (labels == label).sum() >= 60 and label]
    assert leader in shown
    if name == "axial":
        assert shown == [1, 2, 3, 4]
    # Measured at its outline: all cases share one color scale, so a lesion with a small share is always faint.
    color = {label: np.percentile(salience[binary_dilation(labels == label, iterations=2)], 98) for label in shown}
    others = [value for label, value in color.items() if label != leader]
    least = 120 if rows[leader - 2].importance > 0.1 else 25
    assert color[leader] > 1.3 * max(others) and color[leader] > least, color
    # Nothing else in the picture, except the legend at the right, is as saturated as this outline.
    picture = salience.copy()
    picture[:, round(0.84 * picture.shape[1]) :] = 0
    outline = binary_dilation(labels == leader, iterations=4) & ~binary_erosion(labels == leader, iterations=4)
    assert picture[outline].max() > least
    assert picture[~binary_dilation(labels == leader, iterations=4)].max() < 0.85 * picture[outline].max()


def test_patient_right_is_at_the_left(graded):
    graded.arrange()
    axial, coronal = (view.ras_of_pixels() for view in (graded.views.axial, graded.views.coronal))
    for ras in (axial, coronal):
        assert ras[0, 0, 0] > ras[0, -1, 0]
    assert axial[0, 0, 1] > axial[-1, 0, 1]
    assert coronal[0, 0, 2] > coronal[-1, 0, 2]
    # Also in the pixels: the middle lesion, at R = -5, is red; its colored pixels lie left of the liver's center.
    pixels, labels = graded.views.axial.pixels(), graded.labels_in(graded.views.axial)
    colored = saturation(pixels) > 130
    colored[:, round(0.84 * colored.shape[1]) :] = False
    column = np.argwhere(colored)[:, 1].mean()
    assert column < np.argwhere(labels > 0)[:, 1].mean()
    assert np.argwhere(colored)[:, 1].mean() == pytest.approx(np.argwhere(labels == 3)[:, 1].mean(), abs=3)


def test_slices_go_through_the_leading_lesion(graded):
    graded.arrange()
    for view in (graded.views.axial, graded.views.coronal):
        assert (graded.labels_in(view) == 3).sum() > 100


def test_every_lesion_has_an_outline_that_differs_from_what_lies_under_it(graded):
    """Including lesions with no effect, whose color is a neutral white."""
    graded.arrange()
    view, labels = graded.views.axial, graded.labels_in(graded.views.axial)
    drawn = view.pixels().astype(int)
    graded.outputs.regions.SetDisplayVisibility(False)
    bare = view.pixels().astype(int)
    for label in (2, 3, 4):
        mask = labels == label
        edge = mask & ~binary_erosion(mask, iterations=2)
        assert np.abs(drawn - bare).max(axis=-1)[edge].mean() > 30, label


@pytest.mark.parametrize("graded", [EFFECTS["faint"]], indirect=True)
def test_outlines_are_visible_on_a_white_pet(graded, tmp_path):
    """Including lesions with no effect, whose own color is nearly white."""
    view, pet = graded.views.axial, graded.nodes.volumes[Modality.FDG]
    scene, outputs = pet.GetScene(), graded.outputs
    display = pet.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0.0, 100.0)  # white everywhere
    display.SetAndObserveColorNodeID(pet_table(scene, GRAY, fused=False).GetID())
    graded.nodes.segmentation.SetDisplayVisibility(False)
    view.show(pet)
    view.look_at(graded.result.report.regions[2].centroid_ras_mm, height_mm=260.0)
    shown, labels = (outputs.liver_outline, outputs.regions), graded.labels_in(view)
    for node in shown:
        for _made in outline_on_pet(node, [view.node], on_white=True):
            pass
    drawn = view.pixels()
    write_png(tmp_path / "white.png", drawn)
    for node in shown:
        node.SetDisplayVisibility(False)
        assert list(outline_on_pet(node, [view.node], on_white=True)) == [], "made once"
    bare = view.pixels()
    assert np.median(bare[labels > 0]) > 235, "the ground is white"
    for label in (2, 3, 4):
        mask = labels == label
        edge = mask & ~binary_erosion(mask, iterations=2)
        darker = bare.astype(int).min(axis=-1) - drawn.astype(int).min(axis=-1)
        assert mask.sum() > 60 and np.percentile(darker[edge], 20) > 60, label
        inside = binary_erosion(mask, iterations=6)
        assert np.abs(drawn.astype(int) - bare)[inside].max() < 10, "the uptake in it is not covered"
    steps = outline_on_pet(outputs.regions, [view.node], on_white=False)
    forget_pet_outlines(scene)
    next(steps)
    scene.RemoveNode(outputs.regions)
    assert list(steps) == [], "removing the case must end the steps"
    forget_pet_outlines(scene)


def test_no_ring_runs_around_a_lesion(graded):
    """Nothing is drawn outside a lesion and inside the liver that could be mistaken for a capsule."""
    graded.arrange()
    view, labels = graded.views.axial, graded.labels_in(graded.views.axial)
    drawn = view.pixels().astype(int)
    for node in (graded.outputs.regions, graded.outputs.liver_outline):
        node.SetDisplayVisibility(False)
    changed = np.abs(drawn - view.pixels().astype(int)).max(axis=-1) > 8
    deep = binary_erosion(labels > 0, iterations=8)
    around = binary_dilation(labels >= 2, iterations=8) & ~binary_dilation(labels >= 2, iterations=2)
    assert (around & deep).sum() > 1000 and not changed[around & deep].any()
    edge = (labels > 0) & ~binary_erosion(labels > 0, iterations=2)
    assert changed[edge].mean() > 0.9, "the liver's own outline is there"


def test_labels_are_beside_the_lesions_that_a_slice_cuts(graded):
    graded.arrange()
    views, lesions = (graded.views.axial, graded.views.coronal, graded.views.volume), graded.result.regions.lesions
    bare = [view.pixels().astype(int) for view in views]
    for view in views:
        view.node.SetMappedInLayout(True)
    names = LesionNames(graded.views.axial.host.scene)
    names.show(graded.outputs.regions)
    for view, before in zip(views[:2], bare, strict=False):
        written = np.abs(view.pixels().astype(int) - before).max(axis=-1) > 40
        labels = graded.labels_in(view)
        cut = [lesion.label for lesion in lesions if (labels == lesion.label).sum() >= 60]
        far = written & ~binary_dilation(np.isin(labels, cut), iterations=110)
        assert not far.any()
        for label in cut:
            assert (written & binary_dilation(labels == label, iterations=40)).sum() > 80, label
            assert (written & (labels == label)).mean() < 0.002, "a name covers its lesion"
    assert (np.abs(views[2].pixels().astype(int) - bare[2]).max(axis=-1) > 40).sum() > 300
    low = graded.result.regions.ijk_to_ras[:3, 3]
    views[0].look_at(tuple(float(value) for value in low - 30.0))
    empty = views[0].pixels()
    names.close()
    assert np.array_equal(views[0].pixels(), empty), "a slice without lesions has no names"


def test_heat_map_is_clear_where_it_is_zero(graded):
    graded.arrange()
    view = graded.views.axial
    graded.outputs.regions.SetDisplayVisibility(False)
    bare = view.pixels().astype(int)
    show_in_slices(graded.nodes.reference.GetScene(), graded.outputs.heat_map)
    covered = view.pixels().astype(int)
    labels = graded.labels_in(view)
    changed = np.abs(covered - bare).max(axis=-1) > 8
    beside = changed[:, : round(0.18 * changed.shape[1])]
    assert beside.sum() > 3000  # the heat map's own legend, on the left
    beside[:] = False
    near_lesion = binary_dilation(labels >= 2, iterations=12)
    assert changed[binary_erosion(labels == 3, iterations=8)].mean() > 0.9
    assert not changed[~near_lesion].any()
    hide_from_slices(graded.nodes.reference.GetScene(), graded.outputs.heat_map)
    assert np.array_equal(view.pixels(), bare)


def test_legends_show_in_every_view(graded):
    graded.arrange()
    for view in (graded.views.axial, graded.views.coronal, graded.views.volume):
        right = view.pixels()[:, round(0.95 * view.size[0]) :].astype(int)
        red = (right[..., 0] - right[..., 2]).max()
        blue = (right[..., 2] - right[..., 0]).max()
        assert red > 180 and blue > 150


def test_the_title_of_a_legend_is_in_the_view(graded):
    """Slicer gives it the size of the letters of the numbers, which depends on the legend's width."""
    graded.arrange()
    for lines in (2, 3, 4):
        title = "\n".join(["poor 99%", "share, percentage points", "colors end at ±40", "Number -12"][:lines])
        show_legend(graded.outputs.scale, title, "%.0f", x=0.98)
        for view in (graded.views.axial, graded.views.volume):
            right = view.pixels()[:, view.size[0] // 2 :].min(axis=-1)
            letters = right[: round(0.13 * view.size[1])] > 200
            assert letters.sum() > 300 and not letters[:2].any(), f"{lines} lines: cut off at the top"


def test_lesions_are_solid_and_the_parenchyma_is_clear_in_3d(graded):
    graded.arrange()
    view = graded.views.volume
    salience = saturation(view.pixels())
    at = {region.label: _pixel_in(view, region.centroid_ras) for region in graded.result.regions.lesions}
    seen = {label: salience[row - 3 : row + 4, column - 3 : column + 4].mean() for label, (row, column) in at.items()}
    assert max(seen, key=seen.get) == 3 and seen[3] > 100
    graded.outputs.regions.GetDisplayNode().SetSegmentVisibility("Region_3", False)
    row, column = at[3]
    assert saturation(view.pixels())[row - 3 : row + 4, column - 3 : column + 4].mean() < 60


def _pixel_in(view, ras) -> tuple[int, int]:
    coordinate = vtk.vtkCoordinate()
    coordinate.SetCoordinateSystemToWorld()
    coordinate.SetValue(*ras)
    x, y = coordinate.GetComputedDisplayValue(view.renderer)
    return view.size[1] - 1 - y, x


def test_pictures_are_complete_files_with_a_caption(graded, tmp_path):
    from PIL import Image

    graded.views.write(tmp_path, graded.nodes, graded.outputs, graded.result, PHANTOM_NOTE)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["axial.png", "coronal.png", "volume.png"]
    for name in ("axial", "coronal", "volume"):
        view = getattr(graded.views, name)
        with Image.open(tmp_path / f"{name}.png") as picture:
            pixels = np.asarray(picture)
        assert pixels.shape == (*view.size[::-1], 3)
        caption = pixels[round(0.92 * len(pixels)) :, : pixels.shape[1] // 2]
        assert (caption.min(axis=-1) > 230).mean() > 0.01
