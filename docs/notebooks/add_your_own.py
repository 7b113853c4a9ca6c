# %% [markdown]
"""# Try out an explanation value and a distillation method

For developers. Each will finally be one file; this notebook tries them out first. The output of a cell is given after
`# ->`; a test runs all cells and compares.
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
# ## An explanation value
#
# It is computed from the outputs of the head: `weights` (m,) and `scores` (m, K), for the regions in order, followed by
# the number and shape of lesions. This value is the logit of the predicted grade from each region alone.

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
print("scores of the regions:", np.round(scores, 2))
print("one for each region:", len(scores) == len(result.report.regions))
# -> one for each region: True

# %% [markdown]
# Check it against a known value: weight times score is the contribution, which the report contains.

# %%
known = [region.contribution[result.report.grade] for region in result.report.regions]
print("weight times score is the contribution:", np.allclose(result.votes.weights * scores, known))
# -> weight times score is the contribution: True

# %% [markdown]
# Save it as `VALUE` in a file in `REACTKD/REACTKDLib/core/reports/values`, and it appears in the panel's table, among
# the colors, on the page, in CSV, JSON and DICOM. No other file needs to name it.
#
# ## A distillation method
#
# A subclass of `Distiller` returns its loss terms, each a mean over the cases of the batch. This one pulls the
# student's logits toward the teachers'.


# %%
class Averaging(Distiller, name="mean-of-two"):
    """|z_S - z_T|^2, the mean over grades."""

    label = "Averaging"

    def forward(self, student, teacher, views):
        return self.logit_terms(student.logits, teacher, views)

    def logit_terms(self, student, teacher, views):
        return {"mean": self.config.feature * (student - teacher.logits).square().mean()}


# %% [markdown]
# Test it with values computed by hand: two cases, three grades, every logit off by 3, weight 2.

# %%
distiller = Averaging(DistillationConfig(feature=2.0), student_width=8, teacher_width=8)
teacher = GraphOutput(torch.zeros(2, 3), [], [], torch.zeros(2, 8))
student = torch.full((2, 3), 3.0, requires_grad=True)
term = distiller.logit_terms(student, teacher, [])["mean"]
print("loss:", term.item())
# -> loss: 18.0

# %% [markdown]
# The loss must decrease with a small step against its gradient.

# %%
(slope,) = torch.autograd.grad(term, student)
with torch.no_grad():
    after = distiller.logit_terms(student - 0.1 * slope, teacher, [])["mean"]
print("the loss decreases:", after.item() < term.item())
# -> the loss decreases: True

# %% [markdown]
# Save it as `mean_of_two.py` in `REACTKDTrain/REACTKDTrainLib/distillation/methods`, and it is available in
# `train(..., method="mean-of-two")`, on the command line, in the Slicer module and in the study. To add a cohort, a
# section of the panel or a keyboard shortcut, see [CONTRIBUTING](../../CONTRIBUTING.md).
