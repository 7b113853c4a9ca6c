"""What a teacher is built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from REACTKDLib.core.bounds import check_whole
from REACTKDTrainLib.data.fixed_nodes import FIXED_BLOCKS


@dataclass(frozen=True)
class TeacherConfig:
    """Typed and validated configuration of `Teacher`.

    feature_size, window, patch, depths, heads: of each Swin transformer (48, 7, 2 and MONAI's defaults in arXiv
    2508.02104 and its code). width: common channels of the fused map, the student's too. blocks: fixed node vectors
    that join the learned ones ('input', 'bands', 'shells'; () is the paper's form). cbam_kernel, cbam_ratio: of the
    shared CBAM3D (paper 7 and 8; 3 fits a map of a quarter's size, method-spec section 6d). checkpoint: recompute
    activations in the backward pass, for less memory.

    Raises: ValueError that names the field.
    """

    classes: int = 3
    feature_size: int = 48
    window: int = 7
    patch: int = 2
    depths: tuple[int, int, int, int] = (2, 2, 2, 2)
    heads: tuple[int, int, int, int] = (3, 6, 12, 24)
    width: int = 16
    hidden: int = 48
    blocks: tuple[str, ...] = FIXED_BLOCKS
    dropout: float = 0.1
    cbam_kernel: int = 3
    cbam_ratio: int = 8
    checkpoint: bool = False

    def __post_init__(self) -> None:
        limits = {"classes": 100, "feature_size": 384, "width": 1024, "hidden": 4096, "cbam_ratio": 1024}
        for name, most in limits.items():
            check_whole(name, getattr(self, name), 1, most)
        check_whole("window", self.window, 2, 32)
        check_whole("cbam_kernel", self.cbam_kernel, 1, 31)
        for name, most in (("depths", 100), ("heads", 1024)):
            for value in getattr(self, name):
                check_whole(name, value, 1, most)
        if self.patch not in (2, 4):
            raise ValueError(f"patch must be 2 or 4, not {self.patch}")
        for name in ("depths", "heads"):
            value = getattr(self, name)
            if len(value) != 4 or min(value) < 1:
                raise ValueError(f"{name} must be four positive numbers, not {value}")
        for level, heads in enumerate(self.heads):
            if self.feature_size * 2**level % heads:
                raise ValueError(
                    f"heads must divide the channels of their stage: {heads} does not divide "
                    f"{self.feature_size * 2**level} (stage {level + 1} of feature_size {self.feature_size})"
                )
        if set(self.blocks) - set(FIXED_BLOCKS):
            raise ValueError(f"blocks must be some of {FIXED_BLOCKS}, not {self.blocks}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")
        if self.cbam_kernel % 2 == 0:
            raise ValueError(f"cbam_kernel must be odd, not {self.cbam_kernel}")

    @classmethod
    def small(cls, **changes) -> TeacherConfig:
        """For two CPU cores: a quarter of the channels, windows of 4, patches of 4 voxels."""
        return cls(**({"feature_size": 12, "window": 4, "patch": 4} | changes))

    @classmethod
    def from_dict(cls, values: Mapping) -> TeacherConfig:
        """Build from the JSON form. Raises: ValueError for unknown keys."""
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"unknown teacher settings: {', '.join(sorted(unknown))}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    def to_dict(self) -> dict:
        """Return the JSON form."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
