"""Checks of a CT: its resolution, and its values under the organ's mask."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case, center_of_organ, parenchyma_places
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.text import sentence
from REACTKDLib.core.text import tr as _

THICK_SLICE_MM = 5.0
COARSE_PIXEL_MM = 2.0
NOISE_HU = 80.0  # twice the noise of a clinical CT
BESIDE_SHARE = 0.1  # 0 to 0.01 where masks lie on their liver, 0.12 and more 3 cm beside it


def check_spacing(volume: Volume, modality: Modality) -> list[Finding]:
    """Return findings on thick slices or coarse pixels of a CT, and on a header without geometry."""
    spacing = np.sort(volume.spacing)
    findings = []
    if modality is Modality.CT and spacing[2] > THICK_SLICE_MM + 1e-3:
        text = _("The CT slices are {spacing} mm apart; texture and margins of lesions are lost above 5 mm.").format(
            spacing=f"{spacing[2]:.1f}"
        )
        findings.append(Finding("thick-slices", "warning", text))
    if modality is Modality.CT and spacing[0] > COARSE_PIXEL_MM:
        text = _("The CT has pixels of {spacing} mm; texture and margins of lesions are lost above 2 mm.").format(
            spacing=f"{spacing[0]:.1f}"
        )
        findings.append(Finding("coarse-pixels", "warning", text))
    if np.allclose(volume.spacing, 1, atol=1e-9) and not volume.ijk_to_ras[:3, 3].any():
        text = _(
            "{image} has voxels of exactly 1 mm at the origin, as files do that lost their "
            "geometry; if so, volumes in ml are wrong."
        ).format(image=ROLES[modality])
        findings.append(Finding("no-geometry", "warning", sentence(text)))
    return findings


def check_ct_values(case: Case) -> list[Finding]:
    """Return the finding on CT values under the organ's mask that are not those of the organ: a misplaced mask, or
    values on another scale.
    """
    ct, organ = case.volumes.get(Modality.CT), case.task.organ
    if ct is None or organ.hu is None:
        return []
    median = float(np.median(ct.array[tuple(parenchyma_places(case).T)]))
    if organ.hu[0] <= median <= organ.hu[1]:
        return _beside_organ(case, ct)
    least, most = organ.usual_hu or organ.hu
    text = _(
        "The CT is {median} HU inside the {organ} mask where {one} has {least} to {most}; check that "
        "the mask lies on the {organ} and belongs to this CT."
    ).format(median=f"{median:.0f}", organ=organ.name, one=organ.one, least=f"{least:g}", most=f"{most:g}")
    return [Finding("liver-not-tissue", "warning", text, center_of_organ(case))]


def _beside_organ(case: Case, ct: Volume) -> list[Finding]:
    """Return the finding on a mask whose median is right, but whose rim lies on fat, air or bone."""
    organ, values = case.task.organ, ct.array[tuple(parenchyma_places(case).T)]
    share = float(np.mean((values < organ.hu[0] - NOISE_HU) | (values > organ.hu[1] + NOISE_HU)))
    if share <= BESIDE_SHARE:
        return []
    text = _(
        "The CT shows fat, air or bone in {percent} % of the {organ} mask; check that the mask lies on the {organ} and "
        "belongs to this CT."
    ).format(percent=f"{100 * share:.0f}", organ=organ.name)
    return [Finding("liver-not-tissue", "warning", text, center_of_organ(case))]
