"""The graph of regions: nodes on the unit sphere, cosine edges, and the losses on nodes and edges."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

_EPS = 1e-6


def unit(vectors: Tensor) -> Tensor:
    """Rows (n, d) scaled to length 1; a row of zeros stays zeros, with a finite gradient."""
    return vectors / vectors.square().sum(dim=-1, keepdim=True).add(_EPS**2).sqrt()


def edges(nodes: Tensor) -> Tensor:
    """Cosine similarities e_ij = <v_i, v_j> / (|v_i| |v_j|), (n, n), of nodes (n, d) (equation 4 of the paper)."""
    u = unit(nodes)
    return u @ u.T


def node_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """(1/n) sum_i |v_i^S - v_i^T|^2 of unit vectors (equation 5). student, teacher: (n, d), row i the same region."""
    return (unit(student) - unit(teacher.detach())).square().sum(dim=1).mean()


def edge_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """(1/n^2) sum_ij (e_ij^S - e_ij^T)^2 (equation 6). student, teacher: (n, d), row i the same region."""
    return (edges(student) - edges(teacher.detach())).square().mean()


def normalized(nodes: Tensor) -> Tensor:
    """Node vectors (n, C), each with zero mean and unit variance over its channels."""
    return F.layer_norm(nodes, nodes.shape[-1:])


def projector(channels: int, width: int) -> nn.Linear:
    """A linear map of node vectors to a common width, orthogonal at the start; thrown away after training."""
    layer = nn.Linear(channels, width, bias=False)
    nn.init.orthogonal_(layer.weight)
    return layer
