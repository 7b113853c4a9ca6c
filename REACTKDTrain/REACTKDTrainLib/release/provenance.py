"""Settings and data of a release, for the metadata of the model."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from REACTKDTrainLib.cohorts.sizes import preparation_of
from REACTKDTrainLib.release.recipe import ReleaseRecipe

PARTS = ("train", "validation", "conformal", "test")


def provenance(
    recipe: ReleaseRecipe,
    decision: Mapping[str, Any],
    encoder_sha256: str | None,
    head: Mapping[str, Any],
    distillation: Mapping[str, Any],
) -> dict[str, Any]:
    """Return every recipe as it was used, numbers of patients, and the choices made.

    decision: on the encoder, see `Release.decision`. head, distillation: the records of `distill.best_baseline` and
    `distill.distill`, the latter with its 'temperature'.
    """
    spans = {part: getattr(recipe, part) for part in ("encoder_patients", *PARTS)}
    count = {part: last - first for part, (first, last) in spans.items()}
    named = {"encoder_": "encoder_patients", "": "train", "distillation_": "train"} | {f"{p}_": p for p in PARTS[1:]}
    seeds = {f"{name}seeds": [spans[p][0], spans[p][1] - 1] for name, p in named.items() if count[p]}
    return {
        "cohort": f"digital phantom, large, biology {recipe.biology}",
        "cases": count["train"],
        "encoder_cases": count["encoder_patients"],
        "distillation_cases": count["train"],
        "validation_cases": count["validation"],
        "conformal_cases": count["conformal"],
        **seeds,
        "grid_mm": preparation_of(recipe.size).spacing_mm,
        "recipe": recipe.to_dict(),
        **({} if encoder_sha256 is None else {"encoder_sha256": encoder_sha256}),
        "encoder": dict(decision),
        "head": dict(head),
        "distillation": {k: v for k, v in distillation.items() if k != "temperature"},
        "temperature": round(distillation["temperature"], 3),
        "made": date.today().isoformat(),
        "how": _how(recipe, decision["ships"]),
    }


def _how(recipe: ReleaseRecipe, encoder: bool) -> str:
    crop = recipe.crops.pooled * preparation_of(recipe.size).spacing_mm
    head = "head on moments of whole volumes"
    if encoder:
        first = f"encoder on lesion crops of {crop:g} mm ({recipe.encoder.steps} steps of {recipe.encoder.batch}) with "
        first += f"augmentation, focal loss and modality dropout; {head}, then tuned with the encoder's"
    else:
        first = f"{head} and of their bands and shells, without a learned encoder"
    return f"{first}; then heads distilled from an ensemble of teachers that see all images and the expert's masks"
