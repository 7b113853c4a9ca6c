"""Settings as typed, frozen classes validated by pydantic; an invalid value gives one sentence that names its key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache, partial, wraps
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from typing_extensions import dataclass_transform

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.text import shown

T = TypeVar("T")
CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, validate_by_name=True, validate_by_alias=True)
#: factor of a term of the loss
Weight = Annotated[float, Field(ge=0, le=1e12)]
#: share of items that are left out
Dropout = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
#: pydantic error type -> what the setting must be; other errors keep pydantic's message
KINDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "dataclass_type": "an object of settings",
}


class BadSetting(UsageError, ValueError):
    """A setting has an invalid value, or does not exist."""


@dataclass_transform(frozen_default=True)
def settings(cls: type[T] | None = None, **config: Any) -> Any:
    """Decorate a class of settings: frozen, strictly typed, no unknown keys; `config` overrides `CONFIG`.

    The constructor and `dataclasses.replace` raise BadSetting.
    """
    if cls is None:
        return partial(settings, **config)
    made = dataclass(frozen=True, config=CONFIG | config)(cls)
    init = made.__init__

    @wraps(init)
    def checked(self: T, *values: Any, **named: Any) -> None:
        try:
            init(self, *values, **named)
        except ValidationError as error:
            raise BadSetting(sentence_of(error, made)) from error

    made.__init__ = checked
    return made


def from_json(cls: type[T], values: Mapping[str, Any], base: T) -> T:
    """Build an object from its JSON form; missing values are taken from `base`. Raises: BadSetting."""
    try:
        return _adapter(cls).validate_json(json.dumps(_merged(base, values)))
    except ValidationError as error:
        raise BadSetting(sentence_of(error, cls)) from error
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, BadSetting):
            raise
        raise BadSetting("The settings hold a value that JSON does not have; correct it.") from error


def to_json(value: Any) -> dict[str, Any]:
    """Return the JSON form, with the names used in files."""
    return _adapter(type(value)).dump_python(value, mode="json", by_alias=True)


def schema_of(cls: type) -> dict[str, Any]:
    """Return the JSON schema of the input of `from_json`."""
    return _adapter(cls).json_schema(by_alias=True)


def sentence_of(error: ValidationError, cls: type) -> str:
    """Return the first of pydantic's errors about `cls` as one plain sentence."""
    first = error.errors(include_url=False)[0]
    kind, given = first["type"], shown(repr(first["input"]))
    keys = [part for part in first["loc"] if isinstance(part, str)]
    told = _names_in_messages(_class_at(cls, keys[:-1])) if keys else {}
    name = ".".join([*map(shown, keys[:-1]), *(told.get(key, shown(key)) for key in keys[-1:])])
    if kind == "unexpected_keyword_argument":
        known = ", ".join(sorted(told.values()))
        return f"There is no setting {name}; known there are {known}."
    if kind == "value_error":
        text = shown(first["ctx"]["error"], 250)
        return f"In the settings {name or 'of the training'}: {text.rstrip('.')}."
    if kind == "json_invalid":
        return "The settings hold a text that is not Unicode; correct it."
    if kind in ("too_long", "too_short", "missing"):
        wanted = f" (at most {first['ctx']['max_length']})" if kind == "too_long" else ""
        return f"The setting {name} is missing, or has too many or too few values{wanted}; correct it."
    wanted = KINDS.get(kind) or first["msg"].removeprefix("Input should be ")
    wanted = wanted.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")
    return f"The setting {name} must be {wanted}, not {given}."


@cache
def _adapter(cls: type) -> TypeAdapter:
    return TypeAdapter(cls)


def _file_names(cls: type) -> dict[str, str]:
    """Return attribute -> name in files."""
    known = getattr(cls, "__pydantic_fields__", {})
    return {f.name: (known[f.name].alias if f.name in known else None) or f.name for f in fields(cls)}


def _names_in_messages(cls: type) -> dict[str, str]:
    """Return name in files -> name in messages (that of the documentation, also where run.json differs from it)."""
    names = ((name, written, name.replace("_", "")) for name, written in _file_names(cls).items())
    return {w: w if plain == w.lower() or n == w else f"{n} ({w} in run.json)" for n, w, plain in names}


def _class_at(cls: type, keys: list[str]) -> type:
    for key in keys:
        attributes = {written: name for name, written in _file_names(cls).items()}
        cls = get_type_hints(cls)[attributes.get(key, key)]
    return cls


def _merged(base: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON form of `base`, updated recursively by `values`. Raises: BadSetting for a setting given twice."""
    names = _file_names(type(base))
    attributes = {written: name for name, written in names.items()}
    changes: dict[str, Any] = {}
    for key, value in values.items():
        written = names.get(key, key)
        if written in changes:
            raise BadSetting(f"{attributes[written]} and {written} are two names of one setting; give one of them.")
        now = getattr(base, attributes.get(written, ""), None)
        changes[written] = _merged(now, value) if is_dataclass(now) and isinstance(value, Mapping) else value
    return to_json(base) | changes
