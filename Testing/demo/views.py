"""The demo's pictures: the graded case in axial and coronal slices and in 3D, with a caption drawn into them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import vtk

from host.boot import Host
from host.pictures import write_png
from host.slice_view import SliceView
from host.three_d_view import ThreeDView
from REACTKDLib.core.masks.regions import Region
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.outputs import Outputs
from REACTKDLib.scene.result import GradeResult, rows_with_regions
from REACTKDLib.scene.volumes import volume_from_node

ABDOMEN_WINDOW = (-160.0, 240.0)  # HU: fat is dark gray and air black, the usual window for the abdomen
SLICE_SIZE = (1080, 860)
THREE_D_SIZE = (1080, 860)
LEGEND_SHARE = 0.16  # of the image width
CAPTION_SHARE = 0.10  # of the image height
PHANTOM_NOTE = "Digital phantom - not for clinical use"


class Views:
    """The three views of the demo. Create them before grading, so that the color legends appear in them."""

    def __init__(self, host: Host) -> None:
        self.axial = SliceView(host, "Red", "Axial", SLICE_SIZE)
        self.coronal = SliceView(host, "Green", "Coronal", SLICE_SIZE)
        self.volume = ThreeDView(host, size=THREE_D_SIZE)

    def arrange(self, nodes: CaseNodes, outputs: Outputs, result: GradeResult, note: str) -> None:
        """Show the case with its caption in all three views; the slices pass through the leading lesion."""
        nodes.segmentation.SetDisplayVisibility(False)
        _set_window(nodes)
        at = _point_of_interest(result)
        body = _body(nodes)
        for view, letters, up in ((self.axial, "RLAP", 1), (self.coronal, "RLSI", 2)):
            view.show(nodes.reference)
            _look(view, at, body, up)
            _write_letters(view, letters)
        bounds = [0.0] * 6
        outputs.regions.GetRASBounds(bounds)
        self.volume.look_at(tuple(bounds))
        for view in (self.axial, self.coronal, self.volume):
            _write_text(view, caption(result.report, note), (0.015, 0.02), size=19)

    def write(self, folder: Path, nodes: CaseNodes, outputs: Outputs, result: GradeResult, note: str) -> list[Path]:
        """Arrange the views and write axial.png, coronal.png and volume.png into `folder`."""
        self.arrange(nodes, outputs, result, note)
        paths = []
        for name in ("axial", "coronal", "volume"):
            paths.append(folder / f"{name}.png")
            write_png(paths[-1], getattr(self, name).pixels())
        return paths

    def close(self) -> None:
        """Release the scene and the windows."""
        for view in (self.axial, self.coronal, self.volume):
            view.close()


def caption(report: GradeReport, note: str) -> str:
    """Return the lines of the caption: grade, probabilities, inputs, note."""
    inputs = " + ".join(ROLES[Modality(name)].removeprefix("the ") for name in report.inputs)
    if report.grade is None:
        return f"No grade: no lesion is drawn\nFrom {inputs}.  {note}"
    shares = "   ".join(f"{name} {100 * p:.0f} %" for name, p in report.probabilities.items())
    answer = f"Predicted grade: {report.grade}{' (uncertain)' if report.uncertain else ''}      {shares}"
    return f"{answer}\nFrom {inputs}.  Orange is for the grade, blue against it.  {note}"


def _set_window(nodes: CaseNodes) -> None:
    display = nodes.reference.GetDisplayNode()
    if Modality.CT in nodes.volumes:
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(*ABDOMEN_WINDOW)
    display.SetInterpolate(True)


def _point_of_interest(result: GradeResult) -> tuple[float, float, float]:
    """Return the voxel of the leading lesion nearest to its centroid (which may lie outside the lesion), in RAS mm."""
    region = _leading_lesion(result) or result.regions.regions[0]
    voxels = np.argwhere(result.regions.labels[region.box] == region.label)[:, ::-1]
    start = np.array([part.start for part in region.box])[::-1]
    matrix = result.regions.ijk_to_ras
    ras = (voxels + start) @ matrix[:3, :3].T + matrix[:3, 3]
    nearest = ras[np.argmin(((ras - np.array(region.centroid_ras)) ** 2).sum(axis=1))]
    return tuple(float(v) for v in nearest)


def _body(nodes: CaseNodes) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest R, A, S (mm) of the imaged body: tissue of a CT, uptake of a PET."""
    volume = volume_from_node(nodes.reference)
    step = 6
    array = volume.array[::2, ::step, ::step]
    voxels = np.argwhere(array > (-300 if Modality.CT in nodes.volumes else 0.1 * float(array.max())))
    if not len(voxels):
        voxels = np.argwhere(np.ones_like(array))
    ijk = voxels[:, ::-1] * np.array([step, step, 2])
    ras = ijk @ volume.ijk_to_ras[:3, :3].T + volume.ijk_to_ras[:3, 3]
    low, high = np.percentile(ras, (1, 99), axis=0)  # omits the scanner table, at most one percent of the voxels
    return low - 0.04 * (high - low), high + 0.04 * (high - low)


def _look(view: SliceView, at: tuple[float, ...], body: tuple[np.ndarray, np.ndarray], up: int) -> None:
    """Show the whole body in the slice through `at`, with space on the right for the legend and below for the caption.

    up: the axis (0 R, 1 A, 2 S) that points up in the view.
    """
    low, high = body
    width, height = view.size
    extent = high - low
    needed = max(extent[up] / (1 - CAPTION_SHARE - 0.06), extent[0] / (1 - LEGEND_SHARE - 0.04) * height / width)
    center = (low + high) / 2
    across = 3 - up
    center[across] = at[across]
    center[0] -= LEGEND_SHARE / 2 * needed * width / height  # the patient's left is on the right of the image
    center[up] -= CAPTION_SHARE / 2 * needed
    view.look_at(tuple(float(v) for v in center), needed)


def _write_letters(view: Any, letters: str) -> None:
    """Write the patient orientation letters at the edges: left, right, top, bottom of the picture."""
    for letter, place in zip(letters, ((0.015, 0.5), (0.845, 0.5), (0.43, 0.955), (0.43, 0.10))):
        _write_text(view, letter, place, size=22)


def _write_text(view: Any, text: str, place: tuple[float, float], size: int) -> None:
    actor = vtk.vtkTextActor()
    actor.SetInput(text)
    actor.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
    actor.SetPosition(*place)
    style = actor.GetTextProperty()
    style.SetFontSize(size)
    style.SetFontFamilyToArial()
    style.SetColor(1, 1, 1)
    style.SetShadow(True)
    style.SetLineSpacing(1.25)
    view.renderer.AddActor2D(actor)


def _leading_lesion(result: GradeResult) -> Region | None:
    """Return the lesion with the largest effect on the grade; None without lesions."""
    lesions = [(row, region) for row, region in rows_with_regions(result) if row.kind == "tumor"]
    return max(lesions, key=lambda pair: pair[0].importance)[1] if lesions else None
