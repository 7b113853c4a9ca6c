#!/usr/bin/env python3
"""Keeps docs/reference/configuration.md equal to the settings of trainings, studies and releases.

python Testing/tools/configuration_page.py            report whether it is out of date; exit status 1 if it is
python Testing/tools/configuration_page.py --write    write it
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "reference" / "configuration.md"
HEAD = """# Configuration

This page lists every setting of a training, with its type, range and default. A file for `--config` contains only the
settings that differ from the defaults:

```json
{"method": "react-kd", "data": {"views": 2}, "student_stage": {"epochs": 30, "lr": 0.001}}
```

Some defaults depend on the size of the cases ([sizes](#what-a-size-changes)). An unknown name or a value out of range
is refused with a message that names it. `reactkd-train train --schema` prints the settings as a JSON schema, and
`run.json` of a run contains all of its settings under `configuration`. There `lr`, `weight_decay` and `validation` have
their older names `rate`, `decay` and `inner`; both are accepted. The last two sections list the presets of the study
and of the release, which are selected by name.

This page is generated from the code by `make lists`.
"""
SIZES = """## What a size changes

Cases from files have the size `full`; phantoms have the size given with their cohort. Where a cell is empty, the
default above applies.
"""
STUDIES = """## Presets of the study

Select a preset with `reactkd-train study --preset NAME`. Only the training settings that differ from the defaults above
are listed.
"""
RELEASES = """## Recipes of the release

`reactkd-train release make --preset NAME` builds a shipped model: [retrain it](../how-to/retrain_the_model.md). The
rows are the fields of `ReleaseRecipe`. Phantoms are given by their seeds as (first, one past the last).
"""


def page() -> str:
    """Return the whole page."""
    from REACTKDTrainLib.release.recipe import PRESETS as RECIPES
    from REACTKDTrainLib.release.recipe import ReleaseRecipe
    from REACTKDTrainLib.settings import to_json
    from REACTKDTrainLib.study.presets import PRESETS, HospitalNodesConfig, NodeConfig, Preset, preset_of
    from REACTKDTrainLib.training.config import StageConfig, TrainingConfig

    usual = to_json(TrainingConfig())
    lines = [HEAD]
    stages = {}
    for place, cls, value in sections(TrainingConfig()):
        if cls is StageConfig:
            stages[place] = value
        else:
            lines += [
                f"## `{place}`" if place else "## The training",
                "",
                _intro(cls),
                "",
                *_table(cls, value, place),
                "",
            ]
    lines += ["## The stages", "", _intro(StageConfig), "", *_stages(StageConfig, stages), ""]
    lines += [SIZES]
    lines += _differences({size: to_json(TrainingConfig.for_size(size)) for size in ("full", "small", "tiny")}, usual)
    presets = {name: preset_of(name) for name in PRESETS}
    lines += ["", STUDIES]
    lines += _columns(Preset, presets, leave=("name", "training", "nodes", "around", "hospital_nodes"))
    on_nodes = {name: of_hospital(p.hospital_nodes) for name, p in presets.items() if p.hospital_nodes is not None}
    said = "The hospital size on node vectors (`hospital_nodes`); of the recipes what is not as usual:"
    lines += ["", said, "", *_columns(HospitalNodesConfig, on_nodes)]
    for part, said in (
        ("nodes", "On the level of nodes"),
        ("around", "The map of heterogeneity, on the level of nodes"),
    ):
        lines += [
            "",
            f"{said} (`{part}`):",
            "",
            *_columns(NodeConfig, {n: getattr(p, part) for n, p in presets.items()}),
        ]
    lines += ["", "Their trainings:", ""]
    lines += _differences({name: to_json(preset.training) for name, preset in presets.items()}, usual)
    lines += ["", RELEASES, *_columns(ReleaseRecipe, RECIPES)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def sections(value: Any, place: str = "") -> Iterator[tuple[str, type, Any]]:
    """Yield ('data.augmentation', its class, its defaults) for a class of settings and those nested in it, top down."""
    yield place, type(value), value
    for field in dataclasses.fields(value):
        part = getattr(value, field.name)
        if dataclasses.is_dataclass(part):
            yield from sections(part, f"{place}.{field.name}".lstrip("."))


def meanings(cls: type) -> dict[str, str]:
    """Return field -> its description in the docstring of the class, written as 'name, other: description.'"""
    names = {field.name for field in dataclasses.fields(cls)}
    text = re.sub(r"\s+", " ", re.sub(r"\bRaises: .*", "", (cls.__doc__ or "").replace("\n\n", "\n"), flags=re.DOTALL))
    out: dict[str, str] = {}
    found = [m for m in re.finditer(r"(?:^|(?<=[.;] ))(\w+(?:, \w+)*): ", text) if names >= set(m[1].split(", "))]
    for match, following in zip(found, [*(m.start() for m in found[1:]), len(text)]):
        said = text[match.end() : following].strip().rstrip(".;")
        out |= dict.fromkeys(match[1].split(", "), said)
    return out


def _intro(cls: type) -> str:
    """Return the part of a class's docstring before the fields."""
    names = "|".join(field.name for field in dataclasses.fields(cls))
    text = (cls.__doc__ or "").partition("\nRaises:")[0].strip()
    text = re.split(rf"(?:^|(?<=[.;\n])\s*)(?:(?:{names})(?:, )?)+: ", text, maxsplit=1)[0].strip()
    return " ".join(text.split())


def _table(cls: type, value: Any, place: str) -> list[str]:
    kinds, said = _kinds(cls), meanings(cls)
    rows = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for field in dataclasses.fields(cls):
        part = getattr(value, field.name)
        kind = "object" if dataclasses.is_dataclass(part) else kinds[field.name]
        default = _cell(part) if kind != "object" else _link(field.name, place)
        rows.append(f"| `{field.name}` | {kind} | {default} | {said.get(field.name, '')} |")
    return rows


def _link(name: str, place: str) -> str:
    """Return a link to the settings of a part."""
    if name.endswith(("_heads", "_stage")):
        return "[stages](#the-stages)"
    return f"[below](#{place.replace('.', '')}{name})"


def _stages(cls: type, stages: Mapping[str, Any]) -> list[str]:
    """Return the settings of a stage, with the defaults of each stage."""
    shown = {
        name: {f.name: _cell(getattr(value, f.name)) for f in dataclasses.fields(cls)} for name, value in stages.items()
    }
    kinds = {"type": _kinds(cls)}
    return _rows("key", kinds | shown, {key: key for key in kinds["type"]}, meanings(cls))


def _kinds(cls: type) -> dict[str, str]:
    """Return field -> type and range, for fields that are not nested settings."""
    from REACTKDTrainLib.settings import schema_of

    properties = schema_of(cls)["properties"]
    found = {field.name: properties.get(_in_files(cls, field.name), {}) for field in dataclasses.fields(cls)}
    return {
        name: _kind(schema) for name, schema in found.items() if "$ref" not in schema and schema.get("type") != "object"
    }


def _in_files(cls: type, name: str) -> str:
    known = getattr(cls, "__pydantic_fields__", {})
    return (known[name].alias if name in known else None) or name


def _kind(schema: Mapping[str, Any]) -> str:
    """The type and range of a value in words."""
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{json.dumps(choice)}`" for choice in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        items = schema.get("prefixItems") or [schema.get("items", {})]
        count = (
            f"{schema['minItems']} "
            if schema.get("minItems") and schema.get("minItems") == schema.get("maxItems")
            else ""
        )
        return f"list of {count}{_kind(items[0])}"
    low, high = schema.get("minimum"), schema.get("maximum")
    words = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}
    text = words[schema["type"]]
    ends = [f"at least {low:g}"] if low is not None else []
    ends += [f"above {schema['exclusiveMinimum']:g}"] if "exclusiveMinimum" in schema else []
    ends += [f"at most {high:g}"] if high is not None and high < 1e9 else []
    ends += [f"below {schema['exclusiveMaximum']:g}"] if "exclusiveMaximum" in schema else []
    return f"{text}, {', '.join(ends)}" if ends else text


def _flat(value: Any, place: str = "") -> dict[str, Any]:
    """Flatten the JSON form of settings: 'data.views' -> value."""
    if not isinstance(value, Mapping):
        return {place: value}
    return {k: v for key, part in value.items() for k, v in _flat(part, f"{place}.{key}".lstrip(".")).items()}


def of_hospital(config: Any) -> SimpleNamespace:
    """Return its fields; for recipes only those that differ from the defaults."""
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    for name, value in fields.items():
        if dataclasses.is_dataclass(value):
            usual, own = dataclasses.asdict(type(value)()), dataclasses.asdict(value)
            fields[name] = {key: own[key] for key in own if own[key] != usual[key]} or "as usual"
    return SimpleNamespace(**fields)


def _differences(columns: Mapping[str, Mapping[str, Any]], usual: Mapping[str, Any]) -> list[str]:
    """Return a table of the settings in which the columns differ from the defaults."""
    flat, defaults = {name: _flat(values) for name, values in columns.items()}, _flat(usual)
    keys = [key for key in defaults if any(values[key] != defaults[key] for values in flat.values())]
    shown = {name: {k: _cell(v[k]) if v[k] != defaults[k] else "" for k in keys} for name, v in flat.items()}
    return _rows("key", shown, {key: _newer(key) for key in keys})


def _newer(key: str) -> str:
    """Return a key as named in the tables above."""
    *places, last = key.split(".")
    newer = {"rate": "lr", "decay": "weight_decay", "inner": "validation"}
    return ".".join([*places, newer.get(last, last)])


def _columns(cls: type, values: Mapping[str, Any], leave: tuple[str, ...] = ()) -> list[str]:
    """Return a table with a row per field and a column per value; differences within a field are written out."""
    said = meanings(cls)
    keys = [field.name for field in dataclasses.fields(cls) if field.name not in leave]
    shown = {name: {key: _cell(getattr(value, key)) for key in keys} for name, value in values.items()}
    for name, cells in list(shown.items())[1:]:
        first = next(iter(values.values()))
        for key in keys:
            part = getattr(values[name], key)
            if dataclasses.is_dataclass(part):
                before, now = _flat(dataclasses.asdict(getattr(first, key))), _flat(dataclasses.asdict(part))
                changed = [f"`{k}` {_cell(v)}" for k, v in now.items() if v != before[k]]
                cells[key] = ", ".join(changed) or "the same"
    return _rows("field", shown, {key: key for key in keys}, said)


def _cell(value: Any) -> str:
    if dataclasses.is_dataclass(value):
        return ", ".join(f"`{k}` {_cell(v)}" for k, v in _flat(dataclasses.asdict(value)).items())
    if isinstance(value, list | tuple) and value and all(dataclasses.is_dataclass(v) for v in value):
        return f"{len(value)}: " + "; ".join(" ".join(str(v) for v in dataclasses.astuple(part)) for part in value)
    return f"`{json.dumps(value)}`"


def _rows(
    head: str, columns: Mapping[str, Mapping[str, str]], keys: Mapping[str, str], said: Mapping[str, str] | None = None
) -> list[str]:
    names = [head, *(name if name == "type" else f"`{name}`" for name in columns), *(["meaning"] if said else [])]
    rows = [f"| {' | '.join(names)} |", "|" + " --- |" * len(names)]
    for key, shown in keys.items():
        cells = [f"`{shown}`", *(values[key] for values in columns.values()), *([said.get(key, "")] if said else [])]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def without_meaning() -> list[str]:
    """Return the settings that no docstring describes."""
    from REACTKDTrainLib.release.recipe import ReleaseRecipe
    from REACTKDTrainLib.study.presets import NodeConfig, Preset
    from REACTKDTrainLib.training.config import TrainingConfig

    classes = [*(cls for _place, cls, _value in sections(TrainingConfig())), NodeConfig, Preset, ReleaseRecipe]
    lacking = (
        f"{c.__name__}.{f.name}"
        for c in dict.fromkeys(classes)
        for f in dataclasses.fields(c)
        if f.name not in meanings(c)
    )
    return [name for name in lacking if name != "Preset.name"]


def main(arguments: list[str]) -> int:
    """Return the exit status."""
    text = page()
    if PAGE.is_file() and text == PAGE.read_text(encoding="utf-8"):
        return 0
    if arguments == ["--write"]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    print(f"{PAGE.name} is behind the settings; run `make lists`.")
    return 1


if __name__ == "__main__":
    sys.path[:0] = [str(REPOSITORY / "REACTKD"), str(REPOSITORY / "REACTKDTrain")]
    sys.exit(main(sys.argv[1:]))
