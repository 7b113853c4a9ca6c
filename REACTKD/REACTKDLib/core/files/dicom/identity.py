"""Under whose identity results may be written.

A model that was trained on digital phantoms, or that says of itself that it is not for clinical use, says nothing about
patients. Its results are written as DICOM only for phantoms and for de-identified images: an archive must never show
them beside a patient's name.
"""

from __future__ import annotations

import re
from typing import Any

from REACTKDLib.core.clinical_use import claims_clinical_use
from REACTKDLib.core.errors import PatientLike
from REACTKDLib.core.files.dicom.header import text
from REACTKDLib.core.text import tr as _

PHANTOM_ID = re.compile(r"PHANTOM-[A-Z0-9-]{1,40}")
PHANTOM_NAME = "Phantom^Digital"


def check_phantom_id(patient_id: str) -> str:
    """Return an id that cannot be taken for a patient's. Raises: PatientLike for any that could."""
    if not PHANTOM_ID.fullmatch(patient_id):
        raise PatientLike(
            _(
                "The patient id of a phantom must read PHANTOM- and then capital letters, digits and "
                "'-', so that nobody takes it for a patient's; choose such an id."
            )
        )
    return patient_id


def check_writable(header: Any, clinical_use: str) -> None:
    """Refuse to write the results of a model that is not for clinical use under what may be a patient's identity.

    header: of the source images. clinical_use: the model's own words. A source passes when its id is a phantom's, or
    when it says that the patient's identity was removed and holds no date of birth.

    Raises: PatientLike; the message holds nothing of the header.
    """
    if claims_clinical_use(clinical_use) or PHANTOM_ID.fullmatch(text(header, "PatientID")):
        return
    removed = text(header, "PatientIdentityRemoved").upper() == "YES"
    if not removed or text(header, "PatientBirthDate"):
        raise PatientLike(
            _(
                "The model is not for clinical use, so its results are not written as DICOM under what "
                "may be a patient's identity; de-identify the series first (Patient Identity Removed: "
                "YES, no birth date)."
            )
        )
