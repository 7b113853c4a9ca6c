"""Kidneys, spleen, pancreas, gallbladder, adrenals and the great vessels, on the frame of a patient."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.phantom.organs.frame import Frame
from REACTKDLib.core.phantom.organs.grid_solid import GridSolid
from REACTKDLib.core.phantom.organs.parts import Layer, Part


def turned(along, up=(0.0, 1.0, 0.0)) -> np.ndarray:
    """(3, 3) whose last row is the direction `along`, the others across it."""
    last = np.asarray(along, float) / np.linalg.norm(along)
    first = np.cross(up, last)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(last, first), last])


def finished(frame: Frame, name: str, kind: str, hu: float, depth: np.ndarray, *layers: Layer, gap: float = 1.0):
    """Place a depth in the frame and return its part in a tuple, empty if no space was left for it."""
    solid = GridSolid.cropped(frame.grid, frame.place(depth, gap))
    return () if solid is None else (Part(name, kind, float(hu), solid, layers),)


def moved(rng: np.random.Generator, points, sd: float = 3.0) -> np.ndarray:
    """Points of an average body (n, 3), each displaced by a few mm."""
    return np.asarray(points, float) + rng.normal(0, sd, (len(points), 3))


def great_vessels(rng: np.random.Generator, frame: Frame) -> tuple[Part, ...]:
    """Aorta (20 to 25 mm) with celiac trunk and superior mesenteric artery; inferior vena cava up to the atrium."""
    r = rng.uniform(10.0, 12.5) / frame.scale[:2].mean()
    hu, venous = rng.uniform(135, 175), rng.uniform(120, 155)
    trunk = [(-7, -13, -180), (-8, -14, -40), (-10, -19, 40), (-15, -27, 100), (-18, -30, 190)]
    branches = (
        [(-7, -4, 4), (-5, 6, 2), (8, 14, 0)],
        [(-7, -5, -14), (-5, 6, -24), (-4, 12, -50), (4, 16, -120)],
        [(-8, -12, -36), (-36, -28, -48)],
        [(-7, -12, -40), (6, -16, -46), (38, -30, -62)],
    )
    own = frame.around([*trunk, *sum(branches, [])], 1.06 * r)
    aorta = own.add_path(own.empty(), trunk, [0.88 * r, 0.96 * r, r, 1.04 * r, 1.06 * r])
    for path in branches:
        own.add_path(aorta, path, [3.6, *[3.0] * (len(path) - 1)])
    found = finished(own, "aorta", "blood", hu, aorta)
    trunk = [(22, -12, -180), (23, -10, -50), (25, -6, 0), (25, 0, 48), (20, 4, 78), (14, 14, 112)]
    right, left = [(25, -9, -48), (44, -26, -62)], [(22, -6, -40), (0, 1, -38), (-34, -24, -46)]
    own = frame.around([*trunk, *right, *left], 1.25 * 17)
    cava = own.add_path(own.empty(), trunk, [10, 12, 12.5, 12.5, 13, 17], flat=1.25)
    own.add_path(cava, right, [5, 4.5])
    own.add_path(cava, left, [4.5, 4.5, 4.5])
    return found + finished(own, "vena cava", "blood", venous, cava)


def portal_trunk(rng: np.random.Generator, frame: Frame, hilum) -> tuple[Part, ...]:
    """Splenic and superior mesenteric vein and the portal vein to the hilum of the liver."""
    meet = np.array([15, 12, -24]) + rng.normal(0, 2, 3)
    mesenteric, splenic = [(12, 20, -170), (13, 18, -70), meet], [(-84, -26, 20), (-52, -14, 8), (-16, 6, -14), meet]
    portal = [meet, (np.asarray(hilum) + meet) / 2 + (0, 2, 0), hilum]
    own = frame.around([*mesenteric, *splenic, *portal], 6.8)
    vein = own.add_path(own.empty(), mesenteric, [6.0, 6.0, 6.5])
    own.add_path(vein, splenic, [3.5, 4.2, 4.8, 5.2])
    own.add_path(vein, portal, [6.8, 6.6, 6.2])
    return finished(own, "portal vein", "blood", rng.uniform(150, 180), vein, gap=0.5)


def kidneys(rng: np.random.Generator, frame: Frame) -> tuple[Part, ...]:
    """Cortex, medulla and pelvis with fat about it."""
    hu, found = rng.uniform(165, 200), ()
    for side, name, z in ((1, "right kidney", -70.0), (-1, "left kidney", -50.0)):
        center = np.array([66.0 * side, -40.0, z]) + rng.normal(0, (3, 3, 6))
        turn = turned((-0.22 * side, -0.22, 1.0), (side, 1.1, 0.0))
        size = np.array([24, 27, 54]) * rng.uniform(0.9, 1.1, 3)
        own = frame.around([center], max(size))
        depth = own.add(own.empty(), center, size, turn)
        sinus = own.add(own.empty(), center + (-15 * side, 8, 0), (12, 12, 27), turn)
        pelvis = own.add_path(
            own.empty(),
            [center + (-8 * side, 5, 8), center + (-17 * side, 8, 0), center + (-9 * side, 5, -12)],
            [4, 6, 4],
        )
        own.add_path(pelvis, [center + (-17 * side, 8, 0), center + (-27 * side, 9, -22)], [6, 3])
        layers = (
            Layer("kidney", hu - 32, inset=8.0, mottle=16.0),
            Layer("fat", -85.0, solid=_solid(own, sinus)),
            Layer("urine", 22.0, solid=_solid(own, pelvis)),
        )
        found += finished(own, name, "kidney", hu, depth, *layers)
    return found


def _solid(frame: Frame, depth: np.ndarray) -> GridSolid | None:
    return GridSolid.cropped(frame.grid, depth)


def adrenals(rng: np.random.Generator, frame: Frame) -> tuple[Part, ...]:
    """Two thin limbs above each kidney."""
    found = ()
    for side, name, z in ((1, "right adrenal", 0.0), (-1, "left adrenal", 4.0)):
        top = np.array([37.0 * side, -22.0, z]) + rng.normal(0, 2, 3)
        limbs = [top, top + (3 * side, -14, -10)], [top, top + (12 * side, -11, -8)]
        own = frame.around(np.concatenate(limbs), 4.4)
        depth = own.empty()
        for limb in limbs:
            own.add_path(depth, limb, [4.4, 3.4])
        found += finished(own, name, "adrenal", 75, depth)
    return found


def spleen(rng: np.random.Generator, frame: Frame, cavity: np.ndarray) -> tuple[Part, ...]:
    """Against the wall and the diaphragm, hollow toward the stomach."""
    center = np.array([-100.0, -32.0, 22.0]) + rng.normal(0, (2, 4, 6))
    size = np.array([36.0, 52.0, 56.0]) * rng.uniform(0.85, 1.15)
    box = frame.box_around([center], max(size))
    own = frame.part(box)
    depth = own.add(own.empty(), center, size, turned((-0.1, -0.45, 1.0)))
    hollow = own.add(own.empty(), center + (44, 22, -4), (36, 50, 60))
    np.minimum(depth, -hollow, out=depth)
    np.minimum(depth, cavity[box] - 0.5, out=depth)
    return finished(own, "spleen", "spleen", rng.uniform(108, 132), depth, gap=1.5)


def pancreas(rng: np.random.Generator, frame: Frame) -> tuple[Part, ...]:
    """Head right of the mesenteric vein, tail toward the spleen."""
    path = moved(rng, [(30, 8, -58), (29, 14, -40), (15, 22, -26), (-10, 23, -12), (-42, 2, 6), (-76, -22, 18)], 2.5)
    radii = np.array([11, 14, 10, 10, 9.5, 9]) * rng.uniform(0.85, 1.1)
    depth = frame.add_path(frame.empty(), path, radii, blend=4.0)
    lobules = 1.2 * np.sin(frame.x / 2.2) * np.sin(frame.y / 2.4 + 1) * np.sin(frame.z / 2.6 + 2)
    depth += lobules.astype(np.float32)  # on the whole grid, since every depth limits those of later organs
    return finished(frame, "pancreas", "pancreas", rng.uniform(85, 110), depth, gap=0.5)


def gallbladder(rng: np.random.Generator, frame: Frame) -> tuple[Part, ...]:
    """In its fossa below the liver, the fundus to the front."""
    center = np.array([48.0, 44.0, -42.0]) + rng.normal(0, (3, 3, 4))
    size = np.array([13.0, 13.0, 32.0]) * rng.uniform(0.75, 1.15)
    own = frame.around([center], max(size))
    depth = own.add(own.empty(), center, size, turned((-0.1, -0.75, 0.7)))
    return finished(
        own, "gallbladder", "bile", rng.uniform(60, 75), depth, Layer("bile", rng.uniform(4, 16), inset=2.2)
    )


def muscles(rng: np.random.Generator, frame: Frame) -> tuple[Part, ...]:
    """Psoas, quadratus lumborum, erector spinae, and the crura of the diaphragm."""
    hu, own = rng.uniform(52, 64), frame.around([(-72, -72, -180), (72, 2, 62)], 24)
    depth = own.empty()
    for side in (1, -1):
        own.add_path(depth, [(24 * side, -44, 8), (32 * side, -44, -50), (42 * side, -38, -180)], [5, 13, 24])
        own.add_path(depth, [(58 * side, -72, -30), (72 * side, -70, -180)], [9, 14])
        own.add_path(depth, [(13 * side - 2, -24, 30), (14 * side, -26, -30), (15 * side, -30, -70)], [5.5, 5, 3])
        own.add_path(depth, [(14 * side - 2, -22, 34), (22 * side - 4, 2, 62)], [4.5, 3])
    return finished(own, "muscles", "muscle", hu, depth, gap=0.0)


def esophagus_and_heart(rng: np.random.Generator, frame: Frame, below: np.ndarray) -> tuple[Part, ...]:
    """The esophagus, and the heart on the diaphragm with its chambers. below: height above the diaphragm, mm."""
    path = [(-6, -12, 190), (-12, -6, 90), (-22, 2, 66)]
    own = frame.around(path, 8)
    tube = own.add_path(own.empty(), path, [8, 8, 8])
    found = finished(own, "esophagus", "muscle", 60, tube, Layer("gas", -300, inset=5.5))
    center = np.array([-26.0, 38.0, 118.0]) + rng.normal(0, 3, 3)
    box = frame.box_around([center], 64)
    own = frame.part(box)
    depth = own.add(own.empty(), center, (64, 47, 46), turned((0.75, -0.3, 0.6)))
    np.minimum(depth, below[box] - 4, out=depth)
    left = own.add(own.empty(), center + (-24, 0, -2), (19, 19, 36), turned((0.8, -0.35, 0.5)))
    right = own.add(own.empty(), center + (20, 8, 4), (22, 26, 34), turned((0.6, -0.2, 0.8)))
    chambers = _solid(own, np.maximum(left, right))
    return found + finished(
        own, "heart", "myocardium", 112, depth, Layer("blood", rng.uniform(140, 165), 7.0, solid=chambers)
    )
