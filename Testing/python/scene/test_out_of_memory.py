"""Memory that runs short in the application while a case is handed over or colored, under a limit of the system."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from REACTKDLib.core.memory import out_of_memory

pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="sizes of an address space: Linux only")

EVERY_MIB = 0, 0.5, 2, 4, 8, 12, 20  # from the hand-over to the coloring
CHILD = """
import sys
from pathlib import Path
from host.boot import boot
host = boot()
from REACTKDLib.core.worker import jobs
from REACTKDLib.scene.case import nodes_from_case
from REACTKDLib.scene.grading import GradingController
from support.memory_limit import short_of_memory
from support.panel_steps import segments_as_bytes
from support.scene_cases import make_case
from support.script_runs import run
from support.small_models import write_small_model

model = jobs.Model(str(write_small_model(Path(sys.argv[1]) / "small")), "cpu")
shape, spacing = ((70, 180, 200), (0.9, 0.9, 1.9)) if sys.argv[2:] == ["0"] else ((110, 280, 300), (0.6, 0.6, 1.2))
nodes = nodes_from_case(host.scene, make_case(shape=shape, spacing=spacing))
controller, own = GradingController(host.scene, model=model), segments_as_bytes(nodes.segmentation)
controller.grade(nodes)
run(controller)
first = controller.report.probabilities
for spare in sys.argv[2:]:
    with short_of_memory(int(float(spare) * 2**20)):
        controller.regrade()
        run(controller)
    print(controller.error_code, controller.error, sep="|")
    whole = controller.error is None or controller.report is None or controller.result is not None
    controller.regrade() if controller.opened is not None else controller.grade(nodes)
    run(controller)
    print(whole, controller.error, controller.report.probabilities == first, controller.result is not None)
print(segments_as_bytes(nodes.segmentation) == own, host.errors.errors)
controller.close()
"""


@pytest.mark.parametrize("spare_mib", [(0,), pytest.param(EVERY_MIB, marks=pytest.mark.slow)], ids=["none", "every"])
def test_a_lack_of_memory_in_the_application_is_one_sentence_and_the_next_grade_works(tmp_path, spare_mib) -> None:
    arguments = [str(tmp_path), *map(str, spare_mib)]
    done = subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, timeout=600)
    *lines, last = done.stdout.splitlines() or [""]
    short = f"out-of-memory|{out_of_memory()}"
    assert len(lines) == 2 * len(spare_mib) and set(lines[::2]) <= {short, "None|None"}, done.stdout + done.stderr
    assert lines[0] == short and set(lines[1::2]) == {"True None True True"} and last == "True []"
