"""Reads an enhanced (multi-frame) CT: the whole volume in one file, each frame with its own position."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.errors import MixedSeries, NotAnImage
from REACTKDLib.core.files.dicom.ct_kind import check_ct_kind
from REACTKDLib.core.files.dicom.decoding import check_decoded_size, lacks_decoder, loss_findings, why_not_decoded
from REACTKDLib.core.files.dicom.frames import check_rescale, on_even_grid
from REACTKDLib.core.files.dicom.geometry import check_planes
from REACTKDLib.core.files.dicom.index import Series
from REACTKDLib.core.files.dicom.members import check_one_patient
from REACTKDLib.core.files.dicom.opened import opened
from REACTKDLib.core.files.dicom.packages import need_highdicom
from REACTKDLib.core.files.dicom.segmentation import ascending
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.text import tr as _


def read_multiframe(series: Series, role: str) -> Volume:
    """Read a series of one multi-frame file, rescaled frame by frame, in spatial order.

    Raises: MixedSeries for several files, or frames that do not form a single volume (phases in one file); BadRescale;
    what `check_planes` raises; NotAnImage; PackagesMissing.
    """
    highdicom = need_highdicom()
    check_one_patient(series, role)
    if len(series.slices) > 1:
        text = _("{role} holds {count} multi-frame files; give the one that is meant, in a folder.")
        raise MixedSeries(text, role=role, count=len(series.slices))
    try:
        dataset = opened(series.slices[0].path)
    except Exception as error:
        raise NotAnImage(_("The file of {role} cannot be read; copy or export it again."), role=role) from error
    check_decoded_size(dataset, 1, role)
    check_rescale(dataset, role)
    findings = [*check_ct_kind([dataset], role), *loss_findings([dataset], role)]
    planes = on_even_grid(dataset)
    if planes is not None:
        check_planes(planes, role)
    try:
        volume = highdicom.Image.from_dataset(dataset, copy=False).get_volume(
            apply_real_world_transform=False,
            apply_modality_transform=True,
            apply_voi_transform=False,
            apply_presentation_lut=False,
        )
    except Exception as error:  # highdicom's messages refer to its own calls
        if lacks_decoder(dataset):
            raise NotAnImage(why_not_decoded(dataset, role)) from error
        text = _(
            "{role} is a multi-frame DICOM file whose frames make no single volume; load it in 3D "
            "Slicer and save the volume that is meant as NRRD."
        )
        raise MixedSeries(text, role=role) from error
    array, matrix = ascending(volume.array, volume.affine)
    whole = np.array_equal(array, np.rint(array)) and np.abs(array).max() < 32768
    return Volume(
        np.ascontiguousarray(array, dtype=np.int16 if whole else np.float32),
        matrix,
        name=role,
        findings=tuple(findings),
    )
