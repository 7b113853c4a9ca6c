"""Sentences on the shares of a report, the same in the panel, the views, the page and the shell."""

from __future__ import annotations

from collections.abc import Sequence

from REACTKDLib.core.reports.region_rows import Answer, ReportRegion
from REACTKDLib.core.text import Text, all_of, joined, listed, sentence, signed
from REACTKDLib.core.text import tr as _

MOST_NAMED = 6  # regions listed by name; the remaining ones are summed up
_SILENT = 0.005  # smaller shares, under half a percentage point, are not mentioned


def share_line(report: Answer) -> str:
    """Return "94 % for poor: 25 without any region, Lesion 1 +34, ...."; "" if the report has no shares.

    The numbers are whole percentage points, the largest first, and add up: see `whole_points`.
    """
    start, named, rest, total = _points(report)
    if not named:
        return ""
    words = [_("{name} {points}").format(name=row.name, points=signed_points(n)) for row, n in named]
    if rest is not None:
        count = sum(row.share is not None for row in report.regions) - len(named)
        words.append(_("{count} other regions {points}").format(count=count, points=signed_points(rest)))
    text = _("{total} % for {grade}: {start} without any region, {parts}.").format(
        start=start, parts=joined(words, ", "), total=total, grade=report.task.class_word(report.grade)
    )
    errors = [row.value("share_error") for row, _n in named]
    return joined([text, _sampled(max(errors))]) if all(errors) else text


def _points(report: Answer) -> tuple[int, list[tuple[ReportRegion, int]], int | None, int]:
    """Return in whole points: the prediction without regions, the listed regions, the sum of the rest, the
    prediction.
    """
    rows = sorted((row for row in report.regions if row.share is not None), key=lambda row: -abs(row.share))
    if report.without_regions is None:
        return 0, [], None, 0
    named = rows if len(rows) <= MOST_NAMED + 1 else rows[:MOST_NAMED]
    rest = [sum(row.share for row in rows[len(named) :])] if len(named) < len(rows) else []
    parts = [report.without_regions[report.grade], *(row.share for row in named), *rest]
    points, total = whole_points(parts, report.probabilities[report.grade])
    return points[0], list(zip(named, points[1:], strict=False)), points[-1] if rest else None, total


def whole_points(parts: Sequence[float], total: float) -> tuple[list[int], int]:
    """Return fractions that add up to `total` as whole percentage points that add up to the rounded total.

    Each is rounded. If the sum is off, numbers are changed by one: first the first, which is in no table, then those
    closest to the other rounding. Equal parts stay equal as long as others can be changed. Fractions that add up to
    something else are only rounded.
    """
    exact = [100 * part for part in parts]
    points, whole = [round(value) for value in exact], round(100 * total)
    while abs(sum(exact) - 100 * total) < 1 and (off := whole - sum(points)) != 0:
        step = 1 if off > 0 else -1

        def cost(n: int, step: int = step) -> tuple[bool, bool, bool, float]:
            wrong = step * (points[n] - exact[n])
            return wrong > 1e-9, n > 0, _has_twin(exact, n), wrong

        points[min(range(len(points)), key=cost)] += step
    return points, whole


def signed_points(points: int) -> str:
    """Return "+34", "0" or a true minus before the number."""
    return signed(points, 0)


def same_words(report: Answer) -> str:
    """Return "Lesion 1 and Lesion 2 say the same: either alone gives the answer."; "" if there are no redundant
    regions.
    """
    names = [report.regions[index].name for index in report.redundant]
    if len(names) < 2:
        return ""
    if len(names) == 2:
        return _("{names} are redundant: either one alone gives the same grade.").format(names=all_of(names))
    return _("{names} are redundant: any one of them alone gives the same grade.").format(names=listed(names))


def direction_words(report: Answer, row: ReportRegion) -> str:
    """Return the grade that a region opposes or supports, if the predicted grade is an intermediate one; "" otherwise.

    "against poor": it reduces the probability of poor most. "for well": it reduces that of the predicted grade most,
    and increases that of well most.
    """
    shares, classes = row.value("share_by_grade"), list(report.probabilities or {})
    if not shares or report.grade in (classes[0], classes[-1]):
        return ""
    from_grade, to_grade = min(shares, key=shares.get), max(shares, key=shares.get)
    if shares[to_grade] < _SILENT:
        return ""
    if from_grade == report.grade:
        return _("for {grade}").format(grade=report.task.class_word(to_grade))
    return _("against {grade}").format(grade=report.task.class_word(from_grade))


def directions_line(report: Answer) -> str:
    """Return "Against poor: Lesion 1, Parenchyma; against well: Lesion 2.", the strongest first; "" as above."""
    sides: dict[str, list[str]] = {}
    for row in sorted(report.regions, key=lambda row: -row.importance):
        if words := direction_words(report, row):
            sides.setdefault(words, []).append(row.name)
    if not sides:
        return ""
    lists = [_("{side}: {names}").format(side=side, names=joined(names, ", ")) for side, names in sides.items()]
    return sentence(joined(lists, "; ") + ".")


def explained(report: Answer) -> list[str]:
    """Return the non-empty sentences shown beside every table of regions."""
    lines = (share_line(report), members_line(report), same_words(report), directions_line(report))
    return [text for text in lines if text]


def members_line(report: Answer) -> str:
    """Return "Models that say poor: 2 of 3; from model to model well 2 to 8 %, ..."; "" for a single model."""
    if report.ensemble is None:
        return ""
    members, spread = report.ensemble.members, report.ensemble.spread
    word = report.task.class_word
    ranges = [
        _("{grade} {low} to {high} %").format(grade=word(name), low=round(100 * s.low), high=round(100 * s.high))
        for name, s in spread.items()
    ]
    text = _("Models that say {grade}: {agreeing} of {count}; from model to model {ranges}.")
    agreeing, grade = report.ensemble.agreeing(report.grade), word(report.grade)
    return text.format(agreeing=agreeing, count=len(members), grade=grade, ranges=joined(ranges, ", "))


def pattern_words(report: Answer) -> str:
    """Return the sentence for the topology if its influence exceeds that of every region; "" otherwise.

    Topology has no voxels, so no color shows it.
    """
    _start, named, _rest, _total = _points(report)
    if not named or named[0][0].kind != "topology":
        return ""
    row, points = named[0]
    return _("{name} {points}").format(name=row.name, points=signed_points(points))


def _has_twin(values: Sequence[float], place: int) -> bool:
    return any(abs(values[place] - other) < 1e-6 for n, other in enumerate(values) if n != place)


def _sampled(error: float) -> Text:
    return _("The shares were sampled, with a standard error of at most {error} points.").format(
        error=f"{max(100 * error, 0.1):.1f}"
    )
