"""Stomach, duodenum, colon and small bowel: walls with gas and content inside."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.phantom.organs.frame import Frame
from REACTKDLib.core.phantom.organs.parts import Layer, Part
from REACTKDLib.core.phantom.organs.solid_organs import finished, moved


def stomach(rng: np.random.Generator, frame: Frame, cavity: np.ndarray) -> tuple[Part, ...]:
    """Fundus under the left diaphragm, body forward, antrum over the spine to the duodenum."""
    full = rng.uniform(0.72, 1.08)
    path = moved(rng, [(-60, -14, 48), (-66, 6, 26), (-62, 34, -4), (-40, 50, -34), (-6, 52, -46), (24, 42, -44)], 3)
    box = frame.box_around(path, 37 * full)
    own = frame.part(box)
    depth = own.add_path(own.empty(), path, np.array([37, 35, 31, 25, 19, 12]) * full, blend=8.0)
    np.minimum(depth, cavity[box] - 1, out=depth)
    level = float((path[2][1] + rng.uniform(-14, 16)) * frame.scale[1])
    layers = (
        Layer("content", rng.uniform(8, 35), inset=4.0, mottle=rng.uniform(0, 40)),
        Layer("gas", -940.0, inset=4.0, above=level),
    )
    duodenum = moved(rng, [(26, 42, -44), (44, 28, -40), (48, 6, -62), (42, -2, -92), (8, 6, -100), (-30, 2, -92)], 2.5)
    found = finished(own, "stomach", "stomach", rng.uniform(70, 95), depth, *layers, gap=1.5)
    inside = Layer("content", rng.uniform(10, 40), inset=3.0)
    own = frame.around(duodenum, 13)
    loop = own.add_path(own.empty(), duodenum, [12, 13, 12, 12, 11, 11], blend=3.0)
    return found + finished(own, "duodenum", "bowel", rng.uniform(75, 100), loop, inside, gap=1.0)


def colon(rng: np.random.Generator, frame: Frame, cavity: np.ndarray) -> tuple[Part, ...]:
    """Ascending, transverse and descending, with haustra, stool and gas."""
    path = moved(
        rng,
        [
            (104, -12, -180), (104, -10, -118), (92, 22, -100), (62, 58, -98), (14, 70, -96), (-40, 70, -84),
            (-84, 50, -52), (-106, 14, -22), (-114, -14, -48), (-112, -26, -110), (-108, -22, -180),
        ],
        5,
    )  # fmt: skip
    size = np.array([29, 29, 27, 25, 24, 24, 23, 21, 18, 17, 17]) * rng.uniform(0.85, 1.12)
    depth = frame.add_path(frame.empty(), path, size, blend=4.0)
    haustra = 2.2 * np.sin(frame.x / 5.2 + 1) * np.sin(frame.z / 5.6) + 1.2 * np.sin(frame.y / 6)
    depth += haustra.astype(np.float32)  # on the whole grid, since every depth limits those of later organs
    np.minimum(depth, cavity - 2, out=depth)
    level = float(rng.uniform(54, 74) * frame.scale[1])
    layers = (
        Layer("content", rng.uniform(-70, 10), inset=3.0, mottle=rng.uniform(60, 150)),
        Layer("gas", -930.0, inset=3.0, above=level),
    )
    return finished(frame, "colon", "bowel", rng.uniform(65, 90), depth, *layers, gap=1.5)


def small_bowel(rng: np.random.Generator, frame: Frame, cavity: np.ndarray) -> tuple[Part, ...]:
    """Loops that wander through the space left below the transverse colon."""
    found: tuple[Part, ...] = ()
    regions = {"jejunum": (-58, 30, -62), "second jejunum": (-40, 48, -95), "ileum": (22, 42, -118)}
    for name, start in regions.items():
        place, step, path = np.asarray(start, float), np.array([1.0, 0.0, 0.0]), [np.asarray(start, float)]
        for _ in range(22):
            step = step + rng.normal(0, 0.8, 3) + (start - place) / 55.0
            step /= np.linalg.norm(step)
            place = place + 19.0 * step
            path.append(place)
        radii = rng.uniform(11.0, 16.0, len(path))
        box = frame.box_around(path, max(radii))
        own = frame.part(box)
        depth = own.add_path(own.empty(), path, radii, blend=1.0)
        np.minimum(depth, cavity[box] - 3, out=depth)
        inside = Layer("content", rng.uniform(12, 40), inset=2.8, mottle=25.0)
        found += finished(own, name, "bowel", rng.uniform(85, 115), depth, inside, gap=1.2)
    return found
