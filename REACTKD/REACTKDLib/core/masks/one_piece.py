"""Makes the organ one piece without holes: small holes are filled and stray pieces removed, with findings on these and
on what is kept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.grid import Box
from REACTKDLib.core.masks.components import Components, Part, center_of_part, components_of, holes_of, voxels_of
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.task import Task
from REACTKDLib.core.text import measured, plural
from REACTKDLib.core.text import tr as _

HOLE_ML = 1.0
SPECK_ML = 1.0


@dataclass(eq=False)
class Work:
    """The masks inside their common box, changed in steps. corner: (k, j, i) of the box."""

    liver: np.ndarray
    tumor: np.ndarray
    ijk_to_ras: np.ndarray
    corner: tuple[int, int, int]
    task: Task
    _lesions: Components | None = field(init=False, default=None)

    @property
    def lesions(self) -> Components | None:
        """The lesions of the current tumor mask, computed once."""
        if self._lesions is None:
            self._lesions = components_of(self.tumor)
        return self._lesions

    def erase_lesion(self, box: Box, mask: np.ndarray) -> None:
        """Remove the voxels of a mask on a box from the tumor mask."""
        self.tumor[box] &= ~mask
        self._lesions = None

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel."""
        return float(abs(np.linalg.det(self.ijk_to_ras[:3, :3]))) / 1000

    def ras_of(self, part: Part) -> tuple[float, float, float]:
        """Return the center of a part of a mask on the box."""
        kji = center_of_part(part) + self.corner
        ras = self.ijk_to_ras[:3, :3] @ kji[::-1] + self.ijk_to_ras[:3, 3]
        return tuple(float(v) for v in ras)


class Holes(NamedTuple):
    """The holes of an organ. filled: those that become liver. findings: on these, and on holes that are kept."""

    filled: tuple[Part, ...]
    findings: tuple[Finding, ...]


class Piece(NamedTuple):
    """A piece of an organ.

    voxels: their number. is_main: the largest piece. has_tumor: it contains a voxel of a lesion.
    """

    part: Part
    voxels: int
    is_main: bool
    has_tumor: bool

    def is_speck(self, voxel_ml: float) -> bool:
        """Return True for a slip of the brush: small, without a lesion, and not the main piece."""
        return self.voxels * voxel_ml < SPECK_ML and not self.is_main and not self.has_tumor


def _holes(work: Work) -> Holes:
    """Find the holes of the liver; those of at most 1 ml are to be filled."""
    small, large = [], []
    for hole in holes_of(work.liver):
        (small if voxels_of(hole) * work.voxel_ml <= HOLE_ML + 1e-9 else large).append(hole)
    findings = []
    if small:
        volume = sum(map(voxels_of, small)) * work.voxel_ml
        text = _("{holes} in the {organ} mask, {volume} ml in all, counted as {organ}.").format(
            organ=work.task.organ.name,
            holes=plural(len(small), _("{count} small hole"), _("{count} small holes")),
            volume=measured(volume),
        )
        findings.append(Finding("holes-filled", "info", text, work.ras_of(max(small, key=voxels_of))))
    for hole in large:
        text = _(
            "A hole of {volume} ml in the {organ} mask was left open; fill it if it is {organ} or {lesion}."
        ).format(
            volume=f"{voxels_of(hole) * work.voxel_ml:.1f}",
            organ=work.task.organ.name,
            lesion=work.task.lesion.name,
        )
        findings.append(Finding("hole-in-liver", "info", text, work.ras_of(hole)))
    return Holes(tuple(small), tuple(findings))


def make_whole(work: Work, memo: Memo) -> list[Finding]:
    """Fill small holes and remove stray pieces of the liver; return the findings on both.

    memo: cache of earlier calls on the same grid and task; an unchanged liver is not searched again.
    """
    known = (work.liver.shape, work.corner, hashlib.sha256(np.packbits(work.liver)).digest())
    holes = memo.of(("holes", *known), lambda: _holes(work))
    for box, mask in holes.filled:
        work.liver[box] |= mask
    one = memo.of(("one piece", *known), lambda: len(components_of(work.liver).found) <= 1)
    return [*holes.findings, *([] if one else drop_specks(work))]


def pieces_of(organ: np.ndarray, tumor: np.ndarray) -> list[Piece]:
    """Return the pieces (26-connected) of an organ, bool (D, H, W) as the tumor, the largest first."""
    found = components_of(organ)
    pieces = [] if found is None else found.largest_first
    return [
        Piece(part, voxels_of(part), n == 0, bool((tumor[part[0]] & part[1]).any())) for n, part in enumerate(pieces)
    ]


def drop_specks(work: Work) -> list[Finding]:
    """Remove pieces under 1 ml without a lesion; return findings on these and on the pieces that are kept."""
    pieces = pieces_of(work.liver, work.tumor)
    specks = [piece for piece in pieces if piece.is_speck(work.voxel_ml)]
    kept = [piece for piece in pieces if not piece.is_speck(work.voxel_ml)]
    findings = []
    for piece in specks:
        box, mask = piece.part
        work.liver[box] &= ~mask
    if specks:
        text = _(
            "{pieces} of the {organ} mask under {smallest} ml, {volume} ml in all, not counted as {organ}."
        ).format(
            organ=work.task.organ.name,
            pieces=plural(len(specks), _("{count} stray piece"), _("{count} stray pieces")),
            smallest=f"{SPECK_ML:g}",
            volume=measured(sum(piece.voxels for piece in specks) * work.voxel_ml),
        )
        findings.append(Finding("specks-dropped", "info", text, work.ras_of(specks[0].part)))
    if len(kept) > 1:
        text = _("The {organ} mask is in {kept} pieces; connect them, or erase those that are not {organ}.").format(
            kept=len(kept),
            organ=work.task.organ.name,
        )
        findings.append(Finding("liver-in-pieces", "warning", text, work.ras_of(kept[1].part)))
    return findings
