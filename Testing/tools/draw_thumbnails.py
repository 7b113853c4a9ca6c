"""Draw the pictures of the sample data: an axial slice of each phantom patient through its main lesion.

PYTHONPATH=REACTKD:Testing python Testing/tools/draw_thumbnails.py        writes REACTKD/Resources/Icons/Phantom*.png
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from host.boot import boot
from host.pictures import write_png
from host.scripted_module import install
from host.slice_view import SliceView
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.phantom import acquire, draw_patient
from REACTKDLib.scene.case import nodes_from_case

install()

from REACTKDLib.gui.sample_data import ABDOMEN, SAMPLES, Sample  # noqa: E402 - after slicer.i18n is there

ICONS = Path(__file__).resolve().parents[2] / "REACTKD" / "Resources" / "Icons"
SIZE = (216, 144)  # pixels; Sample Data shows 144 x 96 and more on dense screens
HEIGHT_MM = 290.0


def draw(sample: Sample) -> None:
    """Write the picture of one patient: CT with the tumor outlined."""
    host = boot()
    host.reset()
    view = SliceView(host, "Red", "Axial", SIZE)
    case = acquire(draw_patient(sample.seed, grade=sample.grade), size="full").case
    nodes = nodes_from_case(host.scene, case)
    nodes.reference.GetDisplayNode().SetAutoWindowLevel(False)
    nodes.reference.GetDisplayNode().SetWindowLevel(*ABDOMEN)
    display = nodes.segmentation.GetDisplayNode()
    display.SetOpacity2DFill(0.0)
    display.SetSliceIntersectionThickness(2)
    view.show(nodes.reference)
    regions = RegionSet.from_masks(case.liver, case.tumor, case.reference.ijk_to_ras)
    body = case.reference.ijk_to_ras @ [*(np.array(case.reference.shape[::-1]) / 2), 1.0]
    view.look_at((body[0], body[1], regions.lesions[0].centroid_ras[2]), HEIGHT_MM)
    write_png(ICONS / sample.picture, view.pixels())
    view.close()


if __name__ == "__main__":
    for one in SAMPLES:
        draw(one)
