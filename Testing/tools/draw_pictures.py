#!/usr/bin/env python3
"""Draw the pictures of the panel that the docs show, by clicking through a digital phantom in the test host.

    python Testing/tools/draw_pictures.py [--output docs/pictures] [--sample moderate] [--demo build/demo]

--demo joins the pictures of `make demo` to demo.png. Compare each picture with its previous version. The picture of low
doses is drawn by `draw_low_dose.py`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / name) for name in ("REACTKD", "REACTKDTrain", "Testing")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")
os.environ["REACTKD_SCREENSHOTS"] = "1"
SIZE = (1500, 950)
WIDEST = 1200
DRAWING_S = 5.0
BESIDE = 0.17  # from the left end of the liver to the lateral edge of the spleen, of the width of the image
LESION = "Lesion 1"  # the lesion clicked in the radiologist's tutorial


def main(arguments: list[str] | None = None) -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=REPOSITORY / "docs" / "pictures")
    parser.add_argument("--sample", choices=("well", "moderate", "poor"), default="moderate")
    parser.add_argument("--only", nargs="+", choices=DRAWN, default=list(DRAWN), help="which of them, in this order")
    parser.add_argument("--demo", type=Path, help="the folder of a finished `make demo`")
    options = parser.parse_args(arguments)
    if options.demo:
        join(options.demo, options.output / "demo.png")

    from host.application import start
    from host.user import User
    from host.window import load_sample

    application = start()
    application.load_module(REPOSITORY / "REACTKD" / "REACTKD.py")
    application.load_sample_data()
    application.window.resize(*SIZE)
    application.window.show()
    application.select_module("REACTKD")
    load_sample(options.sample)
    for name, draw in DRAWN.items():
        if name in options.only:
            draw(User(application), application, options.output)
    application.close()
    return 0


def join(demo: Path, path: Path) -> None:
    """Write the axial slice and the 3D view of a demo side by side, at a width that fits a page."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [Image.open(demo / f"{name}.png").convert("RGB") for name in ("axial", "volume")]
    whole = Image.new("RGB", (sum(part.width for part in parts), max(part.height for part in parts)))
    for n, part in enumerate(parts):
        whole.paste(part, (n * parts[0].width, 0))
    whole.save(path)
    fit(path)


def fit(path: Path) -> None:
    """Shrink a picture to at most `WIDEST` pixels; no palette, which would change the colors of the legend."""
    from PIL import Image

    picture = Image.open(path).convert("RGB")
    if picture.width > WIDEST:
        picture = picture.resize((WIDEST, WIDEST * picture.height // picture.width), Image.Resampling.LANCZOS)
    picture.save(path, optimize=True)
    print(path)


def keep(user: Any, folder: Path, name: str, of: str = "window") -> None:
    """Save a picture of the window, or of a part of it, after a grade, once the views have drawn names and outlines."""
    drawn = time.monotonic() + DRAWING_S
    user.wait_until(lambda: time.monotonic() > drawn, 10 * DRAWING_S, "the views")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.move(user.screenshot(f"docs_{name}", of), folder / f"{name}.png")
    fit(folder / f"{name}.png")


def draw_answer(user: Any, application: Any, folder: Path) -> None:
    """Click through the case and save a picture at each relevant step."""
    from REACTKDLib.core.errors import UsageError
    from support.panel_steps import grade, toggle_box

    user.wait_until(lambda: user.find("gradeButton").enabled, what="the recognition of the inputs")
    grade(user)
    user.settle()
    keep(user, folder, "reading_room")
    rows = [row[0] for row in user.rows("regionTable")]
    if LESION not in rows:
        raise UsageError("The sample has no lesion; choose another one.")
    lesion = rows.index(LESION)
    user.click_cell("regionTable", lesion, 1)
    user.click("rowsButton")
    user.settle()
    keep(user, folder, "pet_rows")
    user.click("ctButton")
    toggle_box(user, "regionTable", lesion)
    user.wait_until(lambda: user.sees("whatIfLabel"), 180, "what would be")
    keep(user, folder, "what_if", "whySection")
    toggle_box(user, "regionTable", lesion)
    user.click("graphCheckBox")
    user.settle()
    view = application.app.layoutManager().threeDWidget(0)
    view.forceRender()
    if not view.grab().save(str(folder / "region_graph.png")):
        raise UsageError("The picture of the region graph cannot be written.")


def draw_proposal(user: Any, application: Any, folder: Path) -> None:
    """Paint a dot at the spleen, as in the annotator's tutorial, and request the fix."""
    import numpy as np

    from support.edits import ball, mask_of, paint

    user.wait_until(lambda: user.find("gradeButton").enabled, what="the recognition of the inputs")
    context = application.modules["REACTKD"].widgetRepresentation().self().panel.context
    nodes = context.nodes
    user.open_section("masksSection")
    liver = mask_of(nodes.segmentation, "Liver", nodes.reference)
    places = np.argwhere(liver)
    k, j, _ = places.mean(axis=0)
    _, farthest_j, farthest_i = places.max(axis=0)
    # beyond the left end of the liver, halfway between its middle and its back: the lateral edge of the spleen
    ijk = [farthest_i + BESIDE * liver.shape[2], (j + farthest_j) / 2, k]
    spot = (slicer_matrix(nodes.reference) @ [*ijk, 1])[:3]
    stray = ball(nodes.reference, spot, 12.0) & ~liver
    paint(nodes.segmentation, "Tumor", stray, nodes.reference)
    user.click("checkButton")
    user.wait_until(lambda: user.find("checkButton").enabled and user.sees("findingsWidget"), 180, "the check")
    count = len(user.find("findingsWidget").children()) - 1
    row = next(n for n in range(count) if "outside the liver" in user.text(f"findingLabel{n}"))
    user.click(f"findingShowButton{row}")
    user.click(f"findingFixButton{row}")
    user.wait_until(lambda: user.sees("proposalWidget"), 180, "the proposal")
    user.settle()
    keep(user, folder, "proposal")


def slicer_matrix(volume: Any) -> Any:
    """Return the IJK-to-RAS matrix of a volume node, (4, 4)."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


DRAWN = {"answer": draw_answer, "proposal": draw_proposal}

if __name__ == "__main__":
    sys.exit(main())
