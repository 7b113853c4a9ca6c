"""The controller on a real scene with a real worker."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from REACTKDLib.scene.grading import GradingController
from REACTKDLib.scene.outputs import outputs_of
from REACTKDLib.scene.state import GradingState


@pytest.fixture
def controller(scene) -> Iterator[GradingController]:
    made = GradingController(scene)
    yield made
    made.close()


def run(controller: GradingController, seconds: float = 60.0) -> None:
    """Poll as a timer would, until the controller is at rest."""
    end = time.monotonic() + seconds
    while controller.busy and time.monotonic() < end:
        controller.poll()
        time.sleep(0.005)
    assert not controller.busy


def test_grades_a_case_and_writes_its_results(controller, nodes):
    reports = []
    controller.result_changed.connect(reports.append)
    controller.grade(nodes, case_id="one")
    assert controller.state is GradingState.RUNNING
    run(controller)
    assert controller.state is GradingState.IDLE, controller.error
    assert controller.report.case == "one" and controller.report.grade in controller.report.probabilities
    assert reports == [controller.report]
    assert outputs_of(controller.parameter_node) is not None
    assert controller.answer.encoder_calls == 3 and controller.answer.read_anew
    controller.regrade()
    run(controller)
    assert controller.answer.encoder_calls == 0 and controller.report.probabilities == reports[0].probabilities
    controller.what_if(mute=["Lesion 1"])
    run(controller)
    assert controller.what_if_answer.report.probabilities != controller.report.probabilities
