"""Vertebrae with canal and processes, ribs in oblique section, costal cartilage and sternum."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.phantom.organs.painter import Painter
from REACTKDLib.core.phantom.organs.wall import Trunk

_PERIOD_MM, _DISC_MM = 33.0, 8.0
BODY_Y = -45.0
_TOGETHER = 120_000  # voxels painted at a time: arrays that fit in the processor's cache


@dataclass(frozen=True)
class Skeleton:
    """first: height of a disc, mm. rib: height of a rib at the spine. cortex, marrow: HU."""

    first: float
    rib: float
    cortex: float
    marrow: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Skeleton:
        """Draw a skeleton."""
        return cls(
            float(rng.uniform(0, _PERIOD_MM)), float(rng.uniform(0, 27)), float(rng.uniform(420, 560)),
            float(rng.uniform(125, 195)),
        )  # fmt: skip


def paint_spine(painter: Painter, trunk: Trunk, bones: Skeleton) -> None:
    """Bodies, discs, canal with its sac, arches, spinous and transverse processes."""
    sy = float(trunk.scale[1])
    box = painter.lattice.box(np.array([-52.0, -112 * sy, -1e4]), np.array([52.0, -26 * sy, 1e4]))
    if box is None:
        return
    step = _slices(math.prod(part.stop - part.start for part in box[1:]))
    for start in range(0, box[0].stop, step):
        _paint_vertebrae(painter, trunk, bones, (slice(start, min(start + step, box[0].stop)), *box[1:]))


def _slices(size: int) -> int:
    """Return how many slices of `size` voxels to paint at a time."""
    return max(_TOGETHER // size, 1)


def _paint_vertebrae(painter: Painter, trunk: Trunk, bones: Skeleton, box: tuple[slice, slice, slice]) -> None:
    """Paint some slices of the spine."""
    sy = float(trunk.scale[1])
    period = _PERIOD_MM * float(trunk.scale[2])
    phase = np.mod(painter.lattice.z[box[0], None, None] - bones.first, period)
    edge = -1.25 * painter.reach_mm  # a depth of 1 mm corresponds to at most 1.25 mm; farther away nothing shows

    def within(wide: float, back: float, front: float):
        """The part of the box within these mm and an edge of the spine's center, its x (1, 1, w), and y (1, h, 1)."""
        place = np.float32(BODY_Y * sy)  # the spine keeps its size; its position follows the trunk's depth
        low = np.array([-wide - edge, float(place) + back - edge, -1e4])
        own = painter.lattice.box(low, np.array([wide + edge, float(place) + front + edge, 1e4]))
        if own is None:
            return None
        own = box[0], *(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(own[1:], box[1:]))
        if any(part.start >= part.stop for part in own[1:]):
            return None
        x, y, _ = painter.lattice.coordinates(own)
        return own, x, y - place

    _paint_body(painter, bones, within(25.0, -21.0, 18.0), phase, period)
    _paint_arch(painter, bones, within(41.0, -54.0, -7.0), phase, period)


def _paint_body(painter: Painter, bones: Skeleton, place, phase: np.ndarray, period: float) -> None:
    """Paint discs and vertebral bodies of some slices. place: see `_paint_vertebrae`. phase: (d, 1, 1) mm."""
    if place is None:
        return
    box, x, y = place
    disc = np.minimum(phase, period - phase) - _DISC_MM / 2  # > 0 in a vertebra
    waist = 1 - 0.06 * np.sin(np.pi * np.clip((phase - 4) / (period - 8), 0, 1))
    back = np.clip(-y / 40, 0, 1) * 3  # the posterior face of a vertebral body is concave
    radius = np.sqrt((x / 23) ** 2 + ((y + back * np.exp(-((x / 9) ** 2))) / 16.5) ** 2)
    body = (waist - radius) * 19.5
    inner = np.minimum(body, disc)
    painter.put(box, painter.soft(body), "muscle", 85.0)  # discs
    painter.put(box, painter.soft(inner), "bone", bones.cortex)
    painter.put(box, painter.soft(inner - 1.6), "marrow", bones.marrow)
    painter.unrest(box, painter.soft(inner - 3.0), 30.0)


def _paint_arch(painter: Painter, bones: Skeleton, place, phase: np.ndarray, period: float) -> None:
    """Paint arches, processes and the canal of some slices. place, phase: see `_paint_body`."""
    if place is None:
        return
    box, x, y = place
    v = y + 25  # relative to the center of the canal
    canal = (1 - np.sqrt((x / 11.5) ** 2 + (v / 9.5) ** 2)) * 10
    level = 0.5 + 0.5 * np.cos((phase / period - 0.45) * 2 * np.pi)  # 1 at the height of an arch
    arch = 4.2 * level - np.abs(canal + 4.2) - 0.6
    spine = np.minimum(3.4 - np.abs(x), np.minimum(-v - 12, v + 19 + 9 * level)) - 2.5 * (1 - level)
    wing = np.hypot((v - 2 + np.abs(x) * 0.12) / 1.0, np.mod(phase + 0.05 * period, period) - 0.45 * period)
    wing = np.minimum(5.2 - wing, np.minimum(np.abs(x) - 12, 40 - np.abs(x)))
    facet = 6.5 - np.sqrt((np.abs(x) - 15) ** 2 + (v + 5) ** 2) - 2 * level
    solid = np.maximum(np.maximum(arch, spine), np.maximum(wing, facet))
    painter.put(box, painter.soft(solid), "bone", 0.85 * bones.cortex)
    painter.put(box, painter.soft(solid - 2.0), "marrow", bones.marrow + 60)
    painter.put(box, painter.soft(canal), "fat", -40.0)
    painter.put(box, painter.soft(canal - 1.6), "cord", 32.0)


def paint_ribs(painter: Painter, trunk: Trunk, bones: Skeleton, box: tuple, depth: np.ndarray) -> None:
    """Paint the ribs within their band of the wall. box, depth: see `paint_trunk`."""
    edge = -painter.reach_mm  # bones farther away than this have no effect
    band = (depth > 1.5) & (depth < 14)
    rows, columns = np.nonzero(band & (np.abs(depth - 8.0) < 3.6 + edge))
    if rows.size:
        _paint_cage(painter, trunk, bones, depth[rows, columns], rows + box[1].start, columns + box[2].start)
    wide = float(trunk.scale[0])
    x, y = painter.lattice.x[None, box[2]], painter.lattice.y[box[1], None]
    near = (np.abs(depth - 7) < 4 + edge) & (y > 0) & (np.abs(x) / wide < 17 + edge)
    rows, columns = np.nonzero(band & (near | (edge > 5.0)))  # voxels of 10 mm and more are affected at the back too
    if rows.size:
        z = painter.lattice.z[:, None] / float(trunk.scale[2])
        breast = np.minimum(17 - np.abs(x[0, columns]) / wide, np.minimum(4 - np.abs(depth[rows, columns] - 7), z - 66))
        breast = np.where(y[rows, 0] > 0, breast, -5.0)
        rows, columns = rows + box[1].start, columns + box[2].start
        painter.put_columns(rows, columns, breast, "bone", 190.0)


def _paint_cage(
    painter: Painter, trunk: Trunk, bones: Skeleton, depth: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> None:
    """Paint ribs with their cartilage. depth (n,): below the muscles' face at rows and columns (n,) of every slice."""
    across, along = painter.lattice.x[columns], painter.lattice.y[rows]
    wide, deep = float(trunk.scale[0]), float(trunk.scale[1])
    angle = np.abs(np.arctan2(across, -along / deep * wide)) / np.float32(np.pi)  # 0 at the spine, 1 in front
    start = bones.rib - 175 * angle + 240 * np.clip(angle - 0.64, 0, 1)
    margin = -118 + 176 * angle**1.6  # the costal arch: no ribs below it
    flat = ((depth - 8.0) / 3.6) ** 2
    cartilage = angle > 0.74
    outer = np.where(cartilage, 105.0, 0.8 * bones.cortex).astype(np.float32)
    hollow = np.where(cartilage, 95.0, bones.marrow).astype(np.float32)
    beside = 160 * (angle - 0.13)
    heights = painter.lattice.z / float(trunk.scale[2])
    step = _slices(len(rows))
    for first in range(0, len(heights), step):
        z = heights[first : first + step, None]
        height = _mod(z - start, 27.0) - 13.5
        keep = np.minimum((z - margin) / 2.0, beside)
        inside = 3.6 * (1 - np.sqrt(flat + (height / 6.0) ** 2))
        inside = np.minimum(inside, np.clip(keep, -5, 5)).astype(np.float32)
        for part, hu, kind in ((inside, outer, "bone"), (inside - 1.5, hollow, "marrow")):
            painter.put_columns(rows, columns, part, kind, hu, first)


def _mod(values: np.ndarray, period: float) -> np.ndarray:
    """`np.mod` of float32 in a fifth of its time, with the same bits: in float64 all but the last step is exact."""
    exact, period = values.astype(np.float64), float(np.float32(period))
    turns = np.floor(exact / period)
    turns *= -period
    turns += exact
    return turns.astype(np.float32)
