# %% [markdown]
"""# Grade cases from Python

For radiologists and physicists with images and masks on disk. Open this file as a notebook (VS Code, Jupyter with
jupytext), or run it as a script. The output of a cell is given after `# ->`; a test runs all cells and compares.

**Everything here is a digital phantom. The shipped model is not for clinical use.**
"""

# %%
from pathlib import Path

from REACTKDLib import grade, load_model, read_case, read_cases
from REACTKDLib.__main__ import main as reactkd

# %% [markdown]
# ## Two cases to try
#
# From a shell: `reactkd phantom --grade poor --seed 3 --size small --output cases/poor`. Skip this step if you have
# your own cases.

# %%
for name in ("poor", "well"):
    reactkd(["phantom", "--grade", name, "--seed", "3", "--size", "small", "--output", f"cases/{name}"])
print(sorted(path.name for path in Path("cases/poor").iterdir()))
# -> ['ACETATE.nii.gz', 'CT.nii.gz', 'FDG.nii.gz', 'segmentation.seg.nrrd', 'truth.json']

# %% [markdown]
# ## One case
#
# First the case is read and checked. Any one of the three images is sufficient; each can be a NIfTI, NRRD or MetaImage
# file, or the folder of a DICOM series. `findings` contains the findings of the checks.

# %%
folder = Path("cases/poor")
case = read_case(
    ct=folder / "CT.nii.gz",
    fdg=folder / "FDG.nii.gz",
    acetate=folder / "ACETATE.nii.gz",
    segmentation=folder / "segmentation.seg.nrrd",
    case_id="phantom-3",
)
print("images:", [modality.value for modality in case.modalities])
# -> images: ['ct', 'fdg', 'acetate']

# %%
model = load_model(device="cpu")  # once, for all cases
report = grade(case, model=model)
for name, probability in report.probabilities.items():
    print(f"{name}: {probability:.3f}")
print("grade:", report.grade)
# -> grade: poor

# %% [markdown]
# ## Which regions determined the grade
#
# Shares are parts of the grade's probability. Together with the probability without any region they add up to it.

# %%
parts = [report.without_regions[report.grade], *(region.share for region in report.regions)]
for region in report.regions:
    print(f"{region.name}: share {region.share:+.3f}")
print("shares add up:", abs(sum(parts) - report.probabilities[report.grade]) < 1e-6)
# -> shares add up: True

# %%
figure = report.show()  # a notebook shows it; here it is saved
figure.savefig("report.png")
print("saved report.png:", Path("report.png").stat().st_size > 10_000)
# -> saved report.png: True

# %% [markdown]
# `report.regions.to_dataframe()` returns the same as a pandas table, and `report.write_json("report.json")` saves the
# whole report.
#
# ## Corrected masks
#
# An open case keeps its encoded images, so a corrected mask is graded immediately.

# %%
session = model.open(case)
first = session.grade().report
lesion = session.grade().regions.labels == 2  # label 1 is the liver without its lesions
without = session.grade(tumor=case.tumor & ~lesion).report
print(f"{first.grade} with the first lesion, {without.grade} without it")
print("regions less:", len(first.regions) - len(without.regions))
# -> regions less: 1

# %% [markdown]
# ## A list
#
# A list is a folder of case folders, a CSV, or a datalist (.json) as in MONAI. A case that cannot be read is reported
# and skipped.

# %%
faults = []
answers = {
    case.id: grade(case, model=model).grade
    for case in read_cases("cases", on_fault=lambda name, error: faults.append((name, str(error))))
}
print("grades:", answers)
print("graded:", sorted(answers), "faults:", faults)
# -> graded: ['poor', 'well'] faults: []

# %% [markdown]
# For hundreds of cases, with a table and a folder for each case: `reactkd batch --worklist cases --output results`.
#
# ## Several models
#
# `load_model(["run/ensemble"])`, or several folders, gives the mean prediction; `report.ensemble.spread["poor"]` is the
# spread of the models.
