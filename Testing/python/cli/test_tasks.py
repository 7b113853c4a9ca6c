"""Another task end to end: kidney masses by CT alone, two classes, with the ordinary commands and one task file."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest

from REACTKDLib import grade
from REACTKDLib.commands.batch import _jobs as batch_jobs
from REACTKDLib.core.cases.case_list import open_case_list
from REACTKDLib.core.cases.worklist import read_worklist
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.reports.report import GradeReport, report_schema
from REACTKDLib.core.student.bundle import Bundle, shipped_bundle_folder
from REACTKDLib.core.task import HCC_GRADE
from REACTKDTrainLib import evaluate, open_cohort
from REACTKDTrainLib.__main__ import main as train_main
from REACTKDTrainLib.study.compare_runs import compare_runs
from support.kidney_phantoms import KIDNEY, MASS_HU, TASK_FILE, with_classes, write_case, write_cohort
from support.result_rows import rows_of
from support.small_training import QUICK

#: words of the built-in task; none may be shown for another task
FOREIGN = ("liver", "tumor", "hepato", "hcc", "capsule", "well", "moderate", "poor")


def train(folder: Path, cohort: Path, task: Path, *more: str) -> Path:
    """Train one fold without teachers; return the folder of the run."""
    config = folder / "config.json"
    config.write_text(json.dumps({**QUICK, "data": {**QUICK["data"], "size": "tiny"}}))
    command = ["train", "--cohort", str(cohort), "--task", str(task), "--output", str(folder / "run"), "--folds", "2"]
    command += ["--fold", "0", "--method", "none", "--config", str(config), "--device", "cpu", *more]
    assert train_main(command) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kidneys")
    return train(folder, write_cohort(folder / "cohort", 12, tuple(MASS_HU.values())), TASK_FILE)


@pytest.fixture
def files(tmp_path) -> dict[str, str]:
    return {key: str(tmp_path / name) for key, name in write_case(tmp_path, 500, MASS_HU["malignant"]).items()}


def test_a_model_of_another_task_stores_its_task_and_classes(run):
    bundle = Bundle.load(run / "bundle")
    assert bundle.task == KIDNEY and bundle.classes == ("benign", "malignant")
    assert [m.value for m in bundle.modalities] == ["ct"] and bundle.student.config.classes == 2
    assert bundle.preparation.ct_scale_hu == KIDNEY.preparation["ct_scale_hu"]
    assert bundle.preparation.field == "organ" and bundle.info["organ"] == "Kidney"
    card = (run / "bundle" / "docs" / "README.md").read_text(encoding="utf-8")
    assert KIDNEY.intended_use in card and not any(word in card.lower() for word in ("liver", "hepato"))
    record = json.loads((run / "run.json").read_text())
    assert record["task"]["name"] == "kidney-mass" and record["cohorts"]["cohort"]["grades"]["malignant"] == 6
    metrics = json.loads((run / "metrics.json").read_text())
    assert list(metrics["auc"]) == ["benign", "malignant"] and metrics["macro_auc"] > 0.9  # fat is easy to recognize
    with open(run / "predictions.csv", newline="") as stream:
        assert csv.DictReader(stream).fieldnames == ["case", "fold", "grade", "benign", "malignant"]


def test_it_grades_a_kidney_and_never_mentions_the_liver(run, files, tmp_path, call_command):
    masks = ["--ct", files["ct"], "--segmentation", files["segmentation"]]
    done = call_command("grade", "--bundle", run / "bundle", *masks, "--output", tmp_path / "out", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert any(word in done.stdout.lower() for word in ("benign", "malignant"))
    assert not any(word in done.stdout.lower() for word in FOREIGN)
    text = (tmp_path / "out" / "report.json").read_text(encoding="utf-8")
    report = GradeReport.read_json(tmp_path / "out" / "report.json")
    assert report.task == KIDNEY and list(report.probabilities) == ["benign", "malignant"]
    other = write_case(tmp_path / "other", 501, MASS_HU["benign"])
    other = {key: str(tmp_path / "other" / name) for key, name in other.items()}
    benign = grade(**other, model=run / "bundle", device="cpu")  # brief training gives a ranking, not yet a threshold
    assert report.probabilities["malignant"] > benign.probabilities["malignant"]
    jsonschema.validate(json.loads(text), report_schema(KIDNEY.class_names, KIDNEY.modalities))
    said = grade(ct=files["ct"], segmentation=files["segmentation"], model=run / "bundle", device="cpu")
    assert said.probabilities == pytest.approx(report.probabilities, abs=1e-6)
    findings = [finding.message.lower() for finding in report.findings]
    assert not any(word in message for message in findings for word in FOREIGN)


def test_batch_takes_columns_by_words_of_the_models_task(run, files, tmp_path):
    path = tmp_path / "list.csv"
    row = {"case": "a", **files, "kidney": "Left kidney", "mass": "Renal mass"}
    path.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n", encoding="utf-8")
    arguments = SimpleNamespace(worklist=path, bundle=[run / "bundle"], different_patients_ok=False, keep_specks=False)
    (job,) = batch_jobs(arguments)
    assert (job.liver, job.tumor) == (("Left kidney",), ("Renal mass",))


def test_a_list_is_graded_and_cases_of_another_task_are_refused(run, tmp_path, call_command):
    cohort = write_cohort(tmp_path / "cohort", 2, tuple(MASS_HU.values()), first=700)
    words = ["--worklist", cohort, "--device", "cpu", "--output"]
    done = call_command("batch", "--bundle", run / "bundle", *words, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "out")
    assert {name: row["grade"] for name, row in rows.items()} == {"case0": "benign", "case1": "malignant"}
    assert "p_benign" in rows["case0"] and "p_well" not in rows["case0"]
    own = compare_runs(run, run, "ct", "folds", draws=50)
    assert own["cases"] == 6 and own["difference"] == 0
    found = evaluate(run / "bundle", cohort, device="cpu")
    assert found["n"] == 2 and set(found["grades"]) == {"benign", "malignant"}
    refused = call_command("batch", *words, tmp_path / "hcc")
    assert refused.returncode == 2  # the shipped model needs a liver
    reasons = [row["reason"] for row in rows_of(tmp_path / "hcc").values()]
    assert reasons and all("No segment is recognized as the liver" in reason for reason in reasons)


def test_an_unknown_column_is_refused_with_the_columns_of_the_task(files, tmp_path):
    """It named liver and tumor, and neither grade nor patient."""
    (tmp_path / "list.csv").write_text("case,ct,mr,segmentation\na,CT.nii.gz,MR.nii.gz,masks.seg.nrrd\n")
    words = "unknown columns 'mr'; its columns are case, ct, fdg, acetate, segmentation, kidney, mass, "
    with pytest.raises(UsageError, match=f"{words}different_patients_ok, grade, patient, fold"):
        read_worklist(tmp_path / "list.csv", KIDNEY)


def test_the_model_card_speaks_of_the_task(run):
    """It said for kidney masses that "other tumors" were not tested, and that "a grade" is read from a biopsy."""
    card = (run / "bundle" / "docs" / "README.md").read_text(encoding="utf-8")
    for heading in ("## Model details", "## Intended use", "## Training data", "## Evaluation", "## Limitations"):
        assert f"\n{heading}\n" in card
    assert "12 cases of 12 patients (6 benign, 6 malignant)" in card and "other masses were not tested" in card
    assert not any(word in card.lower() for word in ("tumor", "grade is"))


@pytest.mark.parametrize(("organ", "lesion"), [("organ", "lesions"), ("kidney", "mass"), ("liver", "tumor")])
def test_lists_name_the_masks_by_words_of_the_task(files, tmp_path, organ, lesion):
    row = {"case": "a", **files, organ: "Left kidney", lesion: "Renal mass"}
    path = tmp_path / "list.csv"
    path.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n", encoding="utf-8")
    (job,) = read_worklist(path, KIDNEY)
    assert (job.liver, job.tumor) == (("Left kidney",), ("Renal mass",))
    own = {"id": "a", "ct": files["ct"], organ: "k.nii.gz", lesion: "m.nii.gz"}
    (tmp_path / "list.json").write_text(json.dumps({"training": [own]}), encoding="utf-8")
    case, masks = read_worklist(tmp_path / "list.json", KIDNEY)[0], ("k.nii.gz", "m.nii.gz")
    assert [file.name for file in case.mask_files] == list(masks)
    assert [one.load.args[0].mask_files for one in open_cohort(str(tmp_path / "list.json"), task=KIDNEY).cases]
    assert open_case_list(tmp_path / "list.json", KIDNEY).cases[0].problems == (
        "The file of the kidney mask is missing; correct the path.",
        "The file of the mass mask is missing; correct the path.",
    )


def test_a_list_that_names_one_mask_twice_is_refused(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("case,ct,segmentation,kidney,organ\na,c.nii.gz,s.nrrd,left,right\n", encoding="utf-8")
    with pytest.raises(UsageError, match="both 'kidney', 'organ', which mean the same"):
        read_worklist(path, KIDNEY)
    path.write_text("case,ct,segmentation,liver,organ\na,c.nii.gz,s.nrrd,x,y\n", encoding="utf-8")
    with pytest.raises(UsageError, match="both 'liver', 'organ'"):
        read_worklist(path)


def test_sentences_of_a_case_without_masks_name_no_liver(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("case,ct,segmentation\na,c.nii.gz,\n", encoding="utf-8")
    (case,) = open_case_list(path, KIDNEY).cases
    assert "No segmentation is listed; draw the kidney and its masses." in case.problems
    assert not any(word in " ".join(case.problems).lower() for word in FOREIGN)


def test_checks_follow_the_task(files, call_command):
    done = call_command("check", "--task", TASK_FILE, "--ct", files["ct"], "--segmentation", files["segmentation"])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert 100 < found["kidney_ml"] < 400 and "liver_ml" not in found
    assert not any(word in finding["message"].lower() for finding in found["findings"] for word in FOREIGN)


def test_four_classes_are_trained_and_graded(tmp_path):
    task = with_classes("fat", "water", "soft", "dense")
    path = tmp_path / "task.json"
    path.write_text(json.dumps(task.to_dict()), encoding="utf-8")
    run = train(tmp_path, write_cohort(tmp_path / "cohort", 16, (-90.0, 0.0, 80.0, 220.0), task), path)
    metrics = json.loads((run / "metrics.json").read_text())
    assert len(metrics["confusion"]) == 4 and set(metrics["grades"]) == set(task.class_names)
    assert "four grades" in " ".join(metrics["notes"]) or metrics["macro_auc"] is not None
    files = write_case(tmp_path / "case", 900, 220.0, task)
    report = grade(**{key: tmp_path / "case" / name for key, name in files.items()}, model=run / "bundle", device="cpu")
    assert list(report.probabilities) == list(task.class_names) and sum(report.probabilities.values()) == pytest.approx(
        1
    )


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("phantom:hospital?cases=4&size=tiny", "Digital phantoms are of the task hcc-grade"),
        ("cohort", "give benign or malignant"),
    ],
)
def test_cases_of_another_task_are_refused_with_a_sentence(spec, words, tmp_path):
    if spec == "cohort":
        spec = write_cohort(tmp_path, 2, (0.0, 0.0), with_classes("one", "other"))
    with pytest.raises(Exception, match=words):
        open_cohort(str(spec), task=KIDNEY)


def test_the_shipped_model_is_of_the_built_in_task():
    assert Bundle.load(shipped_bundle_folder()).task is HCC_GRADE
