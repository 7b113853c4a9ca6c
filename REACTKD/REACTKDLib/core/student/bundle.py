"""A model folder in the layout of a MONAI bundle: loading with checks, and saving.

    <folder>/configs/metadata.json    MONAI's metadata, ours under "reactkd": classes, grid, normalization, hash ...

Everything that the program knows about organ, lesion, classes and inputs comes from here.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from REACTKDLib.core.clinical_use import NOT_VERIFIED, claims_clinical_use
from REACTKDLib.core.errors import (
    BundleAltered,
    BundleIncomplete,
    BundleMismatch,
    BundleUnsafe,
    ReactkdError,
    TaskNotValid,
)
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.student.bundle_metadata import HASH, check_description, complete_metadata, read_metadata
from REACTKDLib.core.student.explain import UncertaintyRule
from REACTKDLib.core.student.grade_sets import GradeSets
from REACTKDLib.core.student.monai_files import monai_files
from REACTKDLib.core.student.trained_on import TrainedOn
from REACTKDLib.core.task import Task, task_of_description
from REACTKDLib.core.text import quoted, shown
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.writing.atomic import written_beside
from REACTKDLib.core.writing.kept_files import unpacks_to_more
from REACTKDLib.core.writing.replacing import recover
from REACTKDLib.core.writing.stamps import stamp_of

if TYPE_CHECKING:
    from REACTKDLib.core.student.config import StudentConfig
    from REACTKDLib.core.student.network import Student
    from REACTKDLib.core.student.prepare import Preparation

METADATA = Path("configs") / "metadata.json"
WEIGHTS = Path("models") / "model.pt"
OF_RUN = "bundle"  # the model's folder within the folder of a training run
SHIPPED = "reactkd-phantom"
# Size limits of a bundle that is shipped inside the extension.
SHIPPED_MAX_BYTES = 10 * 2**20
SHIPPED_MAX_PARAMETERS = 2_500_000


@dataclass(frozen=True, eq=False)
class Bundle:
    """A student and its description.

    metadata: the content of `metadata.json`. student: in evaluation mode. verified: the description contains its own
    hash. Older descriptions do not, and their claim of clinical use is then ignored. folder: from which it was loaded.
    """

    metadata: Mapping[str, Any]
    student: Student
    verified: bool = True
    folder: Path | None = None

    @classmethod
    def load(cls, folder: Path | str) -> Bundle:
        """Read and check a bundle.

        Raises: BundleIncomplete (a file or key is missing or cannot be read), BundleAltered (weights or description
        differ from those saved), BundleUnsafe (the weights file contains more than tensors), BundleMismatch (the parts
        do not fit together).
        """
        folder = Path(folder)
        if not os.path.exists(folder):
            recover(folder.parent)  # a process killed while replacing the folder left the old one under another name
        missing = [str(part) for part in (METADATA, WEIGHTS) if not os.path.isfile(folder / part)]
        if missing and os.path.isfile(folder / OF_RUN / METADATA):
            text = _("The folder '{name}' is of a training; give the model in it, its folder '{model}'.")
            raise BundleIncomplete(text, name=folder.name, model=OF_RUN)
        if missing:
            raise BundleIncomplete(
                _("The model folder '{name}' has no {missing}; choose a complete model folder."),
                name=folder.name,
                missing=reduce(lambda some, last: _("{some} and no {last}").format(some=some, last=last), missing),
            )
        metadata = read_metadata(folder / METADATA)
        # Hashed and parsed from the same bytes, so that a change of the file between the two cannot go unnoticed.
        try:
            content = (folder / WEIGHTS).read_bytes()
        except OSError as error:
            text = _(
                "The file {file} in the model folder '{name}' cannot be read ({why}); check its permissions, or copy "
                "the model folder again."
            )
            raise BundleIncomplete(text, file=WEIGHTS, name=folder.name, why=error.strerror or "") from error
        if hashlib.sha256(content).hexdigest() != metadata["reactkd"]["sha256"]:
            text = _(
                "The file {file} in the model folder '{name}' is not the file that the metadata describes; copy "
                "the model folder again."
            )
            raise BundleAltered(text, file=WEIGHTS, name=folder.name)
        student = _student_with(metadata, _tensors(content, folder / WEIGHTS))
        verified = HASH in metadata["reactkd"]
        if not verified and claims_clinical_use(metadata["reactkd"]["clinical_use"]):
            metadata["reactkd"]["clinical_use"] = NOT_VERIFIED
        return cls(metadata, student, verified, folder.absolute())

    @staticmethod
    def save(folder: Path | str, student: Student, metadata: Mapping[str, Any]) -> Bundle:
        """Write a bundle atomically, and return it as `load` reads it.

        metadata: {"reactkd": {name, version, clinical_use, classes, organ, lesion, modalities, preparation, ...}} and
        any of MONAI's keys; the hash, the student's configuration and the other keys that MONAI requires are added.

        Raises: OutputNotWritable; what `load` raises for parts that do not fit together; nothing is then written.
        """
        import torch

        buffer = io.BytesIO()
        torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in student.state_dict().items()}, buffer)
        content = buffer.getvalue()
        metadata = complete_metadata(
            metadata,
            student=student.config.to_dict(),
            sha256=hashlib.sha256(content).hexdigest(),
            shape=metadata["reactkd"]["preparation"].get("shape", []),
        )
        with written_beside(folder) as beside:
            for part, data in ((METADATA, _json_bytes(metadata)), (WEIGHTS, content), *monai_files()):
                (beside / part).parent.mkdir(parents=True, exist_ok=True)
                (beside / part).write_bytes(data)
            Bundle.load(beside)
        return Bundle.load(folder)

    @property
    def info(self) -> Mapping[str, Any]:
        """Our section of the metadata."""
        return self.metadata["reactkd"]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits."""
        return tuple(self.info["classes"])

    @cached_property
    def task(self) -> Task:
        """The task of the model; for models older than the present edition, grading of hepatocellular carcinoma."""
        return task_of_description(self.info)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The inputs that the student was trained on, in the order of `Modality`.

        If the description (of an older version) does not state them, all modalities for which the student has a branch.
        """
        known = self.info["modalities"] if self.trained_on is None else self.trained_on.modalities
        return tuple(m for m in Modality if m.value in known)

    @property
    def trained_on(self) -> TrainedOn | None:
        """The images that the student saw in training; None if the description does not state them."""
        return TrainedOn.from_metadata(self.info["trained_on"]) if "trained_on" in self.info else None

    @property
    def preparation(self) -> Preparation:
        """Grid and normalization of the network's input."""
        from REACTKDLib.core.student.prepare import Preparation

        return Preparation.from_metadata(self.info["preparation"])


def model_hash(folder: Path | str | None) -> str | None:
    """Return the hash of a model's weights from its description, without loading the model; None if it states none.

    folder: None for the shipped model.
    """
    try:
        path = Path(folder or shipped_bundle_folder()) / METADATA
        return _stated_hash(path, stamp_of(path))
    except (ReactkdError, OSError):
        return None


@lru_cache(maxsize=16)
def _stated_hash(path: Path, _stamp: tuple | None) -> str:
    """Read the description only when it was written again: the panel and its worker compare it after every edit."""
    return read_metadata(path)["reactkd"]["sha256"]


def shipped_bundle_folder() -> Path:
    """Return the folder of the student that ships with the extension.

    It is beside the package if Slicer installs the module's resources, and inside it if pip installed it. Raises:
    BundleIncomplete if it is in neither place.
    """
    package = Path(__file__).resolve().parents[2]
    places = (package.parent / "Resources", package / "_resources")
    for place in places:
        if (place / "Models" / SHIPPED).is_dir():
            return place / "Models" / SHIPPED
    text = _("The model '{model}' is not installed with REACTKD; install the extension again or choose a model folder.")
    raise BundleIncomplete(text, model=SHIPPED)


def _tensors(content: bytes, path: Path) -> dict[str, Any]:
    """Return the state dict in `content`, without executing anything that the file may contain."""
    import pickle

    import torch

    if unpacks_to_more(io.BytesIO(content)):
        text = _("The weights file {name} is larger when unpacked than PyTorch writes it; copy the model folder again.")
        raise BundleMismatch(text, name=path.name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about unusual pickles before refusing them
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        text = _(
            "The weights file {name} holds more than numbers and was not opened; ask for the model "
            "as a plain state dict."
        )
        raise BundleUnsafe(text, name=path.name) from error
    except Exception as error:  # torch raises many types of exception for a broken file
        raise BundleMismatch(
            _("The file {name} is not a weights file of PyTorch; copy the model folder again."), name=path.name
        ) from error
    tensors = isinstance(state, dict) and all(isinstance(v, torch.Tensor) for v in state.values())
    if not tensors or not all(isinstance(name, str) for name in state):
        text = _("The weights file {name} holds more than tensors; ask for the model as a plain state dict.")
        raise BundleUnsafe(text, name=path.name)
    return state


def _student_with(metadata: Mapping[str, Any], state: Mapping[str, Any]) -> Student:
    """Build the student that the metadata describe and load `state` into it. Raises: BundleMismatch."""
    from REACTKDLib.core.student.config import StudentConfig
    from REACTKDLib.core.student.network import Student
    from REACTKDLib.core.student.prepare import Preparation

    info = metadata["reactkd"]
    try:
        check_description(metadata)
        config = StudentConfig.from_dict(info["student"])
        student = Student(config)
        Preparation.from_metadata(info["preparation"])
        UncertaintyRule(**info.get("uncertain", task_of_description(info).uncertain))
        if "grade_sets" in info:
            GradeSets.from_metadata(info["grade_sets"])
        _check_names(info, config)
    except (ValueError, TypeError, KeyError, OverflowError, AttributeError, TaskNotValid) as error:
        text = _("The description of the model {model} is not valid ({reason}); copy the model folder again.")
        raise BundleMismatch(text, model=quoted([info["name"]]), reason=shown(error, 150)) from error
    try:
        _check_kinds(state, student.state_dict())
        student.load_state_dict(state)
    except (RuntimeError, ValueError) as error:
        raise BundleMismatch(
            _("The weights do not fit the description of the model '{model}': {reason}; copy the model folder again."),
            model=info["name"],
            reason=_misfit(state, student.state_dict()) or shown(error, 150),
        ) from error
    if not all(bool(value.isfinite().all()) for value in student.state_dict().values()):
        raise BundleMismatch(
            _("The weights of the model '{model}' hold NaN or infinity; train it again."), model=info["name"]
        )
    return student.eval().requires_grad_(False)


def _check_kinds(state: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raise ValueError for a tensor that PyTorch would silently convert with loss: to integers or real numbers."""
    import torch

    for name in state.keys() & expected.keys():
        tensor, same = state[name], state[name].is_floating_point() == expected[name].is_floating_point()
        if not same or tensor.is_complex() or tensor.layout != torch.strided or tensor.is_meta:
            raise ValueError(f"{name} is {tensor.dtype}, {tensor.layout}")


def _misfit(state: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """Return a description of the first difference between the weights and the description; empty if there is none."""
    for name, tensor in expected.items():
        if name not in state:
            return _("{part} is missing").format(part=name)
        if state[name].shape != tensor.shape:
            text = _("{part} has the shape {found} where the description asks for {wanted}")
            return text.format(part=name, found=tuple(state[name].shape), wanted=tuple(tensor.shape))
    extra = [name for name in state if name not in expected]
    return _("{part} is not part of the network described").format(part=shown(extra[0], 80)) if extra else ""


def _check_names(info: Mapping[str, Any], config: StudentConfig) -> None:
    """Raise ValueError if classes or modalities are not those of the network."""
    if len(set(info["classes"])) != config.classes:
        raise ValueError(f"{len(info['classes'])} classes are named where the network has {config.classes}")
    known = {m.value for m in Modality}
    if set(info["modalities"]) != set(config.modalities) or not set(config.modalities) <= known:
        raise ValueError(f"the inputs {info['modalities']} are not those of the network, or not known")
    if "trained_on" in info and not set(TrainedOn.from_metadata(info["trained_on"]).modalities) <= set(
        config.modalities
    ):
        raise ValueError("trained_on names images that the network has no branch for")


def _json_bytes(metadata: Mapping[str, Any]) -> bytes:
    return (json.dumps(metadata, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
