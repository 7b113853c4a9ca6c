"""The last steps: rungs, the student above the best of them, what it is worth, the bundle.

The student starts from the head on fixed moments, with its path from the encoder at zero, so it departs from that rung
only where the encoder earns it; then it is tuned on whole-volume encodings, gently, for the encoder has seen them.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import numpy as np
import torch

from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.node_network import NodeBatch
from REACTKDLib.core.student.prepare import Preparation
from REACTKDLib.core.writing.tensor_files import write_tensors
from REACTKDTrainLib.evaluation.auc import class_aucs, macro_auc
from REACTKDTrainLib.evaluation.bootstrap import bootstrap_weights, interval95
from REACTKDTrainLib.evaluation.intervals import paired_auc_difference
from REACTKDTrainLib.release.encode import SUBSETS, encode_cohort
from REACTKDTrainLib.release.heads import HeadRecipe, predict, train_head
from REACTKDTrainLib.release.rungs import MOMENT_RUNGS, bayes_limit, hand_logistic, moment_student, probabilities
from REACTKDTrainLib.release.tables import Table, load_table

#: the subsets that the paper's Table III compares, by what they are called there
NAMED = {"CT": ("ct",), "PET": ("fdg", "acetate"), "all": ("ct", "fdg", "acetate")}
_DRAWS = 1000
ENCODER_CASES = 1563  # patients whose crops trained the encoder: the first of the training seeds


def fit_encoder_scales(student: Student, table: Table, fused: dict[str, torch.Tensor]) -> None:
    """Set the standardization of encoder moments from tumor nodes of whole volumes, over all subsets."""
    student.fit_learned_scale(NodeBatch(table.topology, {}, nodes, None, table.present) for nodes in fused.values())


def with_encoder(
    base: Student, encoder: dict[str, torch.Tensor], table: Table, fused: dict[str, torch.Tensor], recipe: HeadRecipe
) -> Student:
    """Put trained encoders under a head on fixed moments, and tune the whole head on their encodings of `table`."""
    student = bare_student(encoder, base.config.dropout)
    student.load_state_dict(base.state_dict(), strict=False)
    torch.nn.init.zeros_(student.fused_in.weight)
    torch.nn.init.zeros_(student.fused_in.bias)
    fit_encoder_scales(student, table, fused)
    return train_head(student, table, replace(recipe, steps=200, rate=3e-4), fused)


def bare_student(encoder: dict[str, torch.Tensor], dropout: float) -> Student:
    """A student with trained encoders and nothing else trained."""
    student = Student(StudentConfig(dropout=dropout))
    student.load_state_dict({k: v for k, v in encoder.items() if k.startswith("encoders.")}, strict=False)
    return student


def calibrate(student: Student, table: Table, fused: dict[str, torch.Tensor] | None) -> float:
    """Scale the class scores by one temperature fitted on held-out cases with all inputs; return it.

    Scores and bias shrink alike, so contributions still add up and no ranking changes.
    """
    logits = predict(student, table, SUBSETS[-1], fused)
    candidates = np.geomspace(0.3, 3.0, 80)
    loss = [float(torch.nn.functional.cross_entropy(logits / t, table.grade)) for t in candidates]
    best = float(candidates[int(np.argmin(loss))])
    with torch.no_grad():
        student.head.classify.weight /= best
        student.head.bias /= best
    return best


def score(student: Student, table: Table, fused=None) -> float:
    """Mean macro AUC over the named subsets: what choices are made by, on validation cases only."""
    grade = table.grade.numpy()
    return float(np.mean([macro_auc(grade, probabilities(student, table, s, fused)) for s in NAMED.values()]))


def choose(make, table: Table, recipes: list[tuple[HeadRecipe, dict]], fused=None, label: str = ""):
    """Train with each recipe and keep the best on validation cases; the same budget for every rung."""
    best = None
    for recipe, config in recipes:
        student = make(recipe, config)
        value = score(student, table, fused)
        print(f"{label}: {config} steps {recipe.steps}: {value:.4f}", file=sys.stderr, flush=True)
        if best is None or value > best[0]:
            best = (value, student, recipe, config)
    return best


def recipes(seed: int = 0) -> list[tuple[HeadRecipe, dict]]:
    """The tuning budget of every rung: six trials. Longer runs and wider heads overfit a few thousand patients."""
    return [
        (HeadRecipe(steps=steps, modality_dropout=absent, seed=seed), {"dropout": dropout})
        for steps, absent, dropout in (
            (400, 0.3, 0.3), (800, 0.3, 0.1), (800, 0.3, 0.3), (400, 0.5, 0.1), (800, 0.5, 0.1), (800, 0.5, 0.3)
        )
    ]  # fmt: skip


def described(grade: np.ndarray, p: np.ndarray, weights: np.ndarray) -> dict:
    """AUC (macro, of each class, interval) and accuracy of probabilities (N, 3). weights: (draws, N)."""
    each, spread = class_aucs(grade, p), class_aucs(grade, p, weights).mean(axis=1)
    return {
        "auc": round(float(each.mean()), 4),
        "interval95": np.round(interval95(spread), 4).tolist(),
        "auc_per_class": np.round(each, 4).tolist(),
        "accuracy": round(float((p.argmax(axis=1) == grade).mean()), 4),
    }


def gain(grade: np.ndarray, a: np.ndarray, b: np.ndarray) -> dict:
    """'difference' of the macro AUC of a minus that of b, and its 'interval95'."""
    found = paired_auc_difference(grade, a, b, draws=_DRAWS)
    return {name: np.round(found[name], 4).tolist() for name in ("difference", "interval95")}


def evaluate(students: dict[str, tuple[Student, dict | None]], train: Table, test: Table) -> dict:
    """Every rung on every subset, and the student's paired gain over each of the rungs on the named subsets."""
    grade = test.grade.numpy()
    weights = bootstrap_weights(grade, draws=_DRAWS)
    result: dict = {"cases": len(test), "subsets": {}, "gains": {}}
    for subset in SUBSETS:
        name = "+".join(subset)
        p = {
            "Bayes limit": bayes_limit(test, subset),
            "Bayes limit with masks": bayes_limit(test, subset, masks=True),
        }
        p |= {rung: probabilities(s, test, subset, fused) for rung, (s, fused) in students.items()}
        p["logistic regression by hand"] = hand_logistic(train, test, subset)
        result["subsets"][name] = {rung: described(grade, value, weights) for rung, value in p.items()}
        limit = result["subsets"][name]["Bayes limit with masks"]["auc"]
        for value in result["subsets"][name].values():
            value["share_of_the_way"] = round((value["auc"] - 0.5) / (limit - 0.5), 4)
        if subset in NAMED.values():
            result["gains"][name] = {rung: gain(grade, p["student"], p[rung]) for rung in p if rung != "student"}
    return result


def main() -> None:
    """`python -m REACTKDTrainLib.release.ship WORK OUTPUT`: from extracted tables and encoder to the bundle.

    WORK holds the tables train, encoded, validation and test (see `extract`; `encoded` are the training patients whose
    whole volumes are encoded), encoder.pt, and the prepared patients in data/.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    tables = {n: load_table(options.work / n) for n in ("train", "encoded", "validation", "test")}
    train, validation, test = tables["train"], tables["validation"], tables["test"]
    encoder = torch.load(options.work / "encoder.pt", weights_only=True)
    fused = {n: encodings(encoder, options.work, n, tables[n]) for n in ("encoded", "validation", "test")}
    students: dict[str, tuple[Student, dict | None]] = {}
    for rung, blocks in MOMENT_RUNGS.items():
        value, student, recipe, config = choose(
            lambda r, c, blocks=blocks: moment_student(blocks, train, r, **c), validation, recipes(), label=rung
        )
        students[rung] = (student, None)
    student = with_encoder(student, encoder, tables["encoded"], fused["encoded"], recipe)
    temperature = calibrate(student, validation, fused["validation"])
    students["student"] = (student, fused["test"])
    evaluation = evaluate(students, train, test)
    training = {
        "cohort": "digital phantom, large",
        "cases": len(train),
        "encoder_cases": ENCODER_CASES,
        "encoded_cases": len(tables["encoded"]),
        "validation_cases": len(validation),
        "seeds": [int(train.seed.min()), int(train.seed.max())],
        "validation_seeds": [int(validation.seed.min()), int(validation.seed.max())],
        "test_seeds": [int(test.seed.min()), int(test.seed.max())],
        "grid_mm": 2.5,
        "head": asdict(recipe) | config,
        "temperature": round(temperature, 3),
        "made": date.today().isoformat(),
        "how": (
            "encoder on lesion crops of 80 mm with augmentation, focal loss and modality dropout; head on moments of "
            "whole volumes, then tuned with the encoder's; no teacher, no distillation"
        ),
    }
    save(options.output, student, training, evaluation)


def encodings(encoder: dict, work: Path, name: str, table: Table) -> dict[str, torch.Tensor]:
    """Whole-volume encodings of a table, kept on disk beside it."""
    kept = work / f"{name}.fused.pt"
    if kept.exists():
        return torch.load(kept, weights_only=True)
    fused = encode_cohort(
        bare_student(encoder, 0.0).eval(),
        work / "data",
        table.seed.tolist(),
        lambda n, total: print(f"{name}: encoded {n} of {total}", file=sys.stderr, flush=True),
    )
    write_tensors(kept, fused)
    return fused


def save(folder: Path, student: Student, training: dict, evaluation: dict, version: str = "1.0.0") -> Bundle:
    """Write the bundle that the module ships."""
    metadata = {
        "reactkd": {
            "name": "reactkd-phantom",
            "version": version,
            "clinical_use": "trained on digital phantoms: not for clinical use",
            "classes": list(GRADES),
            "organ": "Liver",
            "lesion": "Tumor",
            "modalities": list(student.config.modalities),
            "preparation": Preparation().to_metadata(),
            "training": training,
            "evaluation": evaluation,
        }
    }
    return Bundle.save(folder, student, metadata)


if __name__ == "__main__":
    main()
