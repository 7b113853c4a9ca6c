"""Grade a case from files in a Slicer scene; save report, table, pictures and scene. Called by `make demo`.

Without inputs, the case is a digital phantom, which is first written to disk.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

for folder in ("REACTKD", "Testing"):  # where the Makefile did not set PYTHONPATH
    place = str(Path(__file__).resolve().parents[2] / folder)
    if place not in sys.path:
        sys.path.insert(0, place)

from demo.hospital import CaseFiles, write_patient  # noqa: E402
from host.pictures import missing_rendering  # noqa: E402
from REACTKDLib.core.errors import ReactkdError, UsageError  # noqa: E402
from REACTKDLib.core.files.given_paths import check_path  # noqa: E402
from REACTKDLib.core.modality import ROLES, SEGMENTATION_ROLE, Modality  # noqa: E402
from REACTKDLib.core.reports.report import GradeReport  # noqa: E402
from REACTKDLib.core.reports.share_words import explained  # noqa: E402

PHANTOM_NOTE = "Digital phantom - not for clinical use."
OWN_NOTE = "Not for clinical use."


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; return the exit status: 0, or 2 after one plain sentence on stderr."""
    started = time.perf_counter()
    options = parse(arguments)
    try:
        with Step("Checking that pictures can be drawn"):
            reason = missing_rendering()
        if reason:
            raise UsageError(f"Pictures cannot be drawn here: {reason}.")
        report, files = run(options)
    except ReactkdError as error:
        print(error, file=sys.stderr)
        return 2
    print_report(report)
    print(f"\nSaved in {options.output}:")
    for file in files:
        print(f"  {file.name}")
    print(f"\n{time.perf_counter() - started:.1f} s in all")
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for role in ("ct", "fdg", "acetate", "segmentation"):
        parser.add_argument(f"--{role}", type=Path, metavar="FILE")
    parser.add_argument("--liver", metavar="NAME|LABEL", help="the liver segment; default: by code, then by name")
    parser.add_argument("--tumor", metavar="NAME|LABEL", nargs="+", help="the tumor segments; default: likewise")
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="another model than the shipped one")
    parser.add_argument("--output", type=Path, default=Path("build/demo"), metavar="DIR")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> tuple[GradeReport, list[Path]]:
    """Run all steps; return the report and the files written."""
    from demo.views import Views
    from host.boot import boot
    from REACTKDLib.scene.outputs import outputs_of
    from REACTKDLib.scene.session import SceneSession
    from support.scene_files import save_scene

    output = options.output
    output.mkdir(parents=True, exist_ok=True)
    files = given_files(options)
    if files is None:
        with Step("Generating a digital phantom and writing its files"):
            files = write_patient(output / "patient")
    with Step("Loading the files into a Slicer scene"):
        host = boot()
        views = Views(host)  # before the color legends are created, as in the application
        nodes, choice = load(host.scene, files)
    with Step("Grading"):
        session = SceneSession(host.scene, nodes, open_grader(options.bundle), choice, files.case_id)
        result = session.grade()
    written = [output / "report.json", output / "regions.csv"]
    result.report.write_json(written[0])
    result.report.write_csv(written[1])
    note = PHANTOM_NOTE if files.phantom else OWN_NOTE
    with Step("Drawing pictures"):
        written += views.write(output, nodes, outputs_of(session.parameter_node), result, note)
    with Step("Saving the scene"):
        save_scene(host.scene, output / "scene.mrb")
    views.close()
    host.errors.assert_none()
    if files.phantom:
        written.append(output / "patient")
        print(f"\nDigital phantom; its true grade is {files.truth}.", end="")
    return result.report, [*written, output / "scene.mrb"]


def given_files(options: argparse.Namespace) -> CaseFiles | None:
    """Return the user's own files, or None if none are given.

    Raises: UsageError if only images or only masks are given; see `check_path` for a file that is not there.
    """
    volumes = {m: getattr(options, m.value) for m in Modality if getattr(options, m.value)}
    if not volumes and not options.segmentation:
        return None
    if not volumes or not options.segmentation:
        raise UsageError("Give at least one image (CT, FDG or ACETATE) and a segmentation (SEG), or none of them.")
    for modality, path in volumes.items():
        check_path(path, ROLES[modality])
    check_path(options.segmentation, SEGMENTATION_ROLE)
    tumors = tuple(options.tumor) if options.tumor else None
    return CaseFiles(volumes, options.segmentation, liver=options.liver, tumors=tumors)


def load(scene: Any, files: CaseFiles) -> tuple[Any, Any]:
    """Load the files into the scene; return the nodes and the chosen segments."""
    from REACTKDLib.scene.case import NODE_NAMES, CaseNodes
    from REACTKDLib.scene.segments import choose_segments
    from support.scene_files import load_segmentation, load_volume

    volumes = {modality: load_volume(path, NODE_NAMES[modality]) for modality, path in files.volumes.items()}
    nodes = CaseNodes(volumes, load_segmentation(scene, files.segmentation, "segmentation"))
    return nodes, choose_segments(nodes.segmentation, files.liver, files.tumors)


def open_grader(bundle: Path | None) -> Any:
    """Return the grader of a model folder, by default the shipped one."""
    from REACTKDLib.core.grading.grader import Grader
    from REACTKDLib.core.student.bundle import Bundle, shipped_bundle_folder

    return Grader(Bundle.load(bundle or shipped_bundle_folder()))


def print_report(report: GradeReport) -> None:
    """Print grade, probabilities, the region table and the findings."""
    print(f"\nGrade: {report.grade or 'none claimed'}{' (uncertain)' if report.grade and report.uncertain else ''}")
    for name, probability in (report.probabilities or {}).items():
        print(f"  {name:<10} {probability:6.3f}")
    classes = list(report.baseline or {})
    header = ["region", "ml", "weight", *classes, "left out", "share"]
    wide = 2 + max(len(header[0]), *(len(row.name) for row in report.regions))
    print("\n" + header[0].ljust(wide) + "".join(column.rjust(10) for column in header[1:]))
    for row in report.regions:
        contribution = row.contribution or {}
        numbers = [row.volume_ml, row.weight, *map(contribution.get, classes)]
        cells = ["" if n is None else f"{n:.1f}" if i == 0 else f"{n:.3f}" for i, n in enumerate(numbers)]
        points = [None if n is None else round(100 * n) for n in (row.deletion_effect, row.share)]
        cells += ["" if n is None else f"{n:+d}" if n else "0" for n in points]
        print(row.name.ljust(wide) + "".join(cell.rjust(10) for cell in cells))
    if classes:
        print("\nweight: the model's attention to the region; not a measure of importance.")
        print(f"{', '.join(classes)}: what the region adds to each logit (the score before it becomes a probability).")
        print("left out: by how many percentage points the probability of the grade falls without the region.")
        print("share: percentage points of that probability that are due to the region.")
    print("\n" + "\n".join(explained(report)))
    for finding in report.findings:
        print(f"{finding.severity}: {finding.message}")
    print(f"Model {report.model.name} {report.model.version}: {report.model.clinical_use}. Device: {report.device}.")


class Step:
    """Prints what is done before it is done, as it may take long, and then its duration."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        self._since = time.perf_counter()
        print(f"{self._what}...", end="", flush=True)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        print(f" {time.perf_counter() - self._since:.1f} s" if kind is None else "", flush=True)


if __name__ == "__main__":
    sys.exit(main())
