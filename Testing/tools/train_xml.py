#!/usr/bin/env python3
"""Keeps the parameters in REACTKDTrain.xml equal to the fields of RunOptions.

python Testing/tools/train_xml.py            report whether it is out of date; exit status 1 if it is
python Testing/tools/train_xml.py --write    write it
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

REPOSITORY = Path(__file__).resolve().parents[2]
XML = REPOSITORY / "REACTKDTrain" / "REACTKDTrain.xml"
FIRST, AFTER = "  <parameters>\n    <label>Cases", "  <parameters>\n    <label>Results"
ADVANCED = "How to run"


def element(name: str, parameter: dict[str, Any]) -> list[str]:
    """Return the lines of one parameter, in the format of Slicer's module descriptions."""
    tag = parameter.get("element") or ("string-enumeration" if parameter["enum"] else parameter["type"])
    extensions = f' fileExtensions="{parameter["extensions"]}"' if "extensions" in parameter else ""
    default = str(parameter["default"]).lower() if tag == "boolean" else parameter["default"]
    texts = {"name": name, "longflag": name, "label": parameter["title"], "description": parameter["description"]}
    lines = [f"  <{key}>{escape(str(text))}</{key}>" for key, text in {**texts, "default": default}.items()]
    lines += [f"  <element>{escape(choice)}</element>" for choice in parameter["enum"] or ()]
    if "maximum" in parameter:
        low, high = parameter["minimum"], parameter["maximum"]
        lines += [f"  <constraints><minimum>{low}</minimum><maximum>{high}</maximum><step>1</step></constraints>"]
    return [f"<{tag}{extensions}>", *lines, f"</{tag}>"]


def description() -> str:
    """Return the content of REACTKDTrain.xml: head, results, and a parameter for each field of RunOptions."""
    from REACTKDTrainLib.training.options import GROUPS, parameters

    lines = []
    for group, (about, _) in GROUPS.items():
        own = {name: p for name, p in parameters().items() if p["group"] == group}
        advanced = ' advanced="true"' if group == ADVANCED else ""
        lines += [f"  <parameters{advanced}>", f"    <label>{group}</label>"]
        lines += [f"    <description>{about}</description>"]
        for name in sorted(own, key=lambda n: own[n].get("element") == "directory"):  # the output folder comes last
            lines += [f"    {line}" for line in element(name, own[name])]
        lines += ["  </parameters>"]
    text = XML.read_text(encoding="utf-8")
    return text[: text.index(FIRST)] + "\n".join(lines) + "\n" + text[text.index(AFTER) :]


def main(arguments: list[str]) -> int:
    """Return the exit status."""
    text = description()
    if text == XML.read_text(encoding="utf-8"):
        return 0
    if arguments == ["--write"]:
        XML.write_text(text, encoding="utf-8")
        return 0
    print(f"{XML.name} is behind the library; run `make lists`.")
    return 1


if __name__ == "__main__":
    sys.path[:0] = [str(REPOSITORY / name) for name in ("REACTKD", "REACTKDTrain")]
    sys.exit(main(sys.argv[1:]))
