"""The patient's coordinate frame: a coarse grid in coordinates of an average body, deformed smoothly and at random."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from REACTKDLib.core.phantom.lattice import Lattice
from REACTKDLib.core.phantom.organs.grid_solid import FAR_MM, STEP_MM
from REACTKDLib.core.phantom.shapes import smooth_union

_LOW, _SHAPE = (-172.0, -124.0, -172.0), (84, 63, 87)
_WAVES, _BEND_MM = 4, 4.0
_ROOM_MM = 24.0  # for the deformation, around what is drawn


@dataclass(eq=False)
class Frame:
    """x, y, z: float32 arrays on `grid`, of the corresponding point of the average body.

    taken: depth of the organs placed so far, which the next organ leaves free. scale: from an average body to this
    patient, (x, y, z).
    """

    grid: Lattice
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    scale: np.ndarray
    taken: np.ndarray = field(repr=False)

    @classmethod
    def draw(cls, rng: np.random.Generator, scale: np.ndarray) -> Frame:
        """Draw a deformation by a few long waves of a few millimeters."""
        grid = Lattice.regular(np.array(_LOW), np.full(3, STEP_MM), _SHAPE)
        x, y, z = grid.coordinates((slice(None),) * 3)
        points = [x / np.float32(scale[0]), y / np.float32(scale[1]), z / np.float32(scale[2])]
        bent = []
        for own in points:
            shift = np.zeros(grid.shape, dtype=np.float32)
            for _ in range(_WAVES):
                wave = rng.normal(size=3)
                wave *= 2 * np.pi / rng.uniform(110, 260) / np.linalg.norm(wave)
                phase = rng.uniform(0, 2 * np.pi)
                a, b, c = (np.float32(w) * p for w, p in zip(wave, points, strict=True))
                # sin(a + b + c) from the sines for each axis: thousands of evaluations instead of hundreds of thousands
                sab, cab = np.sin(a) * np.cos(b) + np.cos(a) * np.sin(b), np.cos(a) * np.cos(b) - np.sin(a) * np.sin(b)
                c = c + np.float32(phase)
                shift += sab * np.cos(c) + cab * np.sin(c)
            bent.append((own + shift * np.float32(_BEND_MM / np.sqrt(_WAVES / 2))).astype(np.float32))
        return cls(grid, *bent, scale=scale, taken=np.full(grid.shape, FAR_MM, dtype=np.float32))

    def box(self, low, high, pad: float = _ROOM_MM) -> tuple[slice, slice, slice]:
        """Return slices of the grid that contain these corners of the average body, with room for the deformation."""
        low, high = np.asarray(low) * self.scale, np.asarray(high) * self.scale
        box = self.grid.box(np.minimum(low, high), np.maximum(low, high), pad)
        return box if box is not None else (slice(0, 1),) * 3

    def box_around(self, points, reach: float) -> tuple[slice, slice, slice]:
        """Return slices of the grid that contain all that `add` and `add_path` draw within `reach` mm of points (n, 3)
        of the average body, and one step around it, which `GridSolid.cropped` keeps.
        """
        points = np.asarray(points)
        return self.box(points.min(axis=0) - reach, points.max(axis=0) + reach, pad=_ROOM_MM + 2 * STEP_MM)

    def around(self, points, reach: float) -> Frame:
        """Return the frame of `box_around`, in which an organ is drawn in a fraction of the time."""
        return self.part(self.box_around(points, reach))

    def part(self, box: tuple[slice, slice, slice], step: int = 1) -> Frame:
        """The frame of a box of the grid, every `step`-th point; organs placed in it with step 1 are placed in this
        frame too.
        """
        z, y, x = (slice(s.start, s.stop, step) for s in box)
        grid = Lattice(self.grid.x[x], self.grid.y[y], self.grid.z[z])
        own = (z, y, x)
        return Frame(grid, self.x[own], self.y[own], self.z[own], self.scale, self.taken[own])

    def to_patient(self, points: np.ndarray) -> np.ndarray:
        """Return the patient coordinates, mm, of points (n, 3) of the average body; the deformation is inverted in two
        steps.
        """
        from scipy.ndimage import map_coordinates

        places = points * self.scale
        low = np.array([self.grid.x[0], self.grid.y[0], self.grid.z[0]])
        for _ in range(2):
            index = ((places - low) / STEP_MM).T[::-1]
            found = [map_coordinates(a, index, order=1, mode="nearest") for a in (self.x, self.y, self.z)]
            places = places - self.scale * (np.stack(found, axis=1) - points)
        return places

    def empty(self) -> np.ndarray:
        """Return a depth that is inside nowhere."""
        return np.full(self.grid.shape, FAR_MM, dtype=np.float32)

    def add(self, depth: np.ndarray, center, axes, turn: np.ndarray | None = None, blend: float = 0.0) -> np.ndarray:
        """Join an ellipsoid to `depth`, in place, the crease filled over `blend` mm. turn: see `ellipsoid`."""
        reach = np.full(3, max(axes)) if turn is not None else np.asarray(axes)
        b = self.box(np.asarray(center) - reach, np.asarray(center) + reach)
        own = ellipsoid(self.x[b], self.y[b], self.z[b], center, axes, turn)
        depth[b] = join(depth[b], own, blend)
        return depth

    def add_path(self, depth: np.ndarray, points, radii, flat: float = 1.0, blend: float = 0.0) -> np.ndarray:
        """Join a tube along a path, in place. flat: how much wider than deep (y) it is."""
        for n in range(len(points) - 1):
            pad = max(radii[n], radii[n + 1]) * max(flat, 1.0)
            b = self.box(np.minimum(points[n], points[n + 1]) - pad, np.maximum(points[n], points[n + 1]) + pad)
            own = capsule(self.x[b], self.y[b], self.z[b], points[n], points[n + 1], (radii[n], radii[n + 1]), flat)
            depth[b] = join(depth[b], own, blend)
        return depth

    def place(self, depth: np.ndarray, gap: float = 1.0) -> np.ndarray:
        """Remove from `depth` the space already taken, with `gap` mm between, and mark the rest as taken.

        Returns the depth.
        """
        free = np.negative(self.taken)
        free -= gap
        np.minimum(depth, free, out=depth)
        np.maximum(self.taken, depth, out=self.taken)
        return depth


def ellipsoid(x, y, z, center, axes, turn: np.ndarray | None = None) -> np.ndarray:
    """First-order depth, mm, positive inside. turn: (3, 3), whose rows are the directions of the axes."""
    offset = [a - np.float32(c) for a, c in zip((x, y, z), center, strict=True)]
    if turn is not None:
        offset = [weighted(row, offset) for row in turn]
    radius, slope = np.zeros_like(offset[0]), np.zeros_like(offset[0])
    for unit, axis in zip(offset, axes, strict=True):
        unit /= np.float32(axis)
        radius += unit * unit
        unit /= np.float32(axis)
        unit *= unit
        slope += unit
    np.sqrt(radius, out=radius)
    np.sqrt(slope, out=slope)
    slope.clip(1e-5, np.inf, out=slope)
    depth = 1 - radius
    depth *= radius
    depth /= slope
    return depth.clip(FAR_MM, np.inf, out=depth)


def weighted(weights, terms) -> np.ndarray:
    """Return the sum of three arrays with weights, float32."""
    total = np.float32(weights[0]) * terms[0]
    for weight, term in zip(weights[1:], terms[1:], strict=True):
        total += np.float32(weight) * term
    return total


def capsule(x, y, z, start, end, radius, flat: float = 1.0) -> np.ndarray:
    """Depth of a tube with round ends whose radius changes linearly; `flat` times wider in x and z than in y."""
    p0, axis = np.asarray(start, float), np.asarray(end, float) - np.asarray(start, float)
    offset = [x - np.float32(p0[0]), y - np.float32(p0[1]), z - np.float32(p0[2])]
    if flat != 1:
        offset[1] *= np.float32(flat)
    axis = axis * (1, flat, 1)
    t = weighted(axis, offset)
    t /= np.float32(axis @ axis + 1e-9)
    t.clip(0, 1, out=t)
    along = np.empty_like(t)
    for across, step in zip(offset, axis, strict=True):
        np.multiply(t, np.float32(step), out=along)
        across -= along
        across *= across
    distance = offset[0]
    distance += offset[1]
    distance += offset[2]
    np.sqrt(distance, out=distance)
    t *= np.float32(radius[1] - radius[0])
    t += np.float32(radius[0])
    t -= distance
    if flat > 1:
        t /= np.float32(flat**0.5)
    return t


def join(a: np.ndarray, b: np.ndarray, blend: float = 0.0) -> np.ndarray:
    """Depth of the union, with the crease filled over `blend` mm."""
    return smooth_union(a, b, blend) if blend else np.maximum(a, b)


def meet(a: np.ndarray, b: np.ndarray, blend: float) -> np.ndarray:
    """Depth of the intersection, with the edge rounded over `blend` mm."""
    return smooth_union(a, b, -blend)
