"""A layout of one's own is one file in `cohorts/layouts`: done here in a copy of the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import REACTKDTrainLib
from REACTKDTrainLib.cohorts.layout import known_layouts
from support.case_files import write_case
from support.small_cases import small_case

OWN = """
from functools import partial
from pathlib import Path

from REACTKDLib.core.cases.open_case import open_case
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.fingerprint import fingerprint_of
from REACTKDTrainLib.cohorts.layout import Layout
from REACTKDTrainLib.cohorts.survey import Survey


def survey(root, options, on_progress):
    cases = []
    for folder in sorted((root / "mine").iterdir()):
        ct, masks = folder / "CT.nii.gz", folder / "segmentation.seg.nrrd"
        load = partial(open_case, ct, segmentation=masks, case_id=folder.name)
        grade = ("low", "middle", "high").index(folder.name.split("-")[0])
        cases.append(CohortCase(folder.name, folder.name, grade, ("ct",), load, fingerprint_of([ct, masks])))
    return Survey("my hospital", tuple(cases))


LAYOUT = Layout("a folder called mine", lambda root: (Path(root) / "mine").is_dir(), survey)
"""
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


def test_layouts_are_asked_from_the_narrowest_to_the_widest() -> None:
    assert [layout.holds.split()[0] for layout in known_layouts()] == [
        "Dataset",
        "Public_CT_Grouped",
        "volume-N",
        "DICOM",
    ]
