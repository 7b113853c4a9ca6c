"""The notebooks of the docs run unchanged and show what they describe."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.notebooks import cells_of, run

NOTEBOOKS = sorted((Path(__file__).resolve().parents[3] / "docs" / "notebooks").glob("*.py"))
#: user's notebook -> a name that must be defined at the end
LEFT = {"grade_cases": "answers", "train_a_model": "together", "add_your_own": "distiller"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_its_documented_output(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sum(bool(cell.shown) for cell in cells_of(path)) >= 4, "the notebook must show checked values"
    assert LEFT[path.stem] in run(path)


def test_each_kind_of_user_has_a_notebook():
    assert {path.stem for path in NOTEBOOKS} == set(LEFT)


def test_a_wrong_notebook_output_is_reported(tmp_path):
    (tmp_path / "wrong.py").write_text("# %% [markdown]\n# text\n\n# %%\nprint('so:', 1 + 1)\n# -> so: 3\n")
    with pytest.raises(AssertionError, match="line 4: .*so: 2"):
        run(tmp_path / "wrong.py")
