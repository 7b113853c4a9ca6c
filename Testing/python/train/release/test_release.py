"""The released model in one call: every step runs once, from drawn patients to a model that grades, and an interrupted
run is resumed.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.images.case import organ_mean_hu
from REACTKDLib.core.phantom import acquire, draw_patient
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.normalize import CT_CLIP_HU
from REACTKDTrainLib.__main__ import main
from REACTKDTrainLib.cohorts.phantom import phantom_case
from REACTKDTrainLib.commands.release import add_arguments, with_patients
from REACTKDTrainLib.nodes.node_store import encoder_hash
from REACTKDTrainLib.nodes.train import Checkpoint, Recipe, optimize
from REACTKDTrainLib.release.card import auc_table, card, gain_table, masks_table, sets_table
from REACTKDTrainLib.release.make import Release, release
from REACTKDTrainLib.release.recipe import PRESETS
from support.small_models import write_small_model

TINY = replace(
    PRESETS["tiny"],
    encoder_patients=(2500, 2503),
    train=(2500, 2509),
    validation=(2003, 2011),
    conformal=(2600, 2604),
    test=(500000, 500010),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    said: list[tuple[float, str]] = []
    on_progress = lambda fraction, text: said.append((fraction, text))  # noqa: E731
    return folder, release(TINY, folder / "work", folder / "model", "9.9.9", on_progress=on_progress), said


def test_the_model_grades(made):
    folder, bundle, _ = made
    case = acquire(draw_patient(3, cohort="large"), "tiny").case
    report = Grader(Bundle.load(folder / "model"), device="cpu").open(case).grade().report
    assert sum(report.probabilities.values()) == pytest.approx(1) and report.model.version == "9.9.9"
    assert bundle.info["preparation"]["spacing_mm"] == 10


def test_the_metadata_state_what_was_run(made):
    folder, bundle, said = made
    training = bundle.info["training"]
    assert training["recipe"]["encoder"] == {**asdict(TINY.encoder), "class_weights": [1.0, 1.0, 1.0]}
    assert training["encoder_cases"] == 3 and training["encoder_seeds"] == [2500, 2502] and training["cases"] == 9
    assert f"({TINY.encoder.steps} steps of {TINY.encoder.batch})" in training["how"]
    assert training["encoder_sha256"] == encoder_hash(bundle.student)
    untrained = type(bundle.student)(bundle.student.config)
    assert encoder_hash(untrained) != encoder_hash(bundle.student)
    assert "training the encoder, step 6 of 6" in [text for _, text in said]
    fractions = [fraction for fraction, _ in said]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1)
    assert set(bundle.info["evaluation"]["gains"]) == {"ct", "fdg+acetate", "ct+fdg+acetate"}
    assert bundle.trained_on.images == {"ct+fdg+acetate": 9}
    seeds = range(training["seeds"][0], training["seeds"][1] + 1)
    cases = [phantom_case("large", seed, training["recipe"]["size"]).load() for seed in seeds]
    means = [organ_mean_hu(case, CT_CLIP_HU) for case in cases]
    assert bundle.trained_on.organ_hu == (math.floor(min(means)), math.ceil(max(means))), "as grading measures it"
    text = (folder / "model" / "docs" / "README.md").read_text(encoding="utf-8")
    assert text == card(training, bundle.info["evaluation"])
    assert "patients (3 of them for the encoder), then the same for the" in text.replace("\n", " ")


def test_the_command_puts_the_tables_into_a_page(made, tmp_path, capsys):
    folder, bundle, _ = made
    page = tmp_path / "student.md"
    marks = ["made", "auc", "gains", "masks", "sets", "deciding", "unknown"]
    page.write_text("".join(f"<!-- release:{name} -->\nold\n<!-- /release -->\n" for name in marks))
    assert main(["release", "page", str(folder / "model"), str(page)]) == 0
    text, evaluation = page.read_text(encoding="utf-8"), bundle.info["evaluation"]
    assert "old" not in text and text.count("*Not run in this study.*") == 1
    for table in (auc_table(evaluation), gain_table(evaluation), masks_table(evaluation), sets_table(evaluation)):
        assert table in text
    assert "no table unknown" in capsys.readouterr().err
    assert main(["release", "page", str(tmp_path / "nowhere")]) == 2
    assert "The model folder 'nowhere' has no" in capsys.readouterr().err


def test_a_model_of_an_ordinary_training_has_no_tables(tmp_path, capsys):
    bundle = write_small_model(tmp_path / "bundle")
    for page in ([], [str(tmp_path / "page.md")]):
        assert main(["release", "page", str(bundle), *page]) == 2
        assert "The model folder 'bundle' holds no tables; give one that release make" in capsys.readouterr().err


def test_a_second_call_continues_from_stored_steps_and_gives_the_same_model(made):
    folder, bundle, _ = made
    steps = sorted((folder / "work" / "steps").glob("*.pt"))
    newest = max(steps, key=lambda path: path.stat().st_mtime_ns)
    newest.unlink()  # as if the run had been interrupted before the end of the distillation
    said: list[str] = []
    again = release(TINY, folder / "work", folder / "again", "9.9.9", on_progress=lambda _, text: said.append(text))
    assert [text for text in said if "training" in text] == ["training, distillation"]
    assert again.info["sha256"] == bundle.info["sha256"]
    assert not list((folder / "work" / "steps").glob("*checkpoint*"))


def test_other_test_patients_measure_the_same_model_again_and_train_nothing(made):
    folder, bundle, _ = made
    said: list[str] = []
    others = replace(TINY, test=(500010, 500022), conformal=(2604, 2607))
    again = release(others, folder / "work", folder / "others", "9.9.9", on_progress=lambda _, text: said.append(text))
    assert not [text for text in said if "training" in text]
    assert again.info["sha256"] == bundle.info["sha256"] and again.info["evaluation"]["cases"] == 12
    assert again.info["training"]["test_seeds"] == [500010, 500021]
    assert again.info["evaluation"]["subsets"] != bundle.info["evaluation"]["subsets"]


@pytest.mark.parametrize("part", ["validation", "test"])
def test_patients_without_one_of_the_classes_are_refused_before_the_training(made, part):
    folder, *_ = made
    first, _last = getattr(TINY, part)
    said: list[str] = []
    few = Release(replace(TINY, **{part: (first, first + 1)}), folder / "work", on_progress=lambda _, t: said.append(t))
    with pytest.raises(UsageError, match=f"No patient of {part} is of class .* or .*; give more"):
        few.run(folder / "none", "9.9.9")
    assert not [text for text in said if "training" in text] and not (folder / "none").exists()


def test_another_recipe_of_the_encoder_is_another_encoder(made):
    folder, bundle, _ = made
    other = replace(TINY, encoder=replace(TINY.encoder, steps=7))
    assert encoder_hash(Release(other, folder / "work").encoder) != encoder_hash(bundle.student)


def test_without_an_encoder_the_model_is_smaller_and_its_card_states_it(made):
    folder, with_it, _ = made
    bare = release(replace(TINY, encoder_patients=(0, 0)), folder / "work", folder / "bare", "9.9.9")
    assert bare.student.fused_size == 0 and bare.info["training"]["encoder"] == {"ships": False, "tried": False}
    assert "encoder_sha256" not in bare.info["training"] and bare.info["training"]["cases"] == 9
    assert "before distillation" not in bare.info["evaluation"]["subsets"]["ct"]
    report = Grader(bare, device="cpu").open(acquire(draw_patient(3, cohort="large"), "tiny").case).grade().report
    assert sum(report.probabilities.values()) == pytest.approx(1)
    assert len(list((folder / "work" / "crops").iterdir())) == 3  # no patient was drawn again for it
    for bundle in (with_it, bare):
        sets = bundle.info["evaluation"]["grade_sets"]
        assert set(bundle.info["grade_sets"]["least"].values()) == {0.0}  # four patients cannot guarantee anything
        assert sets["expert"]["ct"]["coverage"]["mean"] == 1 and sets["expert"]["ct"]["size"]["mean"] == 3
        named = bundle.info["evaluation"]["deciding"]
        assert named["cases"] > 1 and list(named["inputs"]["ct"])[-1] == "exact limit"
        assert "| exact limit |" in card(bundle.info["training"], bundle.info["evaluation"])


@pytest.mark.parametrize(
    "words", [["--patients", "a=1:2", "b=3:4"], ["--patients", "a=1:2", "--patients", "b=3:4"]], ids=["once", "twice"]
)
def test_several_spans_are_given_as_several_values_of_any_option(words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args(["make", "--work", "w", "--output", "o", "--model-version", "1.0.0", *words])
    assert options.patients == ["a=1:2", "b=3:4"]


def test_the_numbers_of_patients_are_printed():
    recipe = with_patients(TINY, ["train=2500:2600", "encoder_patients=2510:2520", "conformal=2700:2800"])
    assert with_patients(TINY, ["encoder_patients=9:9"]).encoder_patients == (9, 9)  # without an encoder
    assert recipe.train == (2500, 2600) and recipe.encoder_patients == (2510, 2520) and recipe.test == TINY.test
    for wrong, says in (
        (["train=2500"], "PART=FIRST:LAST"),
        (["others=1:2"], "a part of encoder_patients, train"),
        (["train=9:8"], "names no patients"),
        (["train=1:2", "train=5:6"], "names the patients of train twice; leave one"),
        *((f"{part}=9:9".split(), "names no patients") for part in ("train", "validation", "conformal", "test")),
        (["train=2500:2601"], "train and of conformal overlap"),
        (["encoder_patients=2000:2004"], "encoder_patients and of validation overlap"),
    ):
        with pytest.raises(UsageError, match=says):
            with_patients(TINY, wrong)


def test_an_interrupted_training_gives_the_same_weights(tmp_path):
    recipe = Recipe(steps=9, batch=4)
    x = torch.randn(10, 3, generator=torch.Generator().manual_seed(1))

    def trained(path, until: int) -> nn.Module:
        torch.manual_seed(0)
        net, draw = nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.5)), torch.Generator().manual_seed(2)

        def watch(step: int, _) -> None:
            if step == until:
                raise KeyboardInterrupt

        def loss(index):
            return {"loss": (net(x[index]) - torch.randn(len(index), 1, generator=draw)).square().mean()}

        optimize(net, loss, 10, recipe, watch, Checkpoint(path, "b", (draw,), every=3))
        return net

    whole = trained(tmp_path / "whole.pt", -1)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut.pt", 7)
    resumed = trained(tmp_path / "cut.pt", -1)
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
