"""`low-dose --ct CT.nii.gz --dose 0.25 --seed 0 --output LOW.nii.gz`, or for a cohort's test sets `--cohort COHORT`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from REACTKDLib.core.console import SOME_FAILED
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.progress import OnProgress
from REACTKDTrainLib.commands.cohorts_open import add_map_argument
from REACTKDTrainLib.progress import display_for

if TYPE_CHECKING:
    from REACTKDLib.core.images.volume import Volume


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    command.description = "Simulate a CT at a fraction of its dose. Give the full field of view in HU; crop afterwards."
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--ct", type=Path, help="CT in HU (.nii, .nii.gz, .nrrd, .mha), or its DICOM folder")
    source.add_argument(
        "--cohort",
        help="a cohort in any format of training: writes its CT at native, mild, severe and stress dose with the "
        "published seeds; existing files are kept",
    )
    add_map_argument(command)
    command.add_argument("--dose", type=float, help="fraction of the scan's own dose, in (0, 1]; with --ct")
    command.add_argument("--seed", type=int, help="seed of the noise, 0 or more (default 0); with --ct")
    command.add_argument(
        "--output",
        type=Path,
        required=True,
        help="image to write, with a .json of the same name beside it; with --cohort, the folder",
    )
    command.add_argument(
        "--mode", choices=("log", "linear"), default="log", help="log keeps photon starvation (default)"
    )
    command.add_argument("--thickness", type=float, metavar="MM", help="slice thickness, if not the slice distance")
    command.add_argument("--calibrate", action="store_true", help="fit the photon budget to the noise of this scan")
    command.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    command.add_argument("--threads", type=int, default=1, help="default 1, which is fastest for a few slices")


def run(options: argparse.Namespace) -> int:
    """Run the command and print what was done; return the exit status. Raises: ReactkdError."""
    device, left_out = _prepared_device(options.device, options.threads), ()
    with display_for(sys.stderr) as on_progress:
        if options.cohort is not None:
            text, left_out = _run_cohort(options, device, on_progress)
        else:
            text = _simulate(options, device, on_progress)
    print(text)
    return SOME_FAILED if left_out else 0


def _simulate(options: argparse.Namespace, device: str, on_progress: OnProgress) -> str:
    from REACTKDTrainLib.low_dose.physics import check_dose
    from REACTKDTrainLib.low_dose.randomness import check_seed

    if options.map:
        raise UsageError("The option --map goes with --cohort; a CT has no grade.")
    if options.dose is None:
        raise UsageError("The dose is missing; give it as a fraction with --dose, such as 0.25.")
    seed = options.seed or 0
    check_dose(options.dose)
    check_seed(seed)
    _check_output(options.ct, options.output)
    from REACTKDLib.core.files.volumes import check_as_file, write_volume
    from REACTKDTrainLib.low_dose.sidecar import sidecar_of, write_sidecar
    from REACTKDTrainLib.low_dose.volumes import Simulators, degrade

    ct = _read(options.ct)
    check_as_file(ct, options.output)
    low, record = degrade(
        ct,
        options.dose,
        seed,
        mode=options.mode,
        thickness_mm=options.thickness,
        calibrate=options.calibrate,
        simulators=Simulators(device),
        on_progress=on_progress,
    )
    sidecar_of(options.output).unlink(missing_ok=True)
    write_sidecar(write_volume(low, options.output), record.to_json())
    added = record.added_std_hu["soft_tissue"]
    noise = "no soft tissue to measure in" if added is None else f"noise of {added:.1f} HU added in soft tissue"
    warnings = [finding.message for finding in ct.findings if finding.severity != "info"]
    return " ".join([f"Wrote {options.output.name} at {options.dose:g} of the dose ({noise}).", *warnings])


def _read(path: Path) -> Volume:
    from REACTKDLib.core.cases.open_case import read_volumes
    from REACTKDLib.core.modality import Modality

    volumes, _ = read_volumes({Modality.CT: path})
    return volumes[Modality.CT]


def _run_cohort(
    options: argparse.Namespace, device: str, on_progress: OnProgress
) -> tuple[str, Sequence[tuple[str, str]]]:
    """Return the text for display, and the cases that were left out with the reasons."""
    given = [name for name in ("dose", "seed", "thickness") if getattr(options, name) is not None]
    if given:
        text = "The option --{option} goes with --ct; the test sets have the published doses and seeds."
        raise UsageError(text, option=given[0])
    from REACTKDTrainLib.cohorts.open_cohort import check_map, open_cohort
    from REACTKDTrainLib.low_dose.cohort import DoseTestSets
    from REACTKDTrainLib.low_dose.dosed_cohort import summary, write_test_sets

    check_map(",".join(options.map), options.cohort)
    cohort = open_cohort(options.cohort, whole_field=True, grades=",".join(options.map))
    sets = DoseTestSets(options.output, mode=options.mode, calibrate=options.calibrate, device=device)
    left_out = write_test_sets(cohort, sets, on_progress)
    return "\n".join(summary(sets, left_out)), left_out


def _check_output(ct: Path, output: Path) -> None:
    from REACTKDLib.core.files.volumes import SUFFIXES, suffix_of
    from REACTKDTrainLib.low_dose.sidecar import is_ours, sidecar_of

    if suffix_of(output) not in SUFFIXES:
        raise UsageError("An image cannot be written as '{name}'; use .nii.gz, .nrrd or .mha.", name=output.name)
    sidecar = sidecar_of(output)
    if sidecar.exists() and not is_ours(sidecar):
        raise UsageError(
            "The file {name} beside the output is no record of a simulation, and would be lost; choose another name.",
            name=sidecar.name,
        )
    if ct.exists() and output.exists() and ct.samefile(output):
        raise UsageError("The output is the CT itself, which would be lost; choose another name.")


def _prepared_device(name: str, threads: int) -> str:
    import torch

    if threads < 1:
        raise UsageError("The number of threads is {threads}, but it must be at least 1.", threads=threads)
    # Threads that wait for each other on a busy computer cost more than they gain: seven times the time, with two
    # threads.
    torch.set_num_threads(threads)
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UsageError("The device '{name}' cannot be used on this computer; use cpu.", name=name) from error
    return name
