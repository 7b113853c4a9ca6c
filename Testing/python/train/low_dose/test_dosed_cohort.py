"""A cohort at another dose: written once, opened as a cohort, the same patients, masks and grades."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from REACTKDLib.core.console import SOME_FAILED
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.modality import Modality
from REACTKDTrainLib.__main__ import main
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.low_dose.cohort import LEVELS, TEST_SEEDS
from REACTKDTrainLib.low_dose.dosed_cohort import at_dose
from REACTKDTrainLib.low_dose.field_of_view import TruncatedFieldOfView
from support.case_files import SEGMENTATION, write_case

SPEC = "phantom:external?cases=2&size=tiny"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("doses")


def test_the_command_writes_every_level_and_keeps_it(folder, capsys):
    assert main(["low-dose", "--cohort", SPEC, "--output", str(folder)]) == 0
    found = capsys.readouterr().out.splitlines()
    assert [line.split(" ")[0] for line in found] == list(LEVELS) and found[0].endswith("2 volumes of 2 cases")
    assert "6 volumes of 2 cases" in found[1] and "HU added in soft tissue" in found[1]
    files = sorted(folder.rglob("*.nii.gz"))
    assert len(files) == 2 * (1 + 3 * 3) and all(f.with_name(f.name[:-7] + ".json").exists() for f in files)
    before = [f.stat().st_mtime_ns for f in files]
    assert main(["low-dose", "--cohort", SPEC, "--output", str(folder)]) == 0
    assert [f.stat().st_mtime_ns for f in files] == before


def test_a_case_that_is_left_out_shows_in_the_exit_status_as_in_a_batch(tmp_path, capsys):
    entries = []
    for name, spec in (("whole", SPEC), ("crop", SPEC + "&whole_field=0")):
        case = replace(open_cohort(spec, whole_field=True).cases[0].load(), id=name)
        write_case(case, tmp_path / name)
        entries.append({"id": name, "ct": f"{name}/CT.nii.gz", "segmentation": f"{name}/{SEGMENTATION}", "grade": 0})
    (tmp_path / "list.json").write_text(json.dumps({"training": entries}))
    assert main(["low-dose", "--cohort", str(tmp_path / "list.json"), "--output", str(tmp_path / "out")]) == SOME_FAILED
    assert capsys.readouterr().out.splitlines()[-1].startswith("crop: left out: ")


def test_the_cohort_at_a_dose_has_the_same_patients_and_more_noise(folder):
    native = open_cohort(SPEC, whole_field=True)
    assert at_dose(native, folder, "native").cases == native.cases
    spread = {}
    for level in ("mild", "stress"):
        dosed = at_dose(native, folder, level)
        assert [(c.id, c.patient, c.grade) for c in dosed.cases] == [(c.id, c.patient, c.grade) for c in native.cases]
        assert dosed.phantom and f"CT at {level} dose" in dosed.description
        case, own = pickle.loads(pickle.dumps(dosed.cases[0].load))(), native.cases[0].load()
        assert np.array_equal(case.tumor, own.tumor) and np.array_equal(case.liver, own.liver)
        ct, before = case.volumes[Modality.CT], own.volumes[Modality.CT]
        assert np.array_equal(ct.ijk_to_ras, before.ijk_to_ras) and ct.unit == before.unit
        (record,) = (folder / level).glob(f"{own.id}_seed{TEST_SEEDS[0]}.json")
        assert json.loads(record.read_text())["calibrated"], "a share of the dose is one of the scan's own dose"
        spread[level] = float((ct.array.astype(float) - before.array)[own.liver].std())
    assert spread["stress"] > 2 * spread["mild"] > 2
    other = at_dose(native, folder, "mild", TEST_SEEDS[1])
    prints = {c.fingerprint for cohort in (native, at_dose(native, folder, "mild"), other) for c in cohort.cases}
    assert len(prints) == 6, "fingerprints of doses must differ"


def test_a_crop_is_refused_when_it_is_opened(folder):
    crop = at_dose(open_cohort(SPEC), folder, "mild")
    with pytest.raises(TruncatedFieldOfView):
        crop.cases[0].load()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cohort", SPEC, "--dose", "0.5"], "--dose goes with --ct"),
        (["--cohort", SPEC, "--seed", "0"], "--seed goes with --ct"),
        (["--cohort", "phantom:clinic"], "no phantom cohort"),
        (["--cohort", SPEC, "--ct", "x.nii"], "not allowed with argument"),
        (["--cohort", SPEC + "&whole_field=0"], "No case of the cohort could be simulated; the first:"),
    ],
)
def test_each_fault_is_reported_in_one_sentence(arguments, words, tmp_path, capsys):
    assert main(["low-dose", *arguments, "--output", str(tmp_path / "out")]) == 2
    found = capsys.readouterr().err
    assert words in found and found.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_unknown_level_is_refused_and_the_four_are_named(folder):
    with pytest.raises(UsageError, match="native, mild, severe, stress"):
        at_dose(open_cohort(SPEC), folder, "half")
