"""The configuration of a student's architecture; part of a bundle's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal

from REACTKDLib.core.bounds import check_whole

BLOCKS = ("input", "bands", "shells", "encoder")
#: options added after version 1.1.0, whose models do not have them
ALL_BLOCKS = (*BLOCKS, "shape")


@dataclass(frozen=True)
class StudentConfig:
    """Typed and validated configuration of `Student`.

    classes: number of classes. modalities: their names, in order. blocks: parts of a node vector, any of 'input'
    (moments of the input), 'bands' (moments of fixed Gaussian bands), 'shells' (radial profile and variogram),
    'encoder' (moments of the learned feature maps), 'shape' (volume and margin of the mask). filters: channels of the
    first convolution; widths: channels of the projections at 2.5, 5 and 10 mm. own_stem: each tracer has its own first
    convolution and projections. nonlinearity: activation after the first convolution of the encoder. norm:
    normalization in the encoder's blocks. difference: nodes include their difference to the parenchyma; spread: node
    vectors include standard deviations. cbam: CBAM3D on the coarsest fused map, with the teachers' weights;
    cbam_kernel: its kernel size, odd; cbam_ratio: its bottleneck ratio. topology: number of values that describe the
    set of regions. hidden: width of the head. dropout: dropout rate in the head. variant: 'paper' is the literal form
    of arXiv 2508.02104 (see `StudentConfig.paper`).

    Raises: ValueError that names the field.
    """

    classes: int = 3
    modalities: tuple[str, ...] = ("ct", "fdg", "acetate")
    blocks: tuple[str, ...] = BLOCKS
    filters: int = 8
    widths: tuple[int, int, int] = (8, 16, 16)
    own_stem: bool = True
    nonlinearity: Literal["abs", "relu"] = "abs"
    norm: Literal["none", "instance"] = "none"
    difference: bool = True
    spread: bool = True
    cbam: bool = False
    cbam_kernel: int = 3
    cbam_ratio: int = 8
    topology: int = 7
    hidden: int = 48
    dropout: float = 0.1
    variant: Literal["reactkd", "paper"] = "reactkd"

    def __post_init__(self) -> None:
        limits = {"classes": 100, "filters": 256, "hidden": 4096, "cbam_ratio": 1024, "topology": 1000}
        for name, most in limits.items():
            check_whole(name, getattr(self, name), 1, most)
        check_whole("cbam_kernel", self.cbam_kernel, 1, 31)
        for width in self.widths:
            check_whole("widths", width, 1, 1024)
        if not self.modalities or len(set(self.modalities)) != len(self.modalities):
            raise ValueError(f"modalities must be distinct names, not {self.modalities}")
        if not self.blocks or set(self.blocks) - set(ALL_BLOCKS):
            raise ValueError(f"blocks must be some of {ALL_BLOCKS}, not {self.blocks}")
        if len(self.widths) != 3 or min(self.widths) < 1:
            raise ValueError(f"widths must be three positive numbers, not {self.widths}")
        if self.cbam_kernel % 2 == 0:
            raise ValueError(f"cbam_kernel must be odd, not {self.cbam_kernel}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")
        for name, allowed in (("nonlinearity", ("abs", "relu")), ("norm", ("none", "instance")),
                              ("variant", ("reactkd", "paper"))):  # fmt: skip
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, not {getattr(self, name)!r}")

    @classmethod
    def paper(cls, **changes) -> StudentConfig:
        """Return the paper's own choices: mean pooling, node vectors alone, one PET encoder, instance norm, ReLU,
        CBAM3D.
        """
        literal = {
            "blocks": ("encoder",),
            "own_stem": False,
            "nonlinearity": "relu",
            "norm": "instance",
            "difference": False,
            "spread": False,
            "cbam": True,
            "cbam_kernel": 7,
            "widths": (16, 16, 16),
            "variant": "paper",
        }
        return cls(**(literal | changes))

    @classmethod
    def from_dict(cls, values: Mapping) -> StudentConfig:
        """Build from the JSON form. Raises: ValueError for unknown keys."""
        known = {f.name for f in fields(cls)}
        unknown = set(values) - known
        if unknown:
            raise ValueError(f"unknown student settings: {', '.join(sorted(unknown))}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    def to_dict(self) -> dict:
        """Return the JSON form."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
