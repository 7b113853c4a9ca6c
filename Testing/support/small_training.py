"""Settings for trainings that take seconds: few tiny phantoms, small networks, one epoch."""

from __future__ import annotations

import json
from pathlib import Path

#: overrides of the settings for the size 'tiny'; without doses, since noise needs the whole field of view
QUICK = {
    "data": {"doses": False, "views": 2, "mask_variants": 1},
    "teacher": {
        "feature_size": 6,
        "heads": [1, 1, 2, 2],
        "depths": [1, 1, 1, 1],
        "window": 2,
        "width": 8,
        "hidden": 12,
    },
    "student": {"filters": 4, "widths": [4, 8, 8], "hidden": 12, "cbam": True},
    "teacher_heads": {"epochs": 4, "every": 2},
    "student_heads": {"epochs": 4, "every": 2},
    "teacher_stage": {"epochs": 2, "batch": 4, "rate": 0.003},
    "student_stage": {"epochs": 2, "batch": 4, "rate": 0.003},
}
TRAIN_SCRIPT = Path(__file__).resolve().parents[2] / "REACTKDTrain" / "REACTKDTrain.py"
COHORT = "phantom:hospital?cases=16&size=tiny"


def write_config(folder: Path, **changes) -> Path:
    """Write QUICK, changed at the top level, to a file."""
    path = Path(folder) / "config.json"
    path.write_text(json.dumps(QUICK | changes))
    return path
