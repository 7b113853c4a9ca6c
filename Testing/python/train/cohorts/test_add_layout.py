"""Adding a custom layout takes one file in `cohorts/layouts`, as a how-to page shows: done in a copy of the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import REACTKDTrainLib
from REACTKDTrainLib.cohorts.layout import known_layouts
from support.case_files import write_case
from support.page_code import code_of
from support.small_cases import small_case

(OWN,) = code_of("how-to/add_a_cohort.md")
ASK = """
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
print([(case.id, case.grade, bool(case.load().tumor.any())) for case in open_cohort("data").cases])
try:
    open_cohort("other")
except Exception as error:
    print(error)
"""


def test_a_layout_in_a_file_of_its_own_is_recognized_by_every_command(tmp_path: Path) -> None:
    library = Path(REACTKDTrainLib.__file__).parent
    copy = tmp_path / "tree" / library.name
    shutil.copytree(library, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "cohorts" / "layouts" / "mine.py").write_text(OWN)
    write_case(small_case(), tmp_path / "data" / "mine" / "high-1")
    (tmp_path / "other").mkdir()
    path = os.pathsep.join([str(copy.parent), *(p for p in sys.path if p)])

    def run(*arguments: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    found = run("-m", "REACTKDTrainLib", "cohorts", "check", "data")
    assert found[:2] == ["my hospital: 1 case of 1 patient", "grades: 1 poor"]
    cases, refusal = run("-c", ASK)
    assert cases == "[('high-1', 2, True)]" and "nor a folder called mine, nor DICOM with segmentations, nor" in refusal


def test_layouts_are_tried_from_the_most_to_the_least_specific() -> None:
    assert [layout.holds.split()[0] for layout in known_layouts()] == [
        "Dataset",
        "Public_CT_Grouped",
        "volume-N",
        "DICOM",
    ]
