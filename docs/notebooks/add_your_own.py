# %% [markdown]
"""# Try a value of the explanation and a method of distillation

For a developer. Both are a file each in the end; here they are tried before they are one. What stands behind `# ->`
is what the cell shows; a test runs all cells and compares.
"""

# %%
import numpy as np
import torch

from REACTKDLib import load_model, read_case
from REACTKDLib.__main__ import main as reactkd
from REACTKDLib.core.reports.region_value import RegionValue
from REACTKDLib.core.text import tr as _
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import Distiller
from REACTKDTrainLib.models.outputs import GraphOutput

# %% [markdown]
# ## A value of each region
#
# It is computed from the head's votes: `weights` (m,), `scores` (m, K), of the regions in order and last of the
# number and shape of lesions. This one is the logit of the predicted grade by each region alone.

# %%
value = RegionValue(
    "score",
    lambda votes, predicted, regions: votes.scores[:, predicted],
    title=_("Score"),
    tip=_("Logit of the predicted grade by this region alone."),
    choice=_("Score of its own"),
    legend=_("score"),
    decimals=2,
    signed=True,
    of_logits=True,  # an ensemble has no logits, so it does not claim this one
)

# %%
reactkd(["phantom", "--grade", "poor", "--seed", "3", "--size", "small", "--output", "case"])
images = {name: f"case/{name.upper()}.nii.gz" for name in ("ct", "fdg")}
result = load_model(device="cpu").open(read_case(**images, segmentation="case/segmentation.seg.nrrd")).grade()
predicted = list(result.report.probabilities).index(result.report.grade)
scores = value.compute(result.votes, predicted, [*result.regions.regions, None])
len(scores) == len(result.report.regions)
# -> True

# %% [markdown]
# It must agree with what is known: weight times score is the contribution that the report holds already.

# %%
known = [region.contribution[result.report.grade] for region in result.report.regions]
np.allclose(result.votes.weights * scores, known)
# -> True

# %% [markdown]
# Saved as `VALUE` in a file of `REACTKD/REACTKDLib/core/reports/values`, it stands in the panel's table, among the
# colors, on the page, in CSV, JSON and DICOM; nothing else names it.
#
# ## A method of distillation
#
# A subclass of `Distiller` with its terms, each a mean over the cases of the batch. This one pulls the student's
# logits to the teachers'.


# %%
class Averaging(Distiller, name="mean-of-two"):
    """|z_S - z_T|^2, the mean over grades."""

    label = "Averaging"

    def forward(self, student, teacher, views):
        return self.logit_terms(student.logits, teacher, views)

    def logit_terms(self, student, teacher, views):
        return {"mean": self.config.feature * (student - teacher.logits).square().mean()}


# %% [markdown]
# Its test holds values that were worked out by hand: two cases, three grades, every logit off by 3, weight 2.

# %%
distiller = Averaging(DistillationConfig(feature=2.0), student_width=8, teacher_width=8)
teacher = GraphOutput(torch.zeros(2, 3), [], [], torch.zeros(2, 8))
student = torch.full((2, 3), 3.0, requires_grad=True)
term = distiller.logit_terms(student, teacher, [])["mean"]
term.item()
# -> 18.0

# %% [markdown]
# And it must pull: a small step against its gradient makes it smaller.

# %%
(slope,) = torch.autograd.grad(term, student)
with torch.no_grad():
    after = distiller.logit_terms(student - 0.1 * slope, teacher, [])["mean"]
after.item() < term.item()
# -> True

# %% [markdown]
# Saved as `mean_of_two.py` in `REACTKDTrain/REACTKDTrainLib/distillation/methods`, `train(...,
# method="mean-of-two")`, the command line, the module in Slicer and the study have it. What else a cohort, a section
# of the panel or a key takes: [CONTRIBUTING](../../CONTRIBUTING.md).
