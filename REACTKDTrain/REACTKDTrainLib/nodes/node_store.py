"""Store of the node vectors of cases: everything that heads read, in 100 KB per case instead of 7 MB of voxels.

A case is prepared, its regions are pooled, and the voxels are discarded. Stored are the fixed node vectors for every
set of masks and, with a frozen encoder, the moments of that encoder for every subset of images. Heads (of the student
and the teachers) train on these in seconds, with the same numbers as from whole volumes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from REACTKDLib.core.modality import subset_name, subsets_of
from REACTKDLib.core.one_thread import one_thread
from REACTKDLib.core.student.bands import gaussian_bands
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.sizes import preparation_of
from REACTKDTrainLib.content_store import ContentStore, content_key
from REACTKDTrainLib.data.case import PreparedCase, RegionMasks
from REACTKDTrainLib.data.fixed_nodes import columns_of, fixed_vectors
from REACTKDTrainLib.data.normalization import LiverWindow
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.data.truth import Truth, truth_of

FORMAT = "reactkd-nodes/3"  # 2 added a phantom's lesions, 3 the shape of masks


@dataclass(frozen=True, eq=False)
class NodeRegions:
    """One set of outlines of the regions of a case; node 0 is the parenchyma.

    fixed: modality -> (n, Q), see `core.student.pooling.fixed_nodes`. fused: subset of images ('ct+fdg') -> (n, F), the
    moments of the frozen encoder's fused maps, empty without an encoder. masks: topology, volumes and matches, without
    voxels.
    """

    fixed: Mapping[str, Tensor]
    fused: Mapping[str, Tensor]
    masks: RegionMasks

    def __len__(self) -> int:
        return len(self.masks.volumes_ml)


@dataclass(frozen=True, eq=False)
class NodeCase:
    """The input of heads for one case. regions: the expert's first, then the perturbed ones. truth: of a phantom, by
    the expert's nodes. organ_hu: see `PreparedCase`.
    """

    id: str
    patient: str
    grade: int | None
    regions: tuple[NodeRegions, ...]
    truth: Truth | None
    key: str
    organ_hu: float | None = None


@dataclass(frozen=True)
class NodeStore:
    """Computes node vectors and stores them in `folder`.

    prepared: settings of the preparation and number of mask sets per case; its folder is not used. window: of CT.
    encoder: a frozen student whose encoder's moments are stored too, and `encoder_key`, its `encoder_hash`. encoded:
    number of mask sets with moments, the expert's first.
    """

    folder: Path
    prepared: PreparedStore
    window: LiverWindow
    encoder: Student | None = None
    encoder_key: str = ""
    encoded: int = 2

    @classmethod
    def without_encoder(cls, folder: Path, size: str = "full", variants: int = 3) -> NodeStore:
        """Store of fixed vectors only: a third less work, and files stay valid when the shipped encoder changes.

        size: of `cohorts.sizes.SIZES`; variants: number of perturbed mask sets.
        """
        return cls(folder, PreparedStore(folder, preparation_of(size), variants=variants), LiverWindow())

    def key(self, case: CohortCase) -> str:
        """Return a hash of the case's content and of all settings of the store."""
        recipe = f"{FORMAT} {self.prepared.key(case)} {self.window} {self.encoder_key} {self.encoded}"
        return content_key(recipe)

    @property
    def files(self) -> ContentStore:
        """Return the store of the arrays."""
        return ContentStore(self.folder)

    def path(self, case: CohortCase) -> Path:
        """Return the path of a case."""
        return self.files.path(self.key(case))

    def get(self, case: CohortCase) -> NodeCase:
        """Return the case's node vectors; compute them first if necessary.

        Raises: see `PreparedStore.get`; on failure no file is left.
        """
        key = self.key(case)
        return self.files.made(key, partial(self._made, case), partial(node_case, case=case, key=key))

    def scans(self, case: CohortCase) -> dict[str, str]:
        """Return the `scan_contents` of a stored case; empty if it is not stored, or by an earlier release."""
        found = self.files.get(self.key(case))
        return {} if found is None or "scans" not in found else dict(found["scans"].tolist())

    def make(self, case: CohortCase) -> None:
        """Compute and store the case's file. Raises: see `get`."""
        self.files.put(self.key(case), self._made(case))

    def _made(self, case: CohortCase) -> dict[str, np.ndarray]:
        with one_thread(), torch.inference_mode():
            return self.arrays_of(self.prepared.make(case))

    def arrays_of(self, case: PreparedCase) -> dict[str, np.ndarray]:
        """Return the arrays to store for a prepared case; `node_case` reads them."""
        images = dict(case.images)
        if "ct" in images:
            images["ct"] = self.window(images["ct"])
        bands = {m: gaussian_bands(image[None, None])[0] for m, image in images.items()}
        levels = None if self.encoder is None else _levels(self.encoder, images, bands)
        arrays: dict[str, np.ndarray] = {"n_masks": np.int64(len(case.masks)), "modalities": np.array(list(images))}
        for n, masks in enumerate(case.masks):
            arrays |= {f"fixed{n}_{m}": value.numpy() for m, value in fixed_vectors(images, masks, bands).items()}
            if levels is not None and n < self.encoded:
                moments = subset_moments(levels, F.pad(masks.occupancy, _padding(case.shape)))
                arrays |= {f"fused{n}_{subset}": value.numpy() for subset, value in moments.items()}
            arrays[f"topology{n}"] = masks.topology.numpy()
            arrays[f"volumes{n}"] = masks.volumes_ml.numpy()
            arrays[f"matches{n}"] = masks.matches.numpy()
        arrays["scans"] = np.array(list(case.scans.items()), dtype=np.str_).reshape(-1, 2)
        if case.organ_hu is not None:
            arrays["organ_hu"] = np.float64(case.organ_hu)
        if case.truth is not None and case.truth.lesion_nodes is not None:
            arrays["lesion_nodes"] = case.truth.lesion_nodes.numpy()
        return arrays


def encoder_hash(student: Student) -> str:
    """Hash of the encoder's weights alone, so that students with another head use the same stored node vectors."""
    digest = hashlib.sha256()
    for name, value in sorted(student.state_dict().items()):
        if name.startswith("encoders."):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _padding(shape: Sequence[int]) -> list[int]:
    """Return the padding for `F.pad` at the far end of each axis, to multiples of 4 as encoders require."""
    return [pad for size in reversed(shape) for pad in (0, -size % 4)]


def _levels(encoder: Student, images: Mapping[str, Tensor], bands: Mapping[str, Tensor]) -> dict[str, list[Tensor]]:
    """Projected maps of each padded image: modality -> three (C_l, ...), see `_padding`."""
    out = {}
    for name in encoder.config.modalities:
        if name in images:
            pad = _padding(images[name].shape)
            split = bands[name][None]
            if any(pad):
                split = gaussian_bands(F.pad(images[name][None, None], pad, mode="replicate"))
            levels = encoder.encoders(name, split.contiguous(memory_format=torch.channels_last_3d))
            out[name] = [level[0] for level in levels]
    return out


def node_case(f: Mapping[str, np.ndarray], case: CohortCase, key: str) -> NodeCase:
    """Build from the arrays of `NodeStore.arrays_of`; `case` provides the metadata."""
    modalities = f["modalities"].tolist()
    regions = tuple(_regions(f, n, modalities) for n in range(int(f["n_masks"])))
    hu = float(f["organ_hu"]) if "organ_hu" in f else None
    truth = truth_of(case.truth, f.get("lesion_nodes"))
    return NodeCase(case.id, case.patient, case.grade, regions, truth, key, hu)


def _regions(f: Mapping[str, np.ndarray], n: int, modalities: list[str]) -> NodeRegions:
    topology, volumes, matches = (torch.from_numpy(f[f"{name}{n}"]) for name in ("topology", "volumes", "matches"))
    bare = torch.zeros(len(volumes), 0, 0, 0)
    fixed = {m: torch.from_numpy(f[f"fixed{n}_{m}"]) for m in modalities}
    shape = next(iter(fixed.values()))[:, columns_of(("shape",))]
    masks = RegionMasks(bare, torch.zeros(len(volumes) - 1, 6, 0, 0, 0), topology, volumes, matches, shape)
    prefix = f"fused{n}_"
    fused = {name[len(prefix) :]: torch.from_numpy(f[name]) for name in f if name.startswith(prefix)}
    return NodeRegions(fixed, fused, masks)


def subset_moments(levels: Mapping[str, Sequence[Tensor]], occupancy: Tensor) -> dict[str, Tensor]:
    """Encoder moments over regions for every subset of images, from one pass per image.

    The fused map of a subset is the sum of its branches, so its mean is the sum of means and its variance the sum of
    covariances: with three images, three means and six covariances per node and channel are enough for all seven
    subsets.

    levels: modality -> three maps (C_l, ...) at full, half and quarter size; occupancy: (n, ...) at full size.

    Returns subset ('ct+fdg') -> (n, F), equal to `core.student.pooling.fused_nodes` of the subset's fused maps.
    """
    modalities = list(levels)
    subsets = subsets_of(modalities)
    parts: dict[str, list[Tensor]] = {subset_name(s): [] for s in subsets}
    weights = occupancy[None]
    for level in range(3):
        if level:
            weights = F.avg_pool3d(weights, 2, ceil_mode=True)
        w = weights[0].flatten(1)
        w = w / w.sum(dim=1, keepdim=True).clamp_min(1e-6)
        maps = {m: levels[m][level].flatten(1) for m in modalities}
        mean = {m: w @ x.T for m, x in maps.items()}
        shift = {m: x - mean[m].mean(dim=0)[:, None] for m, x in maps.items()}
        first = {m: w @ x.T for m, x in shift.items()}
        covariance = {
            (a, b): w @ (shift[a] * shift[b]).T - first[a] * first[b]
            for i, a in enumerate(modalities)
            for b in modalities[i:]
        }
        for subset in subsets:
            variance = sum(covariance[(a, b) if (a, b) in covariance else (b, a)] for a in subset for b in subset)
            spread = variance.clamp_min(0).add(1e-8).sqrt()
            parts[subset_name(subset)] += [sum(mean[m] for m in subset), torch.log(spread + 0.01)]
    return {name: torch.cat(p, dim=1) for name, p in parts.items()}
