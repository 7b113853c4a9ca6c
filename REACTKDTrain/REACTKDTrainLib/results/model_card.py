"""The model card: one set of sections for the shipped model, for a training's and for an ensemble."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelCard:
    """The sections of a model card (Mitchell et al. 2019, doi 10.1145/3287560.3287596), each in Markdown.

    name: of the model. clinical_use: the sentence of its metadata. details: what it is, and how to use it.
    intended_use: what it is for. training_data, evaluation, limitations: as their names say. more: further sections,
    with their headings.
    """

    name: str
    clinical_use: str
    details: str
    intended_use: str
    training_data: str
    evaluation: str
    limitations: str
    more: str = ""

    def __str__(self) -> str:
        sections = {
            "Model details": self.details,
            "Intended use": f"{self.intended_use} **{self.clinical_use[:1].upper()}{self.clinical_use[1:]}.**",
            "Training data": self.training_data,
            "Evaluation": self.evaluation,
            "Limitations": self.limitations,
        }
        parts = [f"# {self.name}", *(f"## {title}\n\n{text.strip()}" for title, text in sections.items())]
        return "\n\n".join([*parts, *([self.more.strip()] if self.more else [])]) + "\n"
