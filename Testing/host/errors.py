"""Collects the errors that VTK reports on its output window, so that a test can check that there were none."""

from __future__ import annotations

import vtk

HARMLESS = (
    "HomeDirectory is not set",  # the color logic looks for the user's color files, which only the application has
    "bad X server connection",
    "Failed to load",  # cursors and libraries of a screen, which is missing here
)


class VtkErrors:
    """Collects VTK errors (and, separately, warnings) once it is installed."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self._window = vtk.vtkStringOutputWindow()
        self._window.AddObserver(vtk.vtkCommand.ErrorEvent, self._keep(self.errors))
        self._window.AddObserver(vtk.vtkCommand.WarningEvent, self._keep(self.warnings))

    def install(self) -> VtkErrors:
        """Redirect VTK's messages to this object and keep its logger off stderr; return self."""
        vtk.vtkOutputWindow.SetInstance(self._window)
        vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
        return self

    def clear(self) -> None:
        """Discard what was collected."""
        self.errors.clear()
        self.warnings.clear()

    def assert_none(self) -> None:
        """Raise AssertionError that quotes every VTK error since the last `clear`."""
        if self.errors:
            raise AssertionError("VTK reported errors:\n" + "\n".join(self.errors))

    @staticmethod
    def _keep(into: list[str]):
        def observer(_caller: object, _event: str, text: str) -> None:
            if not any(known in text for known in HARMLESS):
                into.append(text.strip())

        observer.CallDataType = vtk.VTK_STRING
        return observer
