"""The public Python API: read a case, load a model, grade. `REACTKDLib` exports these names.

    from REACTKDLib import grade, load_model, read_case

Nothing is printed or written. Every expected error is a subclass of `ReactkdError` whose message is one sentence.
Images may be files, DICOM series, SimpleITK or nibabel images, or `Volume` objects.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, Union

from REACTKDLib.core.cases.datalist import jobs_of_entries
from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.cases.open_case import NEUTRAL_ID, case_of, read_any_segmentation, read_volumes
from REACTKDLib.core.cases.open_job import mask_roles, open_job, two_masks
from REACTKDLib.core.cases.worklist import read_worklist
from REACTKDLib.core.errors import EmptySegmentation, NoVolume, ReactkdError, UsageError
from REACTKDLib.core.files.given_paths import PathLike
from REACTKDLib.core.files.in_memory import raw_image, volume_of
from REACTKDLib.core.files.segmentations import segmentation_of
from REACTKDLib.core.files.segments import Segmentation
from REACTKDLib.core.files.volumes import RawImage, read_raw
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.modality import SEGMENTATION_ROLE, Modality
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.student.bundle import shipped_bundle_folder
from REACTKDLib.core.student.ensemble import load_model_folder
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.text import unknown_name

if TYPE_CHECKING:
    import nibabel
    import numpy as np
    import SimpleITK

__all__ = [
    "Case",
    "GradeReport",
    "Grader",
    "ReactkdError",
    "Task",
    "Unit",
    "Volume",
    "grade",
    "load_model",
    "read_case",
    "read_cases",
]

Image = Union[PathLike, Volume, "SimpleITK.Image", "nibabel.Nifti1Image"]
Mask = Union[Image, "np.ndarray"]


def load_model(folder: PathLike | Sequence[PathLike] | None = None, device: str = "auto") -> Grader:
    """Load a model once, to grade many cases.

    Args:
        folder: the model's folder (a bundle in MONAI's layout); None for the shipped student. For the folder of an
            ensemble, or several folders, the prediction is the mean of the members' probabilities.
        device: 'cpu', 'cuda', or 'auto' (a GPU if there is one).

    Returns: the model, for `grade(case, model=model)`; `model.open(case)` keeps a case open for corrected masks.

    Raises: BundleIncomplete, BundleAltered, BundleUnsafe, BundleMismatch; UsageError for any other device.

    Example:
        >>> model = load_model()
        >>> reports = [grade(case, model=model) for case in cases]
    """
    return Grader(load_model_folder(shipped_bundle_folder() if folder is None else folder), device)


def read_case(
    ct: Image | None = None,
    fdg: Image | None = None,
    acetate: Image | None = None,
    *,
    segmentation: Image | Segmentation | None = None,
    liver: Any = None,
    tumor: Any = None,
    case_id: str = NEUTRAL_ID,
    different_patients_ok: bool = False,
    keep_specks: bool = False,
    task: Task | PathLike = HCC_GRADE,
) -> Case:
    """Read the images and masks of one patient and check them.

    Args:
        ct, fdg, acetate: a file (NIfTI, NRRD, MetaImage), a DICOM series (its folder or one of its files), a SimpleITK
            or nibabel image, or a `Volume` (array (D, H, W), ijk_to_ras (4, 4) mm, unit). At least one.
        segmentation: a `.seg.nrrd`, a DICOM SEG, a label map (file or image), or a `Segmentation`.
        liver, tumor: with a segmentation, the names or label values of its segments (None: recognize them). Without
            one, the two masks: files, images, or bool arrays (D, H, W) on the grid of the first image given.
        case_id: a name for the report, free of patient data.
        different_patients_ok: accept DICOM files whose headers state different patients.
        keep_specks: keep lesions smaller than 0.05 ml.
        task: organ, lesions and classes, as a `Task` or a task file; the task of a model is
            `load_model(folder).bundle.task`.

    Returns: the checked case; `case.findings` contains the findings of the checks.

    Raises: NoVolume, EmptySegmentation, UsageError, and what `core.cases.open_case.open_case` raises.

    Example:
        >>> case = read_case("CT.nii.gz", segmentation="masks.seg.nrrd", liver="Liver", tumor=["Tumor 1", "Tumor 2"])
        >>> case = read_case(sitk.ReadImage("CT.nrrd"), liver=liver_array, tumor=tumor_array)
    """
    task = _task(task)
    given = {m: image for m, image in zip(Modality, (ct, fdg, acetate), strict=True) if image is not None}
    if not given:
        raise NoVolume(_("No image is given; give a CT, or a PET with masks drawn on it."))
    own_masks = segmentation is None and liver is not None
    if segmentation is None and not own_masks:
        text = _("No segmentation is given; give one, or give the masks of the {organ} and its {lesions}.")
        raise EmptySegmentation(text, organ=task.organ.name, lesions=task.lesion.many)
    paths = {m: image for m, image in given.items() if _is_path(image)}
    file = segmentation if _is_path(segmentation) else None
    read, findings = read_volumes(paths, file, different_patients_ok=different_patients_ok) if paths else ({}, [])
    volumes = {m: read[m] if m in read else volume_of(image, m) for m, image in given.items()}
    findings = [*findings, *(f for m, volume in volumes.items() if m not in read for f in volume.findings)]
    if own_masks:
        masks, names = _two_masks(liver, tumor, next(iter(volumes.values())), task), (None, None)
    else:
        masks, names = _segmentation(segmentation, task), (_names(liver), _names(tumor))
    return case_of(volumes, masks, *names, case_id, findings, keep_specks, task)


def read_cases(
    cases: PathLike | Sequence[Mapping[str, Any]],
    *,
    on_fault: Callable[[str, ReactkdError], None] | None = None,
    task: Task | PathLike = HCC_GRADE,
) -> Iterator[Case]:
    """Read the cases of a list one at a time; `batch`, the panel and training read lists in the same way.

    Args:
        cases: a CSV, a folder of case folders, or a datalist (.json); or the entries of a datalist, each a dict with
            "ct", "fdg", "acetate" and "segmentation" (or "liver" and "tumor"), "id", and the keys that training uses. A
            DICOM series is given as its folder. Paths in entries are relative to the current working directory.
        on_fault: called with the name and the error of each case that cannot be read; the case is then skipped. None:
            the error is raised.
        task: see `read_case`.

    Yields: each checked case, with its name in the list; only one is in memory at a time.

    Raises: UsageError before the first case if `cases` is not a list of cases; without `on_fault`, what `read_case`
    raises.

    Example:
        >>> for case in read_cases("cases.json", on_fault=lambda name, error: print(name, error)):
        ...     print(case.id, grade(case, model=model).grade)
    """
    asked = _task(task)
    if isinstance(cases, str | os.PathLike):
        listed = read_worklist(Path(cases), asked)
    else:
        listed = jobs_of_entries(cases, Path(), asked)
    return _read_in_turn(listed, on_fault, asked)


def _read_in_turn(
    listed: Sequence[Job], on_fault: Callable[[str, ReactkdError], None] | None, task: Task
) -> Iterator[Case]:
    for job in listed:
        try:
            case = open_job(job, task=task)
        except ReactkdError as error:
            if on_fault is None:
                raise
            on_fault(job.case, error)
        else:
            yield case


def grade(
    case: Case | None = None,
    *,
    model: Grader | PathLike | Sequence[PathLike] | None = None,
    device: str = "auto",
    **images: Any,
) -> GradeReport:
    """Grade one case and report which regions determined the grade.

    Args:
        case: from `read_case`. Without it, pass the arguments of `read_case` as keyword arguments; the task of the
            model is used.
        model: from `load_model`, or one or several model folders; None for the shipped student.
        device: used only if the model is loaded here; see `load_model`.
        images: `ct`, `fdg`, `acetate`, `segmentation`, ..., see `read_case`.

    Returns: the report; its `grade` is None if the masks contain no lesion.

    Raises: what `read_case` and `load_model` raise; UsageError if both a case and images are given, or something
    else as the case; TypeError for an argument that does not exist.

    Example:
        >>> report = grade(ct="CT.nii.gz", fdg="FDG.nii.gz", segmentation="masks.seg.nrrd")
        >>> report.grade, report.probabilities["poor"]
        ('poor', 0.949)
        >>> report.regions.to_dataframe()
    """
    if (case is None) == (not images) or not isinstance(case, Case | None):
        raise UsageError(_("Give either a case from read_case, or its images and masks by name."))
    known = signature(read_case).parameters
    for name in images:
        if name not in known:
            own = [*(n for n in signature(grade).parameters if n != "images"), *known]
            raise TypeError(f"grade() has no argument {name!r}; {unknown_name(name, own)}")
    opened = model if isinstance(model, Grader) else load_model(model, device)
    case = read_case(**{"task": opened.bundle.task, **images}) if case is None else case
    return opened.open(case).grade().report


def _is_path(value: object) -> TypeGuard[PathLike]:
    return isinstance(value, str | os.PathLike)


def _task(value: Task | PathLike) -> Task:
    return value if isinstance(value, Task) else Task.read(value)


def _segmentation(value: Any, task: Task) -> Segmentation:
    if isinstance(value, Segmentation):
        return value
    if _is_path(value):
        return read_any_segmentation(value, task)
    return segmentation_of(raw_image(value, SEGMENTATION_ROLE), task)


def _names(value: Any) -> Any:
    """Return a name, a label value, or a list of these, after checking the types. Raises: UsageError."""
    entries = value if isinstance(value, list | tuple) else [value]
    if value is not None and not all(isinstance(entry, str | int) for entry in entries):
        text = _("With a segmentation, liver and tumor are names of its segments; leave out one or the other.")
        raise UsageError(text)
    return value


def _two_masks(liver: Any, tumor: Any, reference: Volume, task: Task) -> Segmentation:
    """Return the segmentation of two masks, each a file, an image, or an array on the grid of `reference`.

    Without a tumor, its mask is empty.
    """
    import numpy as np

    tumor = np.zeros(reference.shape, dtype=bool) if tumor is None else tumor
    of_liver, of_tumor = mask_roles(task)
    return two_masks(_mask(liver, of_liver, reference), _mask(tumor, of_tumor, reference), task)


def _mask(value: Any, role: str, reference: Volume) -> RawImage:
    import numpy as np

    if isinstance(value, np.ndarray):
        if value.shape != reference.shape:
            text = _("{role} has {mask} voxels where the image has {image}; give it on the grid of the image.")
            raise UsageError(text, role=role, mask=value.shape, image=reference.shape)
        value = value.astype(np.uint8) if value.dtype.kind == "b" else value
        return RawImage(value, reference.ijk_to_ras, {}, (), reference.other_places)
    return read_raw(value, role) if _is_path(value) else raw_image(value, role)
