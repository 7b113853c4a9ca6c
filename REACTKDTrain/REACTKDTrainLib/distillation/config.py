"""How the student is distilled."""

from __future__ import annotations

from dataclasses import dataclass

from REACTKDLib.core.bounds import check_whole
from REACTKDTrainLib.distillation.gromov import MODES

#: who teaches: everything together, or one of `networks.teacher.BRANCHES` alone
TEACHERS = ("fused", "structure_function", "dose")


@dataclass(frozen=True)
class DistillationConfig:
    """Weights, temperature and modes; each distiller reads what it needs.

    temperature: tau (paper's code 2; 4 learned better on phantoms). logits, graph: weights of the two terms beside the
    focal loss (l2, l3 of equation 18; the paper tunes them). node, edge, gw: weights inside the graph term (equation 8;
    the paper's code has 1 for all). gw_mode: 'semirelaxed' where the student's masks may lack lesions, 'paper' for
    equation 7 as it stands, 'matched' where both graphs have the same nodes. width: of the common space of node
    vectors. feature: weight of the term on features of the methods that have one. teacher: 'fused', or one of the
    branches ('structure_function', 'dose') that then teaches alone.

    Raises: ValueError that names the field.
    """

    temperature: float = 4.0
    logits: float = 0.7
    graph: float = 1.0
    node: float = 1.0
    edge: float = 1.0
    gw: float = 1.0
    gw_mode: str = "semirelaxed"
    width: int = 64
    feature: float = 1.0
    teacher: str = "fused"

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, not {self.temperature}")
        for name in ("logits", "graph", "node", "edge", "gw", "feature"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a weight of at least 0, not {getattr(self, name)}")
        if self.gw_mode not in MODES:
            raise ValueError(f"gw_mode must be one of {', '.join(MODES)}, not {self.gw_mode!r}")
        if self.teacher not in TEACHERS:
            raise ValueError(f"teacher must be one of {', '.join(TEACHERS)}, not {self.teacher!r}")
        check_whole("width", self.width, 1, 4096)
