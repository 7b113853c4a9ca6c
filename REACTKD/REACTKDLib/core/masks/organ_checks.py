"""Checks of the organ's mask: its volume, its edges, the side it lies on, and masks that were exchanged."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case, center_of_organ, liver_box
from REACTKDLib.core.images.geometry import center_of
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.masks.regions import Region, RegionSet
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.text import tr as _

CUT_ML = 0.5  # a liver that only touches the edge of the image counts as whole
ENCLOSED_SHARE = 0.8  # of the surface of the organ with its lesions
_SIDES = {0: (_("left"), _("right")), 1: (_("back"), _("front")), 2: (_("lower end"), _("upper end"))}


def check_liver(case: Case, regions: RegionSet, memo: Memo | None = None) -> list[Finding]:
    """Return findings on a liver (or the organ of the task) of implausible volume, cut by the field of view, or on the
    wrong side.

    memo: cache of earlier calls for the same images.
    """
    voxel_ml, organ = case.reference.voxel_ml, case.task.organ
    whole = sum(region.voxels for region in regions.regions) * voxel_ml
    findings = []
    if organ.volume_ml is not None and not organ.volume_ml[0] <= whole <= organ.volume_ml[1]:
        least, most = organ.volume_ml
        text = _(
            "The {organ} mask has {whole} ml, which is {word} for {one} ({least} to {most} ml); "
            "check the mask and the voxel spacing."
        ).format(
            organ=organ.name,
            whole=f"{whole:.0f}",
            word=_("small") if whole < least else _("large"),
            one=organ.one,
            least=f"{least:.0f}",
            most=f"{most:.0f}",
        )
        findings.append(Finding("liver-volume", "warning", text, center_of_organ(case)))
    parenchyma: Region = regions.regions[0]
    if parenchyma.voxels * voxel_ml < 0.1 * whole:
        findings.append(
            Finding(
                "little-parenchyma",
                "warning",
                _("Less than a tenth of the {organ} is free of {lesion}; check both masks."),
                center_of_organ(case),
                organ=organ.name,
                lesion=case.task.lesion.name,
            )
        )
    return [*findings, *_exchanged(case, regions), *_cut_sides(case), *_mirrored(case, regions, memo or Memo())]


def _exchanged(case: Case, regions: RegionSet) -> list[Finding]:
    """Return the finding on lesions that enclose the rest of the organ: a lesion grows inside it, not around it."""
    sizes = [region.voxels for region in regions.regions]
    box = liver_box(case)
    if box is None or 2 * sizes[0] >= sum(sizes):
        return []
    labels = np.pad(regions.labels[box], 1)
    surface = np.zeros(labels.shape, dtype=bool)
    for axis in range(3):
        for step in (1, -1):
            surface |= np.roll(labels, step, axis) == 0
    surface &= labels > 0
    if np.count_nonzero(labels[surface] > 1) < ENCLOSED_SHARE * np.count_nonzero(surface):
        return []
    text = _("The {lesion} mask encloses the rest of the {organ}; check that the two masks are not exchanged.")
    organ, lesion = case.task.organ.name, case.task.lesion.name
    return [Finding("masks-exchanged", "warning", text, center_of_organ(case), organ=organ, lesion=lesion)]


def _cut_sides(case: Case) -> list[Finding]:
    liver, matrix, box = case.liver, case.reference.ijk_to_ras, liver_box(case)
    findings = []
    for axis in range(3):  # i, j, k
        for last in (False, True):
            part, n = box[2 - axis], liver.shape[2 - axis]
            if (part.stop < n) if last else (part.start > 0):
                continue
            face = np.take(liver, -1 if last else 0, axis=2 - axis)
            if np.count_nonzero(face) * case.reference.voxel_ml < CUT_ML:
                continue
            outward = matrix[:3, axis] * (1 if last else -1)
            row = int(np.argmax(np.abs(outward)))
            side = _SIDES[row][int(outward[row] > 0)]
            kj = np.argwhere(face).mean(axis=0)
            kji = np.insert(kj, 2 - axis, n - 1 if last else 0)
            place = matrix[:3, :3] @ kji[::-1] + matrix[:3, 3]
            findings.append(
                Finding(
                    "liver-cut",
                    "warning",
                    _("The {organ} is cut at the {side} of the image, so lesions beyond it are not seen.").format(
                        side=side, organ=case.task.organ.name
                    ),
                    tuple(float(v) for v in place),
                )
            )
    return findings


def _mirrored(case: Case, regions: RegionSet, memo: Memo) -> list[Finding]:
    """Compare the center of the liver with that of the body, which only a CT shows."""
    ct, organ = case.volumes.get(Modality.CT), case.task.organ
    if ct is None or organ.side is None:
        return []
    share, middle = memo.of(("body",), lambda: _body(ct))
    if share > 0.9:  # a crop inside the body shows no sides
        return []
    sizes = np.array([region.voxels for region in regions.regions])
    liver = sizes @ [region.centroid_ras[0] for region in regions.regions] / sizes.sum()
    to_right = float(liver - middle)  # R is positive on the patient's right
    if (to_right if organ.side == "right" else -to_right) > -10.0:
        return []
    text = _("The {organ} lies on the patient's {side}; check that the image is not mirrored.")
    side = _("left") if organ.side == "right" else _("right")
    return [Finding("liver-on-left", "warning", text, center_of_organ(case), organ=organ.name, side=side)]


def _body(ct: Volume) -> tuple[float, float]:
    """Return the fraction of a CT that is body, and the left-right position of its center, mm."""
    step = tuple(max(1, n // 64) for n in ct.shape)
    body = ct.array[tuple(slice(None, None, s) for s in step)] > -300
    kji = center_of(body)[1] * step
    return float(body.mean()), float(ct.ijk_to_ras[0, :3] @ kji[::-1] + ct.ijk_to_ras[0, 3])
