"""The first edition of the phantom stays as it was, bit by bit: reports, tables and models were made from it."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from REACTKDLib.core.phantom import acquire, draw_patient


def digest(phantom) -> str:
    """A hash of every voxel, every geometry and the truth."""
    found = hashlib.sha256()
    for modality, volume in phantom.case.volumes.items():
        found.update(f"{modality.value}{volume.array.dtype}".encode() + volume.array.tobytes())
        found.update(np.ascontiguousarray(volume.ijk_to_ras).tobytes())
    for mask in (phantom.case.liver, phantom.case.tumor):
        found.update(np.packbits(mask).tobytes())
    found.update(json.dumps(phantom.truth, sort_keys=True).encode())
    return found.hexdigest()[:32]


# stored on 28 November 2026, before there was a second edition
@pytest.mark.parametrize(
    ("seed", "cohort", "grade", "around", "stored"),
    [
        (0, "single", "poor", None, "372529cf213082f5e24739c3f0ebbc32"),
        (3, "hospital", None, 26.0, "f8afa794217edfe75915c8c5e2778622"),
        (5, "external", None, None, "3c68276b4595c58adc956b7d1e1a0cdf"),
        (2, "large", None, 26.0, "2b57cc3aa6aacedc8bf8b826dbb3da03"),
        (1, "unlabeled", None, None, "c5037f252919be769ad605328b39cda5"),
    ],
)
def test_old_seeds_give_the_old_cases(seed, cohort, grade, around, stored):
    patient = draw_patient(seed, grade, cohort, biology="independent")
    assert digest(acquire(patient, "tiny", around_liver_mm=around)) == stored
