"""Fixtures shared by the tests of the training loop."""

from __future__ import annotations

import pytest
from torch import Tensor

from support.line_stage import trainer, weights


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """The final weights of a training of the small stage that is neither stopped nor killed."""
    run = trainer(tmp_path_factory.mktemp("whole"))
    run.run()
    return weights(run)
