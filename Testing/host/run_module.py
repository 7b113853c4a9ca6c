"""Runs an installed module on the test host, as ctest does in a build of Slicer.

python -m host.run_module generic MODULE.py      load it, show its panel, change the scene, unload it
python -m host.run_module unittest MODULE.py     run the tests in its file, as slicer.testing.runUnitTest does
"""

from __future__ import annotations

import argparse
import sys
import unittest
from pathlib import Path
from typing import Any

import slicer

from host.application import Application, start


def main(arguments: list[str]) -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(prog="host.run_module", description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("generic", "unittest"))
    parser.add_argument("module", type=Path)
    options = parser.parse_args(arguments)
    application = start()
    module = application.load_module(options.module)
    passed = {"generic": generic, "unittest": unit_tests}[options.what](application, module)
    application.close()
    application.assert_no_errors()
    print(f"{module.name} ran from {Path(sys.modules[module.name].__file__).parent}")
    return 0 if passed else 1


def generic(application: Application, module: Any) -> bool:
    """Slicer's generic module test: load, show, change the scene, exit."""
    application.window.show()
    application.select_module(module.name)
    slicer.app.processEvents()
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    slicer.mrmlScene.Clear(0)
    slicer.app.processEvents()
    if not module.title or not module.about.helpText or not module.about.categories:
        raise AssertionError(f"{module.name} has no title, help or category")
    return True


def unit_tests(_application: Application, module: Any) -> bool:
    """Run the module's test class."""
    suite = unittest.TestLoader().loadTestsFromName(module.name)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    return result.wasSuccessful() and result.testsRun > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
