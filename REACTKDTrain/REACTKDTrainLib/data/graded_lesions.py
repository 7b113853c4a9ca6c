"""A graded case needs a lesion: the grade is that of lesions, and no model gives one to a case without any."""

from __future__ import annotations

from REACTKDLib.core.errors import ReactkdError


class GradeWithoutLesion(ReactkdError):
    """A case has a grade, but its masks mark no lesion."""

    code = "grade-without-lesion"


def check_lesions(grade: int | None, lesions: int, case: str = "") -> None:
    """Check that a case to learn from, or to measure on, has a lesion.

    Args:
        grade: of the case, None for one that is used without a grade.
        lesions: number of lesions in the expert's masks.
        case: its id, if nothing else names the case.

    Raises: GradeWithoutLesion.
    """
    if grade is not None and not lesions:
        subject = f"Case {case}" if case else "It"
        raise GradeWithoutLesion(
            f"{subject} has a grade, but its masks mark no lesion, and no model grades a case without one; mark its "
            "lesions."
        )
