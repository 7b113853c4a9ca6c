"""Package layout for pip; everything else is in pyproject.toml.

Slicer wants one folder per module, so the two packages have two roots, and it wants the shipped student under the
module's Resources. Here `REACTKD/Resources` is packaged as `REACTKDLib/_resources`, where
`REACTKDLib.core.student.bundle` looks when there is no Slicer module beside it.
"""

from setuptools import find_packages, setup

MODULE, TRAINING, RESOURCES = "REACTKD", "REACTKDTrain", "REACTKDLib._resources"

setup(
    packages=[
        *find_packages(MODULE, include=["REACTKDLib*"]),
        *find_packages(TRAINING, include=["REACTKDTrainLib*"]),
        RESOURCES,
    ],
    package_dir={
        "REACTKDLib": f"{MODULE}/REACTKDLib",
        "REACTKDTrainLib": f"{TRAINING}/REACTKDTrainLib",
        RESOURCES: f"{MODULE}/Resources",
    },
    package_data={"REACTKDLib": ["*.json", "**/*.json", "**/*.css", "**/*.j2"], RESOURCES: ["*.txt", "Models/**/*"]},
    include_package_data=False,
)
