"""Command names of the last release: they still work, with a hint on standard error, until the next release."""

from __future__ import annotations

from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader

#: module under REACTKDTrainLib that was run by `python -m` -> the command that replaces it
MOVED = {
    "cohorts.__main__": "cohorts",
    "low_dose.__main__": "low-dose",
    "study.__main__": "study",
    "study.compare": "compare",
    "study.explanations": "compare explanations",
    "evaluation.compare": "compare runs",
    "heads.compare": "compare nodes",
    "run.comparison": "compare methods",
    **{f"shipped.{step}": "release make" for step in ("prepared", "extract", "ship", "distill")},  # one step each
    "shipped.page": "release page",
}
PACKAGES = ("heads", "run", "shipped")  # packages that no longer exist
SOURCE = """
import sys
from REACTKDTrainLib.__main__ import main
if __name__ == "__main__":
    print("This command is now: python -m REACTKDTrainLib {now}; the old name goes with the next release.",
          file=sys.stderr, flush=True)
    sys.exit(main([*{now!r}.split(), *sys.argv[1:]]))
"""


class _Moved(MetaPathFinder, InspectLoader):
    """Import hook that finds the modules of MOVED after all other finders have failed."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        name = fullname.removeprefix("REACTKDTrainLib.")
        if name == fullname or (name not in MOVED and name not in PACKAGES):
            return None
        return spec_from_loader(fullname, self, is_package=name in PACKAGES)

    def is_package(self, fullname: str) -> bool:
        return fullname.removeprefix("REACTKDTrainLib.") in PACKAGES

    def get_source(self, fullname: str) -> str:
        now = MOVED.get(fullname.removeprefix("REACTKDTrainLib."))
        return SOURCE.format(now=now) if now else ""


FINDER = _Moved()
