# %% [markdown]
"""# Train a model from Python

For a researcher with graded cases. This one trains on a few tiny digital phantoms and says nothing of any liver: it
shows the calls. What stands behind `# ->` is what the cell shows; a test runs all cells and compares.
"""

# %%
import json
from pathlib import Path

from REACTKDLib import load_model
from REACTKDTrainLib import evaluate, open_cohort, train

# %% [markdown]
# ## The cohort
#
# A datalist (.json), a CSV with a grade column, a folder in a known layout, or phantoms by name (of the first edition,
# which are drawn quickly).

# %%
cohort = "phantom:hospital?cases=16&size=tiny&biology=independent"
len(open_cohort(cohort).graded)
# -> 16

# %% [markdown]
# ## The settings
#
# A file changes what it names; everything else suits the cohort's size. These are as small as can be.

# %%
settings = {
    "data": {"views": 1, "mask_variants": 0, "doses": False},
    "student": {"filters": 4, "widths": [4, 8, 8], "hidden": 12, "cbam": False},
    "student_heads": {"epochs": 2},
}
Path("settings.json").write_text(json.dumps(settings))
run = train(cohort, "run", method="none", folds=2, student_epochs=1, config=Path("settings.json"), device="cpu", seed=1)
run.bundle.name, run.ensemble.name
# -> ('bundle', 'ensemble')

# %% [markdown]
# `method="none"` learns from the grades alone. Leave it out, and two teachers are trained first and distilled
# (`react-kd`).
#
# ## Out of fold
#
# Each case was measured by the fold that did not see it; intervals are 95 %, bootstrap over patients.

# %%
sorted(run.metrics["inputs"])
# -> ['acetate', 'ct', 'ct+acetate', 'ct+fdg', 'ct+fdg+acetate', 'fdg', 'fdg+acetate']

# %% [markdown]
# ## Another cohort
#
# The model folder, or all folds as one (`run.ensemble`), on cases of another source, with every subset of their
# images.

# %%
external = "phantom:external?cases=6&size=tiny&biology=independent"
found = evaluate(run, external, "external", device="cpu")
found["n"] + found["cases_without_answer"], sorted(path.name for path in Path("external").glob("*.csv"))
# -> (6, ['predictions.csv', 'predictions_by_inputs.csv'])

# %%
together = evaluate(load_model(run.ensemble, "cpu"), external)
together["n"] == found["n"]
# -> True

# %% [markdown]
# The model folder works everywhere: `reactkd grade --bundle run/bundle`, the panel's *Settings*, and MONAI's own
# commands (`python -m monai.bundle run --config_file configs/inference.json --datalist cases.json`).
