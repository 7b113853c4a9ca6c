"""Opens a case from files: images, masks on the reference grid, checks. Used by the command line and by cohorts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from REACTKDLib.core.cases.names import NEUTRAL_ID
from REACTKDLib.core.errors import EmptySegmentation, NoLiver, NoVolume
from REACTKDLib.core.files.given_paths import PathLike, check_path
from REACTKDLib.core.files.recognition import Choice, choose, one_lesion_each
from REACTKDLib.core.files.segmentations import read_segmentation
from REACTKDLib.core.files.segments import Segmentation
from REACTKDLib.core.files.straight_axes import check_straight
from REACTKDLib.core.files.volumes import read_volume
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.regrid import has_no_geometry, mask_on_grid
from REACTKDLib.core.images.stated_places import check_images_together, same_place, settled_place
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.masks.checks import checked
from REACTKDLib.core.masks.drawn_segments import segment_findings
from REACTKDLib.core.masks.left_out import left_out
from REACTKDLib.core.masks.lesions import DrawnMasks, lesion_map
from REACTKDLib.core.modality import ROLES, SEGMENTATION_ROLE, Modality
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import quoted
from REACTKDLib.core.text import tr as _


def open_case(
    ct: PathLike | None = None,
    fdg: PathLike | None = None,
    acetate: PathLike | None = None,
    *,
    segmentation: PathLike | None,
    liver: str | int | Sequence[str | int] | None = None,
    tumor: str | int | Sequence[str | int] | None = None,
    case_id: str | None = None,
    different_patients_ok: bool = False,
    keep_specks: bool = False,
    task: Task = HCC_GRADE,
) -> Case:
    """Read one patient's files and check everything; findings are stored in the case.

    ct, fdg, acetate: image files, or DICOM series by their folder or one of their files; at least one. segmentation: a
    `.seg.nrrd`, a DICOM SEG or a label map, on any grid within the reference image (CT, else FDG, else acetate). liver,
    tumor: names or label values; with None they are chosen by terminology codes, then names; an empty `tumor` means
    that there is none. case_id: for reports; neutral by default. different_patients_ok: accept files whose DICOM
    headers state different patients, as when each was given its own pseudonym; this gives a warning. keep_specks: also
    grade lesions under 0.05 ml. task: defines the organ and lesions, see `Task`.

    Raises: NoVolume, EmptySegmentation, SkewedAxes, MaskOffImage, PatientMismatch, and what `read_volume`,
    `read_dicom_volume`, `read_segmentation`, `read_dicom_segmentation`, `choose` and `checked` raise.
    """
    given = given_images(ct, fdg, acetate)
    if segmentation is None:
        raise no_segmentation(task)
    volumes, findings = read_volumes(given, segmentation, different_patients_ok=different_patients_ok)
    masks = read_any_segmentation(segmentation, task)
    return case_of(volumes, masks, liver, tumor, case_id, findings, keep_specks, task)


def given_images(ct: PathLike | None, fdg: PathLike | None, acetate: PathLike | None) -> dict[Modality, PathLike]:
    """Return the paths of the images that are given. Raises: NoVolume if there is none."""
    paths = {Modality.CT: ct, Modality.FDG: fdg, Modality.ACETATE: acetate}
    given = {modality: path for modality, path in paths.items() if path is not None}
    if not given:
        raise NoVolume(_("No image is given; give a CT (--ct), or a PET (--fdg, --acetate) with masks drawn on it."))
    return given


def check_paths(given: Mapping[Modality, PathLike], segmentation: PathLike | None) -> None:
    """Check all paths of a case without reading an image: see `check_path` and `check_folder`, also for Raises."""
    from REACTKDLib.core.files.dicom.series import check_folder

    for modality, path in given.items():
        check_path(path, ROLES[modality])
        check_folder(path, ROLES[modality])
    if segmentation is not None:
        check_path(segmentation, SEGMENTATION_ROLE)


def no_segmentation(task: Task) -> EmptySegmentation:
    """Return the error for a case without masks."""
    text = _("No segmentation is given; give the file with the {organ} and its {lesions}.")
    return EmptySegmentation(text, organ=task.organ.name, lesions=task.lesion.many)


def case_of(
    volumes: Mapping[Modality, Volume],
    file: Segmentation,
    liver: str | int | Sequence[str | int] | None = None,
    tumor: str | int | Sequence[str | int] | None = None,
    case_id: str | None = None,
    findings: Sequence[Finding] = (),
    keep_specks: bool = False,
    task: Task = HCC_GRADE,
) -> Case:
    """Return the checked case of images, in any order, and a segmentation that were already read: see `open_case`.

    findings: of the images; those of the segmentation come with it.

    Raises: SkewedAxes if the grid of the reference image is sheared; else as `open_case` does.
    """
    volumes = {modality: volumes[modality] for modality in Modality if modality in volumes}
    modality, reference = next(iter(volumes.items()))
    check_straight(reference.ijk_to_ras, ROLES[modality])  # regions, distances and maps are computed on its grid
    check_images_together(volumes)
    file = on_image(file, reference)
    choice = choose([segment.candidate for segment in file.segments], _as_names(liver), _as_names(tumor), task)
    drawn, more = masks_on(file, choice, reference, task)
    all_findings = (*findings, *file.findings, *more)
    name = case_id or NEUTRAL_ID
    return checked(Case(name, volumes, drawn.liver, drawn.tumor, all_findings, keep_specks, drawn.lesions, task))


def read_volumes(
    given: Mapping[Modality, PathLike],
    segmentation: PathLike | None = None,
    check: Callable[[], None] = lambda: None,
    different_patients_ok: bool = False,
) -> tuple[dict[Modality, Volume], list[Finding]]:
    """Read each image: an image file, or a DICOM series by its folder or one of its files.

    segmentation: a DICOM SEG; if a folder contains several series, the one on which it was drawn is chosen, and it must
    be of the same patient. check: called before each image; it may raise to stop. different_patients_ok: see
    `open_case`. Returns the volumes, and findings about their files.

    Raises: what `check_paths` raises, and PatientMismatch, before anything is read; and what `read_volume` and
    `read_dicom_volume` raise.
    """
    from REACTKDLib.core.files.dicom.images import read_image
    from REACTKDLib.core.files.dicom.sources import find_images

    check()
    check_paths(given, segmentation)
    series, findings = find_images(given, segmentation, different_patients_ok)
    volumes = {}
    for modality, path in given.items():
        check()
        if modality in series:
            volume, more = read_image(series[modality], modality)
            volumes[modality] = replace(volume, findings=tuple(more))
        else:
            volumes[modality] = read_volume(path, modality)
        findings += volumes[modality].findings
    return volumes, findings


def on_image(file: Segmentation, reference: Volume) -> Segmentation:
    """Return a segmentation at its position on the image, with a finding if its own header states another."""
    image = Grid(reference.shape, reference.ijk_to_ras)
    place, more = settled_place(file.grid, file.other_places, image, reference.other_places, SEGMENTATION_ROLE)
    return replace(file, ijk_to_ras=place, findings=(*file.findings, *more)) if more else file


def read_any_segmentation(path: PathLike, task: Task = HCC_GRADE) -> Segmentation:
    """Read a `.seg.nrrd`, a label map, or a DICOM SEG by its file or folder: see `read_objects` for several objects."""
    from REACTKDLib.core.files.dicom.seg_objects import read_objects, segmentation_objects
    from REACTKDLib.core.files.dicom.series import is_dicom_source

    check_path(path, SEGMENTATION_ROLE)
    return read_objects(segmentation_objects(path), task) if is_dicom_source(path) else read_segmentation(path, task)


def masks_on(
    file: Segmentation, choice: Choice, reference: Volume, task: Task = HCC_GRADE
) -> tuple[DrawnMasks, list[Finding]]:
    """Return liver, tumor and lesions on the grid of `reference`, and findings on how they were placed there.

    Masks on another grid are resampled by their own geometry, nearest voxel; a file without geometry (1 mm voxels at
    the origin) that has the shape of the image is assumed to lie on it.

    Raises: NoLiver, MaskOffImage.
    """
    masks = [file.mask(choice.livers), file.mask(choice.tumors)]
    if not masks[0].any():
        text = _("The {organ} segment {segments} is empty; draw the {organ}, or choose the segment that holds it.")
        raise NoLiver(text, segments=quoted(file.segments[i].name for i in choice.livers), organ=task.organ.name)
    findings = _choice_findings(file, choice, task)
    grid = Grid(reference.shape, reference.ijk_to_ras)
    named = one_lesion_each([segment.candidate for segment in file.segments], choice.tumors, task)
    lesions = [file.mask([i]) for i in named] if len(named) > 1 else []
    if not same_place(file.grid, grid):
        if file.grid.shape == grid.shape and has_no_geometry(file.ijk_to_ras):
            text = _(
                "The segmentation file has no geometry but has the shape of the image, so it was placed "
                "on the image voxel by voxel."
            )
            findings.append(Finding("segmentation-without-geometry", "warning", text))
        else:
            text = _("The segmentation lies on another grid than the image and was resampled to it (nearest voxel).")
            findings.append(Finding("segmentation-resampled", "info", text))
            findings += left_out(*([(mask, file.ijk_to_ras)] for mask in masks), grid, task)
            masks, lesions = ([mask_on_grid(mask, file.ijk_to_ras, grid) for mask in some] for some in (masks, lesions))
    boxes = [bounding_box(mask) or (slice(0, 0),) * 3 for mask in lesions]
    apart = lesion_map([(box, mask[box]) for box, mask in zip(boxes, lesions, strict=True)], grid.shape)
    return DrawnMasks(*masks, apart), findings


def _choice_findings(file: Segmentation, choice: Choice, task: Task) -> list[Finding]:
    if choice.guessed:
        text = _(
            "The labels have no names; 1 was read as {organ} and 2 as {lesion}, as public {organ} data sets write them."
        )
        organ, lesion = task.organ.name, task.lesion.name
        return [Finding("labels-by-convention", "warning", text, organ=organ, lesion=lesion)]
    organ, lesions = (
        [(file.segments[i].name, file.has_voxels(i)) for i in indices] for indices in (choice.livers, choice.tumors)
    )
    return segment_findings(organ, lesions, task)


def _as_names(value: str | int | Sequence[str | int] | None) -> list[str] | None:
    if value is None:
        return None
    return [str(value)] if isinstance(value, str | int) else [str(v) for v in value]
