"""The SHA-256 of the voxels of an image in the scene, computed once for each modification of it."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from REACTKDLib.core.worker.arrays import slabs
from REACTKDLib.scene.volumes import voxels_of

_KEPT = 64
_known: dict[int, str] = {}  # by modification time, which no other image of this process has or will have


def voxel_digest(node: Any) -> str:
    """Return the hexadecimal SHA-256 of the voxels of a volume node, in their order and type in memory.

    A known one costs nothing; otherwise about half a second for a gigabyte.

    Raises: NoVolume, NotThreeDimensional.
    """
    image = node.GetImageData()
    known = _known.get(image.GetMTime()) if image is not None else None
    if known is not None:
        return known
    digest, array = sha256(), voxels_of(node)
    for rows in slabs(array):
        digest.update(array[rows])
    remember_digest(image.GetMTime(), digest.hexdigest())
    return digest.hexdigest()


def remember_digest(modified: int, digest: str) -> None:
    """Record the digest of the image with this modification time."""
    _known.pop(modified, None)
    _known[modified] = digest
    while len(_known) > _KEPT:
        del _known[next(iter(_known))]
