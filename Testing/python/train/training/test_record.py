"""run.json of an output folder: what a resumed run is compared with."""

from __future__ import annotations

from pathlib import Path

import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.record import open_folder


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"configuration": [1], "cohorts": {}}', '{"cohorts": 1}'])
def test_a_record_of_another_kind_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    record = {"configuration": TrainingConfig().to_dict(), "cohorts": {}}
    with pytest.raises(UsageError, match="run.json in the output folder is not readable"):
        open_folder(tmp_path, record, resume=True)
