"""A task: the organ, its lesions and the classes to predict.

Other task files adapt the same program to other questions.

`HCC_GRADE` is built in. A model stores its task in its metadata, and a case has one (`Case.task`). Every check,
message, code and table about an organ, its lesions or the classes uses it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from REACTKDLib.core.bounds import check_number
from REACTKDLib.core.errors import FileMissing, TaskNotValid
from REACTKDLib.core.json_once import DuplicateKey, parse_once
from REACTKDLib.core.modality import MODALITIES
from REACTKDLib.core.task_parts import (
    COUINAUD,
    LONGEST,
    PRIVATE,
    Code,
    Lesion,
    Organ,
    TaskClass,
    known_keys,
    text_of,
    texts_of,
)
from REACTKDLib.core.text import quoted, sentence, shown
from REACTKDLib.core.text import tr as _

SCHEMA = "reactkd-task/1"
UNNAMED = "unnamed"
LARGEST_FILE = 2**20
_KEYS = {
    *("schema", "name", "title", "intended_use", "organ", "lesion", "classes", "answer"),
    *("modalities", "preparation", "uncertain"),
}


@dataclass(frozen=True, repr=False)
class Task:
    """A classification task on one organ.

    name: such as 'hcc-grade'. title: a short description. intended_use: a sentence. classes: in order.
    modalities: image types that a model may use. answer: the code of the predicted quantity. preparation: settings that
    differ from the default preparation of images, see `student.prepare.Preparation`. uncertain: when a prediction
    counts as uncertain, see
    `student.explain.UncertaintyRule`.

    Example:
        >>> task = Task.read("kidney-mass.json")
        >>> task.organ.name, task.class_names
        ('kidney', ('benign', 'malignant'))
    """

    name: str
    title: str
    intended_use: str
    organ: Organ
    lesion: Lesion
    classes: tuple[TaskClass, ...]
    modalities: tuple[str, ...] = MODALITIES
    answer: Code = Code("CLASS", PRIVATE, "Predicted class")
    preparation: Mapping[str, Any] = field(default_factory=dict, hash=False)
    uncertain: Mapping[str, float] = field(default_factory=dict, hash=False)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in order, as plain strings for files and tables."""
        return tuple(str.__str__(one.name) for one in self.classes)

    def class_of(self, name: str) -> TaskClass | None:
        """Return the class with this name, or None if the task has none."""
        return next((one for one in self.classes if one.name == name), None)

    def class_word(self, name: str) -> str:
        """Return the wording of a class within a sentence; a class of another task is returned as its name."""
        found = self.class_of(name)
        return name if found is None else found.name

    def class_title(self, name: str) -> str:
        """Return the title of a class, such as "Well differentiated"."""
        found = self.class_of(name)
        return sentence(name) if found is None else found.title

    def structure(self, kind: str) -> Organ | Lesion:
        """Return the organ for 'liver' and the lesions for 'tumor', the names of segments inside the program."""
        return self.organ if kind == "liver" else self.lesion

    def option(self, kind: str) -> str:
        """Return the command line option that selects these segments, see `structure`; commands accept both names."""
        own = (
            {"liver": "--liver", "tumor": "--tumor"}
            if self == HCC_GRADE
            else {"liver": "--organ", "tumor": "--lesions"}
        )
        return own[kind]

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "title": str.__str__(self.title),
            "intended_use": str.__str__(self.intended_use),
            "organ": self.organ.to_dict(),
            "lesion": self.lesion.to_dict(),
            "classes": [one.to_dict() for one in self.classes],
            "modalities": list(self.modalities),
            "answer": dict(self.answer._asdict()),
            **({"preparation": dict(self.preparation)} if self.preparation else {}),
            **({"uncertain": dict(self.uncertain)} if self.uncertain else {}),
        }

    @classmethod
    def from_dict(cls, data: Any) -> Task:
        """Return the task of a dict from `to_dict` or a task file; for the built-in task, return `HCC_GRADE` with its
        translatable texts.

        Raises: TaskNotValid, with one sentence on the first fault.
        """
        try:
            task = _parsed(data)
        except ValueError as error:
            text = _("The task file is not valid: {reason}; correct it as the page on tasks says.")
            raise TaskNotValid(text, reason=shown(error, 200)) from error
        return HCC_GRADE if task == HCC_GRADE else task

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Task:
        """Return the task of a JSON file.

        Raises: FileMissing; TaskNotValid, also for a file that is not JSON or has a duplicate key.
        """
        path = Path(path)
        if not os.path.isfile(path):
            raise FileMissing(_("There is no task file at the path given; give a file such as kidney-mass.json."))
        try:
            if path.stat().st_size > LARGEST_FILE:
                raise ValueError("too large")
            data = parse_once(path.read_bytes())
        except DuplicateKey as error:
            raise TaskNotValid(_("The task file has {key} twice; leave one."), key=quoted([error.key])) from error
        except (OSError, ValueError, RecursionError) as error:
            raise TaskNotValid(_("The task file is not readable JSON; correct it, or give another file.")) from error
        return cls.from_dict(data)


def _parsed(data: Any) -> Task:
    """Return the task of a parsed JSON object, after checking every key. Raises: ValueError."""
    known_keys(data, _KEYS, "the task")
    if data.get("schema") != SCHEMA:
        raise ValueError(f"schema must be '{SCHEMA}'")
    name = text_of(data, "name", "the task", longest=32)
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError("name must be lower-case letters, digits and '-', as in kidney-mass")
    if "organ" not in data:
        raise ValueError("it names no organ")
    if not data.get("lesion"):
        raise ValueError(
            "it names no lesion, and an organ alone cannot be graded: what is compared are the lesions in it with the "
            "rest of it"
        )
    organ, lesion = Organ.read(data["organ"], "organ"), Lesion.read(data["lesion"], "lesion")
    if {organ.name, *organ.synonyms} & {lesion.name, *lesion.synonyms}:
        raise ValueError("organ and lesion have a word in common, so that segments could not be told apart by name")
    classes = _classes_of(data.get("classes"))
    modalities = texts_of(data, "modalities", "the task") if "modalities" in data else list(MODALITIES)
    if not modalities or set(modalities) - set(MODALITIES) or len(set(modalities)) < len(modalities):
        raise ValueError(f"modalities must be some of {', '.join(MODALITIES)}")
    more = {"answer": Code.read(data["answer"], "answer")} if "answer" in data else {}
    return Task(
        name,
        text_of(data, "title", "the task", longest=120),
        text_of(data, "intended_use", "the task", longest=300),
        organ,
        lesion,
        classes,
        tuple(m for m in MODALITIES if m in modalities),
        **more,
        preparation=_preparation_of(data.get("preparation", {})),
        uncertain=_uncertain_of(data.get("uncertain", {})),
    )


def _classes_of(value: Any) -> tuple[TaskClass, ...]:
    if not isinstance(value, (list, tuple)) or not 2 <= len(value) <= 100:
        raise ValueError("classes must be a list of 2 to 100 classes, in order")
    classes = tuple(TaskClass.read(entry, f"classes[{n}]") for n, entry in enumerate(value))
    words = [word for one in classes for word in dict.fromkeys((one.name.lower(), *one.synonyms))]
    if len(set(words)) < len(words):
        raise ValueError("two classes have a name or synonym in common")
    if len({one.code.key for one in classes}) < len(classes):
        raise ValueError("two classes have one code")
    return classes


def _preparation_of(value: Any) -> Mapping[str, Any]:
    """Return the settings. `Preparation` checks their names and values when a model is created or loaded."""
    if not isinstance(value, Mapping):
        raise ValueError("preparation must be an object")
    return dict(value)


def _uncertain_of(value: Any) -> Mapping[str, float]:
    known_keys(value, {"top_below", "margin_below"}, "uncertain")
    for key, number in value.items():
        check_number(f"uncertain.{key}", number, 0, 1)
    return dict(value)


#: grades of hepatocellular carcinoma; classes have the codes that mCODE (HL7) uses for three-step histologic grades
HCC_GRADE = Task(
    name="hcc-grade",
    title="Differentiation of hepatocellular carcinoma",
    intended_use="Grades hepatocellular carcinoma (well, moderately, poorly differentiated) from any of CT, FDG PET "
    "and 11C-acetate PET with masks of liver and tumors.",
    organ=Organ(
        name=_("liver"),
        code=Code("10200004", "SCT", "Liver"),
        one=_("a liver"),
        many=_("livers"),
        title="Liver",
        codes=(("SRT", "T-62000"),),
        synonyms=("hepar", "hepatis"),
        beside=("hepatic",),
        volume_ml=(400.0, 4000.0),
        hu=(-20.0, 250.0),
        usual_hu=(30.0, 150.0),
        side="right",
        smallest_ml=10.0,
        parts=COUINAUD,
        more_acetate=True,
    ),
    lesion=Lesion(
        name=_("tumor"),
        code=Code("4147007", "SCT", "Mass"),
        one=_("a tumor"),
        many=_("tumors"),
        title="Tumor",
        codes=(("SCT", "25370001"), ("SCT", "109841003")),  # hepatocellular carcinoma, liver cell carcinoma
        synonyms=("hcc", "hepatoma"),
        beside=("hepatocellular",),
        disease=Code("25370001", "SCT", "Hepatocellular carcinoma"),
    ),
    classes=(
        TaskClass(_("well"), Code("1155708003", "SCT", "Low histologic grade"), _("Well differentiated"), _("Well")),
        TaskClass(
            _("moderate"),
            Code("1286893008", "SCT", "Intermediate histologic grade"),
            _("Moderately differentiated"),
            _("Moderate"),
        ),
        TaskClass(_("poor"), Code("1155707008", "SCT", "High histologic grade"), _("Poorly differentiated"), _("Poor")),
    ),
    answer=Code("GRADE", PRIVATE, "Predicted grade of differentiation"),
)


def task_of_description(info: Mapping[str, Any]) -> Task:
    """Return the task of a model from its description (the section "reactkd").

    Older descriptions contain no task: for them, return `HCC_GRADE` with the organ, lesion and classes that they name.
    Raises: TaskNotValid; ValueError if the task contradicts the other keys.
    """
    if "task" in info:
        task = Task.from_dict(info["task"])
        if (task.organ.title, task.lesion.title, list(task.class_names)) != (
            info["organ"],
            info["lesion"],
            list(info["classes"]),
        ):
            raise ValueError("organ, lesion and classes are not those of the task")
        return task
    task = HCC_GRADE
    if info["organ"] != task.organ.title:
        task = replace(task, name=UNNAMED, organ=_named(Organ, info["organ"], "organ"))
    if info["lesion"] != task.lesion.title:
        task = replace(task, name=UNNAMED, lesion=_named(Lesion, info["lesion"], "lesion"))
    if tuple(info["classes"]) != task.class_names:
        classes = tuple(TaskClass(name, Code.private("class", name), name, name) for name in info["classes"])
        task = replace(task, name=UNNAMED, classes=classes)
    return task


def _named(kind: type, title: str, where: str) -> Any:
    """Return a structure of which only the title is known.

    Titles that cannot occur in segment names are not used as synonyms.
    """
    name = " ".join(re.findall("[a-z]+", title.lower())) or where
    return replace(kind.read({"name": name[:LONGEST]}, where), title=title)
