"""Makes the views of a prepared case: number 0 unchanged, the others augmented, a finite number of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from REACTKDLib.core.one_thread import one_thread
from REACTKDTrainLib.content_store import ContentStore, content_key
from REACTKDTrainLib.data.augmentation import Augmentation, stacked_masks, warp, warp_masks
from REACTKDTrainLib.data.case import PreparedCase, RegionMasks
from REACTKDTrainLib.data.fixed_nodes import fixed_vectors
from REACTKDTrainLib.data.normalization import LiverWindow
from REACTKDTrainLib.data.view import View

FORMAT = "reactkd-view/1"


@dataclass(frozen=True)
class ViewMaker:
    """Makes views; the same case and number always give bit-identical results.

    window: of CT, from the training fold. seed: of the augmentation. perturbed: True if the student's masks may be
    perturbed. folder: store of warped images and fixed node vectors, or None. Since the number of views is finite, the
    teachers' targets can be computed once.
    """

    window: LiverWindow
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    perturbed: bool = True
    folder: Path | None = None

    def key(self, case: PreparedCase, number: int) -> str:
        """Return a hash of everything that the expert's side of a view depends on."""
        recipe = f"{FORMAT} {case.key} {self.window}"
        if number and (self.augmentation.level or not self.augmentation.still):
            recipe += f" {number} {self.seed} {sorted(asdict(self.augmentation).items())}"
        return content_key(recipe)

    def variant(self, case: PreparedCase, number: int) -> int:
        """Return the set of masks for the student: the expert's in view 0, then the perturbed ones in turn."""
        others = len(case.masks) - 1
        return 0 if not self.perturbed or number == 0 or others == 0 else 1 + (number - 1) % others

    def __call__(self, case: PreparedCase, number: int = 0, variant: int | None = None) -> View:
        """Return view `number` of a case; `variant` forces a set of masks for the student, to test other outlines.

        Raises: IndexError for a set of masks that the case does not have.
        """
        variant = self.variant(case, number) if variant is None else variant
        expert, masks = case.masks[0], case.masks[variant]
        images, hu = dict(case.images), case.images.get("ct")
        warp_seed = self._seed(case, number) if number and not self.augmentation.still else None
        if warp_seed is not None:
            images, expert, masks = self._warped(case, warp_seed, variant)
            hu = images.get("ct")
        if hu is not None:
            images["ct"] = self.window(hu)
        levels: dict[str, Tensor] = {}
        if number and self.augmentation.level:
            draw = torch.Generator().manual_seed(self._seed(case, number) % 2**62 + 2)
            levels = {m: self.augmentation.level * torch.randn((), generator=draw) for m in images}
            images = {m: x + levels[m] for m, x in images.items()}
        key = self.key(case, number)
        fixed_expert = self._fixed(f"{key} expert", images, expert)
        fixed = fixed_expert if variant == 0 else self._fixed(f"{key} masks {variant}", images, masks)
        return View(
            case.id, case.patient, case.grade, number, images, hu, expert, masks, fixed, fixed_expert, case.truth, key,
            warp_seed, levels,
        )  # fmt: skip

    def _seed(self, case: PreparedCase, number: int) -> int:
        recipe = f"{self.seed} {case.key} {number}"
        return int(content_key(recipe)[:7], 16)

    def _warped(
        self, case: PreparedCase, seed: int, variant: int
    ) -> tuple[dict[str, Tensor], RegionMasks, RegionMasks]:
        """Return images, the expert's masks and those of `variant`, warped alike; read from the folder if stored there.

        Stored in half precision and bytes, like prepared cases. They are rounded even if nothing is stored, because the
        result must not depend on the existence of a file.
        """
        recipe = f"{FORMAT} warped {case.key} {seed} {sorted(asdict(self.augmentation).items())} {variant}"
        expert, masks = case.masks[0], case.masks[variant]

        def make() -> dict[str, Tensor]:
            stack = {"images": torch.stack(list(case.images.values())), "expert": stacked_masks(expert)}
            if variant:
                stack["masks"] = stacked_masks(masks)
            return {
                name: value.half() if name == "images" else (255 * value.clamp(0, 1)).round().byte()
                for name, value in warp(stack, self.augmentation, seed).items()
            }

        warped = self._kept("warped", recipe, make)
        images = dict(zip(case.images, warped["images"].float(), strict=True))
        expert = warp_masks(expert, warped["expert"].float() / 255)
        return images, expert, warp_masks(masks, warped["masks"].float() / 255) if variant else expert

    def _fixed(self, recipe: str, images: dict[str, Tensor], masks: RegionMasks) -> dict[str, Tensor]:
        """Return the fixed node vectors; read from the folder if stored there."""

        def make() -> dict[str, Tensor]:
            with one_thread():
                return fixed_vectors(images, masks)

        return self._kept("fixed", recipe, make)

    def _kept(self, kind: str, recipe: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        if self.folder is None:
            return make()

        def arrays() -> dict[str, np.ndarray]:
            return {name: value.numpy() for name, value in make().items()}

        files = ContentStore(Path(self.folder) / kind, compressed=kind == "warped")
        return files.made(content_key(recipe), arrays, _tensors)


def _tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
