"""Whether a model's stated intended use permits clinical use."""

from __future__ import annotations

_NOT_CLINICAL = ("phantom", "not for clinical")
NOT_VERIFIED = "its description is not verified: not for clinical use"


def claims_clinical_use(words: str) -> bool:
    """Return True if a model's own statement of its intended use does not rule out clinical use."""
    return not any(known in words.casefold() for known in _NOT_CLINICAL)
