"""The codes used in a DICOM report: standard ones if they exist, else of the private scheme 99REACTKD."""

from __future__ import annotations

from typing import Any

from REACTKDLib.core.task_parts import PRIVATE, private_value

LONGEST = 64  # the most characters of a description and of a code's meaning (LO)
ANATOMICAL = ("123037004", "SCT", "Anatomical Structure")
ALTERED = ("49755003", "SCT", "Morphologically Altered Structure")
VOLUME = ("118565006", "SCT", "Volume")
MILLILITER = ("mL", "UCUM", "milliliter")
NO_UNIT = ("1", "UCUM", "no units")
AI = ("123110", "DCM", "Artificial Intelligence")
UNCERTAIN = ("UNCERTAIN", PRIVATE, "Prediction is uncertain")
YES, NO = ("373066001", "SCT", "Yes"), ("373067005", "SCT", "No")
NO_GRADE = ("NO-GRADE", PRIVATE, "No grade is claimed")
WEIGHT = ("WEIGHT", PRIVATE, "Weight of the region in the decision")
EFFECT = ("DELETION-EFFECT", PRIVATE, "Predicted grade's probability with the region minus without it")
SHARE = ("SHARE", PRIVATE, "Share of the region in the predicted grade's probability")


def per_class(kind: str, words: str, name: str) -> tuple[str, str, str]:
    """Return the private code of a value that exists for each class."""
    return private_value(kind, name), PRIVATE, f"{words} '{name}'"[:LONGEST]


def private(name: str, words: str) -> tuple[str, str, str]:
    """Return the private code of a value without a standard one; name: identifies it in at most 16 characters."""
    return name.upper()[:16], PRIVATE, words[:LONGEST]


def concept(code: tuple[str, str, str]) -> Any:
    """Return a code as a highdicom object."""
    from highdicom.sr import CodedConcept

    return CodedConcept(*code)
