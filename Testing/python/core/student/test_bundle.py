"""A model folder is verified before it is used."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
from pathlib import Path

import jsonschema
import pytest
import torch

from REACTKDLib.core.errors import (
    BundleAltered,
    BundleIncomplete,
    BundleMismatch,
    BundleUnsafe,
    OutputNotWritable,
    ReactkdError,
)
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.student import bundle as bundle_module
from REACTKDLib.core.student.bundle import (
    METADATA,
    SHIPPED_MAX_BYTES,
    SHIPPED_MAX_PARAMETERS,
    WEIGHTS,
    Bundle,
    model_hash,
    shipped_bundle_folder,
)
from REACTKDLib.core.student.bundle_metadata import HASH, description_hash, read_metadata
from support.small_models import metadata_for, random_student

SCHEMAS = Path(os.environ.get("REACTKD_REAL_DATA", Path(__file__).parents[5] / "shared" / "data")) / "schemas"
MONAI_SCHEMA = SCHEMAS / "monai-bundle-metadata-20240725.json"


def change_metadata(folder: Path, change, hashed: bool = True) -> None:
    """Change the metadata. hashed: update its hash too, as an attacker would."""
    data = json.loads((folder / METADATA).read_text())
    change(data)
    if hashed and HASH in data.get("reactkd", {}):
        data["reactkd"][HASH] = description_hash(data)
    (folder / METADATA).write_text(json.dumps(data))


def replace_weights(folder: Path, content: bytes) -> None:
    """Replace the bytes of the weights file and update the hash, as an attacker would."""
    (folder / WEIGHTS).write_bytes(content)
    sha = hashlib.sha256(content).hexdigest()
    change_metadata(folder, lambda d: d["reactkd"].update(sha256=sha))


def saved(state) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def test_what_is_saved_is_what_is_loaded(folder):
    student, loaded = random_student(4), Bundle.load(folder)
    assert loaded.student.config == student.config and not loaded.student.training
    for name, tensor in student.state_dict().items():
        assert torch.equal(loaded.student.state_dict()[name], tensor), name
    assert loaded.classes == ("well", "moderate", "poor")
    assert loaded.modalities == tuple(Modality)
    assert loaded.preparation.shape == (24, 24, 32)
    assert loaded.info["sha256"] == hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()


def test_saving_twice_gives_the_same_weights_file(folder, tmp_path):
    student = random_student(4)
    Bundle.save(tmp_path / "again", student, metadata_for(student))
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()


def test_saving_over_a_model_replaces_it_and_leaves_nothing_else(folder):
    other = random_student(5)
    Bundle.save(folder, other, metadata_for(other, version="2.0"))
    assert Bundle.load(folder).info["version"] == "2.0"
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_the_hash_of_a_model_is_read_again_only_after_it_was_written(folder, monkeypatch):
    """The panel and its worker compare it after every edit; the shipped description takes milliseconds to parse."""
    reads = []
    monkeypatch.setattr(bundle_module, "read_metadata", lambda path: reads.append(path) or read_metadata(path))
    first = [model_hash(folder) for _ in range(3)]
    other = random_student(5)
    Bundle.save(folder, other, metadata_for(other))
    reads.clear()
    second = [model_hash(folder) for _ in range(3)]
    assert len(set(first)) == len(set(second)) == len(reads) == 1 and first[0] != second[0]
    assert second[0] == Bundle.load(folder).info["sha256"]
    (folder / METADATA).unlink()
    assert model_hash(folder) is None


def test_a_model_that_does_not_fit_its_description_is_not_saved(folder):
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    student = random_student(4)
    with pytest.raises(BundleMismatch):
        Bundle.save(folder, student, metadata_for(student, classes=["benign", "malignant"]))
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_saving_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    student = random_student()
    with pytest.raises(OutputNotWritable):
        Bundle.save(tmp_path / "file" / "model", student, metadata_for(student))


@pytest.mark.parametrize("part", [METADATA, WEIGHTS])
def test_a_missing_file_is_named(folder, part):
    (folder / part).unlink()
    with pytest.raises(BundleIncomplete, match=part.name):
        Bundle.load(folder)


def test_a_file_that_may_not_be_read_is_named(folder, monkeypatch):
    """As on a share with another user's permissions; simulated, as root (who may run the tests) can read every file."""

    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(BundleIncomplete, match=r"model.pt in the model folder .* cannot be read \(Permission denied\)"):
        Bundle.load(folder)


def test_the_folder_of_a_training_is_refused_and_its_model_named(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "my-run" / "bundle")
    with pytest.raises(BundleIncomplete, match="'my-run' is of a training; give the model in it, its folder 'bundle'"):
        Bundle.load(tmp_path / "my-run")


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(BundleIncomplete) as caught:
        Bundle.load(tmp_path / "nowhere")
    assert caught.value.code == "bundle-incomplete"


@pytest.mark.parametrize("key", ["sha256", "classes", "organ", "preparation", "student"])
def test_a_missing_key_is_named(folder, key):
    change_metadata(folder, lambda d: d["reactkd"].pop(key))
    with pytest.raises(BundleIncomplete, match=key):
        Bundle.load(folder)


def test_a_bundle_of_another_program_is_refused(folder):
    change_metadata(folder, lambda d: d.pop("reactkd"))
    with pytest.raises(BundleIncomplete, match="REACTKD"):
        Bundle.load(folder)


def test_one_changed_bit_is_detected(folder):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(BundleAltered) as caught:
        Bundle.load(folder)
    assert caught.value.code == "bundle-altered"


class Trap:
    """A malicious object in a weights file: unpickling it would create a file."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.mark.parametrize("wrap", [pickle.dumps, saved, lambda trap: saved({"weight": torch.zeros(2), "more": trap})])
def test_a_pickled_object_is_refused_and_not_run(folder, wrap):
    target = folder / "was-run"
    replace_weights(folder, wrap(Trap(target)))
    with pytest.raises(BundleUnsafe) as caught:
        Bundle.load(folder)
    assert caught.value.code == "bundle-unsafe" and not target.exists()


def test_the_pickled_object_of_the_previous_test_would_run_code(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "was-run")))
    assert (tmp_path / "was-run").exists()


@pytest.mark.parametrize("state", [{"weight": [1, 2, 3]}, [torch.zeros(2)], {"a": {"b": torch.zeros(1)}}])
def test_harmless_values_that_are_not_tensors_are_refused_too(folder, state):
    replace_weights(folder, saved(state))
    with pytest.raises(BundleUnsafe):
        Bundle.load(folder)


def _without_one(state):
    state.pop(next(iter(state)))


def _with_one_more(state):
    state["extra"] = torch.zeros(1)


def _with_another_shape(state):
    state["head.bias"] = torch.zeros(7)


def _with_a_nan(state):
    state["head.bias"][0] = float("nan")


@pytest.mark.parametrize("change", [_without_one, _with_one_more, _with_another_shape, _with_a_nan])
def test_weights_that_do_not_fit_the_student_are_refused(folder, change):
    state = random_student(4).state_dict()
    change(state)
    replace_weights(folder, saved(state))
    with pytest.raises(BundleMismatch) as caught:
        Bundle.load(folder)
    assert caught.value.code == "bundle-mismatch"


@pytest.mark.parametrize("content", [b"", b"not a weights file at all", saved({"a": torch.zeros(9)})[:-40]])
def test_a_broken_weights_file_raises_a_bundle_error(folder, content):
    replace_weights(folder, content)
    with pytest.raises(ReactkdError) as caught:
        Bundle.load(folder)
    assert isinstance(caught.value, (BundleMismatch, BundleUnsafe))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["reactkd"]["student"].update(filters=0),
        lambda d: d["reactkd"]["student"].update(color="red"),
        lambda d: d["reactkd"].update(classes=["one", "two"]),
        lambda d: d["reactkd"].update(modalities=["ct"]),
        lambda d: d["reactkd"].update(modalities=["ct", "fdg", "mri"]),
        lambda d: d["reactkd"]["preparation"].update(color="red"),
        lambda d: d["reactkd"].update(uncertain={"color": 1}),
        lambda d: d["reactkd"].update(grade_sets={"coverage": 0.9}),
        lambda d: d["reactkd"].update(grade_sets={"coverage": 0.9, "least": {"ct": 2}}),
    ],
)
def test_a_description_that_does_not_fit_the_student_is_refused(folder, change):
    change_metadata(folder, change)
    with pytest.raises(BundleMismatch):
        Bundle.load(folder)


def test_metadata_that_is_not_json_is_refused(folder):
    (folder / METADATA).write_text("{")
    with pytest.raises(BundleMismatch):
        Bundle.load(folder)


@pytest.mark.skipif(not MONAI_SCHEMA.is_file(), reason="MONAI's bundle schema is not on this machine")
def test_metadata_fits_the_schema_of_monai(folder):
    schema = json.loads(MONAI_SCHEMA.read_text())
    validator = jsonschema.Draft201909Validator(schema)
    assert [e.message for e in validator.iter_errors(json.loads((folder / METADATA).read_text()))] == []
    try:
        shipped = shipped_bundle_folder()
    except BundleIncomplete:
        return
    assert [e.message for e in validator.iter_errors(json.loads((shipped / METADATA).read_text()))] == []


def test_the_description_of_the_author_is_kept(tmp_path):
    student = random_student()
    metadata = metadata_for(student) | {"description": "mine", "changelog": {"1.0": "first"}}
    Bundle.save(tmp_path / "m", student, metadata)
    written = json.loads((tmp_path / "m" / METADATA).read_text())
    assert written["description"] == "mine" and written["changelog"] == {"1.0": "first"}


def test_the_shipped_model_is_found_in_both_places(tmp_path, monkeypatch):
    package = tmp_path / "lib" / "REACTKDLib"
    monkeypatch.setattr(bundle_module, "__file__", str(package / "core" / "student" / "bundle.py"))
    with pytest.raises(BundleIncomplete, match="not installed"):
        shipped_bundle_folder()
    installed = package / "_resources" / "Models" / "reactkd-phantom"
    installed.mkdir(parents=True)
    assert shipped_bundle_folder() == installed
    beside = tmp_path / "lib" / "Resources" / "Models" / "reactkd-phantom"
    beside.mkdir(parents=True)
    assert shipped_bundle_folder() == beside


def test_the_shipped_model_is_small_and_not_for_clinical_use():
    try:
        folder = shipped_bundle_folder()
    except BundleIncomplete:
        pytest.skip("no model is shipped yet")
    shipped = Bundle.load(folder)
    assert (folder / WEIGHTS).stat().st_size <= SHIPPED_MAX_BYTES
    assert sum(p.numel() for p in shipped.student.parameters()) <= SHIPPED_MAX_PARAMETERS
    assert "not for clinical use" in shipped.info["clinical_use"]
