"""The organ as one piece without holes: small holes are filled, stray pieces dropped, and what stays gets a finding."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Box
from REACTKDLib.core.images.neighbors import CONNECTED
from REACTKDLib.core.masks.components import Components, components_of
from REACTKDLib.core.memo import Memo
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
    _lesions: Components | None = field(init=False, default=None)

    @property
    def lesions(self) -> Components | None:
        """Of the tumor mask as it is now, searched once."""
        if self._lesions is None:
            self._lesions = components_of(self.tumor)
        return self._lesions

    def erase_lesion(self, box: Box, mask: np.ndarray) -> None:
        """Take the voxels of a mask on a box out of the tumor mask."""
        self.tumor[box] &= ~mask
        self._lesions = None

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


class Holes(NamedTuple):
    """filled: places in the flattened liver that become liver. findings: on these, and on holes that stay."""

    filled: np.ndarray
    findings: tuple[Finding, ...]


def holes_of(work: Work) -> Holes:
    """Find the holes of the liver; those of at most 1 ml are to be filled."""
    from scipy.ndimage import find_objects, label

    outside, count = label(np.pad(~work.liver, 1, constant_values=True))  # the rim joins everything that is open
    if count <= 1:
        return Holes(np.zeros(0, dtype=np.int64), ())
    sizes = np.bincount(outside.ravel(), minlength=count + 1)
    open_label = outside[0, 0, 0]
    inner = outside[1:-1, 1:-1, 1:-1]
    holes = [n for n in range(1, count + 1) if n != open_label]
    small = [n for n in holes if sizes[n] * work.voxel_ml <= HOLE_ML + 1e-9]
    fill = np.isin(np.arange(count + 1), small)[inner]
    filled = np.flatnonzero(fill)
    findings = []
    if small:
        findings.append(
            Finding(
                "holes-filled",
                "info",
                _("{holes} in the {organ} mask, {volume} ml in all, counted as {organ}.").format(
                    organ=work.task.organ.name,
                    holes=plural(len(small), _("{count} small hole"), _("{count} small holes")),
                    volume=f"{len(filled) * work.voxel_ml:.2g}",
                ),
                work.ras_of_largest(fill),
            )
        )
    large = [n for n in holes if n not in small]
    boxes = find_objects(inner, count) if large else []
    for n in large:
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
    return Holes(filled, tuple(findings))


def make_whole(work: Work, memo: Memo) -> list[Finding]:
    """Fill small holes and drop stray pieces of the liver; return the findings on both. memo: of earlier calls on the
    same grid and task; what was found of the same liver is not searched for again.
    """
    from scipy.ndimage import label

    known = (work.liver.shape, work.corner, hashlib.sha256(np.packbits(work.liver)).digest())
    holes = memo.of(("holes", *known), lambda: holes_of(work))
    np.put(work.liver, holes.filled, True)
    one = memo.of(("one piece", *known), lambda: label(work.liver, structure=CONNECTED)[1] <= 1)
    return [*holes.findings, *([] if one else drop_specks(work))]


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
