"""Fits a regular grid to positions along a line that are rounded, have gaps, or deviate slightly.

The same rule applies to the slices of a series and the frames of a segmentation or a multi-frame image: each must lie
within `tolerance` of the least-squares grid through all, or of that grid shifted along the line. Headers round
positions, often to 0.1 mm, so single steps are imprecise: between slices 0.625 mm apart they are 0.6 and 0.7 mm.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

FINEST_MM, COARSEST_MM = 0.01, 1e3  # steps that a header may state
FARTHEST_MM = 1e5  # no scanner is that large; a larger position is invalid
SAME_PLACE_MM = 0.01
ROUNDED_MM = 0.1  # twice the largest error of rounding to one decimal
SHARE = 0.02  # of the step, for thick slices
PRECISE_MM = 0.03  # positions this even are not rounded to 0.1 mm: the first and the last slice keep their positions
SIDEWAYS_MM = 0.2  # rounding of all three coordinates of an oblique series; a quarter of a small pixel
TILT = 1e-2  # mm sideways for each mm along the normal
MOST = 0.25  # of the step: with more, a slice could be mistaken for its neighbor


@dataclass(frozen=True, eq=False)
class Line:
    """The grid start + step x index, mm. index: (n,) integers from 0. off: (n,) mm, positions minus grid positions."""

    start: float
    step: float
    index: np.ndarray
    off: np.ndarray

    @property
    def even(self) -> bool:
        """True when every position lies on the grid, within rounding."""
        return bool(np.abs(self.off).max() <= tolerance(self.step))

    @property
    def lacking(self) -> int:
        """Number of grid positions between the first and the last without a slice."""
        return int(self.index[-1]) + 1 - len(self.index)


@dataclass(frozen=True, eq=False)
class Planes:
    """Parallel planes along their normal. normal: (3,) of length 1. side: (3,) mm, their position across it.

    drift: mm sideways for each mm along the normal. shifts: (n,) mm, sideways distance of each from the line through
    all. largest_jump: the index of the plane after which the largest sideways jump occurs, and its size in mm.
    """

    line: Line
    normal: np.ndarray
    side: np.ndarray
    drift: float
    shifts: np.ndarray
    largest_jump: tuple[int, float]

    @property
    def shifted(self) -> bool:
        """True if planes are displaced sideways: from some position on, the stack continues elsewhere."""
        return bool(self.shifts.max() > SIDEWAYS_MM)

    @property
    def tilted(self) -> bool:
        """True if each plane is slightly displaced from the one before, as with a tilted gantry."""
        in_all = self.drift * self.line.step * float(self.line.index[-1])
        return not self.shifted and self.drift > TILT and in_all > SIDEWAYS_MM

    def place(self, index: np.ndarray) -> np.ndarray:
        """Return the grid positions of the planes with these indices, (n, 3) mm."""
        return self.side + np.outer(self.line.start + self.line.step * np.asarray(index), self.normal)


def group_by_place(places: np.ndarray) -> list[list[int]]:
    """Return the indices of `places`, mm, in ascending groups of equal positions, within rounding."""
    order = np.argsort(places, kind="stable")
    gaps = np.diff(np.asarray(places)[order])
    wide = gaps[gaps > SAME_PLACE_MM]
    apart = min(ROUNDED_MM, max(SAME_PLACE_MM, 0.1 * float(np.median(wide)))) if wide.size else SAME_PLACE_MM
    groups: list[list[int]] = []
    last = -np.inf
    for index in order:
        if places[index] - last > apart:
            groups.append([])
            last = places[index]
        groups[-1].append(int(index))
    return groups


def planes_through(positions: np.ndarray, normal: np.ndarray, hint: float | None = None) -> Planes:
    """Return the planes through positions (n, 3), mm, in ascending order along `normal`. See `fitted`."""
    normal = np.asarray(normal, dtype=float) / np.linalg.norm(normal)
    at = positions @ normal
    line = fitted(at, hint)
    across = positions - np.outer(at, normal)
    side = across.mean(axis=0)
    index = line.index - line.index.mean()
    drift = index @ across / (index @ index)
    shifts = np.linalg.norm(across - side - np.outer(index, drift), axis=1)
    jumps = np.linalg.norm(np.diff(across, axis=0), axis=1)
    worst = int(np.argmax(jumps))
    tilt = float(np.linalg.norm(drift)) / line.step
    return Planes(line, normal, side, tilt, shifts, (worst, float(jumps[worst])))


def tolerance(step: float) -> float:
    """Return the allowed distance of a slice from its grid position, mm, on a grid with this step."""
    return min(max(ROUNDED_MM, SHARE * step), MOST * step)


def fitted(at: np.ndarray, hint: float | None = None) -> Line:
    """Return the grid through ascending, distinct positions (n,), mm, n at least 2.

    hint: the step that the header states; used only if positions fit it. Of the grids on which all positions lie, the
    one with the fewest gaps is returned; if there is none, the one with the most frequent step, which is not `even`.
    """
    steps = np.diff(np.asarray(at, dtype=float))
    usual = _most_frequent(steps)
    guesses = [usual, float(np.median(steps)), float(steps.min())]
    lines = [_line(at, steps, guess) for guess in guesses]
    even = [line for line in lines if line.even]
    if hint is not None and FINEST_MM <= hint <= COARSEST_MM:
        line = _line(at, steps, hint, exact=True)
        if line.even and abs(line.step - hint) <= tolerance(hint):
            return line
    return min(even, key=lambda line: line.lacking) if even else lines[0]


def _most_frequent(steps: np.ndarray) -> float:
    """Return the most frequent distance; among equally frequent ones the smallest, since gaps only increase it."""
    counts = Counter(np.round(steps, 2).tolist())
    most = max(counts.values())
    near = min(step for step, count in counts.items() if count == most)
    return float(np.median(steps[np.abs(steps - near) < 0.011]))


def _line(at: np.ndarray, steps: np.ndarray, guess: float, exact: bool = False) -> Line:
    """Determine the number of grid steps in each distance, small ones first, and fit start and step to them.

    Each distance makes the step more precise, which the large ones need: ten times an error of 0.05 mm is 0.5 mm.
    exact: the guess comes from the header and needs no refinement.
    """
    single = np.abs(steps - guess) <= min(2 * tolerance(guess), 0.5 * guess)
    length, number = (float(steps[single].sum()), int(single.sum())) if single.any() else (guess, 1)
    counts = np.ones(len(steps), dtype=int)
    for n in np.argsort(steps, kind="stable"):
        if not single[n]:
            step = guess if exact else length / number
            counts[n] = max(1, round(float(steps[n]) / step))
            if abs(steps[n] - counts[n] * step) <= MOST * step:
                length, number = length + float(steps[n]), number + int(counts[n])
    index = np.concatenate([[0], np.cumsum(counts)])
    through_ends = _at_places(at, index, (at[-1] - at[0]) / index[-1], at[0])
    if np.abs(through_ends.off).max() <= PRECISE_MM:
        return through_ends
    middle = index.mean()
    step = (index - middle) @ (at - at.mean()) / ((index - middle) @ (index - middle))
    line = _at_places(at, index, step, at.mean() - step * middle)
    if line.even:
        return line
    # A single slice beyond a gap may be rounded in the opposite direction: the midpoint is within rounding of both.
    return _at_places(at, index, step, line.start + (line.off.max() + line.off.min()) / 2)


def _at_places(at: np.ndarray, index: np.ndarray, step: float, start: float) -> Line:
    step = round(float(step), 9)  # 2.5 mm stays 2.5 mm
    return Line(float(start), step, index, at - (start + step * index))
