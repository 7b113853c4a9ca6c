"""An environment in which NumPy and its BLAS use the instructions of a processor of 2013, whatever this one offers.

Cosine, exponential and products of matrices end in other last digits with AVX-512 than with AVX2. What is compared with
stored bits is computed by a process of its own in this environment.
"""

from __future__ import annotations

import os

import numpy as np


def avx2_environment() -> dict[str, str] | None:
    """`os.environ` for such a process; None where the processor does not have these instructions (ARM, for one)."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    if not {"AVX2", "X86_V3"} & set(found):  # the name until NumPy 2.3, and since
        return None
    newer = [name for name in found if name.startswith("AVX512") or name == "X86_V4"]
    own = {"NPY_DISABLE_CPU_FEATURES": " ".join(newer), "OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own}
