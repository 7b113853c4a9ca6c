"""The table of nodes: many cases as a few padded tensors, so that a training step is a few matrix products."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress

import numpy as np
import torch
from torch import Tensor

from REACTKDLib.core.modality import subset_name
from REACTKDLib.core.phantom.biology_shared import SharedLatents
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.node_network import NodeBatch
from REACTKDTrainLib.data.fixed_nodes import columns_of
from REACTKDTrainLib.data.graded_lesions import check_lesions
from REACTKDTrainLib.data.truth import COLUMNS, Truth
from REACTKDTrainLib.nodes.node_store import NodeCase, NodeRegions


@dataclass(frozen=True, eq=False)
class TableBatch(NodeBatch):
    """The cases of a step with one set of masks each. moments: subset of images -> (B, n, F), of a frozen encoder.

    `fixed` has the columns of all blocks. matches: (B, n), the expert's node that each node overlaps.
    """

    moments: Mapping[str, Tensor] = field(default_factory=dict)
    matches: Tensor | None = None

    def for_student(self, student: Student, presence: Mapping[str, Tensor]) -> TableBatch:
        """Return the input of a student if each case has the images of `presence`, modality -> (B,) 0 or 1.

        Raises: ValueError if the student has an encoder but the table has no moments of it, or for an image that the
        table lacks.
        """
        columns, names = columns_of(student.config.blocks), student.config.modalities if student.fixed_size else ()
        for name in names:
            if name not in self.fixed and presence[name].any():
                raise ValueError(f"the cases of the table have no {name}")
        fixed = {m: self.fixed[m][..., columns] for m in names if m in self.fixed}
        learned = self._learned(student, presence) if student.fused_size else None
        return replace(self, fixed=fixed, learned=learned, present=presence)

    def _learned(self, student: Student, presence: Mapping[str, Tensor]) -> Tensor:
        """(B, n, F): for each case the moments of the images that it has."""
        if not self.moments:
            raise ValueError("the table has no encoder moments for these masks; make it with the student's encoder")
        out = self.topology.new_zeros((*self.rows.shape, student.fused_size))
        given = torch.stack([presence[m] > 0 for m in student.config.modalities], dim=1)
        for subset in given.unique(dim=0):
            there = compress(student.config.modalities, subset.tolist())
            of_it = (given == subset).all(dim=1)
            out[of_it] = self.moments[subset_name(there)][of_it]
        return out


@dataclass(frozen=True, eq=False)
class NodeTable:
    """N cases, each with V sets of masks (the expert's first), padded to n nodes; node 0 is the parenchyma.

    grade: (N,) int64. truth: of each phantom, None for a patient. fixed: modality -> (V, N, n, Q). fused: subset of
    images -> (E, N, n, F) with E <= V, the moments of a frozen encoder, empty without one. rows: (V, N, n) bool, the
    real nodes. topology: (V, N, 7). matches: (V, N, n) int64, the expert's node that each node overlaps.
    """

    ids: tuple[str, ...]
    patients: tuple[str, ...]
    grade: Tensor
    truth: tuple[Truth | None, ...]
    fixed: Mapping[str, Tensor]
    fused: Mapping[str, Tensor]
    rows: Tensor
    topology: Tensor
    matches: Tensor

    def __len__(self) -> int:
        return len(self.grade)

    @property
    def variants(self) -> int:
        """Number of mask sets."""
        return len(self.rows)

    @property
    def encoded(self) -> int:
        """Number of mask sets with moments of an encoder."""
        return min((len(x) for x in self.fused.values()), default=0)

    @cached_property
    def node_truth(self) -> Tensor:
        """(N, n, K): latent variables of the expert's nodes, see `Truth.of_nodes`; NaN if unknown, and in the padding.

        Raises: ValueError for phantoms of two biologies.
        """
        known = [truth for truth in self.truth if truth is not None]
        if len({truth.biology for truth in known}) > 1:
            raise ValueError("the phantoms of a table must be of one biology")
        width = len(COLUMNS[known[0].biology]) if known else 0
        out = torch.full((*self.rows.shape[1:], width), float("nan"))
        for row, (truth, count) in enumerate(zip(self.truth, self.rows[0].sum(dim=1).tolist(), strict=True)):
            if truth is not None:
                out[row, :count] = truth.of_nodes(count)
        return out

    @cached_property
    def deciding(self) -> Tensor:
        """(N,) int64: the expert's node that determines the grade, 0 if unknown; see `Truth.deciding_node`."""
        return torch.tensor([0 if truth is None else truth.deciding_node for truth in self.truth])

    @property
    def latents(self) -> np.ndarray | list[SharedLatents] | None:
        """Latent variables of all phantoms, for `data.limits.limit_of`; None if a case is a patient."""
        if any(truth is None for truth in self.truth):
            return None
        own = [truth.latents for truth in self.truth]
        return own if self.truth[0].biology == "shared" else np.array(own, dtype=np.float64)

    def batch(self, index: Tensor | None = None, variant: Tensor | int = 0) -> TableBatch:
        """Return cases `index` (B,), by default all, with mask sets `variant` (B,), or one for all."""
        index = torch.arange(len(self)) if index is None else index
        v = torch.as_tensor(variant).expand(len(index))
        rows = self.rows[v, index]
        last = max(int(rows.sum(dim=1).max()), 1)
        encoded = int(v.max()) < self.encoded
        return TableBatch(
            self.topology[v, index],
            {m: x[v, index, :last] for m, x in self.fixed.items()},
            rows=rows[:, :last],
            moments={s: x[v, index, :last] for s, x in self.fused.items()} if encoded else {},
            matches=self.matches[v, index, :last],
        )

    def lesions_of(self, index: Tensor, batch: TableBatch) -> tuple[Tensor, Tensor]:
        """Return the latent variables of all lesions in a batch of cases `index` (B,), those of the overlapped expert's
        node.

        Returns (L, K), see `node_truth`, and (B, n) bool, the nodes of these lesions, in the same order.
        """
        rows = batch.rows.clone()
        rows[:, 0] = False  # the parenchyma
        return self.node_truth[index][torch.arange(len(index))[:, None], batch.matches][rows], rows

    @classmethod
    def of(cls, cases: Sequence[NodeCase], graded: bool = True) -> NodeTable:
        """Pad and stack. All cases need the same images and the same number of mask sets. graded: False if grades are
        not needed; unknown grades are then -1, which no loss on grades accepts.

        Raises: ValueError without cases, for an unknown grade, or for cases that do not match; GradeWithoutLesion.
        """
        if not cases:
            raise ValueError("a table needs at least one case")
        if graded and any(case.grade is None for case in cases):
            raise ValueError("a case without a grade cannot be in a table")
        for case in cases if graded else ():
            check_lesions(case.grade, len(case.regions[0]) - 1, case.id)
        if len({(tuple(c.regions[0].fixed), len(c.regions)) for c in cases}) > 1:
            raise ValueError("the cases of a table must have the same images and numbers of sets of masks")
        sets = [[case.regions[v] for case in cases] for v in range(len(cases[0].regions))]
        n = max(len(regions) for column in sets for regions in column)
        fused = [column for column in sets if all(regions.fused for regions in column)]
        counts = torch.tensor([[len(regions) for regions in column] for column in sets])
        return cls(
            tuple(case.id for case in cases),
            tuple(case.patient for case in cases),
            torch.tensor([-1 if case.grade is None else case.grade for case in cases]),
            tuple(case.truth for case in cases),
            {m: _stacked(sets, n, lambda r, m=m: r.fixed[m]) for m in cases[0].regions[0].fixed},
            {s: _stacked(fused, n, lambda r, s=s: r.fused[s]) for s in cases[0].regions[0].fused} if fused else {},
            torch.arange(n) < counts[..., None],
            torch.stack([torch.stack([regions.masks.topology for regions in column]) for column in sets]),
            _stacked(sets, n, lambda r: r.masks.matches),
        )

    def pick(self, index: Tensor | Sequence[int] | Sequence[bool]) -> NodeTable:
        """Return the cases of `index`, in its order: indices, or a mask (n,) of bool."""
        index = torch.as_tensor(index)
        index = torch.nonzero(index)[:, 0] if index.dtype == torch.bool else index.long()
        chosen = index.tolist()
        return replace(
            self,
            ids=tuple(self.ids[i] for i in chosen),
            patients=tuple(self.patients[i] for i in chosen),
            grade=self.grade[index],
            truth=tuple(self.truth[i] for i in chosen),
            fixed={m: x[:, index] for m, x in self.fixed.items()},
            fused={s: x[:, index] for s, x in self.fused.items()},
            rows=self.rows[:, index],
            topology=self.topology[:, index],
            matches=self.matches[:, index],
        )


def _stacked(sets: Sequence[Sequence[NodeRegions]], n: int, of: Callable[[NodeRegions], Tensor]) -> Tensor:
    """(V, N, n, ...): the results of `of` for each set of regions, padded with zeros."""
    first = of(sets[0][0])
    out = first.new_zeros((len(sets), len(sets[0]), n, *first.shape[1:]))
    for v, column in enumerate(sets):
        for row, regions in enumerate(column):
            value = of(regions)
            out[v, row, : len(value)] = value
    return out
