"""Maximise a function of a few numbers by steps along one grid at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Point = tuple[float, ...]


def search_coordinates(
    objective: Callable[[Point], float],
    start: Point,
    grids: Mapping[int, Sequence[float]],
    *,
    trials: int,
    gain: float = 0.0,
) -> tuple[Point, float, int]:
    """Maximise ``objective`` by steps along one coordinate's grid at a time.

    Args:
        objective: called once per point.
        start: the first point; its coordinates need not lie on the grids.
        grids: ascending values for each coordinate that may move.
        trials: how many calls of ``objective`` at most.
        gain: a step counts as better only if it gains more than this (noise of the validation sample).

    Returns:
        The best point, its value, the number of calls.
    """
    known: dict[Point, float] = {start: objective(start)}
    best, moved = start, True
    while moved and len(known) < trials:
        moved = False
        for coordinate, grid in grids.items():
            for upward in (True, False):
                while len(known) < trials and (point := _step(best, coordinate, grid, upward)) is not None:
                    if point not in known:
                        known[point] = objective(point)
                    if known[point] <= known[best] + gain:
                        break
                    best, moved = point, True
    return best, known[best], len(known)


def _step(point: Point, coordinate: int, grid: Sequence[float], upward: bool) -> Point | None:
    """The neighbour of ``point`` on the grid, or None at its end."""
    here = point[coordinate]
    beyond = [v for v in grid if v > here + 1e-9] if upward else [v for v in reversed(grid) if v < here - 1e-9]
    return (*point[:coordinate], beyond[0], *point[coordinate + 1 :]) if beyond else None
