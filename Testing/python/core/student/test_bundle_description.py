"""A model's metadata has its own hash, and impossible values are refused even if the hash agrees."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from REACTKDLib.core.clinical_use import claims_clinical_use
from REACTKDLib.core.errors import BundleAltered, BundleIncomplete, BundleMismatch, ReactkdError
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.student.bundle import METADATA, Bundle, shipped_bundle_folder
from REACTKDLib.core.student.bundle_metadata import HASH, description_hash
from support.small_cases import small_case
from support.small_models import metadata_for, random_student

CLINICAL = "cleared for clinical use"


def saved(folder: Path, **changes: object) -> Path:
    student = random_student(4)
    Bundle.save(folder, student, metadata_for(student, **changes))
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> str:
    folder = saved(tmp_path_factory.mktemp("original") / "model")
    return (folder / METADATA).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return saved(tmp_path_factory.mktemp("bundle") / "model")


def changed(model: Path, original: str, change, hashed: bool = False) -> Path:
    data = json.loads(original)
    change(data)
    if hashed:
        data["reactkd"][HASH] = description_hash(data)
    (model / METADATA).write_text(json.dumps(data), encoding="utf-8")
    return model


def both(reverse):
    """Permute the class names in both places, so that only the hash can reveal it."""

    def change(data: dict) -> None:
        names = data["reactkd"]["classes"] = reverse(data["reactkd"]["classes"])
        channels = data["network_data_format"]["outputs"]["logits"]["channel_def"]
        channels.update({str(n): name for n, name in enumerate(names)})

    return change


@pytest.mark.parametrize(
    "change",
    [
        both(lambda names: names[::-1]),
        lambda d: d["reactkd"].update(classes=["poor", "moderate", "well"]),
        lambda d: d["reactkd"].update(clinical_use=CLINICAL),
        lambda d: d["reactkd"]["preparation"].update(ct_center_hu=60.0),
        lambda d: d["reactkd"].update(name="another"),
        lambda d: d.update(intended_use=CLINICAL),
        lambda d: d["reactkd"].update({HASH: "0" * 64}),
        lambda d: d["reactkd"].update({HASH: None}),
    ],
)
def test_a_changed_description_is_detected(model, original, change) -> None:
    with pytest.raises(BundleAltered) as caught:
        Bundle.load(changed(model, original, change))
    assert str(model) not in str(caught.value) and "copy the model folder again" in str(caught.value)


def test_reformatting_the_metadata_does_not_change_its_hash(model, original) -> None:
    data = json.loads(original)
    (model / METADATA).write_text(json.dumps(data, sort_keys=True, indent=7), encoding="utf-8")
    assert Bundle.load(model).verified


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_bit_never_gives_another_description(model, original, seed) -> None:
    draw = random.Random(seed)
    content = bytearray(original.encode())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    (model / METADATA).write_bytes(bytes(content))
    try:
        loaded = Bundle.load(model)
    except ReactkdError:
        return
    same = json.loads(original)
    # only white space changed, or the key of the hash: then it counts as older, unverified metadata
    assert loaded.metadata == same or not loaded.verified


@pytest.mark.parametrize("claim", [CLINICAL, "for clinical use in Europe", "any"])
def test_an_older_description_is_graded_with_and_its_clinical_claim_is_not_shown(tmp_path, claim) -> None:
    folder = saved(tmp_path / "m", clinical_use=claim)
    assert Bundle.load(folder).info["clinical_use"] == claim
    new = Grader(Bundle.load(folder), "cpu").open(small_case()).grade().report
    data = json.loads((folder / METADATA).read_text(encoding="utf-8"))
    del data["reactkd"][HASH]
    (folder / METADATA).write_text(json.dumps(data), encoding="utf-8")
    old = Grader(Bundle.load(folder), "cpu").open(small_case()).grade().report
    assert old.probabilities == new.probabilities
    assert not claims_clinical_use(old.model.clinical_use)
    codes = [{finding.code for finding in report.findings} for report in (new, old)]
    assert "model-not-verified" in codes[1] and "model-not-verified" not in codes[0]


def test_an_older_description_that_denies_clinical_use_keeps_its_words(model, original) -> None:
    loaded = Bundle.load(changed(model, original, lambda d: d["reactkd"].pop(HASH)))
    assert loaded.info["clinical_use"] == "random weights: not for clinical use" and not loaded.verified


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda r: r.update(classes=["a", "b"]), "classes"),
        (lambda r: r.update(classes=["a", "a", "b"]), "classes"),
        (lambda r: r.update(classes="abc"), "classes"),
        (lambda r: r.update(classes=["a", "b", 3]), "classes"),
        (lambda r: r.update(classes=["poor", "moderate", "well"]), "network_data_format"),
        (lambda r: r.update(modalities=["ct", "fdg", "fdg"]), "modalities"),
        (lambda r: r.update(clinical_use=None), "clinical_use"),
        (lambda r: r.update(organ=["Liver"]), "organ"),
        (lambda r: r.update(lesion=""), "lesion"),
        (lambda r: r.update(name="x" * 10_000), "name"),
        (lambda r: r.update(preparation=[1]), "preparation"),
        (lambda r: r["preparation"].update(spacing_mm=0.0), "spacing_mm"),
        (lambda r: r["preparation"].update(spacing_mm=float("nan")), "spacing_mm"),
        (lambda r: r["preparation"].update(spacing_mm=-2.5), "spacing_mm"),
        (lambda r: r["preparation"].update(spacing_mm="2.5"), "spacing_mm"),
        (lambda r: r["preparation"].update(shape=[96, 96]), "shape"),
        (lambda r: r["preparation"].update(shape=[10**6, 96, 128]), "shape"),
        (lambda r: r["preparation"].update(shape=[1000, 1000, 1000]), "shape"),
        (lambda r: r["preparation"].update(shape=[96.5, 96, 128]), "shape"),
        (lambda r: r["preparation"].update(ct_scale_hu=0), "ct_scale_hu"),
        (lambda r: r["preparation"].update(ct_center_hu=1e308), "ct_center_hu"),
        (lambda r: r["preparation"].update(pet_floor=0.0), "pet_floor"),
        (lambda r: r["preparation"].update(pet_gain=True), "pet_gain"),
        (lambda r: r["preparation"].update(field="kidney"), "field"),
        (lambda r: r["preparation"].update(ct="window"), "ct"),
        (lambda r: r["student"].update(filters=10**6), "filters"),
        (lambda r: r["student"].update(filters=True), "filters"),
        (lambda r: r["student"].update(widths=[4, 4, 10**9]), "widths"),
        (lambda r: r["student"].update(hidden=float("nan")), "hidden"),
        (lambda r: r.update(uncertain={"top_below": 7}), "top_below"),
        (lambda r: r.update(uncertain=[1]), "argument"),
    ],
)
def test_an_impossible_value_is_named_in_one_line(model, original, change, named) -> None:
    folder = changed(model, original, lambda d: change(d["reactkd"]), hashed=True)
    with pytest.raises(BundleMismatch) as caught:
        Bundle.load(folder)
    told = str(caught.value)
    assert named in told and len(told) < 400 and "\n" not in told and str(folder) not in told


@pytest.mark.parametrize("content", ["[]", "null", "{}", '{"reactkd": 3}', "[" * 100_000, '{"reactkd": {}}', "\x00"])
def test_metadata_that_is_not_an_object_is_refused(model, content) -> None:
    (model / METADATA).write_text(content, encoding="utf-8")
    with pytest.raises(
        (BundleMismatch, BundleIncomplete), match="metadata.json in the model folder 'model' "
    ) as caught:
        Bundle.load(model)
    assert str(model.parent) not in str(caught.value)


def test_the_shipped_metadata_have_their_hash() -> None:
    loaded = Bundle.load(shipped_bundle_folder())
    assert loaded.verified and loaded.info["clinical_use"] == "trained on digital phantoms: not for clinical use"
