"""Hybrid cases: simulated lesions of known biology in a real scan, to test a model on real livers with known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.regrid import mask_on_grid
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.phantom.acquire import PhantomCase
from REACTKDLib.core.phantom.biology_shared import HETEROGENEITY, SharedLatents, draw_shared
from REACTKDLib.core.phantom.lattice import Lattice
from REACTKDLib.core.phantom.lesion import Lesion
from REACTKDLib.core.phantom.organs.grid_solid import GridSolid
from REACTKDLib.core.phantom.organs.liver_lobes import GridLiver
from REACTKDLib.core.phantom.patient import draw_lesions, grade_number
from REACTKDLib.core.phantom.shapes import soft_inside
from REACTKDLib.core.phantom.truth import shared_truth

#: blur of the scanner: in plane on CT, as with abdominal kernels, and on PET (full width at half maximum, converted to
#: sd). Sampled at the voxels, a Gaussian narrower than a third of a voxel has almost no effect, as along the slices and
#: on pixels over 2 mm
CT_BLUR_MM, PET_BLUR_MM = 0.7, 7.0 / 2.3548
_KEEP_AWAY_MM = 8.0  # from existing lesions
_EDGE_MM = 1.0  # width of a lesion's edge on CT
_TRIES = 12
_ROOM = "room_for_lesions"  # key in `Case.derived`


def _room(liver: np.ndarray, there: np.ndarray, spacing: np.ndarray) -> GridLiver:
    """Return the part of a liver with room for lesions, as a liver shape in mm along the CT's own axes.

    liver, there: bool (D, H, W), the whole liver and the existing lesions. spacing: (3,) mm of i, j, k.
    """
    from scipy.ndimage import distance_transform_edt

    found = bounding_box(liver)
    if found is None:
        raise UsageError("The liver mask is empty; give the mask of the liver with --liver.")
    box = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in found)
    sampling, low = spacing[::-1], np.array([s.start for s in box])
    depth = distance_transform_edt(liver[box], sampling=sampling)
    if there[box].any():
        depth = np.minimum(depth, distance_transform_edt(~there[box], sampling=sampling) - _KEEP_AWAY_MM)
    step = np.maximum(np.floor(3.0 / sampling).astype(int), 1)
    rough = depth[:: step[0], :: step[1], :: step[2]].astype(np.float32)
    z, y, x = (
        ((o + np.arange(n) * k) * s).astype(np.float32)
        for o, n, k, s in zip(low, rough.shape, step, sampling, strict=True)
    )
    return GridLiver(GridSolid(Lattice(x, y, z), np.where(rough > 0, rough, np.float32(-8.0))), ())


def draw_into(
    case: Case, seed: int, grade: int | str | None = None, heterogeneity: float = HETEROGENEITY
) -> PhantomCase:
    """Draw the lesions of patient `seed` into the scans of a case that has a CT.

    Contrast, capsule, necrosis and texture are added to the parenchyma's own voxels after the scan's blur, so its
    noise, vessels and artifacts are kept; on PET, the excess over the liver's own median is added. Existing lesions of
    the case are kept, and are not part of the truth. A lesion without enough room is made smaller. The same seed gives
    identical bits.

    Raises: UsageError without a CT, for an unknown grade, or if the liver has no room.
    """
    if Modality.CT not in case.volumes:
        raise UsageError("Lesions are drawn into a CT; give one with --on.")
    latents, places = hybrid_latents(seed, grade_number(grade), heterogeneity), np.random.default_rng([int(seed), 3, 1])
    ct = case.volumes[Modality.CT]
    if _ROOM not in case.derived:  # this is most of the work, and the same for all lesions of a scan
        case.derived[_ROOM] = _room(case.liver, case.tumor, ct.spacing)
    lesions = _placed(latents, case.derived[_ROOM], places)
    local = ct.ijk_to_ras @ np.diag([*(1 / ct.spacing), 1.0])  # mm along the CT's axes, to RAS
    field, tumor = _on_ct(ct, lesions)
    volumes = {Modality.CT: replace(ct, array=field)}
    for modality in (Modality.FDG, Modality.ACETATE):
        if modality in case.volumes:
            volumes[modality] = _on_pet(case, case.volumes[modality], lesions, modality.value, local)
    truth = {"digital_phantom": True, "drawn_into_a_scan": True, "seed": int(seed)}
    truth |= {"lesions_before_ml": float(case.tumor.sum() * ct.voxel_ml)}
    truth |= shared_truth(latents, lesions, "hospital", local)
    made = Case(f"hybrid-{seed:05d}", volumes, case.liver | tumor, case.tumor | tumor, case.findings)
    return PhantomCase(made, truth)


def hybrid_latents(seed: int, grade: int | None = None, heterogeneity: float = HETEROGENEITY) -> SharedLatents:
    """Return the latents of the lesions that `draw_into` draws, independent of the scan; the diameter of the main
    lesion is an upper limit.
    """
    return draw_shared(np.random.default_rng([int(seed), 3, 0]), heterogeneity, grade)


def _placed(latents: SharedLatents, room: GridLiver, rng: np.random.Generator) -> tuple[Lesion, ...]:
    """Return the lesions at positions with enough room, apart from each other, made smaller if necessary."""
    smaller = latents
    for _ in range(_TRIES):
        lesions = draw_lesions(rng, smaller, room)
        free = [room.depth(*np.array(les.center)[:, None])[0] > 0.6 * les.radius for les in lesions]
        gaps = [
            np.linalg.norm(np.subtract(a.center, b.center)) > a.radius + b.radius
            for n, a in enumerate(lesions)
            for b in lesions[:n]
        ]
        if all(free) and all(gaps):
            return lesions
        smaller = replace(smaller, ln_diameter_mm=smaller.ln_diameter_mm - 0.12)
    raise UsageError("The liver has no room for these lesions; check that the mask is the liver, or take another seed.")


def _on_ct(ct: Volume, lesions: tuple[Lesion, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the CT with the lesions, in its own data type, and their mask."""
    from scipy.ndimage import gaussian_filter

    depth, height, width = ct.shape
    lattice = Lattice.regular(np.zeros(3), ct.spacing, (depth, height, width))
    added, mask = np.zeros(ct.shape, dtype=np.float32), np.zeros(ct.shape, dtype=bool)
    for lesion in lesions:
        box = lattice.box(*lesion.bounds(), pad_mm=4.0)
        offset, inside = lesion.ct_offset(*lattice.coordinates(box), edge_mm=_EDGE_MM)
        weight = soft_inside(inside, _EDGE_MM)
        added[box] += (offset - added[box]) * weight
        mask[box] |= inside > 0
    sigma = [ct.spacing[2] / np.sqrt(12), CT_BLUR_MM, CT_BLUR_MM] / ct.spacing[::-1]
    reach = np.ceil(3.0 * sigma).astype(int) + 1  # reach of the blur: nothing changes beyond it
    box = tuple(
        slice(max(part.start - r, 0), part.stop + r) for part, r in zip(bounding_box(added != 0), reach, strict=True)
    )
    new, changed = ct.array.copy(), ct.array[box] + gaussian_filter(added[box], sigma, truncate=3.0)
    if np.issubdtype(ct.array.dtype, np.integer):
        info = np.iinfo(ct.array.dtype)
        changed = np.clip(np.rint(changed), info.min, info.max)
    new[box] = changed.astype(ct.array.dtype)
    return new, mask


def _on_pet(case: Case, pet: Volume, lesions: tuple[Lesion, ...], tracer: str, local: np.ndarray) -> Volume:
    """Return the PET with the lesions' excess over the liver's own median, in its own unit."""
    from scipy.ndimage import gaussian_filter

    spared = mask_on_grid(case.liver & ~case.tumor, case.reference.ijk_to_ras, Grid(pet.shape, pet.ijk_to_ras))
    if not spared.any():
        raise UsageError("A PET shows nothing of the liver; check that it belongs to this CT.")
    level = float(np.median(pet.array[spared]))
    to_local = np.linalg.inv(local) @ pet.ijk_to_ras
    added = np.zeros(pet.shape, dtype=np.float32)
    for lesion in lesions:
        middle = (np.linalg.inv(to_local) @ [*lesion.center, 1.0])[:3]
        reach = np.ceil((lesion.reach + 4) / pet.spacing).astype(int)
        low = np.maximum(np.floor(middle).astype(int) - reach, 0)
        high = np.minimum(np.ceil(middle).astype(int) + reach + 1, pet.shape[::-1])
        if (high <= low).any():
            continue
        k, j, i = np.meshgrid(*(np.arange(a, b) for a, b in zip(low[::-1], high[::-1], strict=True)), indexing="ij")
        x, y, z = (to_local[:3, :3] @ np.stack([i, j, k]).reshape(3, -1) + to_local[:3, 3:]).reshape(3, *i.shape)
        ratio, inside = lesion.pet_ratio(tracer, x, y, z)
        box = tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True))
        weight = soft_inside(inside, float(np.mean(pet.spacing)))
        added[box] += ((ratio - 1) * level - added[box]) * weight
    blurred = gaussian_filter(added, PET_BLUR_MM / pet.spacing[::-1], truncate=3.0)
    return replace(pet, array=np.maximum(pet.array + blurred, 0).astype(np.float32))
