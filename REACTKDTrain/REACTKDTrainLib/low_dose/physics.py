"""X-ray physics of one CT slice: attenuation, photon budget, and the noise that a lower dose adds.

Zeng et al., IEEE TNS 62(5), 2015 (counts and electronic noise); Yu et al., JCAT 36(4), 2012 (only the difference
between two doses may be added to an image that already carries its own noise).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from REACTKDLib.core.errors import ReactkdError

MU_WATER_PER_MM = 0.0193
"""Attenuation of water at the effective energy of a 120 kVp spectrum (about 70 keV), 1/mm."""

REFERENCE_BIN_MM = 0.8
REFERENCE_THICKNESS_MM = 3.0
REFERENCE_VIEWS = 720
REFERENCE_COUNTS = 2.5e6
REFERENCE_SIGMA_E = 10.0
"""Electronic noise, counts rms, in a bin of the reference geometry."""

REFERENCE_BIN_AREA = REFERENCE_BIN_MM * REFERENCE_THICKNESS_MM / REFERENCE_VIEWS
FLUENCE = REFERENCE_COUNTS / REFERENCE_BIN_AREA
"""Unattenuated photons per mm^2 of detector in half a turn, at native dose."""

PADDING_BELOW_HU = -1024.0
"""Values below this mark voxels outside the scanner's field of view; they are never changed."""

MU_CEILING = 4.0
"""Attenuation is clamped to this multiple of that of water, so that metal does not reduce the counts to zero."""

STARVATION_FLOOR = 1.0 / 16.0
"""Minimum count, as a share of the expected one, before the logarithm (log mode)."""


class DoseOutOfRange(ReactkdError):
    """The dose fraction is not in (0, 1]."""

    code = "dose-out-of-range"


class PhotonBudgetInvalid(ReactkdError):
    """Fluence, thickness, electronic noise or I0 is not a positive number."""

    code = "photon-budget-invalid"


def check_dose(dose: float) -> float:
    """Return `dose` as a float in (0, 1]. Raises: DoseOutOfRange, also for NaN and non-numbers."""
    try:
        value = float(dose)
    except (TypeError, ValueError):
        value = math.nan
    if not 0.0 < value <= 1.0:
        raise DoseOutOfRange(
            f"The dose must be a fraction of the scan's own dose, above 0 and at most 1, but it is {dose}; "
            "give 0.25 for a quarter of the dose."
        )
    return value


def check_positive(value: float, what: str, zero_allowed: bool = False) -> float:
    """Return `value` as a finite float above 0 (or at least 0). Raises: PhotonBudgetInvalid, naming `what`."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number < 0.0 or (number == 0.0 and not zero_allowed):
        bound = "zero or more" if zero_allowed else "more than zero"
        raise PhotonBudgetInvalid(f"The {what} is {value}, but it must be a number that is {bound}; correct it.")
    return number


@dataclass(frozen=True)
class PhotonBudget:
    """Photons and electronic noise of one detector bin in one view, at native dose.

    i0: unattenuated counts in a bin. sigma_e: electronic noise of that bin, counts rms.
    """

    i0: float
    sigma_e: float

    @staticmethod
    def of_bin(
        bin_mm: float,
        thickness_mm: float,
        views: int,
        *,
        fluence: float = FLUENCE,
        sigma_e: float = REFERENCE_SIGMA_E,
        i0: float | None = None,
    ) -> PhotonBudget:
        """Budget of a bin `bin_mm` wide and `thickness_mm` high that sees 1/`views` of the half turn.

        I0 grows with the bin's area and the time that it integrates, and electronic noise with the square root of
        both; so the noise in mm and HU does not change with matrix, pixel size or number of views.
        sigma_e: counts rms in the reference bin (0.8 mm, 3 mm, 720 views). i0: replaces the one from `fluence`.
        Raises: PhotonBudgetInvalid.
        """
        thickness = check_positive(thickness_mm, "slice thickness in mm")
        area = check_positive(bin_mm, "pixel spacing in mm") * thickness / views
        counts = check_positive(fluence, "fluence") * area if i0 is None else check_positive(i0, "photon budget I0")
        noise = check_positive(sigma_e, "electronic noise", zero_allowed=True)
        return PhotonBudget(i0=counts, sigma_e=noise * math.sqrt(area / REFERENCE_BIN_AREA))


def attenuation(hu: torch.Tensor, mu_water: float = MU_WATER_PER_MM) -> torch.Tensor:
    """Linear attenuation (1/mm) of `hu`, any shape, clamped to [0, 4 mu_water]."""
    return hu.mul(mu_water / 1000.0).add_(mu_water).clamp_(0.0, MU_CEILING * mu_water)


def quantum_factor(dose: float) -> float:
    """Factor on the unit quantum noise field: sqrt((1 - a) / a)."""
    return math.sqrt((1.0 - dose) / dose)


def electronic_factor(dose: float) -> float:
    """Factor on the unit electronic noise field: sqrt((1 - a^2) / a^2)."""
    return math.sqrt((1.0 - dose * dose) / (dose * dose))


def quantum_std(p: torch.Tensor, i0: float | torch.Tensor) -> torch.Tensor:
    """Standard deviation of a line integral `p` from counting `i0` exp(-p) photons: sqrt(exp(p) / i0)."""
    return torch.exp(0.5 * p) / (i0**0.5)


def electronic_std(p: torch.Tensor, i0: float | torch.Tensor, sigma_e: float) -> torch.Tensor:
    """Standard deviation of a line integral `p` from electronic noise: sigma_e exp(p) / i0."""
    return torch.exp(p) * (sigma_e / i0)


def added_std(p: torch.Tensor, dose: float, i0: float | torch.Tensor, sigma_e: float) -> torch.Tensor:
    """Standard deviation that dose fraction `dose` adds to line integrals `p` that carry native noise already.

    var = (1 - a)/a exp(p)/I0 + (1 - a^2)/a^2 sigma_e^2 exp(2p)/I0^2; exactly 0 at a = 1. Same shape as `p`.
    """
    quantum = quantum_factor(dose) ** 2 * torch.exp(p) / i0
    electronic = (electronic_factor(dose) * sigma_e / i0) ** 2 * torch.exp(2.0 * p)
    return torch.sqrt(quantum + electronic)
