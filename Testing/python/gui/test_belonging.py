"""What the panel shows belongs to the case, the masks and the model at hand, or says that it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any


from support.panel_steps import choose_model, grade, wait_for_grade
from support.small_models import write_small_model


def start_and_cancel(user: Any) -> None:
    """Press Grade, and Cancel before there is an answer."""
    user.click("gradeButton")
    user.click("cancelButton")
    user.wait_until(lambda: user.find("gradeButton").enabled, what="the end")


def test_after_a_canceled_grade_with_another_model_the_next_one_is_by_that_model(
    user: Any, nodes: Any, context: Any, tmp_path: Path
) -> None:
    grade(user)
    other = write_small_model(tmp_path / "other", seed=1)
    choose_model(user, other)
    start_and_cancel(user)
    assert context.other_model, "the answer of the first model is back"
    user.click("gradeButton")
    wait_for_grade(user)
    assert not context.other_model


def test_after_a_canceled_grade_of_other_segments_the_next_one_is_of_those_segments(
    user: Any, nodes: Any, context: Any
) -> None:
    grade(user)
    user.open_section("inputsSection")
    user.check("tumorList", "Tumor", on=False)
    start_and_cancel(user)
    assert "have changed since this grade" in user.text("stateLabel")
    user.click("gradeButton")
    wait_for_grade(user)
    assert context.report.grade is None and not context.outdated
