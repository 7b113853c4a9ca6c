"""Absurdly large or small settings are refused at once, in one sentence that names the setting."""

from __future__ import annotations

import json
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.settings import schema_of
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.options import RunOptions


def refused(values: dict[str, Any]) -> str:
    started = time.monotonic()
    with pytest.raises(UsageError) as caught:
        TrainingConfig.from_dict(values)
    assert time.monotonic() - started < 1
    told = str(caught.value)
    assert "\n" not in told and len(told) < 400
    return told


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"seed": 2**32}, "seed"),
        ({"seed": -1}, "seed"),
        ({"seed": True}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"folds": 10**12}, "folds"),
        ({"folds": 0}, "folds"),
        ({"data": {"mask_variants": 10**12}}, "mask_variants"),
        ({"data": {"views": 10**9}}, "views"),
        ({"data": {"views": True}}, "views"),
        ({"data": {"mask_seed": 2**40}}, "mask_seed"),
        ({"data": {"inner": float("nan")}}, "inner"),
        ({"data": {"augmentation": {"sigma": float("inf")}}}, "sigma"),
        ({"data": {"size": "x" * 10**6}}, "size"),
        ({"teacher": {"feature_size": 10**6}}, "feature_size"),
        ({"teacher": {"depths": [10**6, 1, 1, 1]}}, "depths"),
        ({"teacher": {"depths": [True, 1, 1, 1]}}, "depths"),
        ({"teacher": {"depths": [float("nan"), 1, 1, 1]}}, "depths"),
        ({"teacher": {"heads": [0, 1, 1, 1]}}, "heads"),
        ({"teacher": {"window": 10**6}}, "window"),
        ({"student": {"filters": 10**6}}, "filters"),
        ({"student": {"hidden": 10**12}}, "hidden"),
        ({"student": {"widths": [10**9] * 3}}, "widths"),
        ({"student": {"widths": [{}] * 3}}, "widths"),
        ({"student": {"cbam_kernel": 10**6 + 1}}, "cbam_kernel"),
        ({"distillation": {"width": 10**9}}, "width"),
        ({"teacher_stage": {"batch": 10**12}}, "batch"),
        ({"student_stage": {"epochs": 10**15}}, "epochs"),
        ({"student_stage": {"rate": float("inf")}}, "rate"),
        ({"student_stage": {"rate": float("nan")}}, "rate"),
        ({"student_stage": {"rate": True}}, "rate"),
        ({"loss": {"class_weights": [float("nan"), 1, 1]}}, "class_weights"),
        ({"loss": {"gamma": 10**400}}, "gamma"),
        ({"x" * 10**5: 1}, "There is no setting"),
        ({"data": "y" * 10**6}, "data"),
    ],
)
def test_an_impossible_value_is_named(values, named) -> None:
    assert named in refused(values)


def keys(values: dict, at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    return [k for n, v in values.items() for k in (keys(v, (*at, n)) if isinstance(v, dict) else [(*at, n)])]


ABSURD = st.one_of(
    st.sampled_from(
        [10**18, -(10**18), float("nan"), float("inf"), -float("inf"), None, {}, [None], [[1]], "x" * 5000]
    ),
    st.integers(min_value=2**40),
    st.lists(st.just(10**12), max_size=5),
)


@settings(max_examples=150, deadline=2000)
@given(st.sampled_from(keys(TrainingConfig().to_dict())), ABSURD)
def test_any_setting_with_an_impossible_value_is_refused(key: tuple[str, ...], value: Any) -> None:
    if (key[-1] in ("initial", "method") and isinstance(value, str)) or (
        key[-1] in ("frozen", "blocks") and value == []
    ):
        return  # a name, resolved when used; an empty selection
    values: Any = value
    for name in reversed(key):
        values = {name: values}
    assert key[-1] in refused(values) or key[0] in refused(values)


def test_the_same_from_the_command_line_and_from_a_file(tmp_path) -> None:
    with pytest.raises(UsageError, match="seed"):
        RunOptions(cohort="c", output=tmp_path / "o", seed=2**32).training_config("tiny")
    with pytest.raises(UsageError, match="batch"):
        RunOptions(cohort="c", output=tmp_path / "o", student_batch=10**9).training_config("tiny")
    path = tmp_path / "c.json"
    for text in ('{"teacher": {"feature_size": 1e6}}', '{"seed": NaN}', "[" * 10**5):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError):
            RunOptions(cohort="c", output=tmp_path / "o", config=path).training_config("tiny")


def test_the_settings_of_the_sizes_and_the_paper_are_valid() -> None:
    for size in ("full", "small", "tiny"):
        config = TrainingConfig.for_size(size)
        assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert TrainingConfig.from_dict({"seed": 2**32 - 1}).seed == 2**32 - 1


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"data": {"vews": 2}}, "There is no setting data.vews; known there are augmentation, doses, mask_seed"),
        ({"student": {"filter": 2}}, "There is no setting student.filter; known there are blocks, cbam"),
        ({"data": {"augmentation": {"flip": 1}}}, "The setting data.augmentation.flip must be true or false, not 1."),
        ({"loss": {"class_weights": [1, "2", 3]}}, "The setting loss.class_weights must be a number, not '2'."),
        ({"loss": {"class_weights": [1]}}, "The setting loss.class_weights is missing, or has too many or too few"),
        ({"loss": {"class_weights": [1, 2]}}, "The settings disagree on the number of classes (student.classes 3, tea"),
        (
            {"teacher": {"blocks": ["bands", 3]}},
            "The setting teacher.blocks must be 'input', 'bands', 'shells' or 'shape', not",
        ),
        ({"teacher": 3}, "The setting teacher must be an object of settings, not 3."),
        ({"teacher": {"cbam_kernel": 4}}, "In the settings teacher.cbam_kernel: a kernel must be odd, not 4."),
        ({"student": {"filters": 0}}, "In the settings student: filters must be a whole number from 1 to 256, not 0."),
        (
            {"student_stage": {"lr": 0}},
            "The setting student_stage.lr (rate in run.json) must be greater than 0, not 0.",
        ),
        ({"student_stage": {"lr": 1, "rate": 1}}, "lr and rate are two names of one setting; give one of them."),
        ({"method": "\ud800"}, "The settings hold a text that is not Unicode; correct it."),
    ],
)
def test_the_message_names_the_key(values: dict, sentence: str) -> None:
    assert refused(values).startswith(sentence)


def test_the_schema_and_the_reader_agree() -> None:
    validator = jsonschema.Draft202012Validator(schema_of(TrainingConfig))
    for size in ("full", "small", "tiny"):
        assert not list(validator.iter_errors(TrainingConfig.for_size(size).to_dict()))
    for values in ({"sed": 1}, {"seed": -1}, {"data": {"views": "2"}}, {"teacher": {"blocks": ["x"]}}):
        assert list(validator.iter_errors(values)), values
        refused(values)


#: hashes to which checkpoints and run.json of earlier releases are bound
EARLIER = [
    ({}, "9c16f53a6001"),
    ({"loss": {"class_weights": [2, 1, 1]}}, "3922b74e7366"),
    ({"data": {"inner": 0.25, "views": 3}}, "ff8d1941824d"),
    ({"student_stage": {"rate": 1, "decay": 0, "frozen": ["a"]}}, "edc2e48b388c"),
    ({"distillation": {"graph": 2}, "teacher": {"blocks": []}}, "3a47085962b2"),
]


@pytest.mark.parametrize(("values", "known"), EARLIER)
def test_settings_of_an_earlier_release_keep_their_hash(values: dict, known: str) -> None:
    assert TrainingConfig.from_dict(values).hash().startswith(known)


def test_the_names_of_the_field_are_read_too() -> None:
    new = {"data": {"validation": 0.3}, "student_stage": {"lr": 0.5, "weight_decay": 0.25}}
    old = {"data": {"inner": 0.3}, "student_stage": {"rate": 0.5, "decay": 0.25}}
    assert TrainingConfig.from_dict(new) == TrainingConfig.from_dict(old)
    assert TrainingConfig.from_dict(new).student_stage.weight_decay == 0.25
