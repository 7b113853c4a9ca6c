"""The prepared case: the arrays that training reads of a patient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from REACTKDLib.core.images.grid import Box
from REACTKDLib.core.student.pooling import NodeMasks, smallest_box
from REACTKDTrainLib.data.truth import Truth

Start = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class SoftBox:
    """weights: (c, d, h, w) uint8, 255 for 1.0, in a small box; start: its first voxel in the case's box."""

    weights: Tensor
    start: Start


class Shells:
    """Shells (6, d, h, w) of each lesion on the case's box; stored sparsely and expanded when read."""

    def __init__(self, parts: tuple[SoftBox, ...], shape: tuple[int, int, int]):
        self._parts, self._shape = parts, shape

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[n] for n in range(len(self)))

    def __getitem__(self, index: int) -> Tensor:
        return _laid_out(self._parts[index], self._shape)[1:]

    def boxed(self, index: int) -> tuple[Box, Tensor]:
        """Return the bounding box of a lesion and its shells, and both in it: (1 + 6, d, h, w) float32.

        If the lesion has no voxel, the first voxel of the case's box.
        """
        part = self._parts[index]
        if not part.weights.any():
            return (slice(0, 1),) * 3, torch.zeros(len(part.weights), 1, 1, 1)
        small = smallest_box(part.weights.amax(dim=0))
        box = tuple(slice(s + b.start, s + b.stop) for s, b in zip(part.start, small, strict=True))
        return box, part.weights[(slice(None), *small)].float() / 255


class _StoredMasks(NodeMasks):
    """Masks whose lesions are read from their small boxes instead of being searched in the case's box."""

    def lesion(self, n: int) -> tuple[Box, Tensor, Tensor]:
        """See `NodeMasks`."""
        if n not in self._found:
            box, weights = self.shells.boxed(n)
            self._found[n] = box, weights[0], weights[1:]
        return self._found[n]


@dataclass(frozen=True, eq=False)
class RegionMasks:
    """One set of outlines of the regions of a case, on the case's box.

    occupancy: (n, d, h, w) float32, node 0 the parenchyma. shells: one (6, d, h, w) for each lesion, see
    `core.masks.shells`. topology: (7,). volumes_ml: (n,). matches: (n,) int64, the expert's node that each node
    overlaps most (for the expert's own: 0, 1, 2 ...). shape: (n, 2), see `core.masks.topology.region_shape`.
    """

    occupancy: Tensor
    shells: Shells | Tensor
    topology: Tensor
    volumes_ml: Tensor
    matches: Tensor
    shape: Tensor

    def __len__(self) -> int:
        return len(self.occupancy)

    def node_masks(self) -> NodeMasks:
        """Return the masks as the student's pooling expects them."""
        own = _StoredMasks if isinstance(self.shells, Shells) else NodeMasks
        return own(self.occupancy, self.shells, shape=self.shape)

    def without_voxels(self) -> RegionMasks:
        """Return the same regions, topology, volumes and matches, with masks without voxels."""
        n = len(self)
        return replace(self, occupancy=torch.zeros(n, 0, 0, 0), shells=torch.zeros(n - 1, 6, 0, 0, 0))

    @classmethod
    def from_parts(
        cls,
        parenchyma: Tensor,
        lesions: tuple[SoftBox, ...],
        topology: Tensor,
        volumes_ml: Tensor,
        matches: Tensor,
        shape: Tensor,
    ) -> RegionMasks:
        """Build from the stored arrays. parenchyma: (d, h, w) uint8; lesions: (1 + 6, ...) each, the mask, then its
        shells.
        """
        size = tuple(parenchyma.shape)
        occupancy = torch.zeros((len(lesions) + 1, *size))
        occupancy[0] = parenchyma.float() / 255
        for own, part in zip(occupancy[1:], lesions, strict=True):
            own[_box_of(part)] = part.weights[0].float() / 255
        return cls(occupancy, Shells(lesions, size), topology, volumes_ml, matches, shape)


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """One case, ready for training.

    grade: 0 well, 1 moderate, 2 poor, or None. images: modality -> (d, h, w) float32 on the case's box: CT in HU,
    resampled and clipped as in `Preparation`; PET normalized. start: the box's first voxel in the network's grid;
    grid_shape: shape of that grid. masks: the expert's first, then the perturbed variants. truth: of a phantom. key: a
    hash of everything that the case was computed from. organ_hu: its `organ_mean_hu`, None without a CT or if an
    earlier release prepared the case. scans: its `scan_contents`, empty if an earlier release prepared it.
    """

    id: str
    patient: str
    grade: int | None
    images: Mapping[str, Tensor]
    start: Start
    grid_shape: tuple[int, int, int]
    masks: tuple[RegionMasks, ...]
    truth: Truth | None
    key: str
    organ_hu: float | None = None
    scans: Mapping[str, str] = field(default_factory=dict)

    @property
    def parenchyma(self) -> Tensor:
        """(d, h, w) bool: voxels that lie in the expert's organ and in no lesion, without the rim."""
        return self.masks[0].occupancy[0] > 0.99

    @property
    def shape(self) -> tuple[int, int, int]:
        """(d, h, w) of the box."""
        return tuple(next(iter(self.images.values())).shape)


def _laid_out(part: SoftBox, shape: tuple[int, int, int]) -> Tensor:
    """(c, d, h, w) float32 on the case's box."""
    whole = torch.zeros((len(part.weights), *shape))
    whole[(slice(None), *_box_of(part))] = part.weights.float() / 255
    return whole


def _box_of(part: SoftBox) -> tuple[slice, slice, slice]:
    """Return its position in the case's box."""
    return tuple(slice(s, s + n) for s, n in zip(part.start, part.weights.shape[1:], strict=True))
