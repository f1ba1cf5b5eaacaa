"""Patterns as functions of the plane: each pixel gets one of three paints."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from reasonrec_datasets.synth.vocabulary import PATTERNS

Plane = npt.NDArray[np.floating]
Paint = npt.NDArray[np.uint8]
"""uint8[H, W]: 0 ground, 1 second colour, 2 accent."""


def paint(pattern: str, size: int, rng: np.random.Generator) -> Paint:
    """uint8[size, size]: the pattern at a random scale, angle and offset."""
    cells = rng.uniform(4.6, 6.4)
    angle = rng.uniform(-0.2, 0.2)
    axis = (np.arange(size, dtype=np.float32) / size - 0.5) * np.float32(cells)
    x, y = np.meshgrid(axis, axis)
    cos, sin = math.cos(angle), math.sin(angle)
    u = cos * x + sin * y + rng.uniform(0, 1)
    v = cos * y - sin * x + rng.uniform(0, 1)
    return DRAWN[pattern](u, v, rng)


def _fraction(values: Plane) -> Plane:
    """Distance from the middle of the unit cell, in [-0.5, 0.5)."""
    offset: Plane = values - np.floor(values) - 0.5
    return offset


def _mix(second: npt.NDArray[np.bool_], accent: npt.NDArray[np.bool_]) -> Paint:
    painted: Paint = second.astype(np.uint8)
    painted[accent] = 2
    return painted


def stripes(u: Plane, v: Plane, rng: np.random.Generator) -> Paint:
    """Bars with a thin accent line between them."""
    middle = np.abs(_fraction(v))
    return _mix(middle < 0.25, (middle > 0.36) & (middle < 0.42))


def dots(u: Plane, v: Plane, rng: np.random.Generator) -> Paint:
    """Discs in offset rows, every other row in the accent."""
    row = np.floor(v)
    radius = np.hypot(_fraction(u + 0.5 * row), _fraction(v))
    return _mix(radius < 0.32, (radius < 0.32) & (row % 2 == 0))


def checks(u: Plane, v: Plane, rng: np.random.Generator) -> Paint:
    """Gingham: crossing bars, the accent where they meet."""
    a, b = np.abs(_fraction(u)) < 0.25, np.abs(_fraction(v)) < 0.25
    return _mix(a | b, a & b)


def ripples(u: Plane, v: Plane, rng: np.random.Generator) -> Paint:
    """Ripples: bands that follow a sine."""
    band = v + 0.35 * np.sin(2 * np.pi * u / 1.6)
    middle = np.abs(_fraction(band))
    return _mix(middle < 0.24, (middle < 0.24) & (np.floor(band) % 3 == 0))


def zigzag(u: Plane, v: Plane, rng: np.random.Generator) -> Paint:
    """Chevrons: bands that follow a sharp fold."""
    band = v + 1.2 * np.abs(_fraction(u))
    middle = np.abs(_fraction(band))
    return _mix(middle < 0.25, (middle < 0.25) & (np.floor(band) % 2 == 0))


def scales(u: Plane, v: Plane, rng: np.random.Generator) -> Paint:
    """Fish scales: overlapping half discs with a rim."""
    painted: Paint = np.zeros(u.shape, np.uint8)
    for lift in (1.0, 0.5, 0.0):
        row = np.floor(2 * v) / 2 - lift + 0.5
        shift = 0.5 * np.mod(np.round(2 * row), 2)
        radius = np.hypot(_fraction(u + shift), (v - row) * 0.9)
        painted[radius < 0.5] = 1
        painted[radius < 0.4] = 0
        painted[radius < 0.2] = 2
    return painted


def triangles(u: Plane, v: Plane, rng: np.random.Generator) -> Paint:
    """Pennants: rows of triangles, each third in the accent."""
    high = v - np.floor(v)
    inside = np.abs(_fraction(u + 0.5 * (np.floor(v) % 2))) < 0.46 * high
    return _mix(inside, inside & (np.floor(u + 0.5 * (np.floor(v) % 2)) % 3 == 0))


def petals(u: Plane, v: Plane, rng: np.random.Generator) -> Paint:
    """Flowers of six petals with a heart in the accent."""
    x, y = _fraction(u + 0.5 * (np.floor(v) % 2)), _fraction(v)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    return _mix(radius < 0.28 + 0.16 * np.cos(6 * angle), radius < 0.12)


def rings(u: Plane, v: Plane, rng: np.random.Generator) -> Paint:
    """Targets: rings around the middle of large cells."""
    radius = np.hypot(_fraction(u / 1.7), _fraction(v / 1.7))
    return _mix((np.floor(radius * 9) % 2 == 0) & (radius < 0.5), radius < 0.11)


def terrazzo(u: Plane, v: Plane, rng: np.random.Generator) -> Paint:
    """Stone chips: convex pieces of all sizes on the ground colour."""
    painted: Paint = np.zeros(u.shape, np.uint8)
    height, width = u.shape
    reach = width // 9
    pixel = abs(float(u[0, 1] - u[0, 0])) + abs(float(u[1, 0] - u[0, 0]))
    for chip in range(80):
        row, column = int(rng.integers(0, height)), int(rng.integers(0, width))
        window = np.s_[max(row - reach, 0) : row + reach, max(column - reach, 0) : column + reach]
        x, y = (u[window] - u[row, column]) / pixel / reach, (v[window] - v[row, column]) / pixel / reach
        turns = rng.uniform(0, 2 * np.pi) + np.arange(5) * 2 * np.pi / 5 + rng.uniform(-0.4, 0.4, 5)
        sides = rng.uniform(0.22, 0.6, 5)
        inside = np.ones(x.shape, np.bool_)
        for turn, side in zip(turns.tolist(), sides.tolist(), strict=True):
            inside &= x * math.cos(turn) + y * math.sin(turn) < side
        painted[window][inside] = 1 + chip % 2
    return painted


DRAWN: Mapping[str, Callable[[Plane, Plane, np.random.Generator], Paint]] = dict(
    zip(PATTERNS, (stripes, dots, checks, ripples, zigzag, scales, triangles, petals, rings, terrazzo), strict=True)
)
