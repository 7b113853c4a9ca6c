"""Starting a student from the weights of another one."""

from __future__ import annotations

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.network import Student


def warm_start(student: Student, folder: str) -> bool:
    """Take from a model folder the weights that fit by name and shape; True when the maps are no longer its own,
    because only one of the two has CBAM3D.

    Raises: what `Bundle.load` raises; UsageError when nothing fits.
    """
    own = student.state_dict()
    initial = Bundle.load(folder).student
    given = initial.state_dict()
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    if not fitting:
        raise UsageError("No weight of the initial model fits the student; give a model of the same configuration.")
    student.load_state_dict(fitting, strict=False)
    return student.config.cbam != initial.config.cbam
