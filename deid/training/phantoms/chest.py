"""Phantom chest radiographs: a ray's way through soft tissue, air and bone, then a machine's grey scale.

Cartoons, not simulations: enough anatomy that a person can be told by its large forms, little enough that a
thousand images take seconds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deid.training.phantoms.chest_factors import (
    RIBS,
    Acquisition,
    Disease,
    Effusion,
    Identity,
    Opacity,
    Site,
)
from deid.training.phantoms.shapes import (
    Floats,
    blur,
    bump,
    chord,
    ellipse,
    generator,
    inside,
    stroke,
)

__all__ = [
    "Acquisition",
    "Disease",
    "Effusion",
    "Grid",
    "Identity",
    "Opacity",
    "Site",
    "attenuation",
    "disease_region",
    "grid",
    "render",
]

_HILUM = (0.17, -0.05)


class Grid(NamedTuple):
    """Where each pixel looks in the person.

    Attributes:
        u: `[row, column]`, toward the patient's left, of what lies behind (spine, ribs).
        v: `[row, column]`, downward.
        front: `[row, column]`, like ``u``, of what lies in front (heart, collar bones, front ribs).
        pixel: Side of a pixel.
    """

    u: Floats
    v: Floats
    front: Floats
    pixel: float


def render(identity: Identity, disease: Disease, acquisition: Acquisition, size: int) -> Floats:
    """One radiograph, float32 `[row, column]` in 0..1, dense tissue bright (MONOCHROME2)."""
    return expose(attenuation(identity, disease, grid(size, acquisition)), acquisition)


def grid(size: int, acquisition: Acquisition | None = None) -> Grid:
    """Coordinates of the pixels of a square image; without an acquisition those of the average pose."""
    u, v = np.meshgrid(_axis(size), _axis(size))
    if acquisition is None:
        return Grid(u, v, u, 2 / size)
    cos = np.float32(np.cos(acquisition.angle) / acquisition.scale)
    sin = np.float32(np.sin(acquisition.angle) / acquisition.scale)
    pu, pv = u - np.float32(acquisition.shift[0]), v - np.float32(acquisition.shift[1])
    u, v = cos * pu + sin * pv, cos * pv - sin * pu
    front = u - np.float32(acquisition.yaw)
    if acquisition.view == "AP":
        front = front / np.float32(1.08)  # what is far from the detector is enlarged
    v = v - np.float32(acquisition.breath) * np.clip((v + 0.8) / 1.3, 0, 1.2)
    return Grid(u, v, front, 2 / size)


def attenuation(identity: Identity, disease: Disease, where: Grid) -> Floats:
    """What the rays lose, `[row, column]`, about 0 (beside the body) to 1.2; before any exposure."""
    total = _soft_tissue(identity, where) + _middle(identity, where)
    body = inside(_shoulder_line(identity, where.u) - where.v, 0.06 + where.pixel)
    total += _bones(identity, where) * body
    for side in (-1, 1):
        columns, half = _half(where, side)
        lung = _lung(identity, half, side)
        total[:, columns] += lung * (_vessels(identity, half, side) - 0.50)
        total[:, columns] += _findings(identity, disease, half, side, lung)
    return total


def disease_region(identity: Identity, disease: Disease, where: Grid) -> NDArray[np.bool_]:
    """The pixels `[row, column]` that the disease changes in :func:`attenuation`; all others stay equal."""
    region = np.zeros(where.u.shape, bool)
    for side in (-1, 1):
        columns, half = _half(where, side)
        region[:, columns] |= _findings(identity, disease, half, side, _lung(identity, half, side)) != 0
    return region


def _half(where: Grid, side: int) -> tuple[slice, Grid]:
    """The columns that hold a lung, and where they look."""
    columns = np.flatnonzero((where.u * side).max(0) > 0)
    cut = slice(int(columns[0]), int(columns[-1]) + 1)
    return cut, Grid(where.u[:, cut], where.v[:, cut], where.front[:, cut], where.pixel)


def _side_width(identity: Identity, v: Floats) -> Floats:
    """Half width of the rib cage at each height, 0 above the apex."""
    t = np.clip((v - np.float32(identity.apex)) / np.float32(1.45), 0, 1)
    return np.asarray(identity.width * (1 - (1 - t) ** (2 * identity.roundness)) ** 0.55, np.float32)


def _dome(identity: Identity, where: Grid, side: int) -> Floats:
    """Height of the diaphragm at each ``u``."""
    number = (side + 1) // 2
    away = (where.u * side - np.float32(0.36)) / np.float32(0.40)
    return np.asarray(identity.domes[number] + identity.arches[number] * away * away, np.float32)


def _lung(identity: Identity, where: Grid, side: int) -> Floats:
    """Air along the ray through one lung, 0..1."""
    inner = np.float32(identity.mediastinum * 0.45)
    half = np.maximum((_side_width(identity, where.v) - inner) / 2, np.float32(1e-3))
    across = (where.u * side - inner) / half - 1
    # A flat top: the chest is deep nearly to its sides.
    depth = np.maximum(1 - across * across * across * across, 0) ** np.float32(0.6)
    depth *= inside(where.v - _dome(identity, where, side), 0.03 + where.pixel)
    return np.asarray(depth * inside(identity.apex - where.v, 0.1), np.float32)


def _shoulder_line(identity: Identity, u: Floats) -> Floats:
    """Height of the body's upper outline."""
    height, slope = identity.shoulders
    out = np.maximum(np.abs(u) - np.float32(identity.neck), 0)
    return np.asarray(height + slope * out - 0.5 * bump(out * out / 0.04), np.float32)


def _soft_tissue(identity: Identity, where: Grid) -> Floats:
    """Chest wall, shoulders, breasts, and what lies below the diaphragm."""
    u, v = where.u, where.v
    body = inside(_shoulder_line(identity, u) - v, 0.06 + where.pixel)
    flank = np.abs(u) - (identity.width + 0.16) - 0.5 * np.maximum(-0.25 - v, 0)
    body *= inside(flank, 0.10)
    total = np.float32(0.64) * body
    density, height = identity.breast
    for side in (-1, 1):
        dome = _dome(identity, where, side)
        half = inside(-u * side, 0.25)
        total += np.float32(0.16) * half * inside(dome - v, 0.03 + where.pixel) * body
        total += np.float32(density) * bump(ellipse(u, v, (0.42 * side, height), (0.38, 0.34))) * 1.3
    return np.asarray(total, np.float32)


def _middle(identity: Identity, where: Grid) -> Floats:
    """Heart, great vessels, windpipe and spine."""
    u, v = where.front, where.v
    centre, axes = identity.heart_place, identity.heart
    heart = chord(ellipse(u, v, centre, axes, identity.heart_tilt))
    atrium = chord(ellipse(u, v, (centre[0] - 0.11, centre[1] + 0.02), (identity.atrium, 0.21)))
    radius, height = identity.knob
    knob = chord(ellipse(u, v, (0.095, height), (radius, radius * 1.15)))
    band = inside(np.abs(u) - np.float32(identity.mediastinum), 0.05) * inside(v - np.float32(0.55), 0.3)
    total = np.maximum(np.maximum(0.42 * heart, 0.34 * atrium), np.maximum(0.26 * band, 0.30 * knob))
    airway = bump(np.square((u - np.float32(identity.trachea)) * np.float32(18)))
    total -= np.float32(0.16) * airway * inside(v + np.float32(0.25), 0.12)
    bent = where.u - np.float32(identity.scoliosis) * np.sin(np.float32(2.2) * where.v)
    discs = 0.85 + 0.15 * np.cos(where.v * np.float32(2 * np.pi / identity.rib_spacing))
    total += np.float32(0.12) * inside(np.abs(bent) - np.float32(identity.spine), 0.04) * discs
    return np.asarray(total, np.float32)


def _bones(identity: Identity, where: Grid) -> Floats:
    """Ribs, collar bones and shoulder blades."""
    wall = np.maximum(_side_width(identity, where.v) * np.float32(1.05), np.float32(0.05))
    total = np.zeros_like(where.u)
    s = np.abs(where.u) / wall
    rise = identity.rib_drop * s * s - identity.rib_arch * s * (1 - s) * 2
    total += 0.105 * _rib_family(identity, where.v - rise, identity.rib_offset) * _within(s, 0.08, 1.0)
    s = np.abs(where.front) / wall
    fall = identity.front_drop * (1 - s * s)
    start = identity.rib_offset + identity.rib_drop + 0.02
    total += 0.060 * _rib_family(identity, where.v - fall, start) * _within(s, 0.45, 1.0)
    for side, slope in zip((-1, 1), identity.clavicle_slopes, strict=True):
        out = where.front * side
        line = identity.clavicles + slope * (out - 0.08) + identity.clavicle_bow * np.sin(7 * (out - 0.08))
        width = np.float32(identity.clavicle_width) * (1.25 - 0.5 * bump((out - 0.38) ** 2 / 0.1))
        total += 0.17 * chord(((where.v - line) / width) ** 2) * _within(out, 0.07, 0.74)
        centre = (identity.scapula * side, -0.33)
        tilt = np.pi / 2 + side * (np.pi / 2 - identity.scapula_tilt)
        blade = ellipse(where.u, where.v, centre, (0.34, 0.12), tilt)
        total += 0.07 * inside(blade - 1, 0.25) + 0.05 * bump((blade - 0.9) ** 2 / 0.06)
        head = ellipse(where.u, where.v, (side * (identity.scapula + 0.16), -0.58), (0.11, 0.12))
        total += np.float32(0.15) * chord(head)
    return np.asarray(total, np.float32)


def _rib_family(identity: Identity, v: Floats, offset: float) -> Floats:
    """All ribs of one family in one step: a tube round every whole number of spacings."""
    phase = (v - np.float32(offset)) / np.float32(identity.rib_spacing)
    shifts = np.zeros(RIBS + 2, np.float32)
    shifts[1:-1] = identity.rib_shifts
    number = np.clip(np.rint(phase).astype(np.int32), -1, RIBS)
    away = (phase - number - shifts[number + 1]) * np.float32(identity.rib_spacing / identity.rib_width)
    present = ((number >= 0) & (number < RIBS - 2)).astype(np.float32)
    square = away * away
    return np.asarray(present * (chord(square) + 0.4 * bump((np.sqrt(square) - 0.8) ** 2 / 0.06)), np.float32)


def _within(s: Floats, low: float, high: float) -> Floats:
    return inside(low - s, 0.06) * inside(s - high, 0.06)


def _vessels(identity: Identity, where: Grid, side: int) -> Floats:
    """Vessels that fan out from the hilum and thin out, and the hilum itself."""
    u = where.u * side - np.float32(_HILUM[0])
    v = where.v - np.float32(_HILUM[1])
    radius = np.sqrt(u * u + v * v) + np.float32(1e-4)
    angle = np.arctan2(v, u)
    fade = np.maximum(1 - radius / np.float32(0.62), 0)
    total = np.zeros_like(u)
    for start, bend, width in identity.vessels[(side + 1) // 2]:
        away = (angle - np.float32(start) - np.float32(bend) * radius) * radius
        total += bump(np.square(away / (np.float32(width) * (fade + 0.35) + where.pixel / 4)))
    hilum = bump((u * u + v * v * 0.4) / np.float32(0.022))
    apart = np.minimum(radius / np.float32(0.16), 1)  # near the root they would pile up
    return np.asarray(0.13 * total * fade * apart + 0.17 * hilum, np.float32)


def _findings(identity: Identity, disease: Disease, where: Grid, side: int, lung: Floats) -> Floats:
    """What the disease adds to one side: only inside the lung, and nothing outside its parts."""
    total = np.zeros_like(lung)
    for opacity in (*disease.consolidations, *disease.nodules):
        if opacity.side == side:
            total += _opacity(identity, opacity, where) * np.minimum(lung * 1.5, 1)
    for effusion in disease.effusions:
        if effusion.side == side:
            out = where.u * side / np.float32(identity.width)
            level = identity.domes[(side + 1) // 2] - effusion.depth - 0.35 * np.clip(out - 0.45, 0, 1) ** 2
            total += effusion.density * inside(level - where.v, 0.06) * lung
    return total


def _opacity(identity: Identity, opacity: Opacity, where: Grid) -> Floats:
    out, down = opacity.place
    number = (opacity.side + 1) // 2
    v = identity.apex + 0.1 + down * (identity.domes[number] - identity.apex - 0.1)
    u = opacity.side * out * float(_side_width(identity, np.full(1, v, np.float32))[0])
    empty = np.ones_like(where.u)
    for du, dv, radius in opacity.lobes:
        empty *= 1 - bump(ellipse(where.u, where.v, (u + du, v + dv), (radius, radius)))
    return np.asarray(opacity.density * (1 - empty), np.float32)


def expose(attenuated: Floats, acquisition: Acquisition) -> Floats:
    """The machine's picture of an attenuation, `[row, column]` in 0..1."""
    size = len(attenuated)
    image = blur(attenuated, acquisition.site.sharpness * size / 2)
    image = np.clip(0.5 + acquisition.contrast * (image - 0.5) * 0.95 + acquisition.exposure - 0.04, 0, 1.2)
    image = (image / np.float32(1.2)) ** np.float32(acquisition.gamma * acquisition.site.gamma)
    image += _noise(image, acquisition)
    image = np.clip(image * _collimator(size, acquisition.collimation), 0, 1)
    return _with_marker(image, acquisition)


def _noise(image: Floats, acquisition: Acquisition) -> Floats:
    """Fewer quanta reach what lies behind dense tissue."""
    rng = generator(acquisition.noise_seed)
    grain = blur(rng.standard_normal(image.shape, np.float32), acquisition.site.sharpness * len(image) / 4)
    return np.asarray(acquisition.noise * np.sqrt(0.3 + image) * grain, np.float32)


def _collimator(size: int, borders: tuple[float, float, float, float]) -> Floats:
    axis = _axis(size)
    left, right, top, bottom = (1 - 2 * border for border in borders)
    width = 0.01 + 2 / size
    across = inside(-axis - left, width) * inside(axis - right, width)
    down = inside(-axis - top, width) * inside(axis - bottom, width)
    return np.asarray(down[:, None] * across, np.float32)


def _axis(size: int) -> Floats:
    """Middle of each pixel, from -1 to 1."""
    return np.asarray((np.arange(size) + 0.5) * 2 / size - 1, np.float32)


def _with_marker(image: Floats, acquisition: Acquisition) -> Floats:
    """The image with a lead letter in an upper corner: L on the patient's left, right in the image."""
    if not acquisition.marker:
        return image
    height, (du, dv) = acquisition.site.marker, acquisition.marker_place
    axis = _axis(len(image))
    centre = 1 - du if acquisition.marker == "L" else -1 + du
    u, v = np.meshgrid((axis - np.float32(centre)) / height, (axis - np.float32(dv - 1)) / height)
    strokes = [((-0.3, -0.5), (-0.3, 0.5))]
    if acquisition.marker == "L":
        strokes.append(((-0.3, 0.5), (0.3, 0.5)))
        distance = np.minimum.reduce([stroke(u, v, *ends) for ends in strokes])
    else:
        strokes += [((-0.3, -0.5), (0.05, -0.5)), ((-0.3, 0.0), (0.05, 0.0)), ((0.0, 0.0), (0.32, 0.5))]
        bowl = np.where(u > 0.05, np.abs(np.hypot(u - 0.05, v + 0.25) - 0.25), 9)
        distance = np.minimum.reduce([bowl, *(stroke(u, v, *ends) for ends in strokes)])
    ink = inside(np.asarray(distance - 0.09, np.float32), 2 / len(image) / height)
    return np.asarray(image + ink * (1 - image), np.float32)
