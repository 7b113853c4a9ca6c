"""A case that was read from its files to be shown: arrays that stay on the disk until somebody copies them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from REACTKDLib.core.cases.open_job import JobFiles
from REACTKDLib.core.files.segmentations import Segment, Segmentation
from REACTKDLib.core.findings import Finding, finding_from
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.stated_places import same_place
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.worker.arrays import read_array, write_array

LIVER_WINDOW = (-60.0, 200.0)  # HU, portal-venous
_BRIGHT_PERCENT = 99.5


@dataclass(frozen=True, eq=False)
class ImageRead:
    """array: (D, H, W), mapped from the disk. window: lowest and highest value to show. findings: of its file.

    Those of the segmentation's file are with the reference image.
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray
    unit: Unit
    window: tuple[float, float]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, eq=False)
class LayerRead:
    """Label values of one layer of the segmentation, cut to the voxels in use; no layer for an empty one.

    corner: (k, j, i) of the first voxel on the segmentation's grid.
    """

    array: np.ndarray
    corner: tuple[int, int, int]
    number: int


@dataclass(frozen=True, eq=False)
class FilesRead:
    """What `core.cases.open_job.read_job` found. segments: in the file's order; livers, tumors: indices into them.

    grid: of the segmentation, exactly that of the reference image where the two differ by rounding only; None without.

    problem: why there are no masks, or which are not known, one sentence. `release` when it is not needed any more.
    """

    images: Mapping[Modality, ImageRead]
    grid: Grid | None
    layers: tuple[LayerRead, ...]
    segments: tuple[Segment, ...]
    livers: tuple[int, ...]
    tumors: tuple[int, ...]
    findings: tuple[Finding, ...]
    problem: str
    _paths: tuple[Path, ...]

    def release(self) -> None:
        """Remove the files; what Windows keeps while it is mapped goes with the worker's folder."""
        for path in self._paths:
            with suppress(OSError):
                path.unlink(missing_ok=True)


def files_message(
    read: JobFiles, folder: Path, new_name: Callable[[], str], check: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Write what a `FilesRead` needs and return its message; `check` may raise to stop between two images."""
    images = []
    for modality, volume in read.volumes.items():
        check()
        name = new_name()
        write_array(folder / name, np.ascontiguousarray(volume.array))
        window = LIVER_WINDOW if modality is Modality.CT else _bright(volume)
        description = {"modality": modality.value, "file": name, "unit": volume.unit.value, "window": window}
        description["findings"] = [finding.to_dict() for finding in _findings_with(volume, read, first=not images)]
        images.append({**description, "ijk_to_ras": volume.ijk_to_ras.tolist()})
    layers, segments, grid = [], (), None
    if read.segmentation is not None:
        layers, segments = _layers(read.segmentation, folder, new_name), read.segmentation.segments
        grid = _grid_of(read.segmentation, next(read.volumes[m] for m in Modality if m in read.volumes))
    return {
        "kind": "files",
        "images": images,
        "grid": grid,
        "layers": layers,
        "segments": [asdict(segment) for segment in segments],
        "livers": read.livers,
        "tumors": read.tumors,
        "findings": [finding.to_dict() for finding in read.findings],
        "problem": read.problem,
    }


def files_from(message: Mapping[str, Any], folder: Path) -> FilesRead:
    """Return what `files_message` wrote. Raises: KeyError, TypeError, ValueError, OSError for a broken message."""
    images = {
        Modality(entry["modality"]): ImageRead(
            read_array(folder / entry["file"]),
            np.array(entry["ijk_to_ras"]),
            Unit(entry["unit"]),
            tuple(entry["window"]),
            tuple(finding_from(finding) for finding in entry["findings"]),
        )
        for entry in message["images"]
    }
    layers = tuple(
        LayerRead(read_array(folder / entry["file"]), tuple(entry["corner"]), entry["number"])
        for entry in message["layers"]
    )
    grid = message["grid"]
    return FilesRead(
        images,
        None if grid is None else Grid(tuple(grid["shape"]), np.array(grid["ijk_to_ras"])),
        layers,
        tuple(Segment(**{**entry, "color": tuple(entry["color"])}) for entry in message["segments"]),
        tuple(message["livers"]),
        tuple(message["tumors"]),
        tuple(Finding(f["code"], f["severity"], f["message"]) for f in message["findings"]),
        message["problem"],
        tuple(folder / entry["file"] for entry in (*message["images"], *message["layers"])),
    )


def _findings_with(volume: Volume, read: JobFiles, first: bool) -> tuple[Finding, ...]:
    masks = read.segmentation.findings if first and read.segmentation is not None else ()
    return (*volume.findings, *masks)


def _layers(segmentation: Segmentation, folder: Path, new_name: Callable[[], str]) -> list[dict[str, Any]]:
    layers = []
    for number, layer in enumerate(segmentation.layers):
        box = bounding_box(layer != 0)
        if box is None:
            continue
        part = layer[box]
        dtype = np.uint8 if int(part.max()) < 256 else np.int32
        name = new_name()
        write_array(folder / name, np.ascontiguousarray(part, dtype=dtype))
        layers.append({"file": name, "corner": [int(part.start) for part in box], "number": number})
    return layers


def _grid_of(segmentation: Segmentation, reference: Volume) -> dict[str, Any]:
    grid, image = segmentation.grid, Grid(reference.shape, reference.ijk_to_ras)
    if same_place(grid, image):  # so that painting needs no resampling
        grid = image
    return {"shape": list(grid.shape), "ijk_to_ras": grid.ijk_to_ras.tolist()}


def _bright(volume: Volume) -> tuple[float, float]:
    """From nothing to what only few voxels pass: a PET's brightest voxel is often the bladder."""
    values = volume.array.ravel()
    top = float(np.percentile(values[:: max(1, values.size // 1_000_000)], _BRIGHT_PERCENT))
    return 0.0, top if top > 0 else 1.0
