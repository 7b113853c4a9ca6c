"""PET nodes as Slicer's DICOM reader and PETDICOMExtension leave them: SUV is recognized and never computed twice.

The nodes are filled as those two modules fill them (attributes, unit codes, order of the files); the files are real
DICOM. Only Slicer's database is replaced, by a look-up from instance to file.
"""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import slicer

from REACTKDLib.core.errors import PetUnitRefused, WrongTracer
from REACTKDLib.core.files.dicom.images import read_dicom_volume
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.case import case_from_nodes, nodes_from_case
from REACTKDLib.scene.input_info import volume_info
from REACTKDLib.scene.units import unit_of
from REACTKDLib.scene.volumes import node_from_volume
from support.dicom_database import DicomDatabase
from support.dicom_files import pet_tags, write_series
from support.real_data import real_data

SPACING, ORIGIN = (8.0, 8.0, 8.0), (-90.0, -90.0, -100.0)
FACTOR = 70_000 / (350e6 * 2 ** (-3600 / 6586.2))
SUVBW = ("{SUVbw}g/ml", "UCUM", "Standardized Uptake Value body weight")


@pytest.fixture
def pet(tmp_path, monkeypatch):
    """Write a PET series, enter it into the database, and return its paths and its values (stored value x slope)."""

    def make(**tags):
        stored = np.random.default_rng(0).integers(200, 9000, (24, 24, 24)).astype(np.int16)
        slopes = np.linspace(0.5, 3.0, 24)
        common = {k: v for k, v in pet_tags(**tags).items() if v is not None}
        paths = write_series(
            tmp_path / "pet", stored, modality="PT", spacing=SPACING, origin=ORIGIN, slope=slopes, common=common
        )
        monkeypatch.setattr(slicer, "dicomDatabase", DicomDatabase(paths), raising=False)
        slopes = [float(pydicom.dcmread(p).RescaleSlope) for p in paths]
        return paths, (stored * np.array(slopes)[:, None, None]).astype(np.float32)

    return make


def load(scene, paths, values, units=None, name="PET", backwards=False, scale=1.0):
    """A volume node as the readers leave it."""
    matrix = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    matrix[:3, 3] = -ORIGIN[0], -ORIGIN[1], ORIGIN[2]
    node = node_from_volume(scene, Volume(values * np.float32(scale), matrix, Unit.UNKNOWN, name), name)
    uids = [str(pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID) for p in paths]
    node.SetAttribute("DICOM.instanceUIDs", " ".join(uids[::-1] if backwards else uids))
    if units is not None:
        code = slicer.vtkCodedEntry()
        code.SetValueSchemeMeaning(*units)
        node.SetVoxelValueUnits(code)
        node.SetAttribute("DICOM.RWV.instanceUID", "1.2.3")
    return node


@pytest.fixture
def graded(scene, nodes, case):
    """The hand-made case with one PET node in place of its FDG: what a click on Grade would read."""

    def read(node, tracer="fdg") -> Case:
        return case_from_nodes(
            nodes.volumes[Modality.CT], **{tracer: node}, segmentation=nodes.segmentation
        )  # fmt: skip

    return read


def codes(case: Case) -> set[str]:
    return {finding.code for finding in case.findings}


@pytest.mark.parametrize("backwards", [False, True])
def test_becquerel_values_of_slicers_reader_are_converted_to_suv(scene, pet, graded, backwards):
    paths, values = pet()
    node = load(scene, paths, values, backwards=backwards)
    before = slicer.util.arrayFromVolume(node).copy()
    case = graded(node)
    volume = case.volumes[Modality.FDG]
    assert volume.unit is Unit.SUVBW and codes(case) == set()
    assert np.allclose(volume.array, values * FACTOR, rtol=1e-5)
    assert np.array_equal(slicer.util.arrayFromVolume(node), before), "the user's node is not touched"
    command_line, _ = read_dicom_volume(paths[0].parent, Modality.FDG)
    assert np.allclose(volume.array, command_line.array, rtol=1e-5)


def test_suv_of_petdicomextension_is_not_converted(scene, pet, graded):
    paths, values = pet()
    node = load(scene, paths, values, SUVBW, "Doe_2001-08-12_(SUVbw)", scale=FACTOR)
    case = graded(node)
    assert case.volumes[Modality.FDG].unit is Unit.SUVBW and codes(case) == set()
    assert np.array_equal(case.volumes[Modality.FDG].array, values * np.float32(FACTOR))


def test_manually_converted_values_are_not_converted_again(scene, pet, graded):
    paths, values = pet()
    case = graded(load(scene, paths, values, scale=FACTOR))
    assert case.volumes[Modality.FDG].unit is Unit.SUVBW
    assert np.array_equal(case.volumes[Modality.FDG].array, values * np.float32(FACTOR))


def test_suv_that_differs_from_the_header_is_reported(scene, pet, graded):
    paths, values = pet()
    case = graded(load(scene, paths, values, SUVBW, scale=FACTOR / 1000))
    (finding,) = (f for f in case.findings if f.code == "suv-differs")
    assert "0.001 times" in finding.message
    assert np.array_equal(case.volumes[Modality.FDG].array, values * np.float32(FACTOR / 1000))


def test_suv_stored_in_the_file_is_kept(scene, pet, graded):
    paths, values = pet(Units="GML", DecayCorrection="ADMIN")
    case = graded(load(scene, paths, values))
    assert case.volumes[Modality.FDG].unit is Unit.SUVBW
    assert np.array_equal(case.volumes[Modality.FDG].array, values)


def test_a_missing_weight_is_reported_as_on_the_command_line(scene, pet, graded):
    paths, values = pet(PatientWeight=None)
    case = graded(load(scene, paths, values))
    assert case.volumes[Modality.FDG].unit is Unit.BQML and codes(case) == {"suv-refused"}


@pytest.mark.parametrize("kind", ["SUVlbm", "SUVibw", "SUVbsa", "Standardized_Uptake_Value_lean_body_mass"])
def test_other_kinds_of_suv_are_not_read_as_suvbw(scene, pet, graded, kind):
    paths, values = pet()
    node = load(scene, paths, values, SUVBW, f"Doe_2001-08-12_({kind})", scale=FACTOR * 0.7)
    assert unit_of(node) is Unit.UNKNOWN
    assert graded(node).volumes[Modality.FDG].unit is Unit.UNKNOWN
    info = volume_info(node, Modality.FDG)
    assert info.stated and info.unit is Unit.UNKNOWN, "nor in the panel"


def test_a_resampled_node_is_judged_by_its_own_values(scene, pet, graded):
    paths, values = pet()
    node = load(scene, paths, values[:, ::-1])
    assert graded(node).volumes[Modality.FDG].unit is Unit.BQML
    cropped = load(scene, paths, values[:20])
    assert graded(cropped).volumes[Modality.FDG].unit is Unit.BQML


@pytest.mark.parametrize("gone", ["the database", "the files"])
def test_without_its_files_a_node_is_judged_by_its_own_values(scene, pet, graded, monkeypatch, gone):
    paths, values = pet()
    node = load(scene, paths, values)
    if gone == "the database":
        monkeypatch.delattr(slicer, "dicomDatabase")
    else:
        paths[3].unlink()
    case = graded(node)
    assert case.volumes[Modality.FDG].unit is Unit.BQML and codes(case) == set()


def test_the_wrong_tracer_and_units_without_uptake_are_refused(scene, pet, graded):
    paths, values = pet()
    with pytest.raises(WrongTracer, match="The acetate PET states FDG"):
        graded(load(scene, paths, values), "acetate")
    for path in paths:
        dataset = pydicom.dcmread(path)
        dataset.Units = "PROPCNTS"
        dataset.save_as(path)
    with pytest.raises(PetUnitRefused, match="PROPCNTS"):
        graded(load(scene, paths, values, SUVBW, scale=4.2e-7))


def test_a_real_series_gives_the_suv_of_its_files(scene, monkeypatch):
    folder = real_data("acrin_nsclc_042") / "PET_dicom"
    volume, _ = read_dicom_volume(folder, Modality.FDG)
    paths = sorted(folder.glob("*.dcm"), key=lambda p: float(pydicom.dcmread(p).ImagePositionPatient[2]))
    monkeypatch.setattr(slicer, "dicomDatabase", DicomDatabase(paths), raising=False)
    becquerel = volume.array / np.float32(4.2111e-4)
    node = load(scene, paths, becquerel)
    from REACTKDLib.core.files.dicom.loaded_pet import ratio_to_files, understood
    from REACTKDLib.scene.dicom_origin import files_of
    from REACTKDLib.scene.volumes import volume_from_node

    assert ratio_to_files(slicer.util.arrayFromVolume(node), [str(p) for p in paths]) == pytest.approx(1.0, abs=1e-3)
    read, findings = understood(volume_from_node(node), None, files_of(node), Modality.FDG)
    assert read.unit is Unit.SUVBW and findings == []
    assert float(read.array.max()) == pytest.approx(51.1, abs=0.1)


def test_a_ct_keeps_its_hounsfield_unit(scene, case):
    node = nodes_from_case(scene, case).volumes[Modality.CT]
    assert unit_of(node) is Unit.HU
