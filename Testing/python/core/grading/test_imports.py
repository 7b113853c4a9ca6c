"""Imports up to the first grade and its voxel map: only what inference needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
SCRIPT = """
import sys
from REACTKDLib.core.grading.grader import Grader, load_libraries
from REACTKDLib.core.student.bundle import Bundle, shipped_bundle_folder
from support.small_cases import small_case

load_libraries()
grader, warm = Grader(Bundle.load(shipped_bundle_folder()), device="cpu"), set(sys.modules)
result = grader.open(small_case()).grade()
assert result.report.grade and result.voxel_map.array.any()
late = [name for name in set(sys.modules) - warm if name.partition(".")[0] in ("scipy", "torch", "REACTKDLib")]
print(" ".join(sorted(late)) + ";" + " ".join(sorted(sys.modules)))
"""
# importing any of these takes longer than grading a small case
NOT_NEEDED = (
    *("scipy.signal", "scipy.stats", "scipy.optimize", "skimage"),
    *("monai", "SimpleITK", "sklearn", "matplotlib", "sympy"),
)


def test_a_grade_imports_nothing_that_it_does_not_need():
    """Runs in its own process (five seconds), as the other tests have imported everything here."""
    folders = os.pathsep.join(str(ROOT / name) for name in ("REACTKD", "Testing"))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONPATH": folders}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    late, loaded = (part.split() for part in done.stdout.split(";"))
    assert "torch" in loaded and "scipy.ndimage" in loaded
    assert [name for name in NOT_NEEDED if name in loaded] == []
    assert [name for name in late if not name.startswith("REACTKDLib")] == [], (
        "these modules are imported during the grade"
    )
