"""Three phantom patients for Slicer's module Sample Data: generated on this computer, without a download."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

CATEGORY = "REACTKD"
NODE_NAME = "Phantom {grade} {name}"
ABDOMEN = (400.0, 40.0)  # window and level of the CT, HU


@dataclass(frozen=True)
class Sample:
    """One phantom patient. name: under its picture. picture: in Resources/Icons. seed: same seed, same patient."""

    name: str
    grade: str
    seed: int
    picture: str


SAMPLES = (
    Sample("Phantom: well", "well", 1, "PhantomWell.png"),
    Sample("Phantom: moderate", "moderate", 2, "PhantomModerate.png"),
    Sample("Phantom: poor", "poor", 2, "PhantomPoor.png"),
)


def register(resources: Path) -> None:
    """Add the patients to Sample Data under their own category. resources: the module's folder Resources.

    No effect if the application was built without that module.
    """
    try:
        from SampleData import SampleDataLogic
    except ImportError:
        return
    if hasattr(SampleDataLogic, "registerCustomSampleDataCategory"):  # older releases show the category itself
        SampleDataLogic.registerCustomSampleDataCategory(CATEGORY, title=_("REACTKD: digital phantoms"))
    for sample in SAMPLES:
        SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=sample.name,
            uris="",  # nothing is downloaded, but Sample Data requires a URI
            thumbnailFileName=str(resources / "Icons" / sample.picture),
            customDownloader=load_clicked,
        )


def load_clicked(source: Any) -> list[Any]:
    """Callback of Sample Data's button: generate the patient `source.sampleName`, show the CT, return its nodes."""
    sample = next(sample for sample in SAMPLES if sample.name == source.sampleName)
    with slicer.util.tryWithErrorDisplay(_("The phantom could not be made."), waitCursor=True):
        slicer.util.showStatusMessage(_("Making a digital phantom; this takes some seconds..."))
        nodes = load(sample)
        slicer.util.showStatusMessage(_("The digital phantom is in the scene."), 3000)
    return nodes


def load(sample: Sample) -> list[Any]:
    """Generate the patient, add it to the scene in a separate folder, and show it; return its nodes, CT first."""
    from REACTKDLib.core.modality import Modality
    from REACTKDLib.scene.case import nodes_from_case
    from REACTKDLib.scene.folder import put_in_folder

    case = while_painting(lambda: _acquire(sample))
    made = nodes_from_case(slicer.mrmlScene, case)
    nodes = list(made.all())
    for node in nodes:
        node.SetName(NODE_NAME.format(grade=sample.grade, name=node.GetName()))
        text = _("Digital phantom, grade {grade}, seed {seed}. No part of it comes from a person.")
        node.SetDescription(text.format(grade=sample.grade, seed=sample.seed))
    put_in_folder(slicer.mrmlScene, sample.name, nodes)
    ct = made.volumes[Modality.CT]
    ct.GetDisplayNode().SetAutoWindowLevel(False)
    ct.GetDisplayNode().SetWindowLevel(*ABDOMEN)
    slicer.util.setSliceViewerLayers(background=ct, foreground=None, label=None, fit=True)
    tumor = made.segmentation.GetSegmentation().GetSegmentIdBySegmentName("Tumor")
    slicer.modules.markups.logic().JumpSlicesToLocation(*made.segmentation.GetSegmentCenterRAS(tumor), False)
    return nodes


def _acquire(sample: Sample) -> Any:
    from REACTKDLib.core.phantom import acquire, draw_patient

    return acquire(draw_patient(sample.seed, grade=sample.grade), size="full").case


def while_painting(work: Callable[[], Any]) -> Any:
    """Return `work()`, run in a thread while the application's windows are repainted but accept no input.

    Raises: what `work` raises. `work` must not touch the scene.
    """
    import qt

    from REACTKDLib.core.errors import ReactkdError
    from REACTKDLib.core.log import log_unforeseen

    done: list[Any] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # passed on to the caller
            if not isinstance(error, ReactkdError):
                log_unforeseen(error, "making sample data")  # the application shows it but does not log it
            failed.append(error)

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    while worker.is_alive():
        slicer.app.processEvents(qt.QEventLoop.ExcludeUserInputEvents)
        worker.join(0.02)
    if failed:
        raise failed[0]
    return done[0]
