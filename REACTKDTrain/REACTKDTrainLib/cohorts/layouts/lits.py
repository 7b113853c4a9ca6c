"""LiTS17 and MSD Task03_Liver: CT with liver and tumor labels but no grade, used to train the dose branch.

Sources: LiTS challenge pages and issues. The labels are 0 background, 1 liver, 2 tumor, so the whole liver is
everything above 0. Cases 28-47 are 3D-IRCADb-01 with an identity geometry. In cases 48-52 the geometry of the label
file differs from the image's and must be ignored.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.files.label_values import whole_labels
from REACTKDLib.core.files.volumes import read_raw
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.text import plural
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.content import disagreements
from REACTKDTrainLib.cohorts.file_case import file_case
from REACTKDTrainLib.cohorts.layout import Layout
from REACTKDTrainLib.cohorts.survey import Problem, Survey, against_header

RULE = "every label is liver, 2 is tumor, the image's geometry counts"
IRCADB = range(28, 48)
_SUFFIX = r"\.nii(\.gz)?$"
_IMAGE = re.compile(r"^(volume-|liver_)(\d+)" + _SUFFIX)
_LABEL = re.compile(r"^(segmentation-|liver_)(\d+)" + _SUFFIX)
_TEST = re.compile(r"^test-volume-(\d+)" + _SUFFIX)
LOW_HU, HIGH_HU = -1030, 3100


def is_lits(root: Path) -> bool:
    """Return True if `root` has `volume-N` and `segmentation-N` pairs, or imagesTr/liver_N and labelsTr/liver_N."""
    images, labels, _ = _files(Path(root))
    return bool(set(images) & set(labels))


def survey_lits(root: Path, on_progress: OnProgress = no_progress) -> Survey:
    """Find all pairs under `root`, regardless of folder names.

    Problems: a volume without labels or the reverse, a duplicate number, the identity geometry of cases 28-47, an image
    that contradicts its header, test volumes, unreadable files. on_progress: a fraction and a text; it cancels by
    raising.
    """
    images, labels, problems = _files(Path(root))
    cases = []
    numbers = sorted(set(images) | set(labels))
    for at, number in enumerate(numbers):
        name = f"lits-{number:03d}"
        on_progress(at / len(numbers), name)
        if number not in labels:
            problems.append(Problem(name, "no-labels", "There is a volume but no segmentation; it was left out."))
        elif number not in images:
            problems.append(Problem(name, "no-image", "There is a segmentation but no volume; it was left out."))
        else:
            try:
                values, more = _look_at(name, number, images[number], labels[number])
                cases.append(_case(name, images[number], labels[number], values))
                problems += more
            except (ReactkdError, OSError) as error:
                problems.append(Problem(name, "unreadable", str(error)))
    on_progress(1.0, f"{len(numbers)} cases")
    kind = "MSD Task03_Liver" if any(p.name.startswith("liver_") for p in images.values()) else "LiTS17"
    return Survey(kind, tuple(cases), tuple(problems))


def _case(name: str, image: Path, label: Path, values: set[int]) -> CohortCase:
    liver = tuple(str(value) for value in sorted(values - {0})) or ("1",)
    job = Job(name, {Modality.CT: image}, label, liver, ("2",) if 2 in values else ())
    return file_case(job, name, None, "LiTS17 / MSD Task03_Liver", RULE, on_image=True)


def _files(root: Path) -> tuple[dict[int, Path], dict[int, Path], list[Problem]]:
    """Return numbered volumes and segmentations below `root`; macOS' '._' files and test volumes are ignored."""
    images: dict[int, Path] = {}
    labels: dict[int, Path] = {}
    problems: list[Problem] = []
    tests = []
    for path in sorted(p for p in root.rglob("*.nii*") if p.is_file() and not p.name.startswith("._")):
        in_labels = path.parent.name.lower().startswith("labels")
        if path.parent.name.lower() == "imagests" or _TEST.match(path.name):
            tests.append(path.name)
            continue
        found, target = (_LABEL.match(path.name), labels) if in_labels else (_IMAGE.match(path.name), images)
        if not in_labels and found is None:
            found, target = _LABEL.match(path.name), labels
        if found is None:
            continue
        number = int(found.group(2))
        if number in target:
            kind = "segmentation" if target is labels else "volume"
            problems.append(
                Problem(
                    f"lits-{number:03d}", "twice", f"There is more than one {kind}; the first one by name was taken."
                )
            )
            continue
        target[number] = path
    if tests:
        swapped = any((found := _TEST.match(name)) and int(found[1]) == 59 for name in tests)
        remark = " (two axes of test-volume-59 are exchanged)" if swapped else ""
        text = f"Passed over {plural(len(tests), 'test volume')} without labels{remark}."
        problems.append(Problem("", "test-volumes", text))
    return images, labels, problems


def _look_at(name: str, number: int, image: Path, label: Path) -> tuple[set[int], list[Problem]]:
    """Return the values of the labels, and problems with the pair."""
    raw, mask = read_raw(image, "the CT"), read_raw(label, "the segmentation")
    found = []
    identity = np.allclose(np.abs(raw.ijk_to_ras[:3, :3]), np.eye(3), atol=1e-6)
    if identity:
        where = "3D-IRCADb-01 (28-47) is distributed so; " if number in IRCADB else ""
        found.append(
            Problem(
                name,
                "spacing-unknown",
                f"The header states 1 mm voxels along the axes, which is no scanner's geometry; {where}"
                "sizes and volumes of this case are wrong until the true spacing is restored.",
            )
        )
    if raw.array.shape == mask.array.shape:
        if not np.allclose(raw.ijk_to_ras, mask.ijk_to_ras, atol=1e-3):
            text = "The segmentation has another geometry than its volume; the volume's is used."
            found.append(Problem(name, "geometry-overruled", text))
    else:
        text = (
            f"The segmentation has {mask.array.shape} voxels and the volume {raw.array.shape}; it goes by its header."
        )
        found.append(Problem(name, "other-grid", text))
    labels, _ = whole_labels(mask.array, "the segmentation")
    values = set(np.unique(labels).tolist())
    if not values <= {0, 1, 2}:
        found.append(Problem(name, "odd-labels", f"The labels are {sorted(values)}; 0, 1 and 2 are expected."))
    if 2 not in values:
        found.append(Problem(name, "no-tumor", "No tumor is labeled."))
    if raw.array.shape == mask.array.shape:
        against = disagreements(Volume(raw.array, raw.ijk_to_ras, Unit.HU, "the CT"), labels > 0)
        found += [Problem(name, "orientation", against_header(against))] if against else []
    low, high = float(raw.array.min()), float(raw.array.max())
    if low < LOW_HU or high > HIGH_HU:
        text = f"Values from {low:.0f} to {high:.0f} HU: padding or metal, clipped when the case is prepared."
        found.append(Problem(name, "values", text))
    return values, found


LAYOUT = Layout(
    "volume-N and segmentation-N (LiTS), nor imagesTr and labelsTr (MSD)",
    is_lits,
    lambda root, _, on_progress: survey_lits(root, on_progress),
    rank=2,
)
