"""An environment in which NumPy and its BLAS use the instructions of a processor of 2013, on any newer processor.

Cosine, exponential and matrix products differ in the last digits between AVX-512 and AVX2. Values that are compared
with stored bits are therefore computed in a separate process in this environment.
"""

from __future__ import annotations

import os

import numpy as np


def avx2_environment() -> dict[str, str] | None:
    """Return `os.environ` for such a process; None if the processor lacks these instructions (such as ARM)."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    if not {"AVX2", "X86_V3"} & set(found):  # names until NumPy 2.3, and since
        return None
    newer = [name for name in found if name.startswith("AVX512") or name == "X86_V4"]
    own = {"NPY_DISABLE_CPU_FEATURES": " ".join(newer), "OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own}
