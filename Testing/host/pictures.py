"""Pictures of render windows: capture, write as PNG, and check whether rendering works on this computer."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

INSTALL_LINE = (
    "apt-get install --no-install-recommends libosmesa6 libgl1 libegl1 libgl1-mesa-dri fonts-dejavu-core "
    "(and set VTK_DEFAULT_OPENGL_WINDOW=vtkOSOpenGLRenderWindow)"
)

_PROBE = """
import vtk
window = vtk.vtkRenderWindow(); window.SetOffScreenRendering(1); window.SetSize(16, 16)
renderer = vtk.vtkRenderer(); renderer.SetBackground(1, 0, 0); window.AddRenderer(renderer); window.Render()
image = vtk.vtkWindowToImageFilter(); image.SetInput(window); image.ReadFrontBufferOff(); image.Update()
assert image.GetOutput().GetScalarComponentAsDouble(8, 8, 0, 0) > 250
print("drawn")
"""


@cache
def missing_rendering() -> str | None:
    """Return None if off-screen rendering works, else the reason; checked in a separate process, as it may crash."""
    prefer_off_screen()
    probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=120, check=False)
    if probe.returncode == 0 and "drawn" in probe.stdout:
        return None
    return f"no off-screen OpenGL (a probe ended with status {probe.returncode}); {INSTALL_LINE}"


def prefer_off_screen() -> None:
    """Make VTK use the window that needs no display, unless the user chose one or has a display."""
    if not os.environ.get("DISPLAY"):
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")


def grab(window: Any) -> np.ndarray:
    """Return the contents of `window`, (height, width, 3) uint8, top row first."""
    reader = vtk.vtkWindowToImageFilter()
    reader.SetInput(window)
    reader.SetInputBufferTypeToRGB()
    reader.ReadFrontBufferOff()
    reader.ShouldRerenderOff()  # it is drawn already
    reader.Update()
    image = reader.GetOutput()
    width, height, _ = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, 3)[::-1].copy()


def render_small(window: Any) -> None:
    """Render a few pixels and restore the window; used to provoke VTK's errors, not for the picture."""
    size = window.GetSize()
    window.SetSize(64, 48)
    window.Render()
    window.SetSize(*size)


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write `pixels`, (height, width, 3) uint8, as a PNG beside `path`, then rename it into place."""
    height, width, _ = pixels.shape
    image = vtk.vtkImageData()
    image.SetDimensions(width, height, 1)
    image.GetPointData().SetScalars(numpy_to_vtk(pixels[::-1].reshape(-1, 3).copy(), deep=True))
    half_done = path.with_name(f".{path.name}.part")
    writer = vtk.vtkPNGWriter()
    writer.SetFileName(str(half_done))
    writer.SetInputData(image)
    writer.Write()
    half_done.replace(path)


def saturation(pixels: np.ndarray) -> np.ndarray:
    """Return the distance of each pixel from gray, (height, width) float in 0..255: largest minus smallest channel."""
    values = pixels.astype(np.int16)
    return (values.max(axis=-1) - values.min(axis=-1)).astype(np.float64)
