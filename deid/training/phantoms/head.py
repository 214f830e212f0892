"""Phantom head volumes: T1-weighted MR, and CT of the same anatomy.

Cartoons, not simulations. CT values are linear in HU over -1000..1000 (see :data:`CT_RANGE`), with the
contrasts of soft tissue several times the real ones, so that they stand in 8 bits of that range.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deid.training.phantoms.head_factors import Acquisition, Disease, Identity, Lesion, Site
from deid.training.phantoms.shapes import Floats, blur, bump, generator, inside

__all__ = [
    "CT_RANGE",
    "Acquisition",
    "Disease",
    "Grid",
    "Identity",
    "Lesion",
    "Site",
    "disease_region",
    "grid",
    "render",
    "tissue",
]

CT_RANGE = (-1000.0, 1000.0)
"""HU that are 0 and 1 in a CT volume."""
FIELD_OF_VIEW = 260.0
"""Side of the field of view, in mm."""

_CRANIUM = (0.0, 0.06, 0.22)
_CORTEX = 0.065
_FACE_TOP, _BRAIN_BOTTOM = 0.25, -0.55
_SLAB = 8


class Shades(NamedTuple):
    """Brightness of each tissue in one modality, 0..1."""

    air: float
    fat: float
    muscle: float
    bone: float
    fluid: float
    grey: float
    white: float
    lesion: float
    blood: float


SHADES = {
    "MR": Shades(0.0, 0.82, 0.42, 0.10, 0.16, 0.50, 0.72, 0.22, 1.0),
    "CT": Shades(0.0, 0.44, 0.54, 0.90, 0.46, 0.56, 0.51, 0.40, 0.74),
}


class Grid(NamedTuple):
    """Where each voxel looks in the person, each array `[slice, row, column]`, float32.

    Attributes:
        x: Toward the patient's left.
        y: To the back.
        z: Up.
        slices: `[slice]`, place of each slice in the field of view, -1..1.
        axes: `[3, 4]`, the linear map from (slice, row, column, 1) in the field of view to (x, y, z).
    """

    x: Floats
    y: Floats
    z: Floats
    slices: NDArray[np.float64]
    axes: NDArray[np.float64]

    @property
    def edge(self) -> float:
        """Width of an edge that is as soft as a voxel."""
        return 3.0 / int(self.x.shape[1])

    def part(self, start: int, stop: int) -> Grid:
        """Some of the slices."""
        x, y, z = self.x[start:stop], self.y[start:stop], self.z[start:stop]
        return Grid(x, y, z, self.slices[start:stop], self.axes)

    def at(self, x: Floats, z: Floats | None = None) -> Grid:
        """The same with other coordinates."""
        return self._replace(x=x, z=self.z if z is None else z)


def render(identity: Identity, disease: Disease, acquisition: Acquisition, size: int) -> Floats:
    """One volume of ``size`` axial slices, float32 `[slice, row, column]` in 0..1.

    Slices go from the neck up, rows from the face back, columns from the patient's right to the left.
    """
    where = grid(size, acquisition)
    return expose(tissue(identity, disease, where, acquisition.modality), acquisition)


def grid(size: int, acquisition: Acquisition | None = None) -> Grid:
    """Coordinates of the voxels of a cube; without an acquisition those of the average pose."""
    turn, shift = np.eye(3), np.zeros(3)
    if acquisition is not None:
        turn = _rotation(acquisition.angles) / acquisition.scale
        shift = -turn @ np.array(acquisition.shift)
    # Rows: x, y, z. Columns: step of (slice, row, column), then the place of the centre.
    axes = np.column_stack([turn[:, ::-1], shift])
    axis = (np.arange(size) + 0.5) * 2 / size - 1
    x, y, z = (
        (row[0] * axis + row[3]).astype(np.float32)[:, None, None]
        + ((row[1] * axis)[:, None] + row[2] * axis).astype(np.float32)
        for row in axes
    )
    return Grid(x, y, z, axis, axes)


def _rotation(angles: tuple[float, float, float]) -> NDArray[np.float64]:
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    nod = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    tilt = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    shake = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(nod @ tilt @ shake)


def tissue(identity: Identity, disease: Disease, where: Grid, modality: str) -> Floats:
    """Brightness of the anatomy, `[slice, row, column]`; before gain, blur and noise."""
    volume = np.empty_like(where.x)
    for start in range(0, len(volume), _SLAB):  # small enough for the processor's cache
        stop = start + _SLAB
        volume[start:stop] = _slab(identity, disease, where.part(start, stop), SHADES[modality])
    return volume


def _slab(identity: Identity, disease: Disease, where: Grid, shades: Shades) -> Floats:
    depth, floor = _cranium(identity, where), _skull_base(where)
    has_face, has_brain = where.z.min() < _FACE_TOP, where.z.max() > _BRAIN_BOTTOM
    hull = np.minimum(depth, _face(identity, where)) if has_face else depth
    volume = np.full_like(where.x, shades.air)
    _mix(volume, shades.fat, inside(hull, where.edge))
    _mix(volume, shades.muscle, inside(hull + np.float32(identity.skin), where.edge))
    if has_face:
        _draw_face_inside(identity, where, shades, volume)
    if has_brain:
        shell = np.maximum(depth + np.float32(identity.skin), -0.06 - floor)
        _mix(volume, shades.bone, inside(shell, where.edge))
        cavity = np.maximum(depth + np.float32(identity.skin + identity.skull), -floor)
        _draw_brain(identity, disease, where, shades, cavity, volume)
    return volume


def _draw_brain(
    identity: Identity, disease: Disease, where: Grid, shades: Shades, cavity: Floats, volume: Floats
) -> None:
    """Fluid, cortex, white matter, ventricles and disease, into the cavity of the skull, in place."""
    _mix(volume, shades.fluid, inside(cavity, where.edge))
    brain = cavity + np.float32(identity.atrophy) + np.float32(identity.fold_depth) * _sulci(identity, where)
    _mix(volume, shades.grey, inside(brain, where.edge))
    _mix(volume, shades.white, inside(brain + np.float32(_CORTEX), where.edge))
    _mix(volume, shades.fluid, _ventricles(identity, where))
    for shade, lesions in ((shades.lesion, disease.lesions), (shades.blood, disease.hemorrhages)):
        for lesion in lesions:
            _mix(volume, shade, _spot(identity, lesion, where))


def disease_region(identity: Identity, disease: Disease, where: Grid) -> NDArray[np.bool_]:
    """The voxels `[slice, row, column]` that the disease changes in :func:`tissue`; all others stay equal."""
    region = np.zeros(where.x.shape, bool)
    for lesion in (*disease.lesions, *disease.hemorrhages):
        region |= _spot(identity, lesion, where) > 0
    return region


def _mix(volume: Floats, shade: float, share: Floats) -> None:
    """Replace a share of the volume, in place."""
    volume += share * (np.float32(shade) - volume)


def _ball(where: Grid, centre: tuple[float, float, float], axes: tuple[float, float, float]) -> Floats:
    """Square of the distance from the centre in half axes."""
    total = np.zeros((), np.float32)
    for coordinate, middle, axis in zip(where[:3], centre, axes, strict=True):
        away = (coordinate - np.float32(middle)) * np.float32(1 / axis)
        away *= away
        total = away if total.ndim == 0 else np.add(total, away, out=total)
    return np.asarray(total, np.float32)


def _distance(square: Floats, scale: float) -> Floats:
    """About the signed distance from the surface of a ball of such half axes."""
    return np.asarray((np.sqrt(square) - 1) * np.float32(scale), np.float32)


def _radius(one: Floats, other: Floats) -> Floats:
    return np.asarray(np.sqrt(one * one + other * other), np.float32)


def _cranium(identity: Identity, where: Grid) -> Floats:
    """About the signed distance from the outer surface of the head without its face."""
    radius = np.sqrt(_ball(where, _CRANIUM, identity.cranium)) + np.float32(1e-3)
    nx, ny, nz = (
        (coordinate - np.float32(middle)) / (np.float32(axis) * radius)
        for coordinate, middle, axis in zip(where[:3], _CRANIUM, identity.cranium, strict=True)
    )
    a, b, c, d, e, f, g = (np.float32(weight) for weight in identity.shape)
    surface = (
        1
        + ny * (a * nz + b * nx + c * ny * ny + d * nx * nx)
        + nz * (e * nx + f * nz * nz)
        + g * nx * nx * nz
    )
    return np.asarray((radius - surface) * np.float32(0.68), np.float32)


def _skull_base(where: Grid) -> Floats:
    """Height over the floor of the skull, which falls toward the back."""
    return np.asarray(where.z + np.float32(0.08) + np.float32(0.40) * where.y, np.float32)


def _face(identity: Identity, where: Grid) -> Floats:
    """About the signed distance from face, nose, ears and neck."""
    width, length = identity.jaw
    jaw = _distance(_ball(where, (0, -0.15, -0.36), (width, 0.54, length)), 0.5)
    chin = _distance(_ball(where, (0, -0.44 - identity.chin, -0.74), (0.22, 0.16, 0.16)), 0.16)
    long, wide, height = identity.nose
    nose = _distance(_ball(where, (0, -0.64, height), (wide, long, 0.16)), 0.12)
    brow = _distance(_ball(where, (0, -0.57 - identity.brow, 0.0), (0.36, 0.12, 0.10)), 0.12)
    size, level = identity.ears
    outward = where.at(np.abs(where.x) - np.float32(0.87 * identity.cranium[0]))
    ears = _distance(_ball(outward, (0, 0.10, level), (0.07, size * 0.6, size)), 0.07)
    neck = _radius(where.x, where.y - np.float32(0.15)) - np.float32(identity.neck)
    neck = np.maximum(neck, where.z + np.float32(0.25))
    front = _joined(_joined(_joined(jaw, chin), nose, 0.06), brow)
    return np.asarray(np.minimum(np.minimum(front, ears), neck), np.float32)


def _joined(one: Floats, other: Floats, width: float = 0.16) -> Floats:
    """Smooth union of two bodies (I. Quilez, polynomial smooth minimum)."""
    near = np.maximum(np.float32(width) - np.abs(one - other), 0)
    return np.asarray(np.minimum(one, other) - near * near * np.float32(0.25 / width), np.float32)


def _draw_face_inside(identity: Identity, where: Grid, shades: Shades, volume: Floats) -> None:
    """Eyes, airways, teeth and spine, in place."""
    away, height, radius = identity.eyes
    both = where.at(np.abs(where.x))
    eyes = _distance(_ball(both, (away, -0.51, height), (radius, radius, radius)), radius)
    sinus = _distance(_ball(both, (0.19, -0.42, -0.38), (0.11, 0.13, 0.15)), 0.13)
    throat = _radius(where.x * np.float32(0.8), where.y + np.float32(0.12)) - np.float32(0.07)
    throat = np.maximum(throat, where.z + np.float32(0.30))
    teeth = np.abs(_radius(where.x, where.y + np.float32(0.32)) - np.float32(0.26)) - np.float32(0.035)
    teeth = np.maximum(teeth, np.abs(where.z + np.float32(0.62)) - np.float32(0.07))
    teeth = np.maximum(teeth, where.y + np.float32(0.36))
    spine = _radius(where.x, where.y - np.float32(0.22)) - np.float32(0.13)
    spine = np.maximum(spine, where.z + np.float32(0.25))
    for shade, distance in (
        (shades.bone, spine),
        (shades.fluid, spine + np.float32(0.08)),
        (shades.bone, sinus - np.float32(0.03)),
        (shades.air, sinus),
        (shades.air, throat),
        (shades.bone, teeth),
        (shades.fluid, eyes),
    ):
        _mix(volume, shade, inside(np.asarray(distance, np.float32), where.edge))


def _sulci(identity: Identity, where: Grid) -> Floats:
    """1 on the folds of the cortex, 0 between them: zero lines of a sum of plane waves.

    A plane wave in turned coordinates is one in voxel indices, so the sum is one product of small matrices.
    """
    size = where.x.shape[1]
    axis = (np.arange(size) + 0.5) * 2 / size - 1
    waves = np.array(identity.waves)
    steps = waves[:, :3] @ where.axes
    planes = np.exp(1j * (steps[:, 0, None, None] * where.slices[:, None] + steps[:, 1, None, None] * axis))
    planes *= np.exp(1j * (steps[:, 3] + waves[:, 3]))[:, None, None]
    planes = planes.reshape(len(waves), -1).T
    columns = np.exp(1j * steps[:, 2, None] * axis)
    left = np.concatenate([planes.real, planes.imag], 1).astype(np.float32)
    right = np.concatenate([columns.real, -columns.imag]).astype(np.float32)
    field = (left @ right).reshape(where.x.shape)
    return bump(field * field * np.float32(1 / (0.16 * len(waves))))


def _ventricles(identity: Identity, where: Grid) -> Floats:
    """The lateral ventricles, bent like horns, and the third between them: share of fluid, 0..1."""
    total = np.zeros((), np.float32)
    wide, long, high = identity.ventricles
    for side in (-1, 1):
        size = 1 + side * identity.ventricle_skew
        bend = np.float32(0.45) * where.y * where.y
        bent = where.at(where.x * side - bend * np.float32(1.6), where.z + bend)
        horn = _ball(bent, (identity.ventricle_gap, 0.04, 0.26), (wide * size, long * size, high * size))
        total = np.maximum(total, inside(_distance(horn, wide), where.edge))
    third = _ball(where, (0, 0.04, 0.10), (0.025, 0.12, 0.12))
    return np.asarray(np.maximum(total, inside(_distance(third, 0.04), where.edge)), np.float32)


def _spot(identity: Identity, lesion: Lesion, where: Grid) -> Floats:
    """Share of the tissue that a lesion replaces, 0..1; 0 outside its ball."""
    sizes = [axis - identity.skin - identity.skull for axis in identity.cranium]
    places = [m + p * s for m, p, s in zip(_CRANIUM, lesion.place, sizes, strict=True)]
    radius = lesion.radius
    axes = (radius, radius * 1.25, radius * 0.9)
    square = _ball(where, (places[0], places[1], places[2]), axes)
    return np.asarray(np.float32(lesion.strength) * np.minimum(2 * bump(square), 1), np.float32)


def expose(volume: Floats, acquisition: Acquisition) -> Floats:
    """The scanner's picture of a volume, `[slice, row, column]` in 0..1."""
    size, site = len(volume), acquisition.site
    image = blur(volume, site.sharpness * size / 2)
    noise = generator(acquisition.noise_seed).standard_normal(volume.shape, np.float32)
    noise *= np.float32(site.noise)
    if site.modality == "CT":
        return np.clip(np.add(image, noise, out=image), 0, 1, out=image)
    axis = (np.arange(size, dtype=np.float32) + 0.5) * 2 / size - 1
    x, y, z = (1 + np.float32(slope) * axis for slope in acquisition.bias)
    image **= np.float32(acquisition.gamma)
    image *= np.float32(0.85 * acquisition.gain) * z[:, None, None] * y[:, None] * x
    # The magnitude of a complex signal, so that air is not black (H. Gudbjartsson, Magn Reson Med 1995).
    image += noise
    return np.clip(np.abs(image, out=image), 0, 1, out=image)
