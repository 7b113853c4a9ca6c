"""The hierarchy of exceptions. Each message is one sentence that names the fault and the fix.

`code` is stable and machine-readable. The message is for people: plain English made from a template and its values, so
that the panel can translate it. These errors are shown without a traceback.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from REACTKDLib.core.text import Text, sentence


class ReactkdError(Exception):
    """Base class of all errors that REACTKD raises intentionally.

        raise NoLiver(_("The {organ} mask is empty; draw the {organ}, or choose another file."), organ="liver")

    code: stable. message: the English sentence, a `Text` if it has a template.
    """

    code: ClassVar[str] = "error"

    def __init__(self, template: str = "", /, **values: Any) -> None:
        """template: the sentence, with a placeholder in braces for each of `values`.

        The first letter of the message is capitalized, since it may begin with a role such as "the CT".
        """
        if values:
            template = Text.of(getattr(template, "context", ""), str.__str__(template), values)
        if isinstance(template, Text) and template.template.startswith("{") and template.startswith("the "):
            template = sentence(template)
        super().__init__(template)
        self.message: str = template

    def __str__(self) -> str:
        return self.message

    def add(self, sentence: str) -> None:
        """Append a sentence, in English, for the command line."""
        self.message = f"{self.message} {sentence}"
        self.args = (self.message,)  # unpickling creates the error from these

    @property
    def template(self) -> str:
        """The template of the sentence."""
        return getattr(self.message, "template", str(self.message))

    @property
    def values(self) -> Mapping[str, str]:
        """The values for the placeholders of the template."""
        return getattr(self.message, "values", {})


class UsageError(ReactkdError):
    """The arguments of a command or call are invalid or do not fit together."""

    code = "usage"


class NothingGraded(ReactkdError):
    """No case of a list could be graded; a table has the error of each."""

    code = "nothing-graded"


# Files
class FileMissing(ReactkdError):
    code = "file-missing"


class NotAnImage(ReactkdError):
    code = "not-an-image"


class OutputNotWritable(ReactkdError):
    code = "output-not-writable"


class FolderInUse(ReactkdError):
    """Another run is writing to the output folder; nothing was changed."""

    code = "folder-in-use"


# Volumes and their geometry
class NotThreeDimensional(ReactkdError):
    code = "not-three-dimensional"


class NotFinite(ReactkdError):
    code = "not-finite"


class BadSpacing(ReactkdError):
    code = "bad-spacing"


class SingularDirection(ReactkdError):
    code = "singular-direction"


class SkewedAxes(ReactkdError):
    code = "skewed-axes"


class NotHounsfield(ReactkdError):
    code = "not-hounsfield"


class NotPet(ReactkdError):
    code = "not-pet"


class GeometryMismatch(ReactkdError):
    code = "geometry-mismatch"


# Masks
class EmptySegmentation(ReactkdError):
    code = "empty-segmentation"


class NotASegmentation(ReactkdError):
    code = "not-a-segmentation"


class LabelMissing(ReactkdError):
    code = "label-missing"


class AmbiguousSegment(ReactkdError):
    code = "ambiguous-segment"


class NoLiver(ReactkdError):
    code = "no-liver"


class LiverTooSmall(ReactkdError):
    code = "liver-too-small"


class TumorOutsideLiver(ReactkdError):
    code = "tumor-outside-liver"


class TooManyLesions(ReactkdError):
    code = "too-many-lesions"


class MaskOffImage(ReactkdError):
    code = "mask-off-image"


class PetOffLiver(ReactkdError):
    code = "pet-off-liver"


# Cases
class NoVolume(ReactkdError):
    code = "no-volume"


# Bundles
class BundleIncomplete(ReactkdError):
    code = "bundle-incomplete"


class BundleAltered(ReactkdError):
    code = "bundle-altered"


class BundleUnsafe(ReactkdError):
    code = "bundle-unsafe"


class BundleMismatch(ReactkdError):
    code = "bundle-mismatch"


# Installation
class PackagesMissing(ReactkdError):
    code = "packages-missing"


# Work
class Canceled(ReactkdError):
    """The user stopped the work; nothing was written."""

    code = "canceled"


# The worker process, and the scene that feeds it
class WorkerNotStarted(ReactkdError):
    code = "worker-not-started"


class NoScratchSpace(ReactkdError):
    code = "no-scratch-space"


class OutOfMemory(ReactkdError):
    code = "out-of-memory"


class HandOverDamaged(ReactkdError):
    """A file in the worker's folder does not match the message: the disk is faulty, or a cleaning tool changed it."""

    code = "hand-over-damaged"


class CaseNotOpen(ReactkdError):
    """A job refers to a case that the worker does not have open (any more); grading opens it again."""

    code = "case-not-open"


class NonLinearTransform(ReactkdError):
    code = "non-linear-transform"


class InputGone(ReactkdError):
    code = "input-gone"


class ResultGone(ReactkdError):
    code = "result-gone"


# DICOM
class AmbiguousSeries(ReactkdError):
    code = "ambiguous-series"


class SlicesMissing(ReactkdError):
    code = "slices-missing"


class StackedPhases(ReactkdError):
    code = "stacked-phases"


class MixedSeries(ReactkdError):
    code = "mixed-series"


class BadRescale(NotAnImage):
    """The rescale slope or intercept of a DICOM slice is missing or implausible."""

    code = "bad-rescale"


class PetUnitRefused(ReactkdError):
    code = "pet-unit-refused"


class WrongTracer(ReactkdError):
    code = "wrong-tracer"


class SuvRefused(ReactkdError):
    """No SUV can be computed from the header; the PET itself may still be used, in its own unit."""

    code = "suv-refused"


class PatientMismatch(ReactkdError):
    """Files of one case state different patients; the message contains no patient data."""

    code = "patient-mismatch"


class PatientLike(ReactkdError):
    code = "patient-like"


class NotReferable(ReactkdError):
    """DICOM images without the UIDs that a report or segmentation needs to reference them."""

    code = "not-referable"


class Ungraded(ReactkdError):
    """A case whose grade is needed has none; a grade is never guessed."""

    code = "ungraded"


class TaskNotValid(ReactkdError):
    """A task file cannot be read as one, or defines an unsupported task."""

    code = "task-not-valid"


class TaskMismatch(ReactkdError):
    """Case, model or cohort belong to different tasks."""

    code = "task-mismatch"
