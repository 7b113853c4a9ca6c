"""Configuration of a teacher."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from REACTKDTrainLib.data.fixed_nodes import FIXED_BLOCKS
from REACTKDTrainLib.settings import Dropout, settings


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"a kernel must be odd, not {value}")
    return value


Depth = Annotated[int, Field(ge=1, le=100)]
Heads = Annotated[int, Field(ge=1, le=1024)]


@settings
class TeacherConfig:
    """Typed and validated configuration of `Teacher`.

    classes: number of classes. feature_size, window, patch, depths, heads: parameters of each Swin transformer (48, 7,
    2 and MONAI's defaults in arXiv 2508.02104 and its code). width: number of channels of the fused map, the same as
    the student's. hidden: width of the heads. dropout: dropout rate in the heads. blocks: fixed node vectors that are
    concatenated with the learned ones ('input', 'bands', 'shells', 'shape'; () is the paper's form). cbam_kernel,
    cbam_ratio: kernel size and bottleneck ratio of the shared CBAM3D (paper 7 and 8; a kernel of 3 fits a map of a
    quarter of the size). checkpoint: recompute activations in the backward pass to save memory.

    Raises: BadSetting that names the field.
    """

    classes: Annotated[int, Field(ge=1, le=100)] = 3
    feature_size: Annotated[int, Field(ge=1, le=384)] = 48
    window: Annotated[int, Field(ge=2, le=32)] = 7
    patch: Literal[2, 4] = 2
    depths: tuple[Depth, Depth, Depth, Depth] = (2, 2, 2, 2)
    heads: tuple[Heads, Heads, Heads, Heads] = (3, 6, 12, 24)
    width: Annotated[int, Field(ge=1, le=1024)] = 16
    hidden: Annotated[int, Field(ge=1, le=4096)] = 48
    blocks: tuple[Literal[FIXED_BLOCKS], ...] = ("input", "bands", "shells")
    dropout: Dropout = 0.1
    cbam_kernel: Annotated[int, Field(ge=1, le=31), AfterValidator(_odd)] = 3
    cbam_ratio: Annotated[int, Field(ge=1, le=1024)] = 8
    checkpoint: bool = False

    def __post_init__(self) -> None:
        for level, heads in enumerate(self.heads):
            if self.feature_size * 2**level % heads:
                raise ValueError(
                    f"heads must divide the channels of their stage: {heads} does not divide "
                    f"{self.feature_size * 2**level} (stage {level + 1} of feature_size {self.feature_size})"
                )

    @classmethod
    def small(cls, **changes) -> TeacherConfig:
        """For two CPU cores: a quarter of the channels, windows of 4, patches of 4 voxels."""
        return cls(**({"feature_size": 12, "window": 4, "patch": 4} | changes))
