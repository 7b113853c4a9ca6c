"""Checks of the patient identity under which results may be written.

The results of a model trained on digital phantoms, or not intended for clinical use, are not valid for patients. They
are written as DICOM only for phantoms and de-identified images, so that an archive never shows them with a patient's
name.
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
    """Return the id if it cannot be mistaken for a patient's. Raises: PatientLike otherwise."""
    if not PHANTOM_ID.fullmatch(patient_id):
        raise PatientLike(
            _(
                "The patient id of a phantom must read PHANTOM- and then capital letters, digits and "
                "'-', so that nobody takes it for a patient's; choose such an id."
            )
        )
    return patient_id


def check_writable(header: Any, clinical_use: str) -> None:
    """Refuse to write results of a model that is not for clinical use under a possible patient's identity.

    header: of the source images. clinical_use: the model's own statement. A source is accepted if its id is a
    phantom's, or if it states that the patient's identity was removed and contains no date of birth.

    Raises: PatientLike; the message contains nothing from the header.
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
