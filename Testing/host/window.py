"""The test host as a window: the module beside slice and 3D views, for development without Slicer.

    make slicer-host                                                     on a screen, or under xvfb-run
        python -m host.window --sample poor --screenshot build/window.png    without a screen: take one picture and exit

The toolbar selects the module, reloads the current one from its files, closes the scene, and selects the layout. The
wheel moves through slices, dragging rotates the 3D view. Message boxes are shown, as in Slicer.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if not sys.platform.startswith("linux") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "")  # use the screen; by default the host uses none

import slicer  # noqa: E402

from host.application import Application, qt, start  # noqa: E402
from host.qt_shim import slot_errors  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[2]
LAYOUTS = {
    "Four-up": "SlicerLayoutFourUpView",
    "Axial only": "SlicerLayoutOneUpRedSliceView",
    "3D only": "SlicerLayoutOneUp3DView",
}


def main(arguments: list[str]) -> int:
    """Open the window; return the exit status: 1 if a slot or VTK reported an error."""
    options = parse(arguments)
    application = start()
    if application.qt_application.platformName == "offscreen" and not options.screenshot:
        print(
            "There is no screen here. Run it under xvfb-run, or take one picture: "
            'make slicer-host ARGS="--screenshot build/window.png".',
            file=sys.stderr,
        )
        return 2
    application.app.setTestingEnabled(False)
    application.load_module(REPOSITORY / "REACTKD" / "REACTKD.py")
    application.load_sample_data()
    add_tool_bar(application)
    say_what_is_missing(application)
    application.window.show()
    application.select_module("REACTKD")
    if options.sample:
        load_sample(options.sample)
    if options.screenshot:
        take_picture(application, options.screenshot)
        print(f"Wrote {options.screenshot}.")
    else:
        application.qt_application.exec()
    application.close()
    for message in (*slot_errors, *application.host.errors.errors):
        print(message, file=sys.stderr)
    return 1 if slot_errors or application.host.errors.errors else 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="host.window", description="Open the module without Slicer.")
    parser.add_argument("--sample", choices=("well", "moderate", "poor"), help="begin with this digital phantom")
    parser.add_argument("--screenshot", type=Path, metavar="PNG", help="write a picture of the window and end")
    return parser.parse_args(arguments)


def add_tool_bar(application: Application) -> None:
    """Add the functions of Slicer's toolbars that a developer of the module needs."""
    bar = application.window.addToolBar("Modules")
    bar.movable = False
    modules = qt.QComboBox()
    modules.addItems(list(application.modules))
    modules.connect("currentTextChanged(QString)", application.select_module)
    bar.addWidget(modules)
    for text, called in (
        ("Reload", lambda: slicer.util.getModuleWidget(application.selected).onReload()),
        ("Close scene", lambda: slicer.mrmlScene.Clear(0)),
        ("Center views", center_views),
    ):
        bar.addWidget(button(text, called))
    layouts = qt.QComboBox()
    layouts.addItems(list(LAYOUTS))
    layouts.connect("currentTextChanged(QString)", set_layout)
    bar.addWidget(layouts)


def say_what_is_missing(application: Application) -> None:
    """Say that there is no Segment Editor when it is opened, and return to the panel, which would be left otherwise."""
    enter, module = application.segment_editor.enter, "REACTKD"

    def enter_and_return() -> None:
        enter()
        slicer.util.infoDisplay(
            "This window has no Segment Editor, which is part of Slicer; no mask can be drawn here."
        )
        application.select_module(module)

    application.segment_editor.enter = enter_and_return


def button(text: str, called: Callable[[], Any]) -> Any:
    """Return a button of the toolbar."""
    made = qt.QToolButton()
    made.text = text
    made.connect("clicked()", called)
    return made


def set_layout(name: str) -> None:
    """Show the views of a layout, by its name in the toolbar."""
    slicer.app.layoutManager().setLayout(getattr(slicer.vtkMRMLLayoutNode, LAYOUTS[name]))


def center_views() -> None:
    """Fit all views to their contents."""
    slicer.app.layoutManager().resetSliceViews()
    slicer.app.layoutManager().resetThreeDViews()


def load_sample(grade: str) -> None:
    """Load one of the module's sample data."""
    from REACTKDLib.gui.sample_data import SAMPLES, load

    load(next(sample for sample in SAMPLES if sample.grade == grade))


def take_picture(application: Application, path: Path) -> None:
    """Write a picture of the window."""
    for _ in range(5):
        application.app.processEvents()
    path.parent.mkdir(parents=True, exist_ok=True)
    if not application.window.grab().save(str(path)):
        raise SystemExit(f"The picture cannot be written to {path}.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
