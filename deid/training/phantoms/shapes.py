"""Soft shapes: coverage and path lengths as smooth functions of position, so that no edge is jagged.

All work on float32 arrays of coordinates of any shape. An edge as wide as a pixel is about as soft as the
mean over the pixel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def generator(*key: int) -> np.random.Generator:
    """Random numbers that depend on all of the key, so that no factor's draw moves another's."""
    return np.random.default_rng(np.random.SeedSequence(list(key)))


def spread(rng: np.random.Generator, mean: float, deviation: float) -> float:
    """A normal number, cut at two deviations so that no anatomy falls apart."""
    return float(mean + deviation * np.clip(rng.standard_normal(), -2, 2))


def inside(distance: Floats, width: float) -> Floats:
    """How much lies inside, 0..1, of a signed distance (negative inside) with an edge of some width."""
    t = distance * np.float32(-1 / width)
    t += np.float32(0.5)
    np.clip(t, 0, 1, out=t)
    steep = 3 - 2 * t
    steep *= t
    steep *= t
    return np.asarray(steep, np.float32)


def bump(square: NDArray[np.floating[Any]]) -> Floats:
    """1 at 0, falls smoothly to 0 at 1 and stays there."""
    t = np.maximum(1 - square, 0)
    return np.asarray(t * t, np.float32)


def chord(square: Floats) -> Floats:
    """Length of a ray through a unit ball, of 0..1, by the square of its distance from the middle."""
    return np.asarray(np.sqrt(np.maximum(1 - square, 0)), np.float32)


def ellipse(
    u: Floats, v: Floats, centre: tuple[float, float], axes: tuple[float, float], tilt: float = 0.0
) -> Floats:
    """Square of the distance from the centre in half axes: below 1 inside.

    Args:
        u: To the right.
        v: Down.
        centre: Of the ellipse, ``(u, v)``.
        axes: Half axes, the first one along ``u`` before the turn.
        tilt: Turn from ``u`` towards ``v``, in radians.
    """
    du, dv = u - np.float32(centre[0]), v - np.float32(centre[1])
    cos, sin = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
    along, across = (cos * du + sin * dv) / np.float32(axes[0]), (cos * dv - sin * du) / np.float32(axes[1])
    return np.asarray(along * along + across * across, np.float32)


def stroke(u: Floats, v: Floats, start: tuple[float, float], end: tuple[float, float]) -> Floats:
    """Distance from a straight stroke."""
    du, dv = end[0] - start[0], end[1] - start[1]
    length = np.float32(max(du * du + dv * dv, 1e-9))
    pu, pv = u - np.float32(start[0]), v - np.float32(start[1])
    t = np.clip((pu * np.float32(du) + pv * np.float32(dv)) / length, 0, 1)
    return np.asarray(np.hypot(pu - t * np.float32(du), pv - t * np.float32(dv)), np.float32)


def blur(image: Floats, sigma: float) -> Floats:
    """Gaussian blur along every axis, the border repeated.

    Args:
        image: Any number of axes.
        sigma: In pixels; below 0.2 nothing is done.
    """
    if sigma < 0.2:
        return image
    reach = int(np.ceil(3 * sigma))
    weights = np.exp(-0.5 * np.square(np.arange(reach + 1, dtype=np.float32) / np.float32(sigma)))
    weights /= 2 * weights.sum() - weights[0]
    for axis, length in enumerate(image.shape):
        padding = [(reach, reach) if other == axis else (0, 0) for other in range(image.ndim)]
        padded = np.moveaxis(np.pad(image, padding, "edge"), axis, 0)
        total = weights[0] * padded[reach : reach + length]
        for shift in range(1, reach + 1):
            before, after = reach - shift, reach + shift
            total += weights[shift] * (padded[before : before + length] + padded[after : after + length])
        image = np.moveaxis(total, 0, axis)
    return np.ascontiguousarray(image)
