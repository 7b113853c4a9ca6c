"""Recognition of modalities by name. It is strict: an ambiguous name is not recognized."""

from __future__ import annotations

import re
import unicodedata

from REACTKDLib.core.modality import Modality

_FDG = re.compile(r"\b(18 ?f ?)?fdg\b|\bf ?18 fdg\b|fluorodeoxyglucose|fludeoxyglucose")
_ACETATE = re.compile(r"acetate\b|\b(11 ?c|c ?11) ?(ac|ace|act|acet)\b|\b(ace|act|acet)\b")
_CT = re.compile(r"\b(ce)?ct\b|\bcomputed tomography\b|\bportal venous\b|\barterial phase\b")
_OTHER = re.compile(
    r"\b(mr|mri|t1|t2|dwi|adc|psma|choline|dota\w*|fapi|rest|stress|mask|seg|label|map|dose)\b|segmentation"
)
_PET = re.compile(r"\b(pet|pt|suv|suvbw)\b")


def modality_of_name(name: str) -> Modality | None:
    """Return the modality of an image with this name, or None.

    "CT", "CT portal venous", "18F-FDG PET", "patient3_fdg", "PET_Acetate_SUV", "11C-ACT" are recognized; "PET" alone is
    not, since it does not state the tracer; in "FDG PET/CT", the part after the slash only states the scanner.
    """
    words = _words(name)
    if _OTHER.search(words):
        return None
    fdg, acetate = bool(_FDG.search(words)), bool(_ACETATE.search(words))
    if fdg and acetate:
        return None
    if fdg or acetate:
        return Modality.FDG if fdg else Modality.ACETATE
    return Modality.CT if _CT.search(words) and not _PET.search(words) else None


def _words(name: str) -> str:
    """Return lower-case words of ASCII letters and digits, with camel case split."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return " ".join(re.findall(r"[a-z0-9]+", text))
