"""Findings on the segments that together are the organ or its lesions: an organ in parts, segments without a voxel."""

from __future__ import annotations

from collections.abc import Sequence

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.masks.left_out import LEFT_OUT
from REACTKDLib.core.task import Task
from REACTKDLib.core.text import quoted
from REACTKDLib.core.text import tr as _

#: codes of `segment_findings`
SEGMENT_FINDINGS = frozenset({"liver-of-parts", "liver-part-empty", "lesion-segment-empty"})
#: codes of the findings of `masks.lesions.DrawnMasks`: updated whenever the segments are read again
READING_FINDINGS = SEGMENT_FINDINGS | {LEFT_OUT}

#: the name of a segment, possibly not unique, and whether it has a voxel
Drawn = tuple[str, bool]


def segment_findings(organ: Sequence[Drawn], lesions: Sequence[Drawn], task: Task) -> list[Finding]:
    """Return the findings on an organ of several segments, and on segments without a voxel.

    organ, lesions: the segments of each. Without any voxel, an organ is an error (NoLiver), and lesions are the finding
    `no-lesion`; neither is repeated here.
    """
    return [*_of_organ(organ, task), *_of_lesions(lesions, task)]


def _of_organ(drawn: Sequence[Drawn], task: Task) -> list[Finding]:
    if len(drawn) < 2:
        return []
    text = _("The {organ} was combined from the segments {segments}.")
    organ, named = task.organ.name, quoted(name for name, _has_voxels in drawn)
    findings = [Finding("liver-of-parts", "info", text, segments=named, organ=organ)]
    empty = _empty(drawn)
    if empty:
        text = _("These parts of the {organ} are empty: {segments}; draw them, unless they were resected.")
        findings.append(Finding("liver-part-empty", "warning", text, segments=quoted(empty), organ=organ))
    return findings


def _of_lesions(drawn: Sequence[Drawn], task: Task) -> list[Finding]:
    empty = _empty(drawn)
    if not empty or len(empty) == len(drawn):
        return []
    one = _("The {lesion} segment {segments} is empty; draw it, or leave it out if there is no such {lesion}.")
    several = _(
        "The {lesion} segments {segments} are empty; draw them, or leave them out if there are no such {lesions}."
    )
    words = {"segments": quoted(empty), "lesion": task.lesion.name, "lesions": task.lesion.many}
    return [Finding("lesion-segment-empty", "warning", one if len(empty) == 1 else several, **words)]


def _empty(drawn: Sequence[Drawn]) -> list[str]:
    return [name for name, has_voxels in drawn if not has_voxels]
