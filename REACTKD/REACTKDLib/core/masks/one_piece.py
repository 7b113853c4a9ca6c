"""The organ as one piece without holes: small holes are filled, stray pieces dropped, and what stays gets a finding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.neighbors import CONNECTED
from REACTKDLib.core.task import Task
from REACTKDLib.core.text import plural
from REACTKDLib.core.text import tr as _

HOLE_ML = 1.0
SPECK_ML = 1.0


@dataclass(eq=False)
class Work:
    """The masks inside their common box, changed step by step. corner: (k, j, i) of the box."""

    liver: np.ndarray
    tumor: np.ndarray
    ijk_to_ras: np.ndarray
    corner: tuple[int, int, int]
    task: Task

    @property
    def voxel_ml(self) -> float:
        """Of one voxel."""
        return float(abs(np.linalg.det(self.ijk_to_ras[:3, :3]))) / 1000

    def ras_of(self, mask: np.ndarray, offset: tuple[int, int, int] = (0, 0, 0)) -> tuple[float, float, float]:
        """Return the center of `mask`, whose own corner lies at `offset` in the box."""
        kji = np.argwhere(mask).mean(axis=0) + self.corner + np.asarray(offset)
        ras = self.ijk_to_ras[:3, :3] @ kji[::-1] + self.ijk_to_ras[:3, 3]
        return tuple(float(v) for v in ras)

    def ras_of_largest(self, mask: np.ndarray) -> tuple[float, float, float]:
        """Return the center of the largest part (26-connected) of a mask on the box."""
        from scipy.ndimage import label

        box = bounding_box(mask)
        parts, _ = label(mask[box], structure=CONNECTED)
        largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
        return self.ras_of(parts == largest, tuple(part.start for part in box))


def is_whole(liver: np.ndarray) -> bool:
    """One piece without a hole."""
    from scipy.ndimage import label

    return label(np.pad(~liver, 1, constant_values=True))[1] <= 1 and label(liver, structure=CONNECTED)[1] <= 1


def fill_holes(work: Work) -> list[Finding]:
    """Fill holes of at most 1 ml; findings name them and those that stay."""
    from scipy.ndimage import find_objects, label

    outside, count = label(np.pad(~work.liver, 1, constant_values=True))  # the rim joins everything that is open
    if count <= 1:
        return []
    sizes = np.bincount(outside.ravel(), minlength=count + 1)
    open_label = outside[0, 0, 0]
    inner = outside[1:-1, 1:-1, 1:-1]
    holes = [n for n in range(1, count + 1) if n != open_label]
    small = [n for n in holes if sizes[n] * work.voxel_ml <= HOLE_ML + 1e-9]
    findings = []
    if small:
        fill = np.isin(np.arange(count + 1), small)[inner]
        work.liver |= fill
        findings.append(
            Finding(
                "holes-filled",
                "info",
                _("{holes} in the {organ} mask, {volume} ml in all, counted as {organ}.").format(
                    organ=work.task.organ.name,
                    holes=plural(len(small), _("{count} small hole"), _("{count} small holes")),
                    volume=f"{np.count_nonzero(fill) * work.voxel_ml:.2g}",
                ),
                work.ras_of_largest(fill),
            )
        )
    boxes = find_objects(inner, count)
    for n in holes:
        if n not in small:
            place = work.ras_of(inner[boxes[n - 1]] == n, tuple(s.start for s in boxes[n - 1]))
            findings.append(
                Finding(
                    "hole-in-liver",
                    "info",
                    _(
                        "A hole of {volume} ml in the {organ} mask was left open; fill it if it is {organ} or {lesion}."
                    ).format(
                        volume=f"{sizes[n] * work.voxel_ml:.1f}",
                        organ=work.task.organ.name,
                        lesion=work.task.lesion.name,
                    ),
                    place,
                )
            )
    return findings


def drop_specks(work: Work) -> list[Finding]:
    """Drop pieces under 1 ml without a lesion; findings name them and those that stay."""
    from scipy.ndimage import label

    parts, count = label(work.liver, structure=CONNECTED)
    if count <= 1:
        return []
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    with_tumor = np.zeros(count + 1, dtype=bool)
    with_tumor[np.unique(parts[work.tumor])] = True
    drop = (sizes * work.voxel_ml < SPECK_ML) & ~with_tumor
    drop[0] = False
    drop[1 + int(np.argmax(sizes[1:]))] = False
    kept = count - int(drop.sum())
    findings = []
    if drop.any():
        gone = drop[parts]
        work.liver &= ~gone
        text = _(
            "{pieces} of the {organ} mask under {smallest} ml, {volume} ml in all, not counted as {organ}."
        ).format(
            organ=work.task.organ.name,
            pieces=plural(int(drop.sum()), _("{count} stray piece"), _("{count} stray pieces")),
            smallest=f"{SPECK_ML:g}",
            volume=f"{np.count_nonzero(gone) * work.voxel_ml:.2g}",
        )
        findings.append(Finding("specks-dropped", "info", text, work.ras_of_largest(gone)))
    if kept > 1:
        others = np.where(drop, 0, sizes)
        others[[0, 1 + int(np.argmax(sizes[1:]))]] = 0
        findings.append(
            Finding(
                "liver-in-pieces",
                "warning",
                _("The {organ} mask is in {kept} pieces; connect them, or erase those that are not {organ}.").format(
                    kept=kept,
                    organ=work.task.organ.name,
                ),
                work.ras_of(parts == int(np.argmax(others))),
            )
        )
    return findings
