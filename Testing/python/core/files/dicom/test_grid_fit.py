"""Fitting a grid to slice positions: rounded ones are restored, gaps counted, and other layouts named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from REACTKDLib.core.errors import MixedSeries, ReactkdError, SkewedAxes, SlicesMissing
from REACTKDLib.core.files.dicom.geometry import check_planes
from REACTKDLib.core.files.dicom.grid_fit import fitted, planes_through, tolerance

QUICK = settings(max_examples=60, deadline=None)
steps = st.one_of(
    st.sampled_from([0.5, 0.6, 0.625, 0.7, 0.75, 0.8, 1.25, 1.5, 2.5, 3.27, 3.75, 5.0]), st.floats(0.6, 10)
)
counts = st.integers(4, 250)
starts = st.floats(-1500, 1500)
digits = st.sampled_from([1, 2, 3, 6])


def rounded(start: float, step: float, index: np.ndarray, places: int) -> np.ndarray:
    return np.round(start + step * index, places)


@QUICK
@given(step=steps, n=counts, start=starts, places=digits)
def test_rounded_positions_lie_on_the_grid_they_were_rounded_from(step, n, start, places):
    index = np.arange(n)
    line = fitted(rounded(start, step, index, places))
    assert line.even and line.lacking == 0 and np.array_equal(line.index, index)
    found = line.start + line.step * index
    assert np.abs(found - (start + step * index)).max() <= 0.1  # each slice within the rounding error of its position
    assert abs(line.step - step) * (n - 1) <= 0.12


@QUICK
@given(step=steps, n=counts, start=starts, seed=st.integers(0, 99))
def test_jitter_within_rounding_is_accepted_as_even(step, n, start, seed):
    index = np.arange(n)
    line = fitted(start + step * index + np.random.default_rng(seed).uniform(-0.05, 0.05, n))
    assert line.even and line.lacking == 0
    assert np.abs(line.start + line.step * index - (start + step * index)).max() <= 0.12


@QUICK
@given(step=steps, n=st.integers(12, 250), start=starts, places=digits, data=st.data())
def test_missing_slices_are_counted_and_located(step, n, start, places, data):
    lost = data.draw(st.sets(st.integers(1, n - 2), min_size=1, max_size=max(1, n // 12)))
    index = np.array([k for k in range(n) if k not in lost])
    at = rounded(start, step, index, places)
    line = fitted(at)
    assert line.even and line.lacking == len(lost) and np.array_equal(line.index, index)
    first = min(lost)
    positions = np.outer(at, [0, 0, 1]) + [3.0, -4.0, 0]
    gaps = np.count_nonzero(np.diff(index) > 1)
    assume(gaps <= 2 or gaps * 10 <= len(index) - 1)
    with pytest.raises(SlicesMissing, match=f"lacks {len(lost)} slices?: between slice {first} and {first + 1} of "):
        check_planes(planes_through(positions, [0, 0, 1]), "the CT")


@pytest.mark.parametrize("places", [1, 2])
@pytest.mark.parametrize("step", [0.5, 0.7, 0.8, 1.5])
@pytest.mark.parametrize("lost", [{1}, {95}, {1, 2, 95}])
def test_a_slice_alone_beyond_a_gap_may_be_rounded_the_other_way(step, lost, places):
    """Positions -0.95, -0.15, 0.65, ... all lie halfway between two tenths."""
    index = np.array([k for k in range(97) if k not in lost])
    line = fitted(rounded(-0.95, step, index, places))
    assert line.even and np.array_equal(line.index, index)


@QUICK
@given(step=steps, n=st.integers(12, 120), start=starts, width=st.integers(10, 30), places=digits)
def test_one_wide_gap_is_counted_correctly_from_rounded_steps(step, n, start, width, places):
    index = np.concatenate([np.arange(n), n + width + np.arange(n)])
    line = fitted(rounded(start, step, index, places))
    assert line.even and line.lacking == width


@QUICK
@given(step=steps, n=st.integers(2, 40), start=starts, width=st.integers(1, 400), places=digits)
def test_a_wider_gap_is_counted_correctly_by_the_stated_step(step, n, start, width, places):
    """Two lesions far apart: a step estimated from rounded positions alone would drift across the gap."""
    index = np.concatenate([np.arange(n), n + width + np.arange(n)])
    line = fitted(rounded(start, step, index, places), step)
    assert line.even and line.lacking == width


@QUICK
@given(step=steps, n=st.integers(8, 200), k=st.integers(1, 6), places=digits, share=st.floats(0.3, 0.45))
def test_one_displaced_slice_is_uneven(step, n, k, places, share):
    assume(share * step > 0.35)
    at = rounded(10.0, step, np.arange(n), places)
    at[k] += share * step
    with pytest.raises(SlicesMissing, match="uneven distances"):
        check_planes(planes_through(np.outer(at, [0, 0, 1]), [0, 0, 1]), "the CT")


@pytest.mark.parametrize(("first", "then"), [(2.5, 5.0), (5.0, 2.5), (1.25, 5.0), (2.5, 4.0), (1.0, 3.0)])
def test_a_scan_of_two_spacings_is_refused_as_uneven(first, then):
    at = np.cumsum([0.0] + [first] * 30 + [then] * 20)
    positions, numbers = np.outer(at, [0, 0, 1]), list(range(1, 52))
    with pytest.raises(SlicesMissing, match="uneven distances"):
        check_planes(planes_through(positions, [0, 0, 1]), "the CT", numbers)


def test_image_numbers_show_that_every_second_file_is_missing():
    index = np.array([*range(30), *range(31, 60, 2)])
    planes = planes_through(np.outer(2.5 * index, [0, 0, 1]), [0, 0, 1])
    with pytest.raises(SlicesMissing, match="lacks 15 slices"):
        check_planes(planes, "the CT", (index + 1).tolist())
    with pytest.raises(SlicesMissing, match="uneven"):
        check_planes(planes, "the CT", list(range(1, len(index) + 1)))


turns = st.floats(-40, 40)


def turned(degrees: tuple[float, float]) -> np.ndarray:
    """Axes of an oblique series as the columns of a (3, 3) matrix: row, column, normal."""
    from support.small_cases import rotation

    return rotation((*degrees, 0.0))


@QUICK
@given(step=st.floats(1.0, 6), n=counts, degrees=st.tuples(turns, turns), places=st.sampled_from([1, 2, 6]))
def test_oblique_positions_rounded_in_each_coordinate(step, n, degrees, places):
    axes = turned(degrees)
    true = np.array([-120.0, 35.0, 800.0]) + np.outer(step * np.arange(n), axes[:, 2])
    planes = planes_through(np.round(true, places), axes[:, 2])
    check_planes(planes, "the CT")
    assert np.abs(planes.place(np.arange(n)) - true).max() <= 0.15


@QUICK
@given(
    step=st.floats(0.7, 6), n=st.integers(6, 200), where=st.floats(0.1, 0.9), shift=st.floats(1.0, 60),
    places=digits, degrees=st.tuples(turns, turns),
)  # fmt: skip
def test_a_sideways_shift_is_located(step, n, where, shift, places, degrees):
    axes, k = turned(degrees), max(1, int(where * n))
    positions = np.outer(step * np.arange(n), axes[:, 2])
    positions[k:] += shift * axes[:, 0]
    with pytest.raises(MixedSeries, match=f"shifted sideways .* mm between slice {k} and {k + 1} of {n};"):
        check_planes(planes_through(np.round(positions, max(places, 2)), axes[:, 2]), "the CT")


@QUICK
@given(step=st.floats(0.7, 6), n=st.integers(5, 200), degrees=st.floats(1, 30), places=digits)
def test_a_tilted_gantry_is_named(step, n, degrees, places):
    tilt = np.tan(np.deg2rad(degrees))
    positions = np.outer(step * np.arange(n), [0, tilt, 1])
    assume(positions[-1, 1] > 0.4)  # a smaller shift over the whole stack counts as rounding
    with pytest.raises(SkewedAxes, match="tilted gantry"):
        check_planes(planes_through(np.round(positions, max(places, 2)), [0, 0, 1]), "the CT")


@QUICK
@given(at=st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=30, unique=True))
def test_any_positions_give_a_grid_or_an_error(at):
    at = np.sort(at)
    assume(np.diff(at).min() > 0.01)
    try:
        check_planes(planes_through(np.outer(at, [0, 0, 1]), [0, 0, 1]), "the CT")
    except ReactkdError as error:
        assert str(error).endswith(".") and "nan" not in str(error)
    else:
        line = fitted(at)
        assert np.abs(at - line.start - line.step * np.arange(len(at))).max() <= tolerance(line.step)
