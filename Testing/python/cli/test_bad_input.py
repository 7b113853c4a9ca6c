"""Each kind of bad input: its own code, one sentence on stderr naming the fault and the fix, status 2, no traceback."""

from __future__ import annotations

import contextlib
import shutil
import signal
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.__main__ import FAILED, main
from REACTKDLib.commands.arguments import read_case
from REACTKDLib.commands.parser import build_parser
from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.bundle_metadata import HASH, description_hash
from REACTKDLib.core.task import HCC_GRADE
from REACTKDTrainLib.__main__ import main as main_of_training
from support.case_files import NAMES, SEGMENTATION, case_arguments, patched_nifti, write_masks
from support.nifti_headers import sheared
from support.small_cases import small_case

CASE = small_case()
NOTHING = np.zeros_like(CASE.liver)
CT, FDG = NAMES[Modality.CT], NAMES[Modality.FDG]


def one_voxel(k: int, j: int, i: int) -> np.ndarray:
    mask = NOTHING.copy()
    mask[k, j, i] = True
    return mask


def moved(millimeters: float) -> np.ndarray:
    matrix = CASE.reference.ijk_to_ras.copy()
    matrix[2, 3] += millimeters
    return matrix


def ct_header(*changes) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        plain = write_volume(CASE.reference, folder / "plain.nii")
        (folder / CT).unlink()
        (folder / "CT.nii").write_bytes(patched_nifti(plain.read_bytes(), changes))
        plain.unlink()

    return spoil


def ct_values(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        import SimpleITK as sitk

        image = sitk.ReadImage(str(folder / CT))
        changed = sitk.GetImageFromArray(change(sitk.GetArrayFromImage(image)))
        changed.CopyInformation(image)
        sitk.WriteImage(changed, str(folder / CT))

    return spoil


def tilted_ct(folder: Path) -> None:
    """The format of a file is detected by its content, so the name may stay."""
    leaning = Volume(CASE.reference.array, sheared(CASE.reference.ijk_to_ras, 0.27))
    write_volume(leaning, folder / "tilted.nrrd").replace(folder / CT)


def masks(liver: np.ndarray, tumor: np.ndarray, matrix: np.ndarray | None = None) -> Callable[[Path], None]:
    place = CASE.reference.ijk_to_ras if matrix is None else matrix
    return lambda folder: write_masks(liver, tumor, place, folder / SEGMENTATION) and None


def pet_elsewhere(folder: Path) -> None:
    pet = CASE.volumes[Modality.FDG]
    matrix = pet.ijk_to_ras.copy()
    matrix[2, 3] += 3000
    write_volume(Volume(pet.array, matrix), folder / FDG)


def with_nan(array: np.ndarray) -> np.ndarray:
    array[3, 4, 5] = np.nan
    return array


def label_map(folder: Path) -> None:
    (folder / SEGMENTATION).unlink()
    labels = Volume(CASE.liver.astype(np.uint8) * 5, CASE.reference.ijk_to_ras)
    write_volume(labels, folder / "segmentation.nii.gz")


SINGULAR = ((252, "2h", [0, 1]), (280, "12f", [1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0]))
DIMENSIONS = (40, "8h", [4, 44, 40, 18, 2, 1, 1, 1])
# (change to a valid case, further arguments, code, words of the sentence)
ROWS = {
    "no such file": (lambda f: (f / CT).unlink(), [], "file-missing", "no file at the path given for the CT"),
    "not an image": (lambda f: (f / CT).write_text("hello"), [], "not-an-image", "CT is not an image"),
    "cut off": (lambda f: (f / CT).write_bytes((f / CT).read_bytes()[:9000]), [], "not-an-image", "cut off"),
    "4D": (ct_header(DIMENSIONS), [], "not-three-dimensional", "4-D series of 2 volumes"),
    "NaN": (ct_values(with_nan), [], "not-finite", "NaN or infinite"),
    "infinite": (ct_values(lambda a: np.where(a > 130, np.inf, a)), [], "not-finite", "NaN or infinite"),
    "zero spacing": (ct_header((80, "f", [0.0])), [], "bad-spacing", "0 x 4 x 3.5 mm"),
    "negative spacing": (ct_header((88, "f", [-3.5])), [], "bad-spacing", "4 x 4 x -3.5 mm"),
    "singular direction": (ct_header(*SINGULAR), [], "singular-direction", "lie in one plane"),
    "tilted gantry": (tilted_ct, [], "skewed-axes", "axes of the CT are not perpendicular.*3D Slicer"),
    "not HU, 8 bit": (ct_values(lambda a: np.clip(a, 0, 255).astype(np.uint8)), [], "not-hounsfield", "picture"),
    "not HU, 0..1": (ct_values(lambda a: (a - a.min()) / np.ptp(a)), [], "not-hounsfield", "span only"),
    "not HU, constant": (ct_values(lambda a: a * 0 + 7), [], "not-hounsfield", "every voxel is 7"),
    "not HU, no intercept": (ct_values(lambda a: a + 1024), [], "not-hounsfield", "air and fat are missing"),
    "empty segmentation": (masks(NOTHING, NOTHING), [], "empty-segmentation", "no voxel is labeled"),
    "empty liver": (masks(NOTHING, CASE.tumor), [], "no-liver", "'Liver' is empty"),
    "unknown liver": (label_map, [], "no-liver", "'label 5'"),
    "liver of one voxel": (masks(one_voxel(18, 20, 22), NOTHING), [], "liver-too-small", "only 1 voxel"),
    "tumor outside": (masks(CASE.liver, one_voxel(0, 0, 0)), [], "tumor-outside-liver", "wholly outside"),
    "masks elsewhere": (masks(CASE.liver, CASE.tumor, moved(4000)), [], "mask-off-image", "does not overlap the image"),
    "PET elsewhere": (pet_elsewhere, [], "pet-off-liver", "FDG PET does not overlap the liver"),
    "name not present": (None, ["--tumor", "HCC"], "label-missing", "no segment 'HCC'.*'Liver', 'Tumor'"),
    "two names in one": (None, ["--tumor", "Tumor,Liver"], "label-missing", r"write '\|' between .* in a list"),
    "label not present": (label_map, ["--liver", "6"], "label-missing", "no segment '6'.*'label 5'"),
    "folder for CT": (lambda f: ((f / CT).unlink(), (f / CT).mkdir()), [], "not-an-image", "DICOM"),
    "PET for CT": (lambda f: shutil.copy(f / FDG, f / CT), [], "not-hounsfield", "Hounsfield"),
    "CT for segmentation": (lambda f: shutil.copy(f / CT, f / "segmentation.nii.gz") and (f / SEGMENTATION).unlink(),
                            [], "not-a-segmentation", "give a label map"),
    "case name with a path": (None, ["--case", "a/b"], "usage", "case name 'a/b'"),
}  # fmt: skip


@pytest.fixture
def spoiled(request, case_folder, tmp_path) -> list[str]:
    """The arguments of a valid case with one fault."""
    spoil, more, _, _ = ROWS[request.param]
    folder = tmp_path / "CANARY_NAME"
    shutil.copytree(case_folder, folder)
    if spoil is not None:
        spoil(folder)
    arguments = ["--ct", str(folder / CT), "--fdg", str(folder / FDG), "--segmentation", str(folder / SEGMENTATION)]
    if not (folder / SEGMENTATION).exists():
        arguments[-1] = str(folder / "segmentation.nii.gz")
    if (folder / "CT.nii").exists():
        arguments[1] = str(folder / "CT.nii")
    return [*arguments, *more]


def one_sentence(text: str) -> str:
    """Return the only line of standard error after checking that it is a plain sentence."""
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0][0].isupper()
    assert lines[0].endswith(".")
    assert "Traceback" not in text and "Error" not in text and len(lines[0]) < 400
    return lines[0]


@pytest.mark.parametrize(("spoiled", "row"), [(name, name) for name in ROWS], indirect=["spoiled"])
def test_each_bad_input_raises_its_error_code(spoiled, row):
    _, _, code, words = ROWS[row]
    arguments = build_parser().parse_args(["check", *spoiled])
    with pytest.raises(ReactkdError, match=words) as caught:
        read_case(arguments, HCC_GRADE)
    assert caught.value.code == code


@pytest.mark.parametrize(("spoiled", "row"), [(name, name) for name in ROWS], indirect=["spoiled"])
def test_a_command_refuses_bad_input_in_one_sentence_and_writes_nothing(
    spoiled, row, run_command, call_command, tmp_path, bundle_folder
):
    before = sorted(tmp_path.rglob("*"))
    output = tmp_path / "new" / "results"
    run = run_command if row == "cut off" else call_command  # one row in a real process; all rows exit in the same way
    done = run("grade", *spoiled, "--bundle", bundle_folder, "--output", output, "--device", "cpu")
    assert done.returncode == FAILED
    assert done.stdout == ""
    assert "CANARY" not in one_sentence(done.stderr)
    assert sorted(tmp_path.rglob("*")) == before


def incomplete(folder: Path) -> None:
    (folder / "models" / "model.pt").unlink()


def altered(folder: Path) -> None:
    path = folder / "models" / "model.pt"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def pickled(folder: Path) -> None:
    import hashlib
    import json
    import pickle

    class Evil:
        def __reduce__(self):
            return (Path.touch, (folder / "executed",))

    data = pickle.dumps({"weight": Evil()})
    (folder / "models" / "model.pt").write_bytes(data)
    path = folder / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    metadata["reactkd"]["sha256"] = hashlib.sha256(data).hexdigest()
    metadata["reactkd"][HASH] = description_hash(metadata)  # an attacker would update every hash
    path.write_text(json.dumps(metadata), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "code"),
    [(incomplete, "bundle-incomplete"), (altered, "bundle-altered"), (pickled, "bundle-unsafe")],
    ids=["incomplete", "altered", "pickled"],
)
def test_a_damaged_model_is_refused_and_its_code_is_not_run(
    spoil, code, bundle_folder, case_folder, tmp_path, call_command
):
    folder = tmp_path / "model"
    shutil.copytree(bundle_folder, folder)
    spoil(folder)
    with pytest.raises(ReactkdError) as caught:
        Bundle.load(folder)
    assert caught.value.code == code
    output = tmp_path / "results"
    done = call_command("grade", *case_arguments(case_folder), "--bundle", folder, "--output", output)
    assert done.returncode == FAILED
    said = one_sentence(done.stderr)
    assert spoil is not altered or "models/model.pt" in said  # not Models/model.pt
    assert not output.exists()
    assert not (folder / "executed").exists()


@pytest.mark.parametrize("below", ["file", "file/results", "file/a/b"])
def test_output_that_cannot_be_written(below, case_folder, bundle_folder, tmp_path, run_command, call_command):
    (tmp_path / "file").write_text("not a folder")
    run = run_command if below == "file" else call_command
    done = run("grade", *case_arguments(case_folder), "--bundle", bundle_folder, "--output", tmp_path / below)
    assert done.returncode == FAILED
    assert "output" in one_sentence(done.stderr)
    assert [path.name for path in tmp_path.rglob("*")] == ["file"]
    assert (tmp_path / "file").read_text() == "not a folder"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["grade"],
        ["frobnicate"],
        ["grade", "--ct"],
        ["check", "--segmentation", "s.nrrd"],
        ["phantom", "--grade", "good", "--seed", "1", "--output", "out"],
        ["phantom", "--grade", "well", "--seed", "-1", "--output", "out"],
        ["batch", "--worklist", "nowhere.csv", "--output", "out"],
        ["grade", "--seg", "s.nrrd", "--output", "out"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_refused_in_one_sentence_and_write_nothing(arguments, run_command, call_command, tmp_path):
    run = run_command if arguments[:1] in ([], ["batch"]) else call_command  # a batch starts a supervising process
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == FAILED
    one_sentence(done.stderr)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("program", [main, main_of_training])
@pytest.mark.parametrize("arguments", [["--version"], ["frobnicate"]], ids=" ".join)
def test_a_command_leaves_the_process_that_calls_it_as_it_was(program, arguments, own_process):
    """A tutorial calls `main` in Slicer's Python console, and Slicer keeps running afterwards."""
    was = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}, list(warnings.filters)
    with contextlib.suppress(SystemExit):  # of --version
        assert program(arguments) == FAILED
    assert ({number: signal.getsignal(number) for number in was[0]}, list(warnings.filters)) == was
