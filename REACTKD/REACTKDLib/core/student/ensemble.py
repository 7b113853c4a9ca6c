"""Ensembles: several models, such as those of the folds of a training, whose probabilities are averaged.

<folder>/configs/ensemble.json    {"schema": "reactkd-ensemble/1", "members": [{"folder", "sha256"}, ...]}
<folder>/members/fold0/...        each a whole model folder
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from REACTKDLib.core.clinical_use import claims_clinical_use
from REACTKDLib.core.errors import BundleAltered, BundleIncomplete, BundleMismatch, ReactkdError
from REACTKDLib.core.files.given_paths import PathLike
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.student.bundle import METADATA, Bundle, model_hash, shipped_bundle_folder
from REACTKDLib.core.student.bundle_metadata import read_metadata
from REACTKDLib.core.task import HCC_GRADE, Task, task_of_description
from REACTKDLib.core.text import quoted, shown
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.writing.atomic import write_text
from REACTKDLib.core.writing.replacing import recover

if TYPE_CHECKING:
    from REACTKDLib.core.student.prepare import Preparation

ENSEMBLE = Path("configs") / "ensemble.json"
MEMBERS = "members"
SCHEMA = "reactkd-ensemble/1"
#: properties that the members must share -> their names in messages
_SHARED = {
    "classes": _("classes"),
    "organ": _("organ"),
    "lesion": _("lesion"),
    "modalities": _("images"),
    "grid": _("grid"),
    "uncertain": _("rule for an uncertain result"),
    "task": _("task"),
}


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Models whose mean probabilities are the prediction.

    members: at least two. Normalization may differ between them, as between folds; each prepares images with its own.

    Raises: BundleMismatch if they differ in classes, organ, lesion, images, grid or uncertainty rule, or if one is
    given twice.
    """

    members: tuple[Bundle, ...]

    def __post_init__(self) -> None:
        first, *others = self.members
        for other in others:
            for key, name in _SHARED.items():
                if _asked(first)[key] != _asked(other)[key]:
                    text = _(
                        "The models {first} and {other} cannot answer together, since they differ in: {what}; choose "
                        "models of one training."
                    )
                    one, two = (quoted([member.info["name"]]) for member in (first, other))
                    raise BundleMismatch(text, first=one, other=two, what=name)
        hashes = [member.info["sha256"] for member in self.members]
        if len(set(hashes)) < len(hashes):
            raise BundleMismatch(_("A model is given twice; give each model of an ensemble once."))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.members[0].classes

    @property
    def task(self) -> Task:
        """The task of the members."""
        return self.members[0].task

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The inputs that the members were trained on."""
        return self.members[0].modalities

    @property
    def verified(self) -> bool:
        """True if every member's description contains its own hash."""
        return all(member.verified for member in self.members)

    @property
    def preparation(self) -> Preparation:
        """Grid and normalization. Raises: BundleMismatch if the members' normalization differs."""
        found = self.members[0].preparation
        if any(member.preparation != found for member in self.members):
            raise BundleMismatch(_("Each model of this ensemble prepares images in its own way; choose one of them."))
        return found

    @cached_property
    def info(self) -> Mapping[str, Any]:
        """The description of the ensemble for reports: the first member's section, with name, version and hash of the
        ensemble.

        clinical_use: from a member that does not claim it, if there is one.
        """
        infos = [member.info for member in self.members]
        names, versions = (list(dict.fromkeys(str(info[key]) for info in infos)) for key in ("name", "version"))
        uses = [str(info["clinical_use"]) for info in infos]
        return {
            **infos[0],
            "name": f"{' + '.join(names)} ({len(infos)} models)",
            "version": ", ".join(versions),
            "sha256": _hash([info["sha256"] for info in infos]),
            "clinical_use": next((use for use in uses if not claims_clinical_use(use)), uses[0]),
        }

    @classmethod
    def load(cls, folder: Path | str) -> Ensemble:
        """Read an ensemble that `write_ensemble` wrote.

        Raises: what `Bundle.load` and this class raise; BundleAltered.
        """
        folder = Path(folder)
        members = []
        for entry in _entries(folder):
            member = Bundle.load(folder / entry["folder"])
            if member.info["sha256"] != entry["sha256"]:
                text = _("A model in the folder '{name}' is not the one that its list names; copy the folder again.")
                raise BundleAltered(text, name=folder.name)
            members.append(member)
        return cls(tuple(members))


def load_model_folder(folder: PathLike | Sequence[PathLike]) -> Bundle | Ensemble:
    """Load the model of a folder, an ensemble's folder, or several model folders as an ensemble.

    Raises: what `Bundle.load` and `Ensemble` raise.
    """
    folders = [folder] if isinstance(folder, str | os.PathLike) else list(folder)
    if len(folders) == 1:
        only = Path(folders[0])
        if not os.path.exists(only):
            recover(only.parent)
        return Ensemble.load(only) if os.path.isfile(only / ENSEMBLE) else Bundle.load(only)
    nested = [Path(one).name for one in folders if os.path.isfile(Path(one) / ENSEMBLE)]
    if nested:
        text = _("The model folder '{name}' is an ensemble itself; give it alone, or give its members.")
        raise BundleMismatch(text, name=nested[0])
    return Ensemble(tuple(Bundle.load(one) for one in folders))


def write_ensemble(folder: Path | str, members: Sequence[str]) -> Ensemble:
    """Write the list of the ensemble's members, whole model folders in `folder`/members, and read it back.

    Raises: OutputNotWritable; what `Ensemble.load` raises.
    """
    folder = Path(folder)
    entries = [{"folder": f"{MEMBERS}/{name}", "sha256": model_hash(folder / MEMBERS / name)} for name in members]
    write_text(folder / ENSEMBLE, json.dumps({"schema": SCHEMA, "members": entries}, indent=2) + "\n")
    return Ensemble.load(folder)


def answer_hash(folder: Path | str | None) -> str | None:
    """Return the hash that reports of this model contain, without loading the model; None if the description states
    none.

    folder: of a model or an ensemble; None for the shipped model.
    """
    try:
        if folder is not None and (Path(folder) / ENSEMBLE).is_file():
            return _hash([entry["sha256"] for entry in _entries(Path(folder))])
    except ReactkdError:
        return None
    return model_hash(folder)


def task_of(folder: Path | str | None) -> Task:
    """Return the task from the description of a model or an ensemble, without loading it; by default the built-in task.

    folder: None for the shipped model. Faults of a model are raised when it is loaded.
    """
    try:
        folder = Path(folder or shipped_bundle_folder())
        if (folder / ENSEMBLE).is_file():
            folder = folder / _entries(folder)[0]["folder"]
        return task_of_description(read_metadata(folder / METADATA)["reactkd"])
    except (ReactkdError, OSError, ValueError, TypeError, KeyError, AttributeError):
        return HCC_GRADE


def _hash(hashes: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(hashes)).encode("ascii")).hexdigest()


def _asked(bundle: Bundle) -> dict[str, Any]:
    """Return the properties that all members must share."""
    preparation = bundle.info["preparation"]
    grid = {key: preparation.get(key) for key in ("shape", "spacing_mm", "field")}
    own = {"task": bundle.task, **{key: bundle.info[key] for key in ("classes", "organ", "lesion")}}
    return {**own, "modalities": bundle.modalities, "grid": grid, "uncertain": bundle.info.get("uncertain", {})}


def _entries(folder: Path) -> list[dict[str, str]]:
    """Return the entries of an ensemble's list of members. Raises: BundleMismatch, BundleIncomplete."""
    try:
        listing = parse_json((folder / ENSEMBLE).read_text(encoding="utf-8"))
        entries = [{"folder": str(entry["folder"]), "sha256": str(entry["sha256"])} for entry in listing["members"]]
        if listing["schema"] != SCHEMA or len(entries) < 2:
            raise ValueError("it names no two models")
        if any(Path(entry["folder"]).is_absolute() or ".." in Path(entry["folder"]).parts for entry in entries):
            raise ValueError("a member lies outside the folder")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        text = _(
            "The file {file} in the model folder '{name}' is not a list of models ({reason}); copy the folder again."
        )
        raise BundleMismatch(text, file=ENSEMBLE.name, name=folder.name, reason=shown(error, 100)) from error
    missing = [entry["folder"] for entry in entries if not (folder / entry["folder"] / METADATA).is_file()]
    if missing:
        text = _("The ensemble '{name}' has no model in {missing}; copy the folder again.")
        raise BundleIncomplete(text, name=folder.name, missing=missing[0])
    return entries
