"""What a model says it may be used for, and when that is believed."""

from __future__ import annotations

_NOT_CLINICAL = ("phantom", "not for clinical")
NOT_VERIFIED = "its description is not verified: not for clinical use"


def claims_clinical_use(words: str) -> bool:
    """Whether a model's own words on its use leave clinical use open."""
    return not any(known in words.casefold() for known in _NOT_CLINICAL)
