"""Noise-free fields of a patient on a lattice: CT values, tracer uptake, masks."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.phantom.anatomy import TRACERS, UPTAKE
from REACTKDLib.core.phantom.lattice import Lattice
from REACTKDLib.core.phantom.organs.body import Body
from REACTKDLib.core.phantom.patient import Patient
from REACTKDLib.core.phantom.shapes import soft_inside


def _paint(field: np.ndarray, lattice: Lattice, solid, value: float, edge_mm: float, within: np.ndarray | None = None):
    """Blend `value` into `field` where `solid` is; `within` limits it to a soft mask."""
    box = lattice.box(*solid.bounds(), pad_mm=edge_mm)
    if box is None:
        return
    weight = soft_inside(solid.depth(*lattice.coordinates(box)), edge_mm)
    if within is not None:
        weight = weight * within[box]
    field[box] += (value - field[box]) * weight


def _surroundings(patient: Patient, lattice: Lattice, values: dict[str, float], edge_mm: float) -> np.ndarray:
    """Body outline, fat, muscle, lungs, ribs and organs. values: kind -> value; 'air' outside."""
    a = patient.anatomy
    x, y, z = lattice.coordinates((slice(None),) * 3)
    skin = np.asarray(a.body_depth(x, y, z[:1]), dtype=np.float32)  # a cylinder: the same on every slice
    field = np.empty(lattice.shape, dtype=np.float32)
    flat = values["air"] + (values["fat"] - values["air"]) * soft_inside(skin, edge_mm)
    wall = a.fat_mm + 14
    flat += (values["body"] - values["fat"]) * soft_inside(skin - a.fat_mm, edge_mm)
    flat += (values["visceral"] - values["body"]) * soft_inside(skin - wall, edge_mm)
    field[:] = flat
    fall = 45 * ((np.abs(x + 5) - 75) / 80) ** 2 + 30 * (y / 90) ** 2  # two domes of the diaphragm
    dome = a.lung_floor_mm - np.minimum(fall, 70)
    lung = soft_inside(skin - wall - 6, edge_mm) * soft_inside(np.minimum(z - dome, 400), 2 * edge_mm)
    field += (values["lung"] - field) * lung.astype(np.float32)
    angle = np.arctan2(y, x)
    shell = np.clip(1.2 - np.abs(skin - a.fat_mm - 9) / 5, 0, 1)
    ribs = shell * np.clip(3 * np.cos((z - 30 * np.abs(angle - np.pi / 2)) * 2 * np.pi / 28 + a.rib_phase) - 1, 0, 1)
    field += (values["bone"] - field) * ribs.astype(np.float32)
    return field


def ct_field(patient: Patient, lattice: Lattice, edge_mm: float = 1.2, liver: np.ndarray | None = None) -> np.ndarray:
    """HU without noise, (D, H, W) float32; `edge_mm` is the width of tissue boundaries.

    liver: bool (D, H, W), false; the liver is marked in it for `masks`, so that its depth is computed only once.
    """
    if isinstance(patient.anatomy, Body):
        field = patient.anatomy.paint_ct(lattice, edge_mm, patient.liver, patient.liver_hu, patient.vessel_hu, liver)
    else:
        field = _first_ct(patient, lattice, edge_mm)
        if liver is not None:
            _mark_liver(patient, lattice, liver)
    for lesion in patient.lesions:
        box = lattice.box(*lesion.bounds(), pad_mm=edge_mm)
        if box is not None:
            offset, depth = lesion.ct_offset(*lattice.coordinates(box), edge_mm=edge_mm)
            field[box] += (patient.liver_hu + offset - field[box]) * soft_inside(depth, edge_mm)
    return field


def _first_ct(patient: Patient, lattice: Lattice, edge_mm: float) -> np.ndarray:
    values = {"air": -1000.0, "fat": -100.0, "body": 55.0, "visceral": -85.0, "lung": -820.0, "bone": 260.0}
    field = _surroundings(patient, lattice, values, edge_mm)
    for organ in patient.anatomy.organs:
        _paint(field, lattice, organ.solid, organ.hu, edge_mm)
    box = lattice.box(*patient.liver.bounds(), pad_mm=edge_mm)
    if box is not None:
        inside = np.zeros(lattice.shape, dtype=np.float32)
        inside[box] = soft_inside(patient.liver.depth(*lattice.coordinates(box)), edge_mm)
        field[box] += (patient.liver_hu - field[box]) * inside[box]
        for tube in patient.liver.vessels:
            _paint(field, lattice, tube, patient.vessel_hu, edge_mm, inside)
    for organ in patient.anatomy.distractors:
        _paint(field, lattice, organ.solid, organ.hu, edge_mm)
    return field


def pet_field(patient: Patient, lattice: Lattice, tracer: str, edge_mm: float = 2.0) -> np.ndarray:
    """SUV without blur and noise, (D, H, W) float32. tracer: 'fdg' or 'acetate'."""
    suv = patient.liver_suv[TRACERS.index(tracer)]
    if isinstance(patient.anatomy, Body):
        field = patient.anatomy.paint_pet(lattice, edge_mm, patient.liver, tracer, suv)
    else:
        field = _first_pet(patient, lattice, tracer, edge_mm)
    for lesion in patient.lesions:
        box = lattice.box(*lesion.bounds(), pad_mm=edge_mm)
        if box is not None:
            ratio, depth = lesion.pet_ratio(tracer, *lattice.coordinates(box))
            field[box] += (ratio * suv - field[box]) * soft_inside(depth, edge_mm)
    return field


def _first_pet(patient: Patient, lattice: Lattice, tracer: str, edge_mm: float) -> np.ndarray:
    index = TRACERS.index(tracer)
    suv = patient.liver_suv[index]
    values = {kind: pair[index] * suv for kind, pair in UPTAKE.items()} | {"air": 0.0}
    field = _surroundings(patient, lattice, values, edge_mm)
    for organ in patient.anatomy.organs:
        _paint(field, lattice, organ.solid, values[organ.kind], edge_mm)
    _paint(field, lattice, patient.liver, suv, edge_mm)
    for organ in patient.anatomy.distractors:
        _paint(field, lattice, organ.solid, values[organ.kind], edge_mm)
    return field


def empty_mask(lattice: Lattice) -> np.ndarray:
    """Return false (D, H, W) in the memory order for which the axes turned by `acquire` are in C order."""
    return np.zeros(lattice.shape, dtype=bool)[:, ::-1, ::-1]


def _mark_liver(patient: Patient, lattice: Lattice, liver: np.ndarray) -> None:
    for box, depth in patient.liver.pieces(lattice, 0.0):
        np.greater(depth, 0, out=liver[box])


def masks(patient: Patient, lattice: Lattice, liver: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Whole liver (lesions included, also where they bulge out of it) and tumor, bool (D, H, W).

    liver: as marked by `ct_field`; the lesions are added to it.
    """
    tumor = empty_mask(lattice)
    if liver is None:
        liver = empty_mask(lattice)
        _mark_liver(patient, lattice, liver)
    for lesion in patient.lesions:
        box = lattice.box(*lesion.bounds())
        if box is not None:
            inside = lesion.depth(*lattice.coordinates(box)) > 0
            tumor[box] |= inside
            liver[box] |= inside
    return liver, tumor
