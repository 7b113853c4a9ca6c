# %% [markdown]
"""# Train a model from Python

For researchers with graded cases. This example trains on a few tiny digital phantoms: it shows how to call the library,
and its results mean nothing. The output of a cell is given after `# ->`; a test runs all cells and compares.
"""

# %%
import json
from pathlib import Path

from REACTKDLib import load_model
from REACTKDTrainLib import evaluate, open_cohort, train

# %% [markdown]
# ## The cohort
#
# A cohort is a datalist (.json), a CSV with a grade column, a folder in a known layout, or phantoms by name (here of
# the first edition, which are generated quickly).

# %%
cohort = "phantom:hospital?cases=16&size=tiny&biology=independent"
print("graded cases:", len(open_cohort(cohort).graded))
# -> graded cases: 16

# %% [markdown]
# ## The settings
#
# A file contains only the settings to change; the others have defaults for the size of the cohort. These are minimal.

# %%
settings = {
    "data": {"views": 1, "mask_variants": 0, "doses": False},
    "student": {"filters": 4, "widths": [4, 8, 8], "hidden": 12, "cbam": False},
    "student_heads": {"epochs": 2},
}
Path("settings.json").write_text(json.dumps(settings))
run = train(cohort, "run", method="none", folds=2, student_epochs=1, config=Path("settings.json"), device="cpu", seed=1)
print("trained:", run.bundle.name, "and", run.ensemble.name)
# -> trained: bundle and ensemble

# %% [markdown]
# `method="none"` trains on the grades alone. Without it, two teachers are trained first and distilled (`react-kd`).
#
# ## Cross-validation results
#
# Each case was predicted by the fold in which it was held out; the 95 % intervals are from a bootstrap over patients.

# %%
for inputs, found in run.metrics["inputs"].items():
    low, high = found["macro_auc_interval95"]
    print(f"{inputs}: macro AUC {found['macro_auc']:.2f} ({low:.2f} to {high:.2f})")
print(sorted(run.metrics["inputs"]))
# -> ['acetate', 'ct', 'ct+acetate', 'ct+fdg', 'ct+fdg+acetate', 'fdg', 'fdg+acetate']

# %% [markdown]
# ## External test
#
# Evaluate the model folder, or the ensemble of all folds (`run.ensemble`), on cases of another source, with every
# subset of their images.

# %%
external = "phantom:external?cases=6&size=tiny&biology=independent"
found = evaluate(run, external, "external", device="cpu")
print("cases:", found["n"] + found["cases_without_answer"], f"macro AUC: {found['macro_auc']:.2f}")
print(sorted(path.name for path in Path("external").glob("*.csv")))
# -> ['predictions.csv', 'predictions_by_inputs.csv']

# %%
together = evaluate(load_model(run.ensemble, "cpu"), external)
print(f"macro AUC of the ensemble: {together['macro_auc']:.2f}")
print("the same cases:", together["n"] == found["n"])
# -> the same cases: True

# %% [markdown]
# You can use the model folder everywhere: `reactkd grade --bundle run/bundle`, the panel's *Settings*, and MONAI's own
# commands (`python -m monai.bundle run --config_file configs/inference.json --datalist cases.json`).
