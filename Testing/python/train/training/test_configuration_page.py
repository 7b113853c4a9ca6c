"""The settings page matches the code, explains every setting, and its example is valid."""

from __future__ import annotations

import dataclasses
import json
import re

from REACTKDTrainLib.settings import to_json
from REACTKDTrainLib.training.config import TrainingConfig
from tools import configuration_page

PAGE = configuration_page.PAGE.read_text(encoding="utf-8")


def test_the_page_is_up_to_date():
    assert configuration_page.page() == PAGE, "run `make lists`"


def test_every_setting_is_explained():
    assert configuration_page.without_meaning() == []


def test_every_setting_has_a_row():
    for place, cls, _value in configuration_page.sections(TrainingConfig()):
        heading = {"": "## The training\n"}.get(place, f"## `{place}`\n")
        heading = "## The stages\n" if place.endswith(("_heads", "_stage")) else heading
        table = PAGE.partition(heading)[2].partition("\n## ")[0]
        assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == [f.name for f in dataclasses.fields(cls)], place


def test_the_settings_of_a_docstring_are_parsed():
    @dataclasses.dataclass
    class Example:
        """What it is. first: of one thing; second, third: of two, with a
        line: that goes on.

        Raises: nothing.
        """

        first: int = 0
        second: int = 0
        third: int = 0
        fourth: int = 0

    both = "of two, with a line: that goes on"
    assert configuration_page.meanings(Example) == {"first": "of one thing", "second": both, "third": both}


def test_the_example_is_a_configuration():
    example = json.loads(re.search(r"```json\n(.+?)```", PAGE, re.DOTALL)[1])
    made = to_json(TrainingConfig.from_dict(example))
    assert made["data"]["views"] == 2 and made["student_stage"]["rate"] == 0.001
