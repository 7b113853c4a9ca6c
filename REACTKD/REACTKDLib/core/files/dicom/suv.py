"""SUVbw from PET headers, by the rules of QIBA, or the reason why it cannot be computed.

    SUVbw = value x weight_g / (dose_Bq x 2^(-(t_scan - t_injection) / half_life)),  value in Bq/ml

Source: QIBA FDG-PET/CT profile, "vendor-neutral SUV", and its reference values in cornerstonejs/calculate-suv.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from REACTKDLib.core.errors import PetUnitRefused, SuvRefused
from REACTKDLib.core.files.dicom.header import (
    DAY_S,
    code_of,
    finite,
    items,
    moment,
    number,
    offset_of_datetime,
    raw,
    seconds_of_datetime,
    seconds_of_time,
    text,
    words,
)
from REACTKDLib.core.files.dicom.tracer import HALF_LIVES, nuclide_of_code, nuclide_of_drug, nuclide_of_half_life
from REACTKDLib.core.text import tr as _

WEIGHT_KG = (2.0, 400.0)
# Injected doses are between 10 MBq (a small child) and 2 GBq (acetate); values in kBq, MBq or mCi are far lower.
DOSE_BQ = (4e6, 5e9)
QUARTER_S = 900.0
MOST_HALF_LIVES = 5.0  # no scan is later; a longer time means inconsistent dates
_ACQUIRED, _OFFSET = ("AcquisitionDate", "AcquisitionTime"), "TimezoneOffsetFromUTC"
#: elements that are read from every image of a series; all others only from the first
OF_EACH_IMAGE = (*_ACQUIRED, _OFFSET)
_GE_SCAN, _PHILIPS_SUV, _PHILIPS_ACTIVITY = (0x0009, 0x0D), (0x7053, 0x00), (0x7053, 0x09)
_GE_CREATOR, _PHILIPS_CREATOR = "GEMS_PETD_01", "Philips PET Private Group"


@dataclass(frozen=True)
class PetHeader:
    """The values of a series that SUV needs. Times in s on one clock; earliest: of all its images. None: not stated.

    nuclide: '18F' or '11C' by the codes of nuclide or drug, not by the half-life.
    injections: number of different injections stated. zone_unclear: a date-time is in UTC, and the time zone of the
    scan is not stated. zones_mixed: the images state several time zones.
    """

    units: str
    suv_type: str = ""
    corrected: tuple[str, ...] = ()
    decay_correction: str = ""
    weight_kg: float | None = None
    dose_bq: float | None = None
    half_life_s: float | None = None
    nuclide: str | None = None
    injection_s: float | None = None
    injection_clock_s: float | None = None
    series_s: float | None = None
    earliest_s: float | None = None
    ge_scan_s: float | None = None
    philips_suv: float | None = None
    philips_activity: float | None = None
    injections: int = 1
    zone_unclear: bool = False
    zones_mixed: bool = False

    @classmethod
    def of(cls, datasets: Iterable[Any]) -> PetHeader:
        """Read the headers of all images of one series; elements not in `OF_EACH_IMAGE` are taken from the first."""
        datasets = list(datasets)
        first = datasets[0]
        injected = items(first, "RadiopharmaceuticalInformationSequence")
        info = next(iter(injected), None)
        zone = _zone_of(first)
        start = raw(info, "RadiopharmaceuticalStartDateTime") if info is not None else None
        times = [moment(d, *_ACQUIRED) for d in datasets]
        coded = nuclide_of_code(info) if info is not None else None
        half_life = number(info, "RadionuclideHalfLife") if info is not None else None
        return cls(
            units=text(first, "Units").upper(),
            suv_type=text(first, "SUVType").upper(),
            corrected=words(first, "CorrectedImage"),
            decay_correction=text(first, "DecayCorrection").upper(),
            weight_kg=number(first, "PatientWeight"),
            dose_bq=number(info, "RadionuclideTotalDose") if info is not None else None,
            half_life_s=half_life or HALF_LIVES.get(coded),
            nuclide=coded or (nuclide_of_drug(info) if info is not None else None),
            injection_s=_on_clock(start, zone),
            injection_clock_s=seconds_of_time(raw(info, "RadiopharmaceuticalStartTime")) if info is not None else None,
            series_s=moment(first, "SeriesDate", "SeriesTime"),
            earliest_s=min((t for t in times if t is not None), default=None),
            ge_scan_s=_on_clock(_private(first, *_GE_SCAN, _GE_CREATOR), zone),
            philips_suv=finite(_private(first, *_PHILIPS_SUV, _PHILIPS_CREATOR)),
            philips_activity=finite(_private(first, *_PHILIPS_ACTIVITY, _PHILIPS_CREATOR)),
            injections=len({_injection(item) for item in injected}),
            zone_unclear=zone is None and offset_of_datetime(start) == 0,
            zones_mixed=len({text(d, _OFFSET) for d in datasets} - {""}) > 1,
        )


def suv_factor(header: PetHeader) -> float:
    """Return the factor from rescaled values to SUVbw (g/ml).

    Raises: PetUnitRefused for units that do not measure activity (PROPCNTS and others); SuvRefused, with the reason, if
    the unit is known but a required value is missing, contradictory or implausible.
    """
    if header.units == "GML":
        if header.suv_type not in ("", "BW"):
            raise SuvRefused(_("the values are SUV by {kind}, not by body weight"), kind=header.suv_type)
        return 1.0
    if header.units not in ("BQML", "CNTS"):
        raise PetUnitRefused(
            _("its units are '{units}', from which no activity follows"), units=header.units or _("not stated")
        )
    _check_corrections(header)
    if header.units == "CNTS":
        if header.philips_suv:
            return header.philips_suv
        if header.philips_activity:
            return header.philips_activity * _factor_of_activity(header)
        raise PetUnitRefused(_("its units are counts (CNTS) without the factors that Philips stores beside them"))
    return _factor_of_activity(header)


def scan_time(header: PetHeader) -> float:
    """Return the time, in s, to which the whole series is decay-corrected. Raises: SuvRefused.

    It is the series time, unless this is later than the earliest acquisition (a series that was created afterwards);
    then GE's private scan time if it is on that day, else the earliest acquisition. It is the same for all slices.
    """
    if header.series_s is None and header.earliest_s is None:
        raise SuvRefused(_("neither series nor acquisition time is stated"))
    if header.series_s is not None and (header.earliest_s is None or header.series_s <= header.earliest_s):
        return header.series_s
    ge = header.ge_scan_s
    # De-identification may shift private and public dates by different numbers of days.
    if ge is not None and abs(ge - header.earliest_s) < DAY_S / 2:
        return ge
    return header.earliest_s


def _check_corrections(header: PetHeader) -> None:
    if not header.corrected:
        raise SuvRefused(_("it does not say which corrections were made (Corrected Image)"))
    if "ATTN" not in header.corrected:
        raise PetUnitRefused(_("it is not corrected for attenuation, so its values are no uptake"))
    if "DECY" not in header.corrected or header.decay_correction == "NONE":
        raise SuvRefused(_("it is not corrected for decay"))
    if header.decay_correction not in ("START", "ADMIN"):
        message = _("its decay correction is '{correction}', not START or ADMIN")
        raise SuvRefused(message, correction=header.decay_correction or _("not stated"))


def _factor_of_activity(header: PetHeader) -> float:
    if header.injections > 1:
        raise SuvRefused(_("it states {count} injections, and not which activity is of which"), count=header.injections)
    weight, dose = header.weight_kg, header.dose_bq
    if not weight:
        raise SuvRefused(_("the patient's weight is missing"))
    if not WEIGHT_KG[0] <= weight <= WEIGHT_KG[1]:
        raise SuvRefused(_("the patient's weight is stated as {weight} kg"), weight=f"{weight:g}")
    if not dose:
        raise SuvRefused(_("the injected dose is missing"))
    if not DOSE_BQ[0] <= dose <= DOSE_BQ[1]:
        raise SuvRefused(_("the injected dose is stated as {dose} Bq, which looks like another unit"), dose=f"{dose:g}")
    if header.decay_correction == "ADMIN":  # values are corrected to the time of injection
        return weight * 1000 / dose
    if not header.half_life_s or header.half_life_s <= 0:
        raise SuvRefused(_("the half-life of the radionuclide is missing"))
    if header.nuclide and nuclide_of_half_life(header.half_life_s) != header.nuclide:
        message = _("the half-life is stated as {stated} s, where {nuclide} has {known} s")
        known = HALF_LIVES[header.nuclide]
        raise SuvRefused(message, stated=f"{header.half_life_s:g}", nuclide=header.nuclide, known=f"{known:g}")
    passed = _time_since_injection(header, scan_time(header))
    return weight * 1000 / (dose * 2 ** (-passed / header.half_life_s))


def _time_since_injection(header: PetHeader, scan: float) -> float:
    """Return the seconds from injection to scan: by the clock time on the day of the scan or the day before; else by
    date-time.
    """
    if header.zones_mixed:
        raise SuvRefused(_("its images state different offsets from UTC"))
    limit = MOST_HALF_LIVES * header.half_life_s
    candidates = []
    if header.injection_clock_s is not None:
        passed = scan % DAY_S - header.injection_clock_s
        candidates.append(passed if passed >= 0 else passed + DAY_S)  # injected before midnight
    if header.injection_s is not None and not (header.zone_unclear and candidates):
        if header.zone_unclear:
            raise SuvRefused(_("the injection is stated in UTC, and the offset of the scan's clock is not stated"))
        candidates.append(scan - header.injection_s)
    if not candidates:
        raise SuvRefused(_("the time of injection is missing"))
    fitting = [passed for passed in candidates if 0 <= passed <= limit]
    if not fitting:
        message = _(
            "injection and scan lie {minutes} minutes apart by the header, which no scan with this radionuclide does"
        )
        raise SuvRefused(message, minutes=f"{candidates[0] / 60:.0f}")
    if max(fitting) - min(fitting) > 60:
        raise SuvRefused(_("injection time and injection date-time contradict each other"))
    return fitting[0]


def _zone_of(dataset: Any) -> float | None:
    """Return the offset from UTC of a header's clock: as stated, or from an acquisition stated in both clocks."""
    stated = offset_of_datetime(raw(dataset, _OFFSET))
    if stated is not None:
        return stated
    acquired = raw(dataset, "AcquisitionDateTime")
    offset, local = offset_of_datetime(acquired), moment(dataset, *_ACQUIRED)
    there = seconds_of_datetime(acquired)
    if None in (offset, local, there):
        return None
    zone = local - (there - offset)
    quarters = round(zone / QUARTER_S) * QUARTER_S  # time zones are multiples of a quarter of an hour
    return quarters if abs(zone - quarters) < 60 and abs(quarters) <= 14 * 3600 else None


def _on_clock(value: Any, zone: float | None) -> float | None:
    """Return a date-time as seconds on the header's clock.

    Without a stated zone, its own clock is taken to be the header's.
    """
    seconds, offset = seconds_of_datetime(value), offset_of_datetime(value)
    return seconds if None in (seconds, offset, zone) else seconds - offset + zone


def _injection(info: Any) -> tuple[Any, ...]:
    """Return the values that distinguish injections, so that one that is stated twice counts once."""
    start = raw(info, "RadiopharmaceuticalStartTime"), raw(info, "RadiopharmaceuticalStartDateTime")
    codes = code_of(info, "RadionuclideCodeSequence")[:2], code_of(info, "RadiopharmaceuticalCodeSequence")[:2]
    return number(info, "RadionuclideTotalDose"), *map(str, start), *codes


def _private(dataset: Any, group: int, offset: int, creator: str) -> Any:
    """Return a private element by its creator, or at its usual tag if an archive has lost the creator's name."""
    try:
        return dataset.private_block(group, creator)[offset].value
    except Exception:  # no such block, or the element cannot be decoded
        try:
            return dataset[group, 0x1000 + offset].value
        except Exception:
            return None
